//! ICMP errors about a connection's packets, to the side that needs them.
//!
//! ```text
//!  from outside, about a reply the client should have got:
//!     router -> vip  | icmp | quoted: vip -> client  ...    goes to the real server
//!  from the real server's side, about a request:
//!     rip -> client  | icmp | quoted: client -> rip  ...    goes to the client
//! ```
//!
//! A real server that is reached by masquerading must see its own address and
//! port in the quoted packet; a client must see the service's. The quoted
//! packet's own transport checksum is not touched, as it may be cut off.
//!
//! The message's checksum is made anew, so a message whose checksum does not fit
//! must not come here.
//!
//! *Source:* RFC 5508 section 4 for the rewriting of quoted packets.

use core::net::IpAddr;

use super::masquerade::set_address;
use super::{Forwarding, Stopped, ToRealServer, in_pieces, pass, pass_back, request, send};
use crate::network::{Hop, Network};
use crate::packet::checksum::pseudo_header;
use crate::packet::icmp::{self, Quote};
use crate::packet::transport::{End, sum_payload};
use crate::packet::{Addresses, Packet, PacketBuf};
use crate::verdict::{DropReason, Verdict};

/// Forwards an error about what the service sent to the client, to the real
/// server that sent it.
pub(crate) fn about_reply(
    buf: &mut PacketBuf<'_>,
    packet: &Packet,
    quote: &Quote,
    to: &ToRealServer<'_>,
    network: &Network,
) -> Result<Verdict, Stopped> {
    if !matches!(to.forwarding, Forwarding::Masquerade) {
        return request(buf, packet, to, network);
    }
    packet.record_route(buf, packet.flow.addresses.destination());
    pass(buf, packet, to.mtu)?;
    address_reply_error(buf, packet, quote, (*to.address, to.port))?;
    let verdict = send(buf, packet, to.hop, network)?;
    Ok(in_pieces(verdict, packet.length, to.mtu))
}

/// Addresses an error about what the service sent to the real server at `to`,
/// as if the real server had sent that.
pub(super) fn address_reply_error(
    buf: &mut PacketBuf<'_>,
    packet: &Packet,
    quote: &Quote,
    to: (IpAddr, u16),
) -> Result<(), DropReason> {
    set_address(buf, packet.l3(), End::Destination, to.0)?;
    rewrite_quote(buf, quote, End::Source, to)?;
    write_checksum(buf, packet)
}

/// Forwards an error about what the client sent, which may pass, to the client,
/// as if the service had met it.
pub(crate) fn about_request(
    buf: &mut PacketBuf<'_>,
    packet: &Packet,
    quote: &Quote,
    service: (IpAddr, u16),
    hop: &Hop,
    network: &Network,
) -> Result<Verdict, DropReason> {
    pass_back(buf, packet, hop, network)?;
    set_address(buf, packet.l3(), End::Source, service.0)?;
    rewrite_quote(buf, quote, End::Destination, service)?;
    write_checksum(buf, packet)?;
    let verdict = send(buf, packet, hop, network)?;
    Ok(in_pieces(verdict, packet.length, hop.mtu))
}

/// Puts an address and port into the quoted packet.
fn rewrite_quote(
    buf: &mut PacketBuf<'_>,
    quote: &Quote,
    end: End,
    (address, port): (IpAddr, u16),
) -> Result<(), DropReason> {
    set_address(buf, quote.l3, end, address)?;
    if !quote.has_ports {
        return Ok(());
    }
    let at = match end {
        End::Source => quote.l4,
        End::Destination => quote.l4 + 2,
    };
    *buf.array_mut::<2>(at)? = port.to_be_bytes();
    Ok(())
}

/// Sums the ICMP message anew.
fn write_checksum(buf: &mut PacketBuf<'_>, packet: &Packet) -> Result<(), DropReason> {
    let field = packet.l4() + 2;
    *buf.array_mut::<2>(field)? = [0, 0];
    let length = packet.transport_length();
    // The message was summed already, when its checksum was looked at.
    let sum = sum_payload(buf, packet.l4(), length).ok_or(DropReason::BadIcmpChecksum)?;
    let addresses = Packet::parse_addresses(buf, packet)?;
    let sum = match addresses {
        Addresses::V4 { .. } => sum,
        Addresses::V6 { .. } => sum.and(pseudo_header(addresses.sum(), icmp::V6, length as u32)),
    };
    *buf.array_mut::<2>(field)? = sum.checksum().to_be_bytes();
    Ok(())
}
