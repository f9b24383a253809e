//! Laying the fragments of a datagram together.

use core::ops::Range;

use super::{Datagrams, Pieces};
use crate::packet::fragment::FRAGMENT_HEADER;
use crate::packet::{ipv4, ipv6};
use crate::snapshot::Port;
use crate::verdict::DropReason;

/// A datagram that lies whole.
#[derive(Clone, Debug)]
pub(crate) struct Laid {
    /// Where its frame lies.
    pub(crate) range: Range<usize>,
    /// The port its first fragment came by.
    pub(crate) ingress: Port,
    /// Where in it the IP header begins.
    pub(crate) l3: usize,
    /// Bytes of its IP header, without a fragment header.
    pub(crate) header: usize,
    /// Of IPv6: where in that header the number of what follows it lies.
    pub(crate) next_header: Option<usize>,
    pub(crate) identification: u32,
    /// The longest fragment, bytes of the IP packet.
    pub(crate) longest: u32,
    /// Whether its longest fragments had DF.
    pub(crate) dont_fragment: bool,
}

impl Datagrams {
    /// Lays a whole datagram into `scratch`, of [`SCRATCH`] bytes, as a packet
    /// that never was in fragments, headroom in front.
    ///
    /// *Errors:* [`DropReason::BadFragment`] for what is no packet then.
    /// *Cost:* a copy.
    pub(crate) fn lay(&self, at: u32, scratch: &mut [u8]) -> Result<Laid, DropReason> {
        const BAD: DropReason = DropReason::BadFragment;
        let slot = self.slot(at).ok_or(BAD)?;
        let pieces = slot.pieces.ok_or(BAD)?;
        let congestion = congestion(pieces.ecn).ok_or(BAD)?;
        let first = self.pieces.get(pieces.first as usize).ok_or(BAD)?;
        let (l3, is_ipv4) = (usize::from(first.l3), slot.key.is_ipv4());
        let extra = if is_ipv4 { 0 } else { FRAGMENT_HEADER };
        let data_at = usize::from(first.data_at).checked_sub(extra).ok_or(BAD)?;
        let header = data_at.checked_sub(l3).ok_or(BAD)?;
        let end = data_at + pieces.end.ok_or(BAD)? as usize;
        let frame = scratch.get_mut(HEADROOM..HEADROOM + end).ok_or(BAD)?;
        let headers = frame.get_mut(..data_at).ok_or(BAD)?;
        self.blocks.copy(first.block, 0, headers).ok_or(BAD)?;
        self.copy_data(&pieces, frame.get_mut(data_at..).ok_or(BAD)?)
            .ok_or(BAD)?;
        let ip = frame.get_mut(l3..).ok_or(BAD)?;
        let dont_fragment = pieces.longest_df == pieces.longest;
        let next_header = if is_ipv4 {
            whole_v4(ip, header, dont_fragment, congestion).ok_or(BAD)?;
            None
        } else {
            let mut fragment = [0u8; FRAGMENT_HEADER];
            self.blocks
                .copy(first.block, data_at, &mut fragment)
                .ok_or(BAD)?;
            Some(whole_v6(ip, header, fragment[0], congestion).ok_or(BAD)?)
        };
        Ok(Laid {
            range: HEADROOM..HEADROOM + end,
            ingress: first.ingress,
            l3,
            header,
            next_header,
            identification: slot.key.identification,
            longest: pieces.longest,
            dont_fragment,
        })
    }

    /// Copies the data of every piece to its place.
    fn copy_data(&self, pieces: &Pieces, data: &mut [u8]) -> Option<()> {
        let mut at = pieces.first;
        while let Some(piece) = self.pieces.get(at as usize) {
            let place = data.get_mut(piece.offset as usize..piece.end as usize)?;
            self.blocks
                .copy(piece.block, usize::from(piece.data_at), place)?;
            at = piece.next;
        }
        Some(())
    }

    /// Copies the frame of a datagram's first fragment, as it came, into
    /// `scratch`, headroom in front; where it lies, and its port.
    pub(crate) fn lay_first(&self, at: u32, scratch: &mut [u8]) -> Option<(Range<usize>, Port)> {
        let first = self.pieces.get(self.first_piece(at)? as usize)?;
        let range = HEADROOM..HEADROOM + first.frame as usize;
        let frame = scratch.get_mut(range.clone())?;
        self.blocks.copy(first.block, 0, frame)?;
        Some((range, first.ingress))
    }

