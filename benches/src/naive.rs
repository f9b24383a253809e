//! The director one writes first: a map, one packet after the other, every
//! checksum made anew. A yardstick that any machine can be measured with.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Range;

use crate::class::{Class, REAL_SERVER_PORT, REAL_SERVERS, SERVICE_PORT, Way};
use crate::director::Director;
use crate::traffic::{Chunk, Frames};
use crate::world::{CLIENT_ROUTER_MAC, DIRECTOR_MACS, REAL_SERVER_MAC};

/// Source, destination, protocol.
type Key = (IpAddr, u16, IpAddr, u16, u8);

/// What is known of a flow in one direction.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// What its packets are rewritten to: where they go, or whence they seem
    /// to come.
    end: (IpAddr, u16),
    reply: bool,
    packets: u64,
}

/// A director of maps.
#[derive(Debug)]
pub struct Naive {
    class: Class,
    services: HashMap<(IpAddr, u16), Vec<IpAddr>>,
    connections: HashMap<Key, Known>,
    next: usize,
    refused: u64,
}

impl Naive {
    /// A director for `class` with room for `flows` connections.
    #[must_use]
    pub fn new(class: Class, flows: u32) -> Self {
        // In the kernel's order: the newest first.
        let real_servers = (0..REAL_SERVERS)
            .rev()
            .map(|index| class.rip(index))
            .collect();
        Self {
            class,
            services: HashMap::from([((class.vip(), SERVICE_PORT), real_servers)]),
            connections: HashMap::with_capacity(2 * flows as usize),
            next: 0,
            refused: 0,
        }
    }

    /// Forwards one frame; `None` if it cannot.
    fn forward(&mut self, chunk: &mut Chunk, range: &mut Range<usize>) -> Option<()> {
        let (at, l4, key) = parse(&chunk[range.clone()])?;
        let known = match self.connections.get_mut(&key) {
            Some(known) => known,
            None => self.begin(key)?,
        };
        known.packets += 1;
        let known = *known;
        let frame = &mut chunk[range.clone()];
        let ttl = at + if key.0.is_ipv4() { 8 } else { 7 };
        frame[ttl] = frame[ttl].checked_sub(1).filter(|left| *left > 0)?;
        match (self.class.way, known.reply) {
            (Way::MasqueradeRequest | Way::MasqueradeReply, reply) => {
                set_end(frame, at, l4, reply, known.end);
            }
            _ => sum_ip(frame, at),
        }
        if self.class.way == Way::Tunnel {
            wrap(chunk, range, at, known.end.0)?;
        }
        let (destination, source) = if known.reply {
            (CLIENT_ROUTER_MAC, DIRECTOR_MACS[0])
        } else {
            (REAL_SERVER_MAC, DIRECTOR_MACS[1])
        };
        let frame = &mut chunk[range.clone()];
        frame[..6].copy_from_slice(&destination);
        frame[6..12].copy_from_slice(&source);
        Some(())
    }

    /// Begins a connection, in turn with each real server.
    fn begin(&mut self, key: Key) -> Option<&mut Known> {
        let (client, client_port, vip, port, protocol) = key;
        let real_servers = self.services.get(&(vip, port))?;
        let rip = real_servers[self.next % real_servers.len()];
        self.next += 1;
        let known = |end, reply| Known {
            end,
            reply,
            packets: 0,
        };
        if matches!(
            self.class.way,
            Way::MasqueradeRequest | Way::MasqueradeReply
        ) {
            let reply = (rip, REAL_SERVER_PORT, client, client_port, protocol);
            self.connections.insert(reply, known((vip, port), true));
        }
        self.connections
            .insert(key, known((rip, REAL_SERVER_PORT), false));
        self.connections.get_mut(&key)
    }
}

impl Director for Naive {
    fn process(&mut self, frames: &mut Frames<'_>) {
        for (chunk, range) in frames.chunks.iter_mut().zip(&mut *frames.ranges) {
            if self.forward(chunk, range).is_none() {
                self.refused += 1;
            }
        }
    }

