//! Tunnelling: the packet travels whole inside another IP packet.
//!
//! ```text
//!  | eth | outer ip: director -> real server | ip: client -> vip | tcp | data |
//! ```
//!
//! The real server takes the outer header off, has the VIP on an interface that
//! answers no ARP, and replies to the client itself.
//!
//! *Source:* RFC 2003 (IPv4), RFC 2473 (IPv6), RFC 6040 (ECN). The outer fields
//! are the kernel's: TTL that of the inner header after the director took one,
//! DSCP copied, inner CE sent as ECT(0), DF copied, identification 0 with DF.

use core::net::IpAddr;

use super::{ToRealServer, address};
use crate::network::Network;
use crate::packet::transport::IPIP;
use crate::packet::{Addresses, Packet, PacketBuf, ethernet, ipv4, ipv6};
use crate::verdict::{DropReason, Verdict};

/// Bytes the tunnel to a real server adds.
pub(crate) const fn overhead(real_server: IpAddr) -> u32 {
    match real_server {
        IpAddr::V4(_) => ipv4::HEADER as u32,
        IpAddr::V6(_) => ipv6::HEADER as u32,
    }
}

/// Wraps a client's packet, TTL already taken, and sends it.
pub(super) fn request(
    buf: &mut PacketBuf<'_>,
    packet: &Packet,
    to: &ToRealServer<'_>,
    network: &Network,
) -> Result<Verdict, DropReason> {
    let inner = Inner::read(buf, packet)?;
    let length = packet.length as usize;
    // The outer header takes the place before the inner one; what lay there,
    // the old Ethernet header, is written anew.
    let ether_type = match (*to.address, to.hop.source) {
        (IpAddr::V4(destination), Some(IpAddr::V4(source))) => {
            buf.grow_front(ipv4::HEADER)?;
            ipv4::Ipv4 {
                source,
                destination,
                protocol: inner.protocol,
                ttl: inner.ttl,
                tos: outer_class(inner.class),
                dont_fragment: inner.dont_fragment,
                fragment: false,
                header_length: ipv4::HEADER,
                total_length: length + ipv4::HEADER,
            }
            .write(buf.array_mut(packet.l3())?, inner.id);
            ethernet::IPV4
        }
        (IpAddr::V6(destination), Some(IpAddr::V6(source))) => {
            buf.grow_front(ipv6::HEADER)?;
            ipv6::Ipv6 {
                source,
                destination,
                traffic_class: outer_class(inner.class),
                hop_limit: inner.ttl,
                protocol: inner.protocol,
                header_length: ipv6::HEADER,
                total_length: length + ipv6::HEADER,
                fragment: false,
                later_fragment: false,
                segments_left: false,
            }
            .write(buf.array_mut(packet.l3())?);
            ethernet::IPV6
        }
        // Without an address of its own on that network the director cannot
        // be the tunnel's end.
        _ => return Err(DropReason::Unreachable),
    };
    address(buf, packet.l3(), to.hop, ether_type, network)
}

/// What the outer header takes from the inner one.
struct Inner {
    protocol: u8,
    ttl: u8,
    class: u8,
    dont_fragment: bool,
    id: u16,
}

impl Inner {
    fn read(buf: &PacketBuf<'_>, packet: &Packet) -> Result<Self, DropReason> {
        match packet.flow.addresses {
            Addresses::V4 { .. } => {
                let h = buf
                    .array::<{ ipv4::HEADER }>(packet.l3())
                    .ok_or(DropReason::Truncated)?;
                // Without DF the outer packet may be fragmented and needs an
                // identification; the inner one is as unique as any (RFC 6864 4.1
                // asks for uniqueness of source, destination and protocol only).
                let id = if packet.dont_fragment {
                    0
                } else {
                    u16::from_be_bytes([h[4], h[5]])
                };
                Ok(Self {
                    protocol: IPIP,
                    ttl: h[8],
                    class: h[1],
                    dont_fragment: packet.dont_fragment,
                    id,
                })
            }
            Addresses::V6 { .. } => {
                let h = buf
                    .array::<{ ipv6::HEADER }>(packet.l3())
                    .ok_or(DropReason::Truncated)?;
                Ok(Self {
                    protocol: IPV6,
                    ttl: h[7],
                    class: h[0] << 4 | h[1] >> 4,
                    dont_fragment: true,
                    id: 0,
                })
            }
        }
    }
}

/// The traffic class outside: congestion marks of the inner packet are not
/// repeated, or the tunnel would count them twice (RFC 3168 9.1.1).
const fn outer_class(inner: u8) -> u8 {
    if inner & ECN == CE {
        inner & !ECN | ECT_0
    } else {
        inner
    }
}

const ECN: u8 = 0b11;
const CE: u8 = 0b11;
const ECT_0: u8 = 0b10;
/// IP protocol number of IPv6 in IP.
const IPV6: u8 = 41;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn congestion_is_not_repeated_outside() {
        assert_eq!(outer_class(0xb8), 0xb8);
        assert_eq!(outer_class(0xb9), 0xb9);
        assert_eq!(outer_class(0xba), 0xba);
        assert_eq!(outer_class(0xbb), 0xba);
    }
}
