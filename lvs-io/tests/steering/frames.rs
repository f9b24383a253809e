//! Frames, byte by byte, written out here so that nothing of the crate under
//! test has a part in them.

use std::net::{IpAddr, SocketAddr};

pub(crate) const NEAR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub(crate) const FAR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

pub(crate) const ICMP: u8 = 1;
pub(crate) const IPIP: u8 = 4;
pub(crate) const GRE: u8 = 47;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const IPV6: u8 = 41;
pub(crate) const FRAGMENT: u8 = 44;
pub(crate) const ICMPV6: u8 = 58;
pub(crate) const SCTP: u8 = 132;

/// Ethernet around an IP packet.
pub(crate) fn frame(ip: Vec<u8>) -> Vec<u8> {
    let kind: [u8; 2] = if ip[0] >> 4 == 4 {
        [0x08, 0x00]
    } else {
        [0x86, 0xdd]
    };
    ethernet(&[&kind, &ip[..]].concat())
}

/// Ethernet around the rest of a frame, which begins with its type.
pub(crate) fn ethernet(rest: &[u8]) -> Vec<u8> {
    [&NEAR_MAC[..], &FAR_MAC, rest].concat()
}

/// Puts a tag of `kind` (0x8100, 0x88a8) into a frame, outside those it has.
pub(crate) fn tagged(kind: u16, frame: Vec<u8>) -> Vec<u8> {
    let tag = [&kind.to_be_bytes()[..], &[0, 7]].concat();
    [&frame[..12], &tag, &frame[12..]].concat()
}

/// A TCP, UDP or SCTP packet between two sockets.
pub(crate) fn packet(protocol: u8, from: &str, to: &str) -> Vec<u8> {
    let (from, to): (SocketAddr, SocketAddr) = (from.parse().unwrap(), to.parse().unwrap());
    let transport = transport(protocol, from.port(), to.port());
    ip(protocol, from.ip(), to.ip(), &transport)
}

/// The transport header of such a packet and four bytes that follow it.
pub(crate) fn transport(protocol: u8, from: u16, to: u16) -> Vec<u8> {
    let ports = [from.to_be_bytes(), to.to_be_bytes()].concat();
    let rest: &[u8] = match protocol {
        TCP => &[0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0x20, 0, 0, 0, 0, 0],
        UDP => &[0, 12, 0, 0],
        _ => &[0, 0, 0, 1, 0, 0, 0, 0],
    };
    [&ports[..], rest, b"data"].concat()
}

/// An IP packet of either family around `payload`.
pub(crate) fn ip(protocol: u8, from: IpAddr, to: IpAddr, payload: &[u8]) -> Vec<u8> {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut header = vec![0x45, 0, 0, 0, 0, 1, 0, 0, 64, protocol, 0, 0];
            let length = (20 + payload.len()) as u16;
            header[2..4].copy_from_slice(&length.to_be_bytes());
            header.extend([from.octets(), to.octets()].concat());
            let sum = checksum(&header);
            header[10..12].copy_from_slice(&sum.to_be_bytes());
            [&header[..], payload].concat()
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let length = (payload.len() as u16).to_be_bytes();
            let start = [0x60, 0, 0, 0, length[0], length[1], protocol, 64];
            [&start[..], &from.octets(), &to.octets(), payload].concat()
        }
        _ => panic!("two families in one packet"),
    }
}

fn checksum(header: &[u8]) -> u16 {
    let words = header.as_chunks::<2>().0;
    let sum: u32 = words
        .iter()
        .map(|&w| u32::from(u16::from_be_bytes(w)))
        .sum();
    !((sum & 0xffff) + (sum >> 16)) as u16
}

/// Gives an IPv4 packet `words` words of options (no-operations).
pub(crate) fn with_options(mut packet: Vec<u8>, words: u8) -> Vec<u8> {
    packet[0] += words;
    packet.splice(20..20, vec![1; usize::from(words) * 4]);
    packet
}

/// Makes an IPv4 packet the fragment that begins at `offset` (in units of 8),
/// carrying `payload`.
pub(crate) fn fragment(packet: &[u8], offset: u16, payload: &[u8]) -> Vec<u8> {
    let mut fragment = [&packet[..20], payload].concat();
    fragment[6..8].copy_from_slice(&(offset | 0x2000).to_be_bytes());
    fragment
}

/// Puts extension headers before what an IPv6 packet carries: pairs of the
/// header's number and its bytes, of which the first names the next.
pub(crate) fn extended(packet: &[u8], headers: &[(u8, &[u8])]) -> Vec<u8> {
    let mut extended = packet[..40].to_vec();
    let mut next = 6;
    for (number, bytes) in headers {
        let inner = std::mem::replace(&mut extended[next], *number);
        next = extended.len();
        extended.extend_from_slice(bytes);
        extended[next] = inner;
    }
    extended.extend_from_slice(&packet[40..]);
    extended
}

/// An ICMP message of the family of `from` that quotes `quoted`.
pub(crate) fn icmp(kind: u8, from: &str, to: &str, quoted: &[u8]) -> Vec<u8> {
    let from: IpAddr = from.parse().unwrap();
    let message = [&[kind, 0, 0, 0, 0, 0, 5, 0xdc], quoted].concat();
    let protocol = if from.is_ipv4() { ICMP } else { ICMPV6 };
    ip(protocol, from, to.parse().unwrap(), &message)
}

/// An IP packet behind a GRE header, which has room for a checksum or none.
pub(crate) fn gre(from: &str, to: &str, inner: &[u8], summed: bool) -> Vec<u8> {
    let kind: [u8; 2] = if inner[0] >> 4 == 4 {
        [0x08, 0x00]
    } else {
        [0x86, 0xdd]
    };
    let flags = [u8::from(summed) << 7, 0];
    let sum: &[u8] = if summed { &[0; 4] } else { &[] };
    let payload = [&flags, &kind, sum, inner].concat();
    ip(GRE, from.parse().unwrap(), to.parse().unwrap(), &payload)
}

/// An IP packet in an IP packet.
pub(crate) fn tunnelled(from: &str, to: &str, inner: &[u8]) -> Vec<u8> {
    let protocol = if inner[0] >> 4 == 4 { IPIP } else { IPV6 };
    ip(protocol, from.parse().unwrap(), to.parse().unwrap(), inner)
}
