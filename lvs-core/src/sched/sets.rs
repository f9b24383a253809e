//! The sets of real servers that `lblcr` remembers, the newest first.
//!
//! A set is a chain of blocks, so that a large one is read seven at a time and
//! not one after another:
//!
//! ```text
//!  block   0  next block 32 | 1st 32      2  4th 32 | 5th 32
//!          1  2nd 32 | 3rd 32             3  6th 32 | 7th 32
//! ```
//!
//! Only the first block of a set has free places, all before its numbers.

use super::cache::ENTRIES;
use super::memory::Row;
use super::numbers::Numbers;

/// One shard's bookkeeping of the blocks in its row.
#[derive(Clone, Debug)]
pub(super) struct Sets {
    numbers: Numbers,
}

/// A set, by the number of its first block. The empty one has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Set(pub(super) u32);

impl Sets {
    pub(super) const fn new() -> Self {
        Self {
            numbers: Numbers::up_to(BLOCKS as u32),
        }
    }

    /// Whether there are none but empty ones.
    pub(super) const fn is_empty(&self) -> bool {
        self.numbers.taken == 0
    }

    /// Puts a number before all others of a set; `None` when there is no room.
    pub(super) fn push(&mut self, row: Row<'_>, set: Set, number: u32) -> Option<Set> {
        let mut first = Block::read(row, set.0);
        let free = first.places.iter().rposition(|place| *place == FREE);
        if set != Set::EMPTY
            && let Some(place) = free.and_then(|free| first.places.get_mut(free))
        {
            *place = number;
            first.write(row, set.0);
            return Some(set);
        }
        let block = self.numbers.take(|block| Block::read(row, block).next)?;
        let mut places = [FREE; WIDTH];
        places[WIDTH - 1] = number;
        let next = set.0;
        Block { next, places }.write(row, block);
        Some(Set(block))
    }

    /// Takes a number out of a set; `None` when it is not in there.
    ///
    /// *Cost:* those before it move up by a place.
    pub(super) fn take_out(&mut self, row: Row<'_>, set: Set, number: u32) -> Option<Set> {
        if !set.contains(row, number) {
            return None;
        }
        let mut before = FREE;
        for (at, mut block) in set.blocks(row) {
            for place in &mut block.places {
                let this = core::mem::replace(place, before);
                if this == number {
                    block.write(row, at);
                    return Some(self.without_free_block(row, set));
                }
                before = this;
            }
            block.write(row, at);
        }
        None
    }

    /// Gives back all blocks of a set.
    pub(super) fn clear(&mut self, row: Row<'_>, set: Set) {
        for (at, block) in set.blocks(row) {
            self.give_back(row, at, block);
        }
    }

    /// The set without its first block, if that has no number.
    fn without_free_block(&mut self, row: Row<'_>, set: Set) -> Set {
        let first = Block::read(row, set.0);
        if first.places != [FREE; WIDTH] {
            return set;
        }
        let next = Set(first.next);
        self.give_back(row, set.0, first);
        next
    }

    fn give_back(&mut self, row: Row<'_>, at: u32, mut block: Block) {
        block.next = self.numbers.free;
        block.write(row, at);
        self.numbers.give_back(at);
    }
}

impl Set {
    pub(super) const EMPTY: Self = Self(0);

    /// Its numbers, the newest first; [`FREE`] for each free place before them.
    ///
    /// *Cost:* a load for two of them.
    #[inline]
    pub(super) fn several(self, row: Row<'_>) -> impl Iterator<Item = [u32; WIDTH]> {
        self.blocks(row).map(|(_, block)| block.places)
    }

    /// Its numbers, the newest first.
    pub(super) fn numbers(self, row: Row<'_>) -> impl Iterator<Item = u32> {
        let places = self.several(row).flatten();
        places.filter(|number| *number != FREE)
    }

    /// Whether a number is in there.
    pub(super) fn contains(self, row: Row<'_>, number: u32) -> bool {
        self.several(row).any(|numbers| numbers.contains(&number))
    }

    /// Its blocks with their numbers.
    #[inline]
    fn blocks(self, row: Row<'_>) -> impl Iterator<Item = (u32, Block)> {
        let mut next = self.0;
        core::iter::from_fn(move || {
            let this = next;
            let block = (this != 0).then(|| Block::read(row, this))?;
            next = block.next;
            Some((this, block))
        })
        .take(BLOCKS)
    }
}