    fn forget_all(&mut self) {
        self.connections.clear();
    }

    fn sent_all(&self) -> bool {
        self.refused == 0
    }
}

/// Where the IP and transport headers are, and the flow.
fn parse(frame: &[u8]) -> Option<(usize, usize, Key)> {
    let ip = frame.get(14..)?;
    let v4 = |at: usize| Some(IpAddr::from(<[u8; 4]>::try_from(ip.get(at..at + 4)?).ok()?));
    let v6 = |at: usize| {
        Some(IpAddr::from(
            <[u8; 16]>::try_from(ip.get(at..at + 16)?).ok()?,
        ))
    };
    let (source, destination, protocol, header) = match frame[12..14] {
        [0x08, 0x00] => {
            let header = usize::from(ip.first()? & 15) * 4;
            if sum(0, ip.get(..header)?) != 0xffff {
                return None;
            }
            (v4(12)?, v4(16)?, ip[9], header)
        }
        [0x86, 0xdd] => (v6(8)?, v6(24)?, *ip.get(6)?, 40),
        _ => return None,
    };
    let port = |at: usize| Some(u16::from_be_bytes([*ip.get(at)?, *ip.get(at + 1)?]));
    let key = (
        source,
        port(header)?,
        destination,
        port(header + 2)?,
        protocol,
    );
    Some((14, 14 + header, key))
}

/// Rewrites one end of a packet and sums it anew.
fn set_end(frame: &mut [u8], ip: usize, l4: usize, source: bool, (address, port): (IpAddr, u16)) {
    let (at, port_at) = match (address, source) {
        (IpAddr::V4(_), true) => (ip + 12, l4),
        (IpAddr::V4(_), false) => (ip + 16, l4 + 2),
        (IpAddr::V6(_), true) => (ip + 8, l4),
        (IpAddr::V6(_), false) => (ip + 24, l4 + 2),
    };
    match address {
        IpAddr::V4(v4) => frame[at..at + 4].copy_from_slice(&v4.octets()),
        IpAddr::V6(v6) => frame[at..at + 16].copy_from_slice(&v6.octets()),
    }
    frame[port_at..port_at + 2].copy_from_slice(&port.to_be_bytes());
    sum_ip(frame, ip);
    let (protocol, addresses) = match address {
        IpAddr::V4(_) => (frame[ip + 9], ip + 12..ip + 20),
        IpAddr::V6(_) => (frame[ip + 6], ip + 8..ip + 40),
    };
    let field = l4 + if protocol == 17 { 6 } else { 16 };
    frame[field..field + 2].copy_from_slice(&[0, 0]);
    let length = (frame.len() - l4) as u32;
    let pseudo = sum(length + u32::from(protocol), &frame[addresses]);
    let checksum = !sum(u32::from(pseudo), &frame[l4..]);
    let checksum = if protocol == 17 && checksum == 0 {
        0xffff
    } else {
        checksum
    };
    frame[field..field + 2].copy_from_slice(&checksum.to_be_bytes());
}

