//! The fragments of one datagram, in the order of their offsets.

use super::{Datagrams, NONE, Pieces};
use crate::packet::fragment::Fragment;
use crate::snapshot::Port;
use crate::verdict::DropReason;

/// A fragment that is held; its number is that of its frame's first block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) block: u32,
    /// The next by offset.
    pub(super) next: u32,
    /// Which of the datagram's data it has, bytes.
    pub(super) offset: u32,
    pub(super) end: u32,
    /// Of its frame, bytes.
    pub(super) frame: u32,
    /// Where in its frame the data begins, and the IP header.
    pub(super) data_at: u16,
    pub(super) l3: u16,
    pub(super) ip_length: u32,
    more: bool,
    dont_fragment: bool,
    ecn: u8,
    pub(super) ingress: Port,
}

/// Where a fragment belongs among those of its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    First,
    After(u32),
}

impl Piece {
    pub(super) const NONE: Self = Self {
        block: NONE,
        next: NONE,
        offset: 0,
        end: 0,
        frame: 0,
        data_at: 0,
        l3: 0,
        ip_length: 0,
        more: false,
        dont_fragment: false,
        ecn: 0,
        ingress: Port(0),
    };

    /// A fragment whose frame begins with this block.
    pub(super) const fn of(fragment: &Fragment, ingress: Port, block: u32) -> Self {
        Self {
            block,
            next: NONE,
            offset: fragment.offset,
            end: fragment.end,
            frame: fragment.frame,
            data_at: fragment.data_at,
            l3: fragment.l3,
            ip_length: fragment.length,
            more: fragment.more,
            dont_fragment: fragment.dont_fragment,
            ecn: fragment.ecn,
            ingress,
        }
    }
}

impl Pieces {
    /// No fragment yet.
    pub(super) const NONE: Self = Self {
        first: NONE,
        last: NONE,
        count: 0,
        end: None,
        least_end: 0,
        data: 0,
        longest: 0,
        longest_df: 0,
        ecn: 0,
    };
}

impl Datagrams {
    /// Where a fragment belongs among those there are.
    ///
    /// *Errors:* [`DropReason::FragmentDuplicate`] if all of its data is there
    /// without a gap; [`DropReason::FragmentOverlap`] if some of it is, or where
    /// it says of the datagram's end what others do not;
    /// [`DropReason::TooManyFragments`].
    ///
    /// *Cost:* constant for one that comes in order, else a look at each before.
    pub(super) fn place(&self, there: &Pieces, fragment: &Fragment) -> Result<Place, DropReason> {
        let (offset, end) = (fragment.offset, fragment.end);
        let fits = match there.end {
            Some(known) if fragment.more => end <= known,
            Some(known) => end == known,
            None => fragment.more || end >= there.least_end,
        };
        if !fits {
            return Err(DropReason::FragmentOverlap);
        }
        let mut place = Place::First;
        if let Some(last) = self.pieces.get(there.last as usize)
            && last.end <= offset
        {
            place = Place::After(there.last);
        } else {
            // Fragments without a gap between them.
            let (mut run, mut overlaps) = (0..0, false);
            let mut at = there.first;
            while let Some(piece) = self.pieces.get(at as usize) {
                if piece.offset == run.end {
                    run.end = piece.end;
                } else {
                    run = piece.offset..piece.end;
                }
                if run.start <= offset && end <= run.end {
                    return Err(DropReason::FragmentDuplicate);
                }
                overlaps |= piece.offset < end && offset < piece.end;
                if piece.offset > offset && piece.offset >= end {
                    break;
                }
                if piece.offset <= offset {
                    place = Place::After(at);
                }
                at = piece.next;
            }
            if overlaps {
                return Err(DropReason::FragmentOverlap);
            }
        }
        if there.count >= MOST_PIECES {
            return Err(DropReason::TooManyFragments);
        }
        Ok(place)
    }

    /// Puts a fragment in its place; what the datagram holds then.
    pub(super) fn insert(&mut self, mut there: Pieces, piece: Piece, place: Place) -> Pieces {
        let at = piece.block;
        let before = match place {
            Place::First => &mut there.first,
            Place::After(before) => match self.pieces.get_mut(before as usize) {
                Some(before) => &mut before.next,
                None => &mut there.first,
            },
        };
        let next = core::mem::replace(before, at);
        if next == NONE {
            there.last = at;
        }
        if let Some(slot) = self.pieces.get_mut(at as usize) {
            *slot = Piece { next, ..piece };
        }
        there.count += 1;
        there.data += piece.end - piece.offset;
        there.least_end = there.least_end.max(piece.end);
        if !piece.more {
            there.end = Some(piece.end);
        }
        there.longest = there.longest.max(piece.ip_length);
        if piece.dont_fragment {
            there.longest_df = there.longest_df.max(piece.ip_length);
        }
        there.ecn |= 1 << piece.ecn;
        there
    }
}

/// Fragments of one datagram. The longest takes 45 on an Ethernet of 1500
/// bytes and 120 where 576 bytes pass; each that comes out of order is compared
/// with those before it, so there must be a bound.
pub(super) const MOST_PIECES: u16 = 256;
