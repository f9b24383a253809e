//! What TCP (RFC 9293) and UDP (RFC 768) have in common for a director: two
//! ports and a checksum. SCTP has the ports too; its checksum is another.
//!
//! ```text
//!        0      2      4            8         12      13     14       16         18
//!  TCP:  | src  | dst  | sequence   | ack     | offset | flags | window | checksum | ...
//!  UDP:  | src  | dst  | length | checksum |
//!        0      2      4        6          8
//! ```

use super::buffer::PacketBuf;
use super::checksum::{Change, Sum, pseudo_header};
use super::{Kind, Packet, sctp};
use crate::verdict::DropReason;

/// IP protocol number of TCP.
pub(crate) const TCP: u8 = 6;
/// IP protocol number of IPv4 in IP (RFC 2003).
pub(crate) const IPIP: u8 = 4;
/// IP protocol number of UDP.
pub(crate) const UDP: u8 = 17;
/// IP protocol number of ESP (RFC 4303).
pub(crate) const ESP: u8 = 50;
/// IP protocol number of AH (RFC 4302).
pub(crate) const AH: u8 = 51;
/// The port keys for AH and ESP are exchanged by (RFC 2408 section 2.5.1).
pub(crate) const ISAKMP: u16 = 500;
/// IP protocol number of SCTP.
pub(crate) const SCTP: u8 = 132;
/// Bytes of a TCP header without options.
pub(crate) const TCP_HEADER: usize = 20;
/// Bytes of a UDP header.
pub(crate) const UDP_HEADER: usize = 8;

/// Which end of a flow a rewrite changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Source,
    Destination,
}

/// Rewrites one port and brings the checksum up to `change` (that of the
/// addresses) and the port.
///
/// A UDP checksum of zero means none was made (RFC 768). The kernel's
/// masquerading makes one then, and so does this, unless part of the packet was
/// never summed; a sum that comes out as zero is sent as all ones.
///
/// *Cost:* constant, but for UDP without a checksum, which is summed whole.
pub(crate) fn rewrite_port(
    buf: &mut PacketBuf<'_>,
    packet: &Packet,
    end: End,
    port: u16,
    change: Change,
) -> Result<(), DropReason> {
    match packet.kind {
        Kind::Udp => {
            let header: &mut [u8; UDP_HEADER] = buf.array_mut(packet.l4())?;
            let change = set_port(header, end, port, change);
            if header[6..8] == [0, 0] {
                // Addresses and port are in place already: sum what lies there now.
                let flow = Packet::parse_addresses(buf, packet)?;
                return write_whole(buf, packet, flow.sum());
            }
            let updated = change.apply(u16::from_be_bytes([header[6], header[7]]));
            header[6..8].copy_from_slice(&never_zero(packet.kind, updated).to_be_bytes());
        }
        Kind::Sctp { .. } => return sctp::rewrite_port(buf, packet, end, port),
        // Neither ports nor a checksum: AH's own cannot be made without the key.
        Kind::Ipsec => {}
        Kind::Cut { .. } => return Err(DropReason::BadTransportHeader),
        _ => {
            let header: &mut [u8; TCP_HEADER] = buf.array_mut(packet.l4())?;
            let change = set_port(header, end, port, change);
            let updated = change.apply(u16::from_be_bytes([header[16], header[17]]));
            header[16..18].copy_from_slice(&updated.to_be_bytes());
        }
    }
    Ok(())
}

/// Writes a port, and returns the change with it.
fn set_port<const N: usize>(header: &mut [u8; N], end: End, port: u16, change: Change) -> Change {
    let at = match end {
        End::Source => 0,
        End::Destination => 2,
    };
    let old = u16::from_be_bytes([header[at], header[at + 1]]);
    header[at..at + 2].copy_from_slice(&port.to_be_bytes());
    change.word(old, port)
}

/// Completes a half-made checksum, if this packet has one.
///
/// A device that leaves checksums to hardware stores the folded sum of the
/// pseudo-header. Should a whole checksum happen to be the same number,
/// completing it yields that number again, so nothing is lost by looking.
pub(crate) fn complete(
    buf: &mut PacketBuf<'_>,
    packet: &Packet,
    known: bool,
) -> Result<(), DropReason> {
    let field = packet.l4() + checksum_offset(packet.kind);
    let Some(stored) = buf
        .array::<2>(field)
        .map(|bytes| u16::from_be_bytes(*bytes))
    else {
        return Err(DropReason::BadTransportHeader);
    };
    let addresses = packet.flow.addresses.sum();
    let length = packet.transport_length() as u32;
    let pseudo = pseudo_header(addresses, packet.flow.protocol, length).folded();
    // No pseudo-header sums to zero, so this is not one that was never made.
    if known || stored == pseudo {
        write_whole(buf, packet, addresses)?;
    }
    buf.set_whole();
    Ok(())
}

/// Sums header and payload anew and writes the checksum; leaves it as it is
/// where not all of the payload's sum is known.
fn write_whole(buf: &mut PacketBuf<'_>, packet: &Packet, addresses: Sum) -> Result<(), DropReason> {
    let field = packet.l4() + checksum_offset(packet.kind);
    let stored = core::mem::take(buf.array_mut::<2>(field)?);
    let Some(sum) = sum_payload(buf, packet.l4(), packet.transport_length()) else {
        *buf.array_mut(field)? = stored;
        return Ok(());
    };
    let pseudo = pseudo_header(
        addresses,
        packet.flow.protocol,
        packet.transport_length() as u32,
    );
    let checksum = never_zero(packet.kind, pseudo.and(sum).checksum());
    *buf.array_mut::<2>(field)? = checksum.to_be_bytes();
    Ok(())
}

/// The sum of `length` bytes from `offset` of the frame on, further chunks
/// included; none where that of the further chunks is not known.
pub(crate) fn sum_payload(buf: &PacketBuf<'_>, offset: usize, length: usize) -> Option<Sum> {
    let tail = buf.tail().sum()?;
    let here = buf.bytes().get(offset..).unwrap_or(&[]);
    let here = &here[..here.len().min(length)];
    let tail = if here.len() % 2 == 1 {
        tail.shifted()
    } else {
        tail
    };
    Some(Sum::of(here).and(tail))
}

/// Where the checksum lies in the header.
const fn checksum_offset(kind: Kind) -> usize {
    match kind {
        Kind::Udp => 6,
        _ => 16,
    }
}

/// A UDP checksum of zero would mean "none" (RFC 768): its other form is sent.
const fn never_zero(kind: Kind, checksum: u16) -> u16 {
    if matches!(kind, Kind::Udp) && checksum == 0 {
        0xffff
    } else {
        checksum
    }
}
