//! The frames of a scenario, by another's hand than the director's.

use std::net::{IpAddr, SocketAddr};

use serde_json::{Value, json};

use crate::frame::{self, ICMP, ICMP_V6, SCTP, TCP, UDP};
use crate::sum::crc32c;

/// Where a frame comes in, and from which neighbour.
#[derive(Clone, Copy)]
pub(crate) enum Side {
    /// The clients' gateway.
    Client,
    /// The real server of this number, 11 to 42, or the gateway to others, 254.
    RealServer(u8),
}

impl Side {
    const fn name(self) -> &'static str {
        match self {
            Self::Client => "cli",
            Self::RealServer(_) => "rs",
        }
    }

    const fn macs(self) -> [u8; 12] {
        let (net, last) = match self {
            Self::Client => (0x10, 0xfe),
            Self::RealServer(number) => (0x20, number),
        };
        [2, 0, 0, 0, net, 1, 2, 0, 0, 0, net, last]
    }
}

/// An IP packet for the director, in parts that can be spoilt one by one.
#[derive(Clone)]
pub(crate) struct Packet {
    pub(crate) from: IpAddr,
    pub(crate) to: IpAddr,
    pub(crate) protocol: u8,
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
    pub(crate) dont_fragment: bool,
    /// IPv4 options, a multiple of four bytes.
    pub(crate) options: Vec<u8>,
    /// IPv6 extension headers in order: type, and content but for the type of
    /// the next; a multiple of eight bytes less one.
    pub(crate) extensions: Vec<(u8, Vec<u8>)>,
    /// Its checksum fits.
    pub(crate) transport: Vec<u8>,
    pub(crate) note: String,
}

impl Packet {
    fn new(from: IpAddr, to: IpAddr, protocol: u8, transport: Vec<u8>, note: String) -> Self {
        Self {
            from,
            to,
            protocol,
            ttl: 64,
            tos: 0,
            dont_fragment: true,
            options: Vec::new(),
            extensions: Vec::new(),
            transport,
            note,
        }
    }

    /// A TCP segment; `flags` are letters, as in `SA`.
    pub(crate) fn tcp((from, to): (SocketAddr, SocketAddr), flags: &str, payload: &[u8]) -> Self {
        let mut segment = ports(from, to);
        segment.extend(1000u32.to_be_bytes());
        segment.extend([0; 4]);
        let bit = |(letter, bit)| if flags.contains(letter) { bit } else { 0 };
        let bits = [('F', 1), ('S', 2), ('R', 4), ('P', 8), ('A', 16)].map(bit);
        segment.extend([0x50, bits.iter().sum(), 0x10, 0, 0, 0, 0, 0]);
        segment.extend(payload);
        let note = format!("{from} > {to} {flags}");
        Self::new(from.ip(), to.ip(), TCP, segment, note).summed(16)
    }

    /// A UDP datagram.
    pub(crate) fn udp((from, to): (SocketAddr, SocketAddr), payload: &[u8]) -> Self {
        let mut datagram = ports(from, to);
        datagram.extend((8 + payload.len() as u16).to_be_bytes());
        datagram.extend([0, 0]);
        datagram.extend(payload);
        let note = format!("{from} > {to} udp");
        Self::new(from.ip(), to.ip(), UDP, datagram, note).summed(6)
    }

    /// An SCTP packet of one chunk of this type.
    pub(crate) fn sctp((from, to): (SocketAddr, SocketAddr), kind: u8, value: &[u8]) -> Self {
        let mut packet = ports(from, to);
        packet.extend([0, 0, 0, 9, 0, 0, 0, 0, kind, 0]);
        packet.extend((4 + value.len() as u16).to_be_bytes());
        packet.extend(value);
        packet.resize(packet.len().next_multiple_of(4), 0);
        let sum = crc32c(&packet);
        packet[8..12].copy_from_slice(&sum.to_le_bytes());
        let note = format!("{from} > {to} sctp chunk {kind}");
        Self::new(from.ip(), to.ip(), SCTP, packet, note)
    }

    /// An ICMP message of the addresses' family.
    pub(crate) fn icmp(
        (from, to): (IpAddr, IpAddr),
        (kind, code): (u8, u8),
        word: u32,
        rest: &[u8],
    ) -> Self {
        let mut message = vec![kind, code, 0, 0];
        message.extend(word.to_be_bytes());
        message.extend(rest);
        let protocol = if from.is_ipv4() { ICMP } else { ICMP_V6 };
        let note = format!("{from} > {to} icmp {kind}/{code}");
        Self::new(from, to, protocol, message, note).summed(2)
    }