/// What lies in one block.
struct Block {
    next: u32,
    /// Numbers, or [`FREE`].
    places: [u32; WIDTH],
}

impl Block {
    #[inline]
    fn read(row: Row<'_>, block: u32) -> Self {
        let [a, b, c, d] = row.several(place(block));
        let upper = |word: u64| (word >> 32) as u32;
        let places = [
            a as u32,
            upper(b),
            b as u32,
            upper(c),
            c as u32,
            upper(d),
            d as u32,
        ];
        let next = upper(a);
        Self { next, places }
    }

    fn write(&self, row: Row<'_>, block: u32) {
        let [a, b, c, d, e, f, g] = self.places;
        let pairs = [(self.next, a), (b, c), (d, e), (f, g)];
        for (place, (upper, lower)) in (place(block)..).zip(pairs) {
            row.set_halves(place, upper, lower);
        }
    }
}

const fn place(block: u32) -> usize {
    FIRST + BLOCK_WORDS * (block as usize).saturating_sub(1)
}

/// In a place that is free. No real server has this number.
const FREE: u32 = u32::MAX;
/// Numbers in a block.
const WIDTH: usize = 7;
const BLOCK_WORDS: usize = 4;
/// One for each address and half again as many for sets of more than seven.
const BLOCKS: usize = ENTRIES + ENTRIES / 2;
/// Where the first block lies in a row: behind the entries.
const FIRST: usize = super::cache::WORDS;
/// Words of a row with sets: 1928 KiB.
pub(super) const WORDS_WITH_SETS: usize = FIRST + BLOCK_WORDS * BLOCKS;

#[cfg(test)]
mod tests {
    use super::super::memory::Memory;
    use super::*;
    use alloc::vec::Vec;

    fn numbers(set: Set, row: Row<'_>) -> Vec<u32> {
        set.numbers(row).collect()
    }

    #[test]
    fn the_newest_is_the_first() {
        let memory = Memory::new(1, WORDS_WITH_SETS);
        let (row, mut sets, mut set) = (memory.row(0), Sets::new(), Set::EMPTY);
        for number in 0..20 {
            set = sets.push(row, set, number).unwrap();
        }
        let all: Vec<u32> = (0..20).rev().collect();
        assert_eq!(numbers(set, row), all);
        assert_eq!(sets.numbers.taken, 3);
        assert!(numbers(Set::EMPTY, row).is_empty());
    }

    #[test]
    fn any_can_leave_and_the_others_stay_in_order() {
        for leaving in 0..20 {
            let memory = Memory::new(1, WORDS_WITH_SETS);
            let (row, mut sets, mut set) = (memory.row(0), Sets::new(), Set::EMPTY);
            for number in 0..20 {
                set = sets.push(row, set, number).unwrap();
            }
            assert_eq!(sets.take_out(row, set, 20), None);
            set = sets.take_out(row, set, leaving).unwrap();
            let mut left: Vec<u32> = (0..20).rev().filter(|n| *n != leaving).collect();
            assert_eq!(numbers(set, row), left);
            set = sets.push(row, set, 99).unwrap();
            left.insert(0, 99);
            assert_eq!(numbers(set, row), left);
        }
    }

    #[test]
    fn blocks_are_given_back_and_taken_again() {
        let memory = Memory::new(1, WORDS_WITH_SETS);
        let (row, mut sets, mut set) = (memory.row(0), Sets::new(), Set::EMPTY);
        for _ in 0..3 {
            for number in 0..15 {
                set = sets.push(row, set, number).unwrap();
            }
            for number in 0..15 {
                set = sets.take_out(row, set, number).unwrap();
            }
            assert_eq!((set, sets.is_empty()), (Set::EMPTY, true));
        }
        for number in 0..15 {
            set = sets.push(row, set, number).unwrap();
        }
        sets.clear(row, set);
        assert_eq!((sets.numbers.taken, sets.numbers.highest), (0, 3));
    }

    #[test]
    fn without_room_none_is_taken() {
        let memory = Memory::new(1, WORDS_WITH_SETS);
        let (row, mut sets) = (memory.row(0), Sets::new());
        for _ in 0..BLOCKS {
            sets.push(row, Set::EMPTY, 1).unwrap();
        }
        assert_eq!(sets.push(row, Set::EMPTY, 1), None);
        let room = sets.push(row, Set(1), 2);
        assert_eq!(room, Some(Set(1)), "in a block that has some");
    }
}
