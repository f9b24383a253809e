//! What real sockets leave to the NIC to cut arrives cut.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::thread;

use lvs_io::Queue;
use nix::sys::socket::{setsockopt, sockopt::UdpGsoSegment};

use crate::lab::{Lab, Packet, Station};
use crate::sample;

const BYTES: usize = 1 << 20;

/// The TCP payload that was seen, by sequence number after the SYN's.
#[derive(Default)]
struct Stream {
    base: Option<u32>,
    seen: BTreeMap<usize, usize>,
    cut: usize,
}

impl Stream {
    /// Takes a packet of the stream to port 9; whether the stream is whole.
    fn take(&mut self, packet: &Packet) -> bool {
        let bytes = &packet.bytes;
        let transport = if bytes[12] == 0x08 { 34 } else { 54 };
        let protocol = bytes[if transport == 34 { 23 } else { 20 }];
        if protocol != 6 || bytes[transport + 2..transport + 4] != [0, 9] {
            return false;
        }
        let sequence: [u8; 4] = bytes[transport + 4..transport + 8].try_into().unwrap();
        let sequence = u32::from_be_bytes(sequence);
        if bytes[transport + 13] & 2 != 0 {
            self.base = Some(sequence.wrapping_add(1));
            return false;
        }
        let start = sequence.wrapping_sub(self.base.unwrap()) as usize;
        let payload = &bytes[transport + usize::from(bytes[transport + 12] >> 4) * 4..];
        assert!(bytes.len() <= 1514, "{} bytes", bytes.len());
        for (offset, byte) in payload.iter().enumerate() {
            assert_eq!(*byte, pattern(start + offset));
        }
        if !packet.checksum_unready {
            assert!(sample::is_right(bytes), "checksums at {start}");
            self.cut += usize::from(!payload.is_empty());
        }
        if !payload.is_empty() {
            self.seen.insert(start, start + payload.len());
        }
        self.whole()
    }

    fn whole(&self) -> bool {
        let mut reached = 0;
        for (start, end) in &self.seen {
            if *start > reached {
                return false;
            }
            reached = reached.max(*end);
        }
        reached == BYTES
    }
}

fn pattern(offset: usize) -> u8 {
    (offset ^ (offset >> 8) ^ (offset >> 16)) as u8
}

/// Sends a megabyte by TCP from far to near, both kernels', while `station`
/// looks on from near.
fn watch_tcp(lab: &Lab, station: &mut Station, from: &str, to: &str) -> Stream {
    let listener = lab.near.run(|| TcpListener::bind((to, 9)).unwrap());
    let reader = thread::spawn(move || {
        let mut all = Vec::new();
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_to_end(&mut all).unwrap();
        all.len()
    });
    let mut socket = lab.far.run(|| TcpStream::connect((to, 9)).unwrap());
    assert_eq!(socket.local_addr().unwrap().ip().to_string(), from);
    let writer = thread::spawn(move || {
        let all: Vec<u8> = (0..BYTES).map(pattern).collect();
        socket.write_all(&all).unwrap();
    });
    let mut stream = Stream::default();
    station.receive_until(|packet| stream.take(&packet));
    writer.join().unwrap();
    assert_eq!(reader.join().unwrap(), BYTES);
    stream
}

#[test]
fn tcp_is_cut_into_frames_of_the_link() {
    let Some(lab) = Lab::new(1500) else { return };
    for (from, to) in [("10.0.0.2", "10.0.0.1"), ("fd00::2", "fd00::1")] {
        let mut station = lab.station("near");
        let stream = watch_tcp(&lab, &mut station, from, to);
        assert!(stream.cut > BYTES / 1500 / 2, "{} were cut", stream.cut);
        assert_eq!(station.queue.counters().invalid, 0);
    }
}

#[test]
fn cutting_goes_on_however_little_room_there_is() {
    let Some(lab) = Lab::new(1500) else { return };
    for (limit, chunks) in [(1, 1024), (7, 1024), (64, 34), (64, 4)] {
        let mut station = lab.station_with("near", chunks);
        station.limit = limit;
        let stream = watch_tcp(&lab, &mut station, "10.0.0.2", "10.0.0.1");
        assert!(stream.cut > 0);
        assert_eq!(station.queue.counters().invalid, 0);
    }
}

#[test]
fn udp_is_cut_into_datagrams() {
    let Some(lab) = Lab::new(1500) else { return };
    for (from, to) in [("10.0.0.2", "10.0.0.1"), ("fd00::2", "fd00::1")] {
        let mut station = lab.station("near");
        let sink = lab.near.run(|| UdpSocket::bind((to, 9)).unwrap());
        let socket = lab.far.run(|| UdpSocket::bind((from, 0)).unwrap());
        setsockopt(&socket, UdpGsoSegment, &1000).unwrap();
        let all: Vec<u8> = (0..30_500).map(pattern).collect();
        socket.send_to(&all, (to, 9)).unwrap();
        let mut joined: Vec<u8> = Vec::new();
        let mut datagrams = 0;
        station.receive_until(|packet| {
            let transport = if packet.bytes[12] == 0x08 { 34 } else { 54 };
            let protocol = packet.bytes[if transport == 34 { 23 } else { 20 }];
            if protocol == 17 {
                assert!(packet.checksum_unready || sample::is_right(&packet.bytes));
                joined.extend(&packet.bytes[transport + 8..]);
                datagrams += 1;
            }
            joined.len() >= all.len()
        });
        drop(sink);
        assert!(joined == all);
        assert_eq!(datagrams, 31);
    }
}
