//! Traffic: frames of many flows, restored in place batch after batch.
//!
//! The frames lie in 256 chunks of 2 KiB as a NIC's would, and are used 32 at
//! a time, in turn. Before each batch the headers are copied from a template
//! and given the client of the next flow, checksums included; a payload is
//! never touched, as no director writes to it. So frames come out of a cache,
//! as they do where a NIC writes to it, and any number of flows takes no
//! memory that would compete with the tables.

use std::net::IpAddr;
use std::ops::Range;

use af_xdp::{HugePages, Region};
use etherparse::PacketBuilder;
use lvs_core::Port;

use crate::class::{
    Class, Family, REAL_SERVER_PORT, REAL_SERVERS, SERVICE_PORT, Size, Transport, Way,
};
use crate::world::{CLIENT_ROUTER_MAC, DIRECTOR_MACS, REAL_SERVER_MAC};

/// Frames handed over together.
pub const BATCH: usize = 32;
/// Where a frame begins in its chunk: the room AF_XDP leaves in front.
pub const HEADROOM: usize = 256;
/// A chunk of memory with a frame somewhere in it.
pub type Chunk = [u8; 2048];

/// The frames of one batch: chunks, and where in each the frame lies.
#[derive(Debug)]
pub struct Frames<'t> {
    /// The NIC they came by.
    pub port: Port,
    /// The memory.
    pub chunks: &'t mut [Chunk],
    /// The place of the frame in each chunk.
    pub ranges: &'t mut [Range<usize>],
}

/// A TCP segment's part in its connection; UDP packets have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// SYN.
    Opens,
    /// ACK, with data if there is room.
    Carries,
}

/// In which order the flows come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// One after the other, as they are numbered.
    Straight,
    /// Scattered; each once before any comes again.
    Scattered,
}

/// An endless sequence of frames of one class.
#[derive(Debug)]
pub struct Traffic {
    class: Class,
    order: Order,
    /// One, or for replies one a real server; a flow takes the one of its number.
    templates: Vec<Template>,
    memory: Region,
    ranges: Vec<Range<usize>>,
    flows: u32,
    position: u32,
}

impl Traffic {
    /// Traffic of `flows` flows, a power of two and at least a batch.
    ///
    /// `served_by` says for each of the first flows which real server it has,
    /// and is repeated for the rest; only replies look at it.
    ///
    /// # Panics
    ///
    /// Without 512 KiB of memory to be had.
    #[must_use]
    pub fn new(class: Class, flows: u32, part: Part, order: Order, served_by: &[usize]) -> Self {
        assert!(flows.is_power_of_two() && flows as usize >= BATCH);
        let templates: Vec<_> = match class.way {
            Way::MasqueradeReply => served_by
                .iter()
                .map(|index| Template::new(class, part, *index))
                .collect(),
            _ => vec![Template::new(class, part, 0)],
        };
        assert!(templates.len().is_power_of_two() && templates.len() <= REAL_SERVERS);
        let frame = build(class, part, 0);
        let mut memory = Region::new(CHUNKS * size_of::<Chunk>(), HugePages::Prefer)
            .expect("memory for 256 frames");
        for chunk in memory.bytes_mut().as_chunks_mut::<2048>().0 {
            chunk[HEADROOM..HEADROOM + frame.len()].copy_from_slice(&frame);
        }
        Self {
            class,
            order,
            templates,
            memory,
            ranges: vec![0..0; CHUNKS],
            flows,
            position: 0,
        }
    }

    /// The next batch, its frames as they came from the wire.
    ///
    /// *Cost:* measured as the bench `restore`.
    pub fn next_batch(&mut self) -> Frames<'_> {
        let (chunks, _) = self.memory.bytes_mut().as_chunks_mut::<2048>();
        let first = self.position as usize % CHUNKS;
        let chunks = &mut chunks[first..first + BATCH];
        let ranges = &mut self.ranges[first..first + BATCH];
        let length = self.class.frame_length();
        for (position, (chunk, range)) in
            (self.position..).zip(chunks.iter_mut().zip(ranges.iter_mut()))
        {
            let flow = match self.order {
                Order::Straight => position & (self.flows - 1),
                Order::Scattered => scattered(position, self.flows),
            };
            let template = &self.templates[flow as usize & (self.templates.len() - 1)];
            template.write(self.class.client(flow), &mut chunk[HEADROOM..]);
            *range = HEADROOM..HEADROOM + length;
        }
        self.position = self.position.wrapping_add(BATCH as u32);
        let port = match self.class.way {
            Way::MasqueradeReply => Port(1),
            _ => Port(0),
        };
        Frames {
            port,
            chunks,
            ranges,
        }
    }
}

