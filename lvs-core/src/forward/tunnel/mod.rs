//! Tunnelling: the packet travels whole inside another IP packet.
//!
//! ```text
//!  | eth | outer ip: director -> real server | kind's header | ip: client -> vip | tcp | data |
//! ```
//!
//! The real server takes the outer headers off, has the VIP on an interface that
//! answers no ARP, and replies to the client itself. Either IP header may be of
//! either family.
//!
//! What the kinds share is here and in `outer`; what lies between the two IP
//! headers is in each kind's own file.

mod gre;
mod gue;
mod ipip;
mod outer;

use core::net::IpAddr;

use super::{Answer, LONGEST, Stopped, ToRealServer, address, check_ttl, in_pieces, take_ttl};
use crate::config::{GueChecksum, Tunnel};
use crate::network::Network;
use crate::packet::checksum::{Sum, pseudo_header};
use crate::packet::transport::{IPIP, UDP, sum_payload};
use crate::packet::{Addresses, Kind, Packet, PacketBuf, Seed, ipv4, ipv6};
use crate::verdict::{DropReason, Verdict};
use outer::Inner;

/// What the outer headers are made of beside the packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outer<'s> {
    pub(crate) tunnel: Tunnel,
    /// Keys the source port of each flow.
    pub(crate) seed: &'s Seed,
    /// The identification of an outer packet that may be fragmented.
    pub(crate) id: u16,
    /// Whether the outer packet has the inner one's DF, and a packet that is too
    /// long its answer (`pmtu_disc`). IPv6 packets always have.
    pub(crate) discovers_mtu: bool,
}

impl Tunnel {
    /// Bytes it adds to each packet on the way to `real_server`.
    #[must_use]
    pub const fn overhead(self, real_server: IpAddr) -> u32 {
        overhead(self, real_server)
    }
}

/// Bytes a tunnel to a real server adds.
pub(crate) const fn overhead(tunnel: Tunnel, real_server: IpAddr) -> u32 {
    let header = match tunnel {
        Tunnel::Ipip => 0,
        Tunnel::Gue { .. } => gue::HEADER,
        Tunnel::Gre { checksum } => gre::header(checksum),
    };
    (ip_header(real_server) + header) as u32
}

/// Protocol number and port by which a tunnel is told from others to the same
/// real server.
pub(crate) const fn key(tunnel: Tunnel) -> (u8, u16) {
    match tunnel {
        Tunnel::Ipip => (IPIP, 0),
        Tunnel::Gue { port, .. } => (UDP, port),
        Tunnel::Gre { .. } => (gre::PROTOCOL, 0),
    }
}

/// A tunnel header as an ICMP error quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quoted {
    /// The port that is part of its [`key`].
    pub(super) port: u16,
    /// Bytes between the two IP headers.
    pub(super) length: usize,
}

/// Reads what an ICMP error quotes at `at`, behind an IPv4 header with this
/// protocol; `None` if that is no tunnel that carries IPv4.
pub(super) fn quoted(buf: &PacketBuf<'_>, at: usize, protocol: u8) -> Option<Quoted> {
    match protocol {
        IPIP => Some(Quoted { port: 0, length: 0 }),
        UDP => gue::quoted(buf, at),
        gre::PROTOCOL => gre::quoted(buf, at),
        _ => None,
    }
}

/// Wraps a client's packet that may pass, and sends it.
#[inline(never)]
pub(super) fn request(
    buf: &mut PacketBuf<'_>,
    packet: &Packet,
    outer: &Outer<'_>,
    to: &ToRealServer<'_>,
    network: &Network,
) -> Result<Verdict, Stopped> {
    check_ttl(packet)?;
    take_ttl(buf, packet)?;
    check_length(packet, outer, to)?;
    let verdict = wrap(buf, packet, outer, to, network)?;
    let length = packet.length + overhead(outer.tunnel, *to.address);
    Ok(in_pieces(verdict, length, to.mtu))
}

