//! ICMP messages by name, each in the family of its addresses.

use std::net::IpAddr;

use super::packet::{Packet, icmp};

/// Time exceeded in transit, about the packet whose first bytes are `quoted`.
pub(crate) fn time_exceeded(from: IpAddr, to: IpAddr, quoted: &[u8]) -> Packet {
    icmp(from, to, by_family(from, (11, 0, 0), (3, 0, 0)), quoted)
}

/// Port unreachable.
pub(crate) fn port_unreachable(from: IpAddr, to: IpAddr, quoted: &[u8]) -> Packet {
    icmp(from, to, by_family(from, (3, 3, 0), (1, 4, 0)), quoted)
}

/// Host unreachable, in IPv6 address unreachable.
pub(crate) fn host_unreachable(from: IpAddr, to: IpAddr, quoted: &[u8]) -> Packet {
    icmp(from, to, by_family(from, (3, 1, 0), (1, 3, 0)), quoted)
}

/// Fragmentation needed and DF set, or packet too big: at most `mtu` bytes.
pub(crate) fn too_big(from: IpAddr, to: IpAddr, mtu: u32, quoted: &[u8]) -> Packet {
    icmp(from, to, by_family(from, (3, 4, mtu), (2, 0, mtu)), quoted)
}

/// A ping.
pub(crate) fn echo_request(from: IpAddr, to: IpAddr) -> Packet {
    icmp(from, to, by_family(from, (8, 0, 1), (128, 0, 1)), b"ping")
}

/// A question for a neighbour's link address (RFC 4861 4.3).
pub(crate) fn neighbour_solicitation(from: IpAddr, to: IpAddr) -> Packet {
    let IpAddr::V6(wanted) = to else {
        panic!("IPv4 asks by ARP");
    };
    icmp(from, to, (135, 0, 0), &wanted.octets()).ttl(255)
}

/// The packet in the way a router's own messages are marked (RFC 1812
/// 4.3.2.5): precedence 6 in IPv4, and free to be fragmented.
pub(crate) fn by_the_director(packet: Packet, id: u16) -> Packet {
    if packet.is_ipv4() {
        packet.class(0xc0).id(id).may_be_fragmented()
    } else {
        packet
    }
}

fn by_family(address: IpAddr, v4: (u8, u8, u32), v6: (u8, u8, u32)) -> (u8, u8, u32) {
    if address.is_ipv4() { v4 } else { v6 }
}

impl Packet {
    fn is_ipv4(&self) -> bool {
        self.from.is_ipv4()
    }
}