    fn summed(mut self, field: usize) -> Self {
        let sum = frame::transport_sum(self.from, self.to, self.protocol, &self.transport);
        let sum = match !sum {
            0 if self.protocol == UDP => 0xffff,
            sum => sum,
        };
        self.transport[field..field + 2].copy_from_slice(&sum.to_be_bytes());
        self
    }

    /// The IP packet.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match (self.from, self.to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let header = 20 + self.options.len();
                let length = (header + self.transport.len()) as u16;
                let mut bytes = vec![0x40 | (header / 4) as u8, self.tos];
                bytes.extend(length.to_be_bytes());
                let flags = if self.dont_fragment { 0x40 } else { 0 };
                bytes.extend([0x12, 0x34, flags, 0, self.ttl, self.protocol, 0, 0]);
                bytes.extend(from.octets());
                bytes.extend(to.octets());
                bytes.extend(&self.options);
                let sum = !frame::sum(&bytes);
                bytes[10..12].copy_from_slice(&sum.to_be_bytes());
                bytes.extend(&self.transport);
                bytes
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let kinds = self.extensions.iter().map(|(kind, _)| *kind);
                let mut kinds = kinds.chain([self.protocol]);
                let mut payload = Vec::new();
                let first = kinds.next().unwrap_or_default();
                for ((_, content), next) in self.extensions.iter().zip(kinds) {
                    payload.push(next);
                    payload.extend(content);
                }
                payload.extend(&self.transport);
                let mut bytes = vec![0x60 | self.tos >> 4, self.tos << 4, 0, 0];
                bytes.extend((payload.len() as u16).to_be_bytes());
                bytes.extend([first, self.ttl]);
                bytes.extend(from.octets());
                bytes.extend(to.octets());
                bytes.extend(payload);
                bytes
            }
            families => panic!("{families:?}"),
        }
    }

    /// The step in which it comes in.
    pub(crate) fn comes_from(&self, side: Side) -> Value {
        send(side, &self.bytes(), &self.note)
    }
}

fn ports(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    [from.port().to_be_bytes(), to.port().to_be_bytes()].concat()
}

/// The step in which an IP packet comes in.
pub(crate) fn send(side: Side, packet: &[u8], note: &str) -> Value {
    let kind = if packet.first().is_some_and(|byte| byte >> 4 == 6) {
        [0x86, 0xdd]
    } else {
        [0x08, 0x00]
    };
    let frame = [&side.macs()[..], &kind, packet].concat();
    let digits: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({"op": "send", "if": side.name(), "frame": digits, "note": note})
}

pub(crate) fn bytes(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Byte ranges of a frame that came out which no implementation can be asked to
/// reproduce: identifications of packets the kernel makes itself, and what
/// covers them.
pub(crate) fn vary(frame: &[u8]) -> Vec<[usize; 2]> {
    let at = |place: usize| frame.get(place).copied().unwrap_or(0);
    match frame.get(12..14) {
        Some([0x08, 0x00]) => {
            let own = at(23) == 1 && matches!(at(34), 0 | 3 | 4 | 11 | 12);
            let outer = matches!(at(23), 4 | 41 | 47) || is_gue(frame, 36);
            let mut ranges = Vec::new();
            if (own || outer) && at(20) & 0x40 == 0 {
                ranges.extend([[18, 19], [24, 25]]);
            }
            if is_gue(frame, 36) {
                ranges.extend([[34, 35], [40, 41]]);
            }
            ranges
        }
        Some([0x86, 0xdd]) => {
            let mut ranges = Vec::new();
            if at(20) != 17 || is_gue(frame, 56) {
                ranges.push([15, 17]);
            }
            if is_gue(frame, 56) {
                ranges.extend([[54, 55], [60, 61]]);
            }
            ranges
        }
        _ => Vec::new(),
    }
}

/// Whether the UDP destination port at `place` is that of GUE tunnels.
fn is_gue(frame: &[u8], place: usize) -> bool {
    let port = frame.get(place..place + 2);
    port == Some(&GUE_PORT.to_be_bytes())
}

/// The port of all GUE tunnels in a scenario.
pub(crate) const GUE_PORT: u16 = 6080;
