//! The frames of a scenario, by another's hand than the director's.

use std::net::{IpAddr, SocketAddr};

use etherparse::{Icmpv4Type, Icmpv6Type, PacketBuilder, PacketBuilderStep};
use etherparse::{IpHeaders, TcpHeader};
use serde_json::{Value, json};

/// Where a frame comes in, and from which neighbour.
#[derive(Clone, Copy)]
pub(crate) enum Side {
    /// The clients' gateway.
    Client,
    /// The real server of this number, 11 to 42.
    RealServer(u8),
}

impl Side {
    const fn name(self) -> &'static str {
        match self {
            Self::Client => "cli",
            Self::RealServer(_) => "rs",
        }
    }

    const fn macs(self) -> ([u8; 6], [u8; 6]) {
        match self {
            Self::Client => ([2, 0, 0, 0, 0x10, 0xfe], [2, 0, 0, 0, 0x10, 1]),
            Self::RealServer(number) => ([2, 0, 0, 0, 0x20, number], [2, 0, 0, 0, 0x20, 1]),
        }
    }
}

/// A TCP segment; `flags` are letters, as in `SA`.
pub(crate) fn tcp(
    side: Side,
    (from, to): (SocketAddr, SocketAddr),
    flags: &str,
    ttl: u8,
    payload: &[u8],
) -> Value {
    let mut header = TcpHeader::new(from.port(), to.port(), 1000, 4096);
    header.syn = flags.contains('S');
    header.ack = flags.contains('A');
    header.fin = flags.contains('F');
    header.rst = flags.contains('R');
    header.psh = flags.contains('P');
    let mut frame = Vec::new();
    let builder = ip(side, (from.ip(), to.ip()), ttl).tcp_header(header);
    builder.write(&mut frame, payload).unwrap();
    send(side, &frame, &format!("{from} > {to} {flags} ttl {ttl}"))
}

/// A UDP datagram.
pub(crate) fn udp(
    side: Side,
    (from, to): (SocketAddr, SocketAddr),
    ttl: u8,
    payload: &[u8],
) -> Value {
    let mut frame = Vec::new();
    let builder = ip(side, (from.ip(), to.ip()), ttl).udp(from.port(), to.port());
    builder.write(&mut frame, payload).unwrap();
    send(side, &frame, &format!("{from} > {to} udp ttl {ttl}"))
}

/// A port unreachable from `from` to `to`, quoting a frame that went the other way.
pub(crate) fn unreachable(side: Side, (from, to): (IpAddr, IpAddr), quoted: &Value) -> Value {
    let quoted = bytes(quoted["frame"].as_str().unwrap());
    let quoted = &quoted[14..quoted.len().min(14 + 68)];
    let mut frame = Vec::new();
    let builder = ip(side, (from, to), 64);
    // Type and code; the rest of the second word is unused.
    match from {
        IpAddr::V4(_) => builder
            .icmpv4(Icmpv4Type::Unknown {
                type_u8: 3,
                code_u8: 3,
                bytes5to8: [0; 4],
            })
            .write(&mut frame, quoted),
        IpAddr::V6(_) => builder
            .icmpv6(Icmpv6Type::Unknown {
                type_u8: 1,
                code_u8: 4,
                bytes5to8: [0; 4],
            })
            .write(&mut frame, quoted),
    }
    .unwrap();
    send(side, &frame, &format!("{from} > {to} unreachable"))
}

fn ip(side: Side, (from, to): (IpAddr, IpAddr), ttl: u8) -> PacketBuilderStep<IpHeaders> {
    let (source, destination) = side.macs();
    let link = PacketBuilder::ethernet2(source, destination);
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut header = etherparse::Ipv4Header::new(
                0,
                ttl,
                etherparse::IpNumber(0),
                from.octets(),
                to.octets(),
            )
            .unwrap();
            header.identification = 0x1234;
            header.dont_fragment = true;
            link.ip(IpHeaders::Ipv4(header, Default::default()))
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => link.ipv6(from.octets(), to.octets(), ttl),
        _ => panic!("{from} and {to} are of two families"),
    }
}

fn send(side: Side, frame: &[u8], note: &str) -> Value {
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
            let error = at(23) == 1 && matches!(at(34), 3 | 4 | 11 | 12);
            let outer = matches!(at(23), 4 | 41 | 47) || is_gue(frame, 36);
            let mut ranges = Vec::new();
            if (error || outer) && at(20) & 0x40 == 0 {
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
