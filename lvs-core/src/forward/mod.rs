//! Forwarding: a packet and the way it goes, into bytes ready for the wire.
//!
//! What every method shares is here: TTL, MTU, the Ethernet header. What each
//! does to the packet is in its own file.

mod answer;
mod direct_route;
mod icmp_error;
mod local;
mod masquerade;
mod tunnel;
mod tunnel_error;

use core::net::IpAddr;

pub(crate) use answer::{Answer, answer};
pub(crate) use icmp_error::{about_reply, about_request};
pub(crate) use local::{deliver, deliver_error};
pub(crate) use masquerade::reply;
pub(crate) use tunnel::{Outer, key as tunnel_key};
pub(crate) use tunnel_error::{TunnelError, about_tunnel};

use crate::network::{Hop, Network};
use crate::packet::ethernet::{self, Ethernet};
use crate::packet::{Addresses, Kind, Packet, PacketBuf, ipv4, ipv6};
use crate::snapshot::Port;
use crate::verdict::{DropReason, Verdict};

/// Where a packet for a real server goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToRealServer<'s> {
    pub(crate) address: &'s IpAddr,
    pub(crate) port: u16,
    pub(crate) forwarding: Forwarding<'s>,
    pub(crate) hop: &'s Hop,
    /// Longest IP packet that way, bytes: the hop's, or less where the path
    /// behind it takes less.
    pub(crate) mtu: u32,
}

/// A forwarding method, with what it takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Forwarding<'s> {
    Masquerade,
    DirectRoute,
    Tunnel(Outer<'s>),
}

/// A packet that could not go on, and what its sender should be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// Dropped without a word.
    Dropped(DropReason),
    /// Dropped, and the sender is owed an answer.
    Answered(Answer, DropReason),
}

impl From<DropReason> for Stopped {
    fn from(reason: DropReason) -> Self {
        Self::Dropped(reason)
    }
}

/// Forwards a client's packet to a real server by its forwarding method.
#[inline(always)]
pub(crate) fn request(
    buf: &mut PacketBuf<'_>,
    packet: &Packet,
    to: &ToRealServer<'_>,
    network: &Network,
) -> Result<Verdict, Stopped> {
    packet.record_route(buf, packet.flow.addresses.destination());
    match to.forwarding {
        Forwarding::Tunnel(outer) => return tunnel::request(buf, packet, &outer, to, network),
        Forwarding::Masquerade => {
            pass(buf, packet, to.mtu)?;
            masquerade::request(buf, packet, (*to.address, to.port))?;
        }
        Forwarding::DirectRoute => {
            pass(buf, packet, to.mtu)?;
            direct_route::request(buf, packet)?;
        }
    }
    let verdict = send(buf, packet, to.hop, network)?;
    Ok(in_pieces(verdict, packet.length, to.mtu))
}

/// The same verdict, or that the packet, of so many bytes, must be cut for the
/// MTU ahead. That it may be was found before.
const fn in_pieces(verdict: Verdict, length: u32, mtu: u32) -> Verdict {
    match verdict {
        // What is longer than the MTU says that the MTU fits a length field.
        Verdict::Transmit(port) if length > mtu => Verdict::Cut(port, mtu as u16),
        verdict => verdict,
    }
}

/// What a router does first with a packet to a real server: TTL and MTU.
///
/// *Source:* RFC 1812 5.3.1 and 5.2.4.2; RFC 8200 section 3, RFC 8201. The
/// order is the kernel's: TTL before MTU, so that an answer about the MTU quotes
/// the TTL already taken from.
#[inline(always)]
fn pass(buf: &mut PacketBuf<'_>, packet: &Packet, mtu: u32) -> Result<(), Stopped> {
    check_ttl(packet)?;
    take_ttl(buf, packet)?;
    // IPVS lets an ICMP error pass whatever it says of being fragmented.
    let is_error = packet.kind == Kind::IcmpError;
    check_length(packet, mtu, is_error || !packet.dont_fragment)
}

/// What a router does first with a packet from a real server: the same, but
/// nothing is changed, so that an answer quotes the packet as it came. The
/// kernel does so before the packet comes to IPVS, which never hears of those
/// that stop here. What the host itself sends may have any TTL.
pub(crate) fn may_pass(buf: &PacketBuf<'_>, packet: &Packet, hop: &Hop) -> Result<(), Stopped> {
    if buf.ingress() != Port::HOST {
        check_ttl(packet)?;
    }
    check_length(packet, hop.mtu, !packet.dont_fragment)
}