/// The headers of a class, with a client of zero address and port.
#[derive(Clone, Debug)]
struct Template {
    bytes: [u8; MOST_HEADERS],
    /// Where the client's (lower 32 bits of) address and port belong.
    address: usize,
    port: usize,
    /// Where the checksums are, and their sums as of now.
    ip_checksum: Option<usize>,
    ip_sum: u32,
    checksum: usize,
    sum: u32,
    v6: bool,
}

impl Template {
    fn new(class: Class, part: Part, real_server: usize) -> Self {
        let frame = build(class, part, real_server);
        let mut bytes = [0; MOST_HEADERS];
        let copied = frame.len().min(MOST_HEADERS);
        bytes[..copied].copy_from_slice(&frame[..copied]);
        let l4 = class.transport_offset();
        let from_client = class.way != Way::MasqueradeReply;
        let (source, destination) = match class.family {
            Family::V4 => (14 + 12, 14 + 16),
            Family::V6 => (14 + 8 + 12, 14 + 24 + 12),
        };
        let (address, port) = if from_client {
            (source, l4)
        } else {
            (destination, l4 + 2)
        };
        let checksum = l4
            + match class.transport {
                Transport::Tcp => 16,
                Transport::Udp => 6,
            };
        let mut template = Self {
            bytes,
            address,
            port,
            ip_checksum: (class.family == Family::V4).then_some(14 + 10),
            ip_sum: 0,
            checksum,
            sum: 0,
            v6: class.family == Family::V6,
        };
        template.take_out_client();
        template
    }

    /// Makes address and port zero, and the sums what is left.
    fn take_out_client(&mut self) {
        let word =
            |bytes: &[u8], at: usize| u32::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
        let address = [
            word(&self.bytes, self.address),
            word(&self.bytes, self.address + 2),
        ];
        let port = word(&self.bytes, self.port);
        let without = |checksum: u32, words: &[u32]| {
            words
                .iter()
                .fold(0xffff & !checksum, |sum, word| sum + (0xffff & !word))
        };
        if let Some(at) = self.ip_checksum {
            self.ip_sum = without(word(&self.bytes, at), &address);
        }
        let words = [address[0], address[1], port];
        self.sum = without(word(&self.bytes, self.checksum), &words);
    }

    /// Writes the headers of `client` to the front of `frame`.
    #[inline]
    fn write(&self, (address, port): (u32, u16), frame: &mut [u8]) {
        // Two sizes known at compile time: a few moves each, no call.
        if self.v6 {
            frame[..MOST_HEADERS].copy_from_slice(&self.bytes);
        } else {
            frame[..64].copy_from_slice(&self.bytes[..64]);
        }
        frame[self.address..self.address + 4].copy_from_slice(&address.to_be_bytes());
        frame[self.port..self.port + 2].copy_from_slice(&port.to_be_bytes());
        let halves = (address >> 16) + (address & 0xffff);
        if let Some(at) = self.ip_checksum {
            frame[at..at + 2].copy_from_slice(&checksum(self.ip_sum + halves));
        }
        let sum = self.sum + halves + u32::from(port);
        frame[self.checksum..self.checksum + 2].copy_from_slice(&checksum(sum));
    }
}

