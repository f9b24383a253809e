//! The two namespaces, and packet queues on either end of their link.

use std::collections::VecDeque;
use std::fs;
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use af_xdp::{Frame, HugePages, Umem, UmemConfig};
use lvs_io::netlink::{Network, VethEnd};
use lvs_io::{Nic, PacketOptions, PacketQueue, Queue};

use crate::namespace::Namespace;

pub(crate) const NEAR: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub(crate) const FAR: [u8; 6] = [2, 0, 0, 0, 0, 2];
/// An EtherType for experiments: nobody else uses it on this link.
pub(crate) const EXPERIMENT: [u8; 2] = [0x88, 0xb5];

/// A link between two namespaces, both ends up and with addresses.
pub(crate) struct Lab {
    pub(crate) near: Namespace,
    pub(crate) far: Namespace,
}

/// A packet queue with a UMEM of its own.
pub(crate) struct Station {
    pub(crate) queue: PacketQueue,
    pub(crate) umem: Umem,
    pub(crate) frames: Vec<Frame>,
    /// Received, and not yet looked at.
    waiting: VecDeque<Packet>,
    /// Frames asked for at a time.
    pub(crate) limit: usize,
}

/// A packet as a station received it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) bytes: Vec<u8>,
    pub(crate) frames: usize,
    pub(crate) checksum_unready: bool,
}

impl Lab {
    pub(crate) fn new(mtu: u32) -> Option<Self> {
        let lab = Self {
            near: Namespace::new()?,
            far: Namespace::new()?,
        };
        for namespace in [&lab.near, &lab.far] {
            namespace.run(|| {
                // Addresses can be used at once.
                fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0").unwrap();
                Network::open().unwrap().set_up("lo").unwrap();
            });
        }
        lab.near.run(|| {
            let near = VethEnd::new("near").mac(NEAR).mtu(mtu);
            let far = VethEnd::new("far").mac(FAR).mtu(mtu);
            let far = far.namespace(lab.far.as_fd());
            Network::open().unwrap().add_veth(&near, &far).unwrap();
        });
        lab.near.run(|| up("near", ["10.0.0.1/24", "fd00::1/64"]));
        lab.far.run(|| up("far", ["10.0.0.2/24", "fd00::2/64"]));
        Some(lab)
    }

    pub(crate) fn station(&self, end: &str) -> Station {
        self.station_with(end, 1024)
    }

    pub(crate) fn station_with(&self, end: &str, chunks: u32) -> Station {
        let options = PacketOptions::default();
        let open = || PacketQueue::open(&Nic::named(end).unwrap(), "under test", &options);
        Station::new(self.at(end).run(open).unwrap(), chunks)
    }

    pub(crate) fn at(&self, end: &str) -> &Namespace {
        match end {
            "near" => &self.near,
            _ => &self.far,
        }
    }
}

impl Station {
    pub(crate) fn new(queue: PacketQueue, chunks: u32) -> Self {
        let umem = UmemConfig {
            chunks,
            chunk_size: 2048,
            huge_pages: HugePages::Avoid,
            ..UmemConfig::default()
        };
        Self {
            queue,
            umem: Umem::new(umem).unwrap(),
            frames: Vec::with_capacity(64),
            waiting: VecDeque::new(),
            limit: 64,
        }
    }

    /// One turn: what is there now.
    pub(crate) fn receive(&mut self) -> Vec<Packet> {
        self.queue.refill(&mut self.umem);
        let count = self
            .queue
            .receive(&mut self.umem, &mut self.frames, self.limit);
        assert_eq!(count, self.frames.len());
        let mut packets: Vec<Packet> = Vec::new();
        let mut more = false;
        for frame in self.frames.drain(..) {
            let bytes = self.umem.bytes(&frame).to_vec();
            match packets.last_mut() {
                Some(packet) if more => {
                    packet.bytes.extend(bytes);
                    packet.frames += 1;
                }
                _ => packets.push(Packet {
                    bytes,
                    frames: 1,
                    checksum_unready: frame.checksum_unready(),
                }),
            }
            more = frame.continues();
            self.umem.release(frame);
        }
        assert!(!more, "a packet without its end");
        packets
    }

    /// Turns until `done` says so of what came; fails after a long while.
    pub(crate) fn receive_until(&mut self, mut done: impl FnMut(Packet) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            let Some(packet) = self.waiting.pop_front() else {
                let came = self.receive();
                if came.is_empty() {
                    thread::sleep(Duration::from_micros(200));
                }
                self.waiting.extend(came);
                continue;
            };
            if done(packet) {
                return;
            }
        }
        panic!("waited in vain; {:?}", self.queue.counters());
    }

    /// The next packet of the experiments' type, tagged or not.
    pub(crate) fn experiment(&mut self) -> Packet {
        let mut found = None;
        self.receive_until(|packet| {
            if packet.bytes[12..14] == EXPERIMENT || packet.bytes[16..18] == EXPERIMENT {
                found = Some(packet);
            }
            found.is_some()
        });
        found.unwrap()
    }

    /// Transmits a packet, in frames of at most `piece` bytes, and whatever was
    /// loaded before it.
    pub(crate) fn send(&mut self, packet: &[u8], piece: usize) {
        self.load(packet, piece);
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.frames.is_empty() && Instant::now() < deadline {
            let loaded = self.frames.len();
            let taken = self.queue.transmit(&mut self.umem, &mut self.frames);
            assert_eq!(taken + self.frames.len(), loaded);
        }
        assert!(self.frames.is_empty(), "{:?}", self.queue.counters());
        self.queue.flush();
        self.queue.reclaim(&mut self.umem);
        assert_eq!(self.queue.in_flight(), 0);
    }

    /// Puts a packet among the frames to be transmitted.
    pub(crate) fn load(&mut self, packet: &[u8], piece: usize) {
        let mut pieces = packet.chunks(piece).peekable();
        while let Some(piece) = pieces.next() {
            let mut frame = self.umem.allocate().unwrap();
            let parts = self.umem.parts_mut(&mut frame);
            parts.range.end = parts.range.start + piece.len();
            parts.chunk[parts.range.clone()].copy_from_slice(piece);
            frame.set_continues(pieces.peek().is_some());
            self.frames.push(frame);
        }
    }
}

/// A frame of the experiments' type.
pub(crate) fn experiment(to: [u8; 6], from: [u8; 6], payload: &[u8]) -> Vec<u8> {
    [&to[..], &from, &EXPERIMENT, payload].concat()
}

fn up(name: &str, addresses: [&str; 2]) {
    let mut network = Network::open().unwrap();
    for address in addresses {
        network.add_address(name, address.parse().unwrap()).unwrap();
    }
    network.set_up(name).unwrap();
}