#[inline]
fn check_ttl(packet: &Packet) -> Result<(), Stopped> {
    if packet.ttl > 1 {
        return Ok(());
    }
    Err(Stopped::Answered(
        Answer::TimeExceeded,
        DropReason::TtlExpired,
    ))
}

/// Takes one off the TTL or hop limit.
#[inline]
pub(crate) fn take_ttl(buf: &mut PacketBuf<'_>, packet: &Packet) -> Result<(), DropReason> {
    match packet.flow.addresses {
        Addresses::V4 { .. } => ipv4::decrement_ttl(buf.array_mut(packet.l3())?),
        Addresses::V6 { .. } => ipv6::decrement_hop_limit(buf.array_mut(packet.l3())?),
    }
    Ok(())
}

/// Whether the packet goes on, be it in pieces if it `may_be_cut`, as no IPv6
/// packet may.
#[inline]
fn check_length(packet: &Packet, room: u32, may_be_cut: bool) -> Result<(), Stopped> {
    if packet.length <= room {
        return Ok(());
    }
    too_long(packet, room, may_be_cut)
}

/// What becomes of a packet longer than `room`.
#[cold]
fn too_long(packet: &Packet, room: u32, may_be_cut: bool) -> Result<(), Stopped> {
    let (least, is_ipv4) = match packet.flow.addresses {
        Addresses::V4 { .. } => (ipv4::LEAST_MTU, true),
        Addresses::V6 { .. } => (ipv6::LEAST_MTU, false),
    };
    // An IPv6 datagram leaves in the pieces it came in (RFC 8200 section 5 has
    // only its sender cut it).
    let came_in_pieces = (1..=room).contains(&packet.longest_fragment);
    if room >= least && (is_ipv4 && may_be_cut || !is_ipv4 && came_in_pieces) {
        return Ok(());
    }
    if packet.kind == Kind::IcmpError || room < least {
        return Err(DropReason::TooBig.into());
    }
    Err(Stopped::Answered(
        Answer::TooBig { mtu: room },
        DropReason::TooBig,
    ))
}

/// What a router does last with a packet to a client: it records its own address
/// in the packet's route, where that is asked for, and takes one off the TTL.
/// The host's own packets are not routed.
fn pass_back(
    buf: &mut PacketBuf<'_>,
    packet: &Packet,
    hop: &Hop,
    network: &Network,
) -> Result<(), DropReason> {
    if buf.ingress() == Port::HOST {
        return Ok(());
    }
    let own = network.interface(hop.port).and_then(|own| own.ipv4);
    if let Some(address) = own {
        packet.record_route(buf, IpAddr::V4(address));
    }
    take_ttl(buf, packet)
}

/// Puts the Ethernet header of `hop` in front of an IP packet whose headers are
/// where `packet` says.
#[inline(always)]
fn send(
    buf: &mut PacketBuf<'_>,
    packet: &Packet,
    hop: &Hop,
    network: &Network,
) -> Result<Verdict, DropReason> {
    let ether_type = match packet.flow.addresses {
        Addresses::V4 { .. } => ethernet::IPV4,
        Addresses::V6 { .. } => ethernet::IPV6,
    };
    address(buf, packet.l3(), hop, ether_type, network)
}

/// Replaces the `old` bytes before the IP header by the Ethernet header of `hop`.
#[inline(always)]
fn address(
    buf: &mut PacketBuf<'_>,
    old: usize,
    hop: &Hop,
    ether_type: u16,
    network: &Network,
) -> Result<Verdict, DropReason> {
    let source = network
        .interface(hop.port)
        .ok_or(DropReason::Unreachable)?
        .mac;
    let new = Ethernet::length_with(hop.vlan);
    if new > old {
        buf.grow_front(new - old)?;
    } else {
        buf.shrink_front(old - new);
    }
    let header = buf
        .bytes_mut()
        .get_mut(..new)
        .ok_or(DropReason::Truncated)?;
    Ethernet::write(header, hop.mac, source, hop.vlan, ether_type);
    Ok(Verdict::Transmit(hop.port))
}

/// The longest IP packet there is, bytes.
const LONGEST: u32 = 0xffff;
