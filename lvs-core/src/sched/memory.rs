//! The memory of schedulers that remember more than whose turn it is.
//!
//! It is made by the control side with the first roster that needs it and goes
//! from roster to roster, so that a shard never allocates. Each shard has a row
//! of its own, which it alone reads and writes; the words are atomic only because
//! the roster they hang on is shared.

use alloc::boxed::Box;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

/// One row of words a shard, all zero at first.
pub(super) struct Memory {
    words: Box<[AtomicU64]>,
    width: usize,
}

impl Memory {
    /// Memory of so many words for each shard.
    pub(super) fn new(shards: usize, words: usize) -> Self {
        // A line more, so that two shards never write to the same one.
        let width = (words + LINE).next_multiple_of(LINE);
        let words = (0..width * shards).map(|_| AtomicU64::new(0)).collect();
        Self { words, width }
    }

    /// A shard's row; an empty one for a shard it was not made for.
    pub(super) fn row(&self, shard: usize) -> Row<'_> {
        let first = shard.saturating_mul(self.width);
        let row = self.words.get(first..first.saturating_add(self.width));
        Row(row.unwrap_or_default())
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("width", &self.width)
            .finish_non_exhaustive()
    }
}

/// The words of one shard. What lies outside reads as zero and takes nothing.
#[derive(Clone, Copy)]
pub(super) struct Row<'m>(&'m [AtomicU64]);

impl Row<'_> {
    /// *Cost:* a plain load.
    pub(super) fn get(self, place: usize) -> u64 {
        self.0
            .get(place)
            .map_or(0, |word| word.load(Ordering::Relaxed))
    }

    /// Words that lie side by side; zeroes if not all of them are inside.
    ///
    /// *Cost:* a plain load each.
    #[inline]
    pub(super) fn several<const N: usize>(self, place: usize) -> [u64; N] {
        let words = self.0.get(place..).and_then(|words| words.first_chunk());
        words.map_or([0; N], |words| {
            words.each_ref().map(|word| word.load(Ordering::Relaxed))
        })
    }

    /// *Cost:* a plain store.
    pub(super) fn set(self, place: usize, value: u64) {
        if let Some(word) = self.0.get(place) {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// Both halves of a word, the upper first.
    pub(super) fn halves(self, place: usize) -> (u32, u32) {
        let word = self.get(place);
        ((word >> 32) as u32, word as u32)
    }

    pub(super) fn set_halves(self, place: usize, upper: u32, lower: u32) {
        self.set(place, u64::from(upper) << 32 | u64::from(lower));
    }
}

/// Words in a cache line.
const LINE: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_apart_and_outside_is_nothing() {
        let memory = Memory::new(2, 10);
        memory.row(0).set(9, 7);
        memory.row(1).set_halves(9, 1, 2);
        assert_eq!(memory.row(0).get(9), 7);
        assert_eq!(memory.row(1).halves(9), (1, 2));
        assert_eq!(memory.row(0).several(8), [0, 7]);
        assert_eq!(memory.row(0).several(10_000), [0, 0]);
        memory.row(2).set(0, 5);
        assert_eq!(memory.row(2).get(0), 0);
        memory.row(1).set(10_000, 5);
        assert_eq!(memory.row(1).get(10_000), 0);
    }
}
