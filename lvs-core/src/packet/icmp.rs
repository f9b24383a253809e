//! ICMP (RFC 792) and ICMPv6 (RFC 4443): errors, and the packet they quote.
//!
//! ```text
//!  0      1      2          4               8
//!  | type | code | checksum | rest of header | quoted IP packet ...
//! ```

use super::buffer::PacketBuf;
use super::checksum::pseudo_header;
use super::ipv4::Ipv4;
use super::ipv6::Ipv6;
use super::{Addresses, FlowKey, Packet, transport};

/// IP protocol number of ICMP.
pub(crate) const V4: u8 = 1;
/// Next-header number of ICMPv6.
pub(crate) const V6: u8 = 58;
/// Bytes before the quoted packet.
pub(crate) const HEADER: usize = 8;

/// Whether an ICMP message of this type is one a director looks into.
///
/// The kernel's list: destination unreachable, source quench and time exceeded
/// of ICMP, every type below 128 of ICMPv6.
pub(crate) const fn is_error(addresses: &Addresses, kind: u8) -> bool {
    match addresses {
        Addresses::V4 { .. } => matches!(kind, 3 | 4 | 11),
        Addresses::V6 { .. } => kind < 128,
    }
}

/// The packet an ICMP error is about, as it was when the error was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quote {
    /// Its flow.
    pub(crate) flow: FlowKey,
    /// Where its IP header begins in the frame.
    pub(crate) l3: usize,
    /// Where its ports are, if it has any.
    pub(crate) l4: usize,
    /// Whether it has ports of its own.
    pub(crate) has_ports: bool,
}

impl Quote {
    /// Reads the packet quoted in the ICMP error `packet`; `None` when there
    /// is none whose flow can be known: cut off, a later fragment, another
    /// protocol.
    pub(crate) fn parse(buf: &PacketBuf<'_>, packet: &Packet) -> Option<Self> {
        Self::parse_at(buf, packet.l4() + HEADER, &packet.flow.addresses)
    }

    /// Reads the IP packet that begins at `l3`.
    pub(crate) fn parse_at(buf: &PacketBuf<'_>, l3: usize, family: &Addresses) -> Option<Self> {
        let bytes = buf.bytes().get(l3..)?;
        let (addresses, protocol, l4) = match family {
            Addresses::V4 { .. } => {
                let header = Ipv4::parse(bytes).ok()?;
                // A first fragment has ports; the kernel takes offset 0 alone.
                let offset = u16::from_be_bytes([bytes[6], bytes[7]]) & 0x1fff;
                if offset != 0 {
                    return None;
                }
                let addresses = Addresses::V4 {
                    source: header.source,
                    destination: header.destination,
                };
                (addresses, header.protocol, l3 + header.header_length)
            }
            Addresses::V6 { .. } => {
                let header = Ipv6::parse(bytes).ok()?;
                if header.later_fragment {
                    return None;
                }
                let addresses = Addresses::V6 {
                    source: header.source,
                    destination: header.destination,
                };
                (addresses, header.protocol, l3 + header.header_length)
            }
        };
        let (ports, protocol, has_ports) = match protocol {
            transport::TCP | transport::UDP | transport::SCTP => {
                let [s0, s1, d0, d1] = *buf.array(l4)?;
                let ports = [u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1])];
                (ports, protocol, true)
            }
            // It goes by the flow of its key exchange.
            transport::AH | transport::ESP => ([transport::ISAKMP; 2], transport::UDP, false),
            _ => return None,
        };
        let flow = FlowKey {
            addresses,
            source_port: ports[0],
            destination_port: ports[1],
            protocol,
        };
        Some(Self {
            flow,
            l3,
            l4,
            has_ports,
        })
    }
}

/// Whether the ICMP checksum of `packet` fits; it does not where not all of
/// the message's sum is known.
///
/// *Cost:* one pass over the message.
pub(crate) fn checksum_fits(buf: &PacketBuf<'_>, packet: &Packet) -> bool {
    let length = packet.transport_length();
    let Some(sum) = transport::sum_payload(buf, packet.l4(), length) else {
        return false;
    };
    let sum = match packet.flow.addresses {
        Addresses::V4 { .. } => sum,
        Addresses::V6 { .. } => sum.and(pseudo_header(
            packet.flow.addresses.sum(),
            V6,
            length as u32,
        )),
    };
    sum.folded() == 0xffff
}