    /// Whether no fragment has more than `most` bytes of data, of the first of
    /// which there are `shift` more.
    pub(crate) fn fit(&self, at: u32, shift: usize, most: usize) -> bool {
        let mut next = self.first_piece(at);
        let mut before = shift;
        while let Some((data, after)) = next.and_then(|piece| self.data_of(piece)) {
            if before + data.len() > most {
                return false;
            }
            (next, before) = (Some(after), 0);
        }
        true
    }

    /// The first fragment of a datagram by offset.
    pub(crate) fn first_piece(&self, at: u32) -> Option<u32> {
        Some(self.slot(at)?.pieces?.first)
    }

    /// Which of the datagram's data a fragment has, and the one after it.
    pub(crate) fn data_of(&self, piece: u32) -> Option<(Range<usize>, u32)> {
        let piece = self.pieces.get(piece as usize)?;
        Some((piece.offset as usize..piece.end as usize, piece.next))
    }

    /// Copies the frame of a fragment, as it came, to the start of `into`; its
    /// length, its port, and the fragment after it.
    pub(crate) fn frame_of(&self, piece: u32, into: &mut [u8]) -> Option<(usize, Port, u32)> {
        let piece = self.pieces.get(piece as usize)?;
        let length = piece.frame as usize;
        self.blocks.copy(piece.block, 0, into.get_mut(..length)?)?;
        Some((length, piece.ingress, piece.next))
    }
}

/// Has an IPv4 packet say that it is whole.
fn whole_v4(ip: &mut [u8], header: usize, has_df: bool, congestion: u8) -> Option<()> {
    let length = u16::try_from(ip.len()).ok()?.to_be_bytes();
    let header = ip.get_mut(..header)?;
    header.get_mut(2..4)?.copy_from_slice(&length);
    let flags = if has_df { ipv4::DONT_FRAGMENT } else { 0 };
    header.get_mut(6..8)?.copy_from_slice(&flags.to_be_bytes());
    *header.get_mut(1)? |= congestion;
    ipv4::write_checksum(header);
    Some(())
}

/// Has an IPv6 packet say that it is whole, `follows` behind its `header` bytes
/// of headers, and returns where it says so.
fn whole_v6(ip: &mut [u8], header: usize, follows: u8, congestion: u8) -> Option<usize> {
    let payload = u16::try_from(ip.len().checked_sub(ipv6::HEADER)?).ok()?;
    ip.get_mut(4..6)?.copy_from_slice(&payload.to_be_bytes());
    *ip.get_mut(1)? |= congestion << 4;
    let at = ipv6::last_next_header(ip.get(..header)?)?;
    *ip.get_mut(at)? = follows;
    Some(at)
}

/// The bits to be set in the class of the datagram, from a bit for each mark of
/// its fragments; `None` where they do not go together (RFC 3168 section 5.3).
const fn congestion(seen: u8) -> Option<u8> {
    const NOT_CAPABLE: u8 = 1 << 0;
    const EXPERIENCED: u8 = 1 << 3;
    match seen {
        NOT_CAPABLE => Some(0),
        _ if seen & NOT_CAPABLE != 0 => None,
        _ if seen & EXPERIENCED != 0 => Some(0b11),
        _ => Some(0),
    }
}

/// Room in front of a datagram for the headers of any tunnel, and of an answer.
const HEADROOM: usize = 128;
/// Bytes a datagram is laid into: the longest there is, an Ethernet header with
/// a tag, and the headroom.
pub(crate) const SCRATCH: usize = HEADROOM + 18 + ipv6::HEADER + 0xffff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn congestion_seen_by_one_is_seen_by_all() {
        let [not, ect1, ect0, ce] = [1, 2, 4, 8];
        assert_eq!(congestion(not), Some(0));
        assert_eq!(congestion(ect0 | ect1), Some(0));
        assert_eq!(congestion(ce), Some(3));
        assert_eq!(congestion(ce | ect0), Some(3));
        assert_eq!(congestion(not | ect0), None);
        assert_eq!(congestion(not | ce), None);
    }
}