/// Whether the packet goes through a tunnel, be it in pieces of the outer packet.
///
/// *Source:* RFC 2003 section 5, RFC 2473 section 7. The limits are the kernel's:
/// a tunnel through which the least packets of its own family would not go
/// takes none at all.
fn check_length(packet: &Packet, outer: &Outer<'_>, to: &ToRealServer<'_>) -> Result<(), Stopped> {
    // No length field holds more, whatever a device takes.
    let overhead = overhead(outer.tunnel, *to.address);
    let room = to.mtu.min(LONGEST).saturating_sub(overhead);
    let least = match to.address {
        IpAddr::V4(_) => ipv4::LEAST_MTU,
        IpAddr::V6(_) => ipv6::LEAST_MTU,
    };
    if room < least {
        return Err(DropReason::TunnelTooNarrow.into());
    }
    if packet.length <= room {
        return Ok(());
    }
    let is_ipv4 = matches!(packet.flow.addresses, Addresses::V4 { .. });
    let is_error = packet.kind == Kind::IcmpError;
    // An IPv6 datagram that came in fragments is judged by the longest of them,
    // and it is the outer packet that is cut.
    let came_in_pieces = !is_ipv4 && (1..=room).contains(&packet.longest_fragment);
    let may_be_cut =
        came_in_pieces || is_ipv4 && (!packet.dont_fragment || !outer.discovers_mtu || is_error);
    if may_be_cut && packet.length <= LONGEST - overhead {
        return Ok(());
    }
    if may_be_cut || is_error {
        return Err(DropReason::TooBig.into());
    }
    Err(Stopped::Answered(
        Answer::TooBig { mtu: room },
        DropReason::TooBig,
    ))
}

/// Puts the outer headers in front.
fn wrap(
    buf: &mut PacketBuf<'_>,
    packet: &Packet,
    outer: &Outer<'_>,
    to: &ToRealServer<'_>,
    network: &Network,
) -> Result<Verdict, DropReason> {
    let ends = ends(to)?;
    let inner = Inner::read(buf, packet)?;
    let sum = match outer.tunnel {
        Tunnel::Gue {
            checksum: GueChecksum::Full | GueChecksum::Remote,
            ..
        }
        | Tunnel::Gre { checksum: true } => {
            Some(sum_inner(buf, packet).ok_or(DropReason::TunnelChecksumUnknown)?)
        }
        _ => None,
    };
    let overhead = overhead(outer.tunnel, *to.address) as usize;
    // The outer headers take the place before the inner one; what lay there,
    // the old Ethernet header, is written anew.
    buf.grow_front(overhead)?;
    let at = packet.l3() + ip_header(*to.address);
    let protocol = match outer.tunnel {
        Tunnel::Ipip => ipip::protocol(&packet.flow.addresses),
        Tunnel::Gue { port, .. } => {
            let ports = (gue::source_port(&packet.flow, outer.seed), port);
            gue::write(buf, at, packet, ports, sum.map(|sum| (&ends, sum)))?
        }
        Tunnel::Gre { .. } => gre::write(buf, at, &packet.flow.addresses, sum)?,
    };
    let length = packet.length as usize + overhead;
    let ether_type = inner.write_outer(buf, packet.l3(), &ends, (protocol, length), outer)?;
    address(buf, packet.l3(), to.hop, ether_type, network)
}

/// The ends of the tunnel. Without an address of its own on that network the
/// director cannot be one.
const fn ends(to: &ToRealServer<'_>) -> Result<Addresses, DropReason> {
    match (to.hop.source, *to.address) {
        (Some(IpAddr::V4(source)), IpAddr::V4(destination)) => Ok(Addresses::V4 {
            source,
            destination,
        }),
        (Some(IpAddr::V6(source)), IpAddr::V6(destination)) => Ok(Addresses::V6 {
            source,
            destination,
        }),
        _ => Err(DropReason::Unreachable),
    }
}

/// The sum of the packet that goes inside, its further chunks included.
///
/// Where nobody summed those, the packet's own checksum says what they sum to,
/// as long as it is right; a packet with a wrong one is worth nothing to the
/// real server anyway. `None` where there is no such checksum.
fn sum_inner(buf: &PacketBuf<'_>, packet: &Packet) -> Option<Sum> {
    if let Some(sum) = sum_payload(buf, packet.l3(), packet.length as usize) {
        return Some(sum);
    }
    match packet.kind {
        Kind::Tcp { .. } => {}
        Kind::Udp if *buf.array::<2>(packet.l4() + 6)? != [0, 0] => {}
        _ => return None,
    }
    let headers = buf.bytes().get(packet.l3()..packet.l4())?;
    let pseudo = pseudo_header(
        packet.flow.addresses.sum(),
        packet.flow.protocol,
        packet.transport_length() as u32,
    );
    // Both together sum to all ones.
    Some(Sum::of(headers).word(pseudo.checksum()))
}

/// Bytes of an IP header of this address's family.
const fn ip_header(address: IpAddr) -> usize {
    match address {
        IpAddr::V4(_) => ipv4::HEADER,
        IpAddr::V6(_) => ipv6::HEADER,
    }
}

#[cfg(test)]
mod tests;
