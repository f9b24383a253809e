//! The director's own ICMP answers, made in place of the packet they answer.
//!
//! ```text
//!  before:  | eth | ip | tcp | data ................ |
//!  after:   | eth | ip | icmp 8 | ip | tcp | data .. |   turned round
//! ```
//!
//! *Source:* RFC 792, RFC 1812 4.3.2 (as much of the packet as fits in 576
//! bytes, precedence 6), RFC 1191 (next-hop MTU); RFC 4443 (1280 bytes, the
//! MTU in the second word).

use core::net::{IpAddr, Ipv4Addr};

use crate::packet::checksum::{Sum, pseudo_header};
use crate::packet::ethernet::{self, Ethernet};
use crate::packet::ipv4::{self, Ipv4};
use crate::packet::ipv6::{self, Ipv6};
use crate::packet::{Addresses, Packet, PacketBuf, icmp};
use crate::verdict::{DropReason, Verdict};

/// What the sender of a packet is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// TTL or hop limit ran out on the way.
    TimeExceeded,
    /// The rest of a datagram did not come in time.
    ReassemblyTime,
    /// The real server cannot be reached.
    HostUnreachable,
    /// No real server takes the connection.
    PortUnreachable,
    /// The packet is longer than what comes after the director takes.
    TooBig {
        /// Bytes that would fit.
        mtu: u32,
    },
}

impl Answer {
    /// Type, code and second word of the ICMP message.
    const fn v4(self) -> (u8, u8, u32) {
        match self {
            Self::TimeExceeded => (11, 0, 0),
            Self::ReassemblyTime => (11, 1, 0),
            Self::HostUnreachable => (3, 1, 0),
            Self::PortUnreachable => (3, 3, 0),
            Self::TooBig { mtu } => (3, 4, mtu & 0xffff),
        }
    }

    /// Type, code and second word of the ICMPv6 message.
    const fn v6(self) -> (u8, u8, u32) {
        match self {
            Self::TimeExceeded => (3, 0, 0),
            Self::ReassemblyTime => (3, 1, 0),
            Self::HostUnreachable => (1, 3, 0),
            Self::PortUnreachable => (1, 4, 0),
            Self::TooBig { mtu } => (2, 0, mtu),
        }
    }
}

/// Turns the packet into `answer` to its sender, from address `from`.
///
/// `id` becomes the IPv4 identification.
///
/// *Errors:* [`DropReason::NoHeadroom`], or [`DropReason::Unreachable`] when
/// `from` is of the other family.
pub(crate) fn answer(
    buf: &mut PacketBuf<'_>,
    packet: &Packet,
    answer: Answer,
    from: IpAddr,
    id: u16,
) -> Result<Verdict, DropReason> {
    let mine = *Ethernet::parse(buf.bytes())
        .ok_or(DropReason::Truncated)?
        .destination;
    let (header, most) = match from {
        IpAddr::V4(_) => (ipv4::HEADER + icmp::HEADER, MOST_V4),
        IpAddr::V6(_) => (ipv6::HEADER + icmp::HEADER, MOST_V6),
    };
    buf.grow_front(header)?;
    buf.cut_tail();
    let l3 = packet.l3();
    buf.truncate(l3 + most.min(header + packet.length as usize));
    let length = buf.length() - l3;
    let ether_type = match (from, packet.flow.addresses) {
        (IpAddr::V4(from), Addresses::V4 { source: to, .. }) => {
            write_v4(buf, l3, (from, to), answer.v4(), id)?;
            ethernet::IPV4
        }
        (IpAddr::V6(from), Addresses::V6 { source: to, .. }) => {
            let addresses = Addresses::V6 {
                source: from,
                destination: to,
            };
            let message = (length - ipv6::HEADER) as u32;
            let pseudo = pseudo_header(addresses.sum(), icmp::V6, message);
            write_message(buf, l3 + ipv6::HEADER, answer.v6(), pseudo)?;
            Ipv6 {
                source: from,
                destination: to,
                traffic_class: 0,
                hop_limit: TTL,
                protocol: icmp::V6,
                header_length: ipv6::HEADER,
                total_length: length,
                fragment: false,
                later_fragment: false,
                segments_left: false,
            }
            .write(buf.array_mut(l3)?);
            ethernet::IPV6
        }
        _ => return Err(DropReason::Unreachable),
    };
    let front = buf.bytes_mut().get_mut(..l3).ok_or(DropReason::Truncated)?;
    Ethernet::write(
        front,
        packet.source_mac,
        mine,
        packet.link_vlan(),
        ether_type,
    );
    Ok(Verdict::Transmit(buf.ingress()))
}

/// Writes IP header and ICMP message at `l3`, before the packet that lies where
/// they end, which they quote to the end of the frame.
pub(super) fn write_v4(
    buf: &mut PacketBuf<'_>,
    l3: usize,
    (source, destination): (Ipv4Addr, Ipv4Addr),
    message: (u8, u8, u32),
    id: u16,
) -> Result<(), DropReason> {
    let quoted = l3 + ipv4::HEADER + icmp::HEADER;
    let tos = buf.array::<2>(quoted).map_or(0, |quoted| quoted[1]);
    write_message(buf, l3 + ipv4::HEADER, message, Sum::NONE)?;
    Ipv4 {
        source,
        destination,
        protocol: icmp::V4,
        ttl: TTL,
        tos: tos & 0x1e | INTERNETWORK_CONTROL,
        dont_fragment: false,
        fragment: false,
        header_length: ipv4::HEADER,
        total_length: buf.length() - l3,
    }
    .write(buf.array_mut(l3)?, id);
    Ok(())
}

/// Writes the eight bytes before the quoted packet, checksum last.
fn write_message(
    buf: &mut PacketBuf<'_>,
    at: usize,
    (kind, code, word): (u8, u8, u32),
    pseudo: Sum,
) -> Result<(), DropReason> {
    let [a, b, c, d] = word.to_be_bytes();
    *buf.array_mut::<{ icmp::HEADER }>(at)? = [kind, code, 0, 0, a, b, c, d];
    let sum = Sum::of(buf.bytes().get(at..).unwrap_or(&[]));
    let [high, low] = pseudo.and(sum).checksum().to_be_bytes();
    let message: &mut [u8; icmp::HEADER] = buf.array_mut(at)?;
    message[2] = high;
    message[3] = low;
    Ok(())
}

/// Longest ICMP answer, IP header included (RFC 1812 4.3.2.3).
pub(super) const MOST_V4: usize = 576;
/// Longest ICMPv6 answer, IP header included: IPv6's least MTU (RFC 4443 2.4(c)).
const MOST_V6: usize = 1280;
/// TTL of what the director itself sends.
const TTL: u8 = 64;
/// Precedence 6 in the TOS octet (RFC 1812 4.3.2.5).
const INTERNETWORK_CONTROL: u8 = 0xc0;
