//! The outer IP header, and what it takes from the inner one.
//!
//! *Source:* RFC 2003 section 3.1, RFC 2473 section 5, RFC 6040 (ECN). The fields
//! are the kernel's: TTL that of the inner header after the director took one,
//! DSCP copied, inner CE sent as ECT(0), DF copied from IPv4 and clear for IPv6,
//! identification 0 with DF.

use super::Outer;
use crate::packet::{Addresses, Packet, PacketBuf, ethernet, ipv4, ipv6};
use crate::verdict::DropReason;

/// What the outer header takes from the inner one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inner {
    ttl: u8,
    class: u8,
    /// DF of an IPv4 header.
    dont_fragment: bool,
}

impl Inner {
    /// Reads the packet, TTL already taken.
    pub(super) fn read(buf: &PacketBuf<'_>, packet: &Packet) -> Result<Self, DropReason> {
        let h = buf
            .array::<{ ipv4::HEADER }>(packet.l3())
            .ok_or(DropReason::Truncated)?;
        Ok(match packet.flow.addresses {
            Addresses::V4 { .. } => Self {
                ttl: h[8],
                class: h[1],
                dont_fragment: packet.dont_fragment,
            },
            Addresses::V6 { .. } => Self {
                ttl: h[7],
                class: h[0] << 4 | h[1] >> 4,
                dont_fragment: false,
            },
        })
    }

    /// Writes the outer header at `l3` and returns its EtherType.
    pub(super) fn write_outer(
        &self,
        buf: &mut PacketBuf<'_>,
        l3: usize,
        ends: &Addresses,
        (protocol, total_length): (u8, usize),
        outer: &Outer<'_>,
    ) -> Result<u16, DropReason> {
        match *ends {
            Addresses::V4 {
                source,
                destination,
            } => {
                let dont_fragment = self.dont_fragment && outer.discovers_mtu;
                let id = if dont_fragment { 0 } else { outer.id };
                ipv4::Ipv4 {
                    source,
                    destination,
                    protocol,
                    ttl: self.ttl,
                    tos: outer_class(self.class),
                    dont_fragment,
                    fragment: false,
                    header_length: ipv4::HEADER,
                    total_length,
                }
                .write(buf.array_mut(l3)?, id);
                Ok(ethernet::IPV4)
            }
            Addresses::V6 {
                source,
                destination,
            } => {
                ipv6::Ipv6 {
                    source,
                    destination,
                    traffic_class: outer_class(self.class),
                    hop_limit: self.ttl,
                    protocol,
                    header_length: ipv6::HEADER,
                    total_length,
                    fragment: false,
                    later_fragment: false,
                    segments_left: false,
                }
                .write(buf.array_mut(l3)?);
                Ok(ethernet::IPV6)
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
