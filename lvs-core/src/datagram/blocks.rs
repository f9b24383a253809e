//! Memory for frames: a fixed number of blocks of a fixed size, a frame in as
//! many as it takes.
//!
//! ```text
//!  frame:  | block 7 | ──> | block 3 | ──> NONE
//! ```

use alloc::vec::Vec;

use super::NONE;

/// Blocks, those that are free among them.
#[derive(Debug)]
pub(super) struct Blocks {
    bytes: Vec<[u8; BLOCK]>,
    /// The block after each in its frame, or in the list of free ones.
    next: Vec<u32>,
    /// The first of the list of free ones: those that were used before.
    free: u32,
    /// Blocks from here on were never used, so that the memory behind them is
    /// not touched before it is needed.
    untouched: u32,
    left: u32,
}

impl Blocks {
    /// So many free blocks.
    pub(super) fn new(count: usize) -> Self {
        let count = count.min(NONE as usize - 1);
        Self {
            bytes: alloc::vec![[0; BLOCK]; count],
            next: alloc::vec![NONE; count],
            free: NONE,
            untouched: 0,
            left: count as u32,
        }
    }

    /// How many are free.
    pub(super) const fn left(&self) -> u32 {
        self.left
    }

    /// How many a frame of so many bytes takes.
    pub(super) const fn needed(length: usize) -> u32 {
        length.div_ceil(BLOCK) as u32
    }

    /// Copies the first `length` bytes of `parts`, at least one, and returns the
    /// first block; `None`, with nothing changed, when there are too few free
    /// ones or too few bytes.
    pub(super) fn store(&mut self, parts: &[&[u8]], length: usize) -> Option<u32> {
        let there: usize = parts.iter().map(|part| part.len()).sum();
        if length == 0 || there < length || Self::needed(length) > self.left {
            return None;
        }
        let (first, mut block, mut filled) = (self.take()?, NONE, BLOCK);
        let mut left = length;
        for part in parts {
            let mut part = part.get(..left).unwrap_or(part);
            left -= part.len();
            while !part.is_empty() {
                if filled == BLOCK {
                    block = self.follow(block, first)?;
                    filled = 0;
                }
                let room = self.bytes.get_mut(block as usize)?.get_mut(filled..)?;
                let count = room.len().min(part.len());
                let (now, later) = part.split_at(count);
                room.get_mut(..count)?.copy_from_slice(now);
                filled += count;
                part = later;
            }
        }
        Some(first)
    }

    /// The block to go on with after `block`: `first` after none, or a new one.
    fn follow(&mut self, block: u32, first: u32) -> Option<u32> {
        let Some(next) = self.next.get(block as usize) else {
            return Some(first);
        };
        debug_assert_eq!(*next, NONE);
        let new = self.take()?;
        *self.next.get_mut(block as usize)? = new;
        Some(new)
    }

    /// Fills `into` with the bytes of a frame from `at` on; `None` where it ends
    /// before that is full.
    pub(super) fn copy(&self, first: u32, at: usize, mut into: &mut [u8]) -> Option<()> {
        let (mut block, mut at) = (first, at);
        while !into.is_empty() {
            let bytes = self.bytes.get(block as usize)?;
            if let Some(from) = bytes.get(at..) {
                let count = from.len().min(into.len());
                let (now, later) = into.split_at_mut(count);
                now.copy_from_slice(from.get(..count)?);
                into = later;
                at = 0;
            } else {
                at -= BLOCK;
            }
            block = *self.next.get(block as usize)?;
        }
        Some(())
    }

    /// Frees the blocks of a frame and returns how many they were.
    pub(super) fn release(&mut self, first: u32) -> u32 {
        let (mut block, mut count) = (first, 0);
        while let Some(next) = self.next.get_mut(block as usize) {
            let after = core::mem::replace(next, self.free);
            self.free = block;
            block = after;
            count += 1;
        }
        self.left += count;
        count
    }

    fn take(&mut self) -> Option<u32> {
        let taken = match self.next.get_mut(self.free as usize) {
            Some(next) => {
                let block = self.free;
                self.free = core::mem::replace(next, NONE);
                block
            }
            None => {
                let block = self.untouched;
                self.next.get(block as usize)?;
                self.untouched += 1;
                block
            }
        };
        self.left -= 1;
        Some(taken)
    }
}

/// Bytes of a block: a frame of an Ethernet MTU of 1500 fits in one.
pub(super) const BLOCK: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(length: usize) -> Vec<u8> {
        (0..length).map(|n| (n * 7 % 251) as u8).collect()
    }

    #[test]
    fn frames_come_back_as_they_were() {
        let mut blocks = Blocks::new(20);
        for length in [1, 100, BLOCK, BLOCK + 1, 3 * BLOCK, 9018] {
            let frame = noise(length);
            let (head, tail) = frame.split_at(length / 3);
            let first = blocks.store(&[head, &[], tail], length).unwrap();
            for at in [0, length / 2, length - 1] {
                let mut copy = alloc::vec![0; length - at];
                blocks.copy(first, at, &mut copy).unwrap();
                assert_eq!(copy, frame[at..]);
            }
            assert_eq!(blocks.left(), 20 - Blocks::needed(length));
            assert_eq!(blocks.release(first), Blocks::needed(length));
            assert_eq!(blocks.left(), 20);
        }
    }

    #[test]
    fn more_than_there_are_is_none() {
        let mut blocks = Blocks::new(2);
        let frame = noise(2 * BLOCK + 1);
        assert_eq!(blocks.store(&[&frame], frame.len()), None);
        assert_eq!(blocks.store(&[&frame], frame.len() + 1), None);
        assert_eq!(blocks.left(), 2);
        let first = blocks.store(&[&frame], 2 * BLOCK).unwrap();
        assert_eq!(blocks.store(&[&frame], 1), None);
        blocks.release(first);
        assert!(blocks.store(&[&frame], 1).is_some());
    }

    #[test]
    fn padding_is_not_kept() {
        let mut blocks = Blocks::new(1);
        let first = blocks.store(&[&noise(60), &noise(9)], 40).unwrap();
        let mut copy = [0; 40];
        blocks.copy(first, 0, &mut copy).unwrap();
        assert_eq!(copy, noise(40)[..]);
    }
}
