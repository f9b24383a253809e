//! The host itself as a masqueraded real server: packets are addressed to it and
//! given to its stack, which no router lies before.
//!
//! *Source:* the behaviour of `ip_vs_nat_xmit` where the route to the real
//! server is local, Linux 6.12: neither TTL nor MTU matters.

use core::net::IpAddr;

use super::icmp_error::address_reply_error;
use super::masquerade;
use crate::packet::icmp::Quote;
use crate::packet::{Packet, PacketBuf};
use crate::verdict::{DropReason, Verdict};

/// Gives a client's packet to the host's own server at `to`.
pub(crate) fn deliver(
    buf: &mut PacketBuf<'_>,
    packet: &Packet,
    to: (IpAddr, u16),
) -> Result<Verdict, DropReason> {
    masquerade::request(buf, packet, to)?;
    Ok(Verdict::Deliver)
}

/// Gives an ICMP error about what the service sent to the host, whose server at
/// `to` sent it.
pub(crate) fn deliver_error(
    buf: &mut PacketBuf<'_>,
    packet: &Packet,
    quote: &Quote,
    to: (IpAddr, u16),
) -> Result<Verdict, DropReason> {
    address_reply_error(buf, packet, quote, to)?;
    Ok(Verdict::Deliver)
}
