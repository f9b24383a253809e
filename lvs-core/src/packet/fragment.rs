//! Fragments (RFC 791 section 3.2, RFC 8200 section 4.5): which datagram a
//! packet is a part of, and which part.
//!
//! ```text
//!  IPv4, bytes 4 to 7 of the header    | id          | 0 DF MF | offset / 8 |
//!  IPv6, a header of its own           | next |  0  | offset / 8 | 0 0 M | id (4) |
//! ```

use super::{Addresses, FlowKey, Packet, PacketBuf, Seed, ipv4, ipv6};
use crate::verdict::DropReason;

/// What the parts of one datagram have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DatagramKey {
    pub(crate) addresses: Addresses,
    pub(crate) protocol: u8,
    /// The sender's number for it: 16 bits in IPv4, 32 in IPv6.
    pub(crate) identification: u32,
}

/// A fragment: which part of which datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fragment {
    pub(crate) datagram: DatagramKey,
    /// Where its data begins in that of the datagram, bytes.
    pub(crate) offset: u32,
    /// Where it ends.
    pub(crate) end: u32,
    /// Whether others follow.
    pub(crate) more: bool,
    /// Where its data begins in the frame.
    pub(crate) data_at: u16,
    /// Where its IP header begins in the frame.
    pub(crate) l3: u16,
    /// Of its frame, bytes.
    pub(crate) frame: u32,
    /// Of the IP packet as far as its data counts, bytes.
    pub(crate) length: u32,
    pub(crate) dont_fragment: bool,
    /// Its congestion mark (RFC 3168 section 5).
    pub(crate) ecn: u8,
    /// The datagram's flow; the first part alone can tell it.
    pub(crate) flow: Option<FlowKey>,
}

impl DatagramKey {
    /// No datagram's.
    pub(crate) const NONE: Self = Self {
        addresses: Packet::NONE.flow.addresses,
        protocol: 0,
        identification: 0,
    };

    /// Its hash under `seed`: that of a flow whose ports it has.
    pub(crate) fn hash(&self, seed: Seed) -> u64 {
        let [a, b, c, d] = self.identification.to_be_bytes();
        let like = FlowKey {
            addresses: self.addresses,
            source_port: u16::from_be_bytes([a, b]),
            destination_port: u16::from_be_bytes([c, d]),
            protocol: self.protocol,
        };
        like.hash(seed)
    }

    /// Whether it is a datagram of IPv4.
    pub(crate) const fn is_ipv4(&self) -> bool {
        matches!(self.addresses, Addresses::V4 { .. })
    }
}

impl Fragment {
    /// Reads what a packet of kind [`Fragment`](super::Kind::Fragment) is a
    /// part of.
    ///
    /// Data beyond a multiple of eight bytes that others should follow is cut
    /// off in IPv4, as Linux does (ip_fragment.c, 6.12).
    ///
    /// *Errors:* [`DropReason::BadFragment`].
    pub(crate) fn read(buf: &PacketBuf<'_>, packet: &Packet) -> Result<Self, DropReason> {
        const BAD: DropReason = DropReason::BadFragment;
        let is_ipv4 = matches!(packet.flow.addresses, Addresses::V4 { .. });
        let [v, tos] = *buf.array(packet.l3()).ok_or(BAD)?;
        let (offset, more, identification, class) = if is_ipv4 {
            let [i, d, high, low] = *buf.array(packet.l3() + 4).ok_or(BAD)?;
            let field = u16::from_be_bytes([high, low]);
            let more = field & ipv4::MORE_FRAGMENTS != 0;
            let id = u32::from(u16::from_be_bytes([i, d]));
            (u32::from(field & ipv4::OFFSET) * 8, more, id, tos)
        } else {
            // Parsing ends with the fragment header.
            let at = packet.l4().checked_sub(FRAGMENT_HEADER).ok_or(BAD)?;
            let [_, _, high, low, i, d, e, n] = *buf.array(at).ok_or(BAD)?;
            let field = u16::from_be_bytes([high, low]);
            let id = u32::from_be_bytes([i, d, e, n]);
            (u32::from(field & !7), field & 1 != 0, id, v << 4 | tos >> 4)
        };
        let mut data = packet.transport_length() as u32;
        if more && !data.is_multiple_of(8) {
            if !is_ipv4 {
                return Err(BAD);
            }
            data &= !7;
        }
        let header = packet.l4() - packet.l3();
        let counted = if is_ipv4 {
            header
        } else {
            header.saturating_sub(ipv6::HEADER + FRAGMENT_HEADER)
        };
        let end = offset + data;
        if data == 0 || counted + end as usize > LONGEST {
            return Err(BAD);
        }
        let flow = || {
            let [s0, s1, d0, d1] = *buf.array(packet.l4())?;
            Some(FlowKey {
                source_port: u16::from_be_bytes([s0, s1]),
                destination_port: u16::from_be_bytes([d0, d1]),
                ..packet.flow
            })
        };
        Ok(Self {
            datagram: DatagramKey {
                addresses: packet.flow.addresses,
                protocol: packet.flow.protocol,
                identification,
            },
            offset,
            end,
            more,
            data_at: packet.l4() as u16,
            l3: packet.l3() as u16,
            frame: packet.l3() as u32 + packet.length,
            length: header as u32 + data,
            dont_fragment: is_ipv4 && packet.dont_fragment,
            ecn: class & 0b11,
            // Others follow a first one, so it has eight bytes at least.
            flow: if offset == 0 { flow() } else { None },
        })
    }
}

/// An IPv6 fragment header; `offset` in bytes.
pub(crate) fn header(
    follows: u8,
    offset: usize,
    more: bool,
    identification: u32,
) -> [u8; FRAGMENT_HEADER] {
    let [high, low] = (offset as u16 & !7 | u16::from(more)).to_be_bytes();
    let [a, b, c, d] = identification.to_be_bytes();
    [follows, 0, high, low, a, b, c, d]
}

/// Bytes of an IPv6 fragment header.
pub(crate) const FRAGMENT_HEADER: usize = 8;
/// The most an IP packet's length field says, of IPv6 without the fixed header.
const LONGEST: usize = 0xffff;