/// Sums an IPv4 header anew; IPv6 has no such sum.
fn sum_ip(frame: &mut [u8], ip: usize) {
    if frame[ip] >> 4 == 4 {
        frame[ip + 10..ip + 12].copy_from_slice(&[0, 0]);
        let checksum = !sum(0, &frame[ip..ip + 20]);
        frame[ip + 10..ip + 12].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// Puts an outer IP header before the inner one.
fn wrap(chunk: &mut Chunk, range: &mut Range<usize>, ip: usize, rip: IpAddr) -> Option<()> {
    let inner = range.start + ip;
    let length = (range.end - inner) as u16;
    let grown = if rip.is_ipv4() { 20 } else { 40 };
    let start = range.start.checked_sub(grown)?;
    let (head, rest) = chunk.split_at_mut(inner);
    let outer = &mut head[inner - grown..];
    match rip {
        IpAddr::V4(rip) => {
            outer[..2].copy_from_slice(&[0x45, rest[1]]);
            outer[2..4].copy_from_slice(&(length + 20).to_be_bytes());
            outer[4..6].copy_from_slice(&[0, 0]);
            outer[6..8].copy_from_slice(&[rest[6] & 0x40, 0]);
            outer[8..12].copy_from_slice(&[rest[8], 4, 0, 0]);
            outer[12..16].copy_from_slice(&[10, 0, 1, 1]);
            outer[16..20].copy_from_slice(&rip.octets());
        }
        IpAddr::V6(rip) => {
            outer[..4].copy_from_slice(&[0x60, 0, 0, 0]);
            outer[4..6].copy_from_slice(&length.to_be_bytes());
            outer[6..8].copy_from_slice(&[41, rest[7]]);
            outer[8..24].copy_from_slice(&OWN_V6);
            outer[24..40].copy_from_slice(&rip.octets());
        }
    }
    range.start = start;
    let ether_type = if rip.is_ipv4() {
        [0x08, 0x00]
    } else {
        [0x86, 0xdd]
    };
    chunk[start + 12..start + 14].copy_from_slice(&ether_type);
    sum_ip(&mut chunk[start..], 14);
    Some(())
}

/// The one's complement sum of `bytes` and `start`.
fn sum(start: u32, bytes: &[u8]) -> u16 {
    let mut sum = start;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    }
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// The director's address towards real servers.
const OWN_V6: [u8; 16] = [0x20, 1, 0x0d, 0xb8, 0, 0x20, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class::{Family, Size, Transport};
    use crate::director::Lvs;
    use crate::traffic::{Order, Part, Traffic};
    use lvs_core::Shard;

    /// Both directors make the same bytes of the same frames: what is
    /// measured is the same work.
    #[test]
    fn does_what_a_shard_does() {
        for family in [Family::V4, Family::V6] {
            for transport in [Transport::Tcp, Transport::Udp] {
                for size in [Size::Short, Size::Mtu] {
                    for way in [Way::DirectRoute, Way::Tunnel, Way::MasqueradeRequest] {
                        compare(Class {
                            way,
                            family,
                            transport,
                            size,
                        });
                    }
                }
            }
        }
    }

    fn compare(class: Class) {
        let flows = 64;
        let mut memory = vec![[0; 8]; Shard::memory_for(flows)];
        let mut lvs = Lvs::new(class, &mut memory);
        let mut naive = Naive::new(class, flows as u32);
        same(class, Part::Opens, &mut lvs, &mut naive);
        same(class, Part::Carries, &mut lvs, &mut naive);
        if class.way == Way::MasqueradeRequest {
            let reply = class.going(Way::MasqueradeReply);
            same(reply, Part::Carries, &mut lvs, &mut naive);
        }
    }

    fn same(class: Class, part: Part, lvs: &mut Lvs<'_>, naive: &mut Naive) {
        // Round robin gave flow 0 the last real server.
        let served_by: Vec<_> = (0..REAL_SERVERS).rev().collect();
        let traffic = || Traffic::new(class, 64, part, Order::Straight, &served_by);
        let (mut one, mut other) = (traffic(), traffic());
        for _ in 0..2 {
            let (mut ours, mut theirs) = (one.next_batch(), other.next_batch());
            lvs.process(&mut ours);
            naive.process(&mut theirs);
            for at in 0..ours.ranges.len() {
                assert_eq!(ours.ranges[at], theirs.ranges[at], "{class}");
                let range = ours.ranges[at].clone();
                assert_eq!(
                    ours.chunks[at][range.clone()],
                    theirs.chunks[at][range],
                    "{class} {part:?}"
                );
            }
        }
        assert!(lvs.sent_all() && naive.sent_all());
    }
}
