//! A packet as it is handed in: bytes with room in front.

use core::ops::Range;

use super::checksum::Sum;
use crate::snapshot::Port;
use crate::verdict::DropReason;

/// One packet, borrowed from its owner for the length of a call.
///
/// The frame lies somewhere inside a larger chunk; growing or shrinking at the
/// front moves the start of its range, which is borrowed too, so the owner sees
/// the frame's new place when the call returns.
///
/// ```text
///  chunk:  | headroom ... | frame ........ | unused |
///                         ^range.start     ^range.end
/// ```
#[derive(Debug)]
pub struct PacketBuf<'f> {
    chunk: &'f mut [u8],
    range: &'f mut Range<usize>,
    tail: Tail,
    checksum: ChecksumState,
    ingress: Port,
}

/// What a packet carries beyond its first chunk (multi-buffer frames).
///
/// Headers lie in the first chunk, so the rest is needed only by its length
/// and, where a checksum must be completed, by its sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    length: usize,
    /// Unknown where somebody saved the pass over the bytes.
    sum: Option<Sum>,
}

impl Default for Tail {
    fn default() -> Self {
        Self::NONE
    }
}

impl Tail {
    /// No further chunks.
    pub const NONE: Self = Self {
        length: 0,
        sum: Some(Sum::NONE),
    };

    /// This tail followed by `bytes`.
    ///
    /// *Cost:* one pass over `bytes`.
    #[must_use]
    pub fn followed_by(self, bytes: &[u8]) -> Self {
        let sum = Sum::of(bytes);
        let sum = if self.length % 2 == 1 {
            sum.shifted()
        } else {
            sum
        };
        Self {
            length: self.length + bytes.len(),
            sum: self.sum.map(|before| before.and(sum)),
        }
    }

    /// This tail followed by `length` bytes that are not summed: for ports
    /// whose checksums are whole. A UDP datagram without a checksum then stays
    /// without, and an ICMP error that must be rewritten is dropped.
    #[must_use]
    pub const fn followed_by_unsummed(self, length: usize) -> Self {
        Self {
            length: self.length + length,
            sum: None,
        }
    }
}

/// What is known of a packet's TCP, UDP or SCTP checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChecksumState {
    /// Whole, as from a wire.
    #[default]
    Whole,
    /// From a port that sometimes hands over the pseudo-header's sum alone:
    /// completed when the field equals that sum; with SCTP, when it is zero.
    MaybePartial,
    /// Known to be the pseudo-header's sum alone; with SCTP, zero.
    Partial,
}

impl<'f> PacketBuf<'f> {
    /// The frame at `range` of `chunk`, received on `ingress`.
    ///
    /// A range that does not lie in the chunk is cut to it.
    pub fn new(chunk: &'f mut [u8], range: &'f mut Range<usize>, ingress: Port) -> Self {
        range.end = range.end.min(chunk.len());
        range.start = range.start.min(range.end);
        Self {
            chunk,
            range,
            tail: Tail::NONE,
            checksum: ChecksumState::Whole,
            ingress,
        }
    }

    /// The same with further chunks behind it.
    #[must_use]
    pub fn with_tail(mut self, tail: Tail) -> Self {
        self.tail = tail;
        self
    }

    /// The same with what is known of its checksum.
    #[must_use]
    pub fn with_checksum(mut self, checksum: ChecksumState) -> Self {
        self.checksum = checksum;
        self
    }

