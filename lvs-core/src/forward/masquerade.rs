//! Masquerading: one end of the packet is rewritten on its way, and back.
//!
//! ```text
//!  request:  client -> vip:port      becomes   client -> rip:port
//!  reply:    rip:port -> client      becomes   vip:port -> client
//! ```
//!
//! *Source:* RFC 1624 for the checksums, RFC 3022 section 4.1 for which fields.

use core::net::IpAddr;

use super::{in_pieces, pass_back, send};
use crate::network::{Hop, Network};
use crate::packet::checksum::Change;
use crate::packet::transport::{self, End};
use crate::packet::{Packet, PacketBuf, ipv4, ipv6};
use crate::verdict::{DropReason, Verdict};

/// Addresses a client's packet to the real server.
#[inline]
pub(super) fn request(
    buf: &mut PacketBuf<'_>,
    packet: &Packet,
    (address, port): (IpAddr, u16),
) -> Result<(), DropReason> {
    let change = set_address(buf, packet.l3(), End::Destination, address)?;
    transport::rewrite_port(buf, packet, End::Destination, port, change)
}

/// Forwards a real server's packet, which may pass, to the client as if the
/// service sent it.
#[inline]
pub(crate) fn reply(
    buf: &mut PacketBuf<'_>,
    packet: &Packet,
    from: (IpAddr, u16),
    hop: &Hop,
    network: &Network,
) -> Result<Verdict, DropReason> {
    pass_back(buf, packet, hop, network)?;
    let change = set_address(buf, packet.l3(), End::Source, from.0)?;
    transport::rewrite_port(buf, packet, End::Source, from.1, change)?;
    let verdict = send(buf, packet, hop, network)?;
    Ok(in_pieces(verdict, packet.length, hop.mtu))
}

/// Rewrites one address of the IP header at `l3`, its own checksum included,
/// and returns the change for the checksums that cover it. An address of the
/// other family changes nothing: no connection has both.
#[inline]
pub(super) fn set_address(
    buf: &mut PacketBuf<'_>,
    l3: usize,
    end: End,
    address: IpAddr,
) -> Result<Change, DropReason> {
    Ok(match (address, end) {
        (IpAddr::V4(new), End::Source) => ipv4::set_source(buf.array_mut(l3)?, new),
        (IpAddr::V4(new), End::Destination) => ipv4::set_destination(buf.array_mut(l3)?, new),
        (IpAddr::V6(new), End::Source) => ipv6::set_source(buf.array_mut(l3)?, new),
        (IpAddr::V6(new), End::Destination) => ipv6::set_destination(buf.array_mut(l3)?, new),
    })
}