/// A whole frame of flow 0.
fn build(class: Class, part: Part, real_server: usize) -> Vec<u8> {
    let (client, client_port) = class.client(0);
    let client = match class.family {
        Family::V4 => IpAddr::from(client.to_be_bytes()),
        Family::V6 => {
            IpAddr::from((0x2001_0db8_000c_u128 << 80 | u128::from(client)).to_be_bytes())
        }
    };
    let ((source, source_port), (destination, port)) = match class.way {
        Way::MasqueradeReply => (
            (class.rip(real_server), REAL_SERVER_PORT),
            (client, client_port),
        ),
        _ => ((client, client_port), (class.vip(), SERVICE_PORT)),
    };
    let ethernet = match class.way {
        Way::MasqueradeReply => PacketBuilder::ethernet2(REAL_SERVER_MAC, DIRECTOR_MACS[1]),
        _ => PacketBuilder::ethernet2(CLIENT_ROUTER_MAC, DIRECTOR_MACS[0]),
    };
    let ip = match (source, destination) {
        (IpAddr::V4(s), IpAddr::V4(d)) => ethernet.ipv4(s.octets(), d.octets(), 64),
        (IpAddr::V6(s), IpAddr::V6(d)) => ethernet.ipv6(s.octets(), d.octets(), 64),
        _ => unreachable!("a class has one family"),
    };
    let payload: Vec<u8> = (0..class.frame_length() - class.headers())
        .map(|at| at as u8 ^ 0x5a)
        .collect();
    let mut frame = Vec::new();
    let written = match (class.transport, part) {
        (Transport::Udp, _) => ip.udp(source_port, port).write(&mut frame, &payload),
        (Transport::Tcp, Part::Opens) => ip
            .tcp(source_port, port, 1, 65_535)
            .syn()
            .write(&mut frame, &payload),
        (Transport::Tcp, Part::Carries) => ip
            .tcp(source_port, port, 2, 65_535)
            .ack(7)
            .write(&mut frame, &payload),
    };
    written.expect("a frame of at most 1514 bytes");
    debug_assert!(class.size == Size::Mtu || frame.len() <= MOST_HEADERS);
    frame
}

/// The `position`th of `flows` flows in scattered order: a bijection of the
/// numbers below a power of two, so that each comes once in a round.
#[inline]
const fn scattered(position: u32, flows: u32) -> u32 {
    let mask = flows - 1;
    let half = flows.trailing_zeros() / 2;
    let mut flow = position.wrapping_mul(0x9e37_79b1) & mask;
    flow ^= flow >> half;
    flow = flow.wrapping_mul(0x85eb_ca6b) & mask;
    flow ^ (flow >> half)
}

/// Folded, inverted, as it stands in a header. UDP's zero does not occur: it
/// would take an all-ones sum, and then the frame would merely have no checksum.
#[inline]
const fn checksum(sum: u32) -> [u8; 2] {
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    (!(sum as u16)).to_be_bytes()
}

/// The longest headers, TCP over IPv6, rounded up to a multiple of 16.
const MOST_HEADERS: usize = 80;
/// Chunks used in turn: more than the first-level cache holds, less than the second.
const CHUNKS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn scattered_order_visits_every_flow() {
        for flows in [32u32, 1024, 1 << 17] {
            let seen: HashSet<_> = (0..flows).map(|at| scattered(at, flows)).collect();
            assert_eq!(seen.len(), flows as usize);
        }
    }

    #[test]
    fn restored_frames_are_what_a_builder_makes() {
        for family in [Family::V4, Family::V6] {
            for way in [Way::DirectRoute, Way::MasqueradeReply] {
                let class = Class::short_tcp(way, family);
                let mut traffic =
                    Traffic::new(class, 1 << 17, Part::Carries, Order::Scattered, &[3, 5]);
                for _ in 0..100 {
                    let frames = traffic.next_batch();
                    for (chunk, range) in frames.chunks.iter().zip(&*frames.ranges) {
                        check(&chunk[range.clone()]);
                    }
                }
            }
        }
    }

    /// Both checksums fit.
    fn check(frame: &[u8]) {
        let packet = etherparse::PacketHeaders::from_ethernet_slice(frame).unwrap();
        let tcp = packet.transport.unwrap().tcp().unwrap();
        let payload = packet.payload.slice();
        let expected = match packet.net.unwrap() {
            etherparse::NetHeaders::Ipv4(ip, _) => {
                assert_eq!(ip.header_checksum, ip.calc_header_checksum());
                tcp.calc_checksum_ipv4(&ip, payload).unwrap()
            }
            etherparse::NetHeaders::Ipv6(ip, _) => tcp.calc_checksum_ipv6(&ip, payload).unwrap(),
            etherparse::NetHeaders::Arp(_) => panic!("not an IP packet"),
        };
        assert_eq!(tcp.checksum, expected);
    }
}