    /// The frame's bytes in this chunk.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.chunk[self.range.clone()]
    }

    /// Whether the packet still ends with the chunks it came with. An answer
    /// made in place is shorter than what it answers and gives them up.
    #[must_use]
    pub const fn keeps_tail(&self) -> bool {
        self.tail.length > 0
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.chunk[self.range.clone()]
    }

    /// Bytes of the whole packet, its further chunks included.
    pub(crate) const fn length(&self) -> usize {
        self.range.end - self.range.start + self.tail.length
    }

    pub(crate) const fn tail(&self) -> Tail {
        self.tail
    }

    pub(crate) const fn ingress(&self) -> Port {
        self.ingress
    }

    pub(crate) const fn checksum(&self) -> ChecksumState {
        self.checksum
    }

    /// Says that the checksum has been completed.
    pub(crate) const fn set_whole(&mut self) {
        self.checksum = ChecksumState::Whole;
    }

    /// `N` bytes at `offset` of the frame, for reading.
    pub(crate) fn array<const N: usize>(&self, offset: usize) -> Option<&[u8; N]> {
        self.bytes().get(offset..)?.first_chunk()
    }

    /// `N` bytes at `offset` of the frame, for writing.
    ///
    /// *Errors:* [`DropReason::Truncated`] where they are not there; a parsed
    /// packet has proven that they are.
    pub(crate) fn array_mut<const N: usize>(
        &mut self,
        offset: usize,
    ) -> Result<&mut [u8; N], DropReason> {
        self.bytes_mut()
            .get_mut(offset..)
            .and_then(|bytes| bytes.first_chunk_mut())
            .ok_or(DropReason::Truncated)
    }

    /// Makes the frame `room` bytes longer at the front; the new bytes hold
    /// whatever lay there.
    pub(crate) fn grow_front(&mut self, room: usize) -> Result<(), DropReason> {
        self.range.start = self
            .range
            .start
            .checked_sub(room)
            .ok_or(DropReason::NoHeadroom)?;
        Ok(())
    }

    /// Takes `length` bytes off the front.
    pub(crate) fn shrink_front(&mut self, length: usize) {
        self.range.start = (self.range.start + length).min(self.range.end);
    }

    /// Cuts what lies beyond `length` bytes in this chunk.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.range.end = self.range.end.min(self.range.start + length);
    }

    /// Gives up the further chunks.
    pub(crate) const fn cut_tail(&mut self) {
        self.tail = Tail::NONE;
    }

    /// Cuts what lies beyond `length` bytes of the whole packet: link padding.
    ///
    /// Further chunks cannot be cut short from here. What pads the last of them
    /// stays, but is part of no sum.
    pub(crate) fn end_at(&mut self, length: usize) {
        if length <= self.range.len() {
            self.truncate(length);
            self.cut_tail();
        } else if length < self.length() {
            self.tail.sum = None;
        }
    }
}

impl Tail {
    /// The sum of its bytes, if it is known.
    pub(crate) const fn sum(self) -> Option<Sum> {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_sees_the_frame_move() {
        let (mut chunk, mut range) = ([0u8; 64], 20..40);
        let mut packet = PacketBuf::new(&mut chunk, &mut range, Port(0));
        packet.grow_front(14).unwrap();
        packet.shrink_front(4);
        packet.truncate(25);
        assert_eq!(range, 10..35);
    }

    #[test]
    fn no_room_in_front_changes_nothing() {
        let (mut chunk, mut range) = ([0u8; 64], 3..40);
        let mut packet = PacketBuf::new(&mut chunk, &mut range, Port(0));
        assert_eq!(packet.grow_front(4), Err(DropReason::NoHeadroom));
        assert_eq!(range, 3..40);
    }

    #[test]
    fn a_range_outside_its_chunk_is_cut() {
        let (mut chunk, mut range) = ([0u8; 8], 6..400);
        assert_eq!(
            PacketBuf::new(&mut chunk, &mut range, Port(0))
                .bytes()
                .len(),
            2
        );
        range = 10..12;
        assert_eq!(
            PacketBuf::new(&mut chunk, &mut range, Port(0))
                .bytes()
                .len(),
            0
        );
    }

    #[test]
    fn padding_is_cut_off_or_summed_by_nobody() {
        let tail = Tail::NONE.followed_by(&[7; 10]);
        for (length, first, kept) in [(9, 9, None), (20, 20, None), (21, 20, Some(None))] {
            let (mut chunk, mut range) = ([0u8; 64], 20..40);
            let mut packet = PacketBuf::new(&mut chunk, &mut range, Port(0)).with_tail(tail);
            packet.end_at(length);
            assert_eq!(packet.keeps_tail().then(|| packet.tail().sum()), kept);
            assert_eq!(range.len(), first);
        }
        let (mut chunk, mut range) = ([0u8; 64], 20..40);
        let mut packet = PacketBuf::new(&mut chunk, &mut range, Port(0)).with_tail(tail);
        packet.end_at(30);
        assert_eq!(packet.tail(), tail);
    }

    #[test]
    fn a_tail_of_parts_sums_like_one() {
        let bytes: [u8; 9] = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        let whole = Tail::NONE.followed_by(&bytes);
        let parts = Tail::NONE.followed_by(&bytes[..3]).followed_by(&bytes[3..]);
        assert_eq!(
            (whole.length, whole.sum().map(Sum::folded)),
            (parts.length, parts.sum().map(Sum::folded))
        );
        let unknown = Tail::NONE.followed_by_unsummed(3).followed_by(&bytes);
        assert_eq!((unknown.length, unknown.sum()), (12, None));
    }
}
