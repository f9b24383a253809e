//! From a flow's hash to the entries that may hold it.
//!
//! A bucket is one cache line of eight slots, each with 32 bits of the hash and
//! the number of an entry. A flow has two buckets; it goes into the first, or,
//! when that is getting full, into the emptier of the two. So the usual lookup
//! touches one line here and one in the entries, and yet nearly nothing is
//! ever refused.

use super::entry::Line;

/// The buckets, a power of two of them.
#[derive(Debug)]
pub(crate) struct Index<'m> {
    buckets: &'m mut [Line],
    mask: usize,
}

impl<'m> Index<'m> {
    /// An index over `buckets`, which are zero and whose number is a power of two.
    pub(crate) fn new(buckets: &'m mut [Line]) -> Self {
        debug_assert!(buckets.len().is_power_of_two());
        let mask = buckets.len() - 1;
        Self { buckets, mask }
    }

    /// How many buckets `slots` slots want, so that the last can be placed as
    /// the first: at most half of them used.
    pub(crate) const fn buckets_for(slots: usize) -> usize {
        let wanted = slots * 2;
        let buckets = wanted.div_ceil(SLOTS);
        if buckets == 0 {
            1
        } else {
            buckets.next_power_of_two()
        }
    }

    /// The entries whose flow may have this hash, likelier ones first.
    pub(crate) fn candidates(&self, hash: u64) -> impl Iterator<Item = u32> {
        let (first, second) = self.places(hash);
        let tag = tag(hash);
        let matching = move |bucket: &Line| {
            let bucket = *bucket;
            (0..SLOTS).filter_map(move |slot| entry_in(bucket[slot], tag))
        };
        matching(&self.buckets[first]).chain(matching(&self.buckets[second]))
    }

    /// A word of the first bucket, as a reason to load it: nothing is looked at.
    #[inline]
    pub(crate) fn touch(&self, hash: u64) -> u64 {
        self.buckets[self.places(hash).0][0]
    }

    /// The first candidate of the first bucket: one cache line. For looking ahead.
    #[inline]
    pub(crate) fn glance(&self, hash: u64) -> Option<u32> {
        self.first_in(self.places(hash).0, tag(hash))
    }

    /// The first candidate of the second bucket, as [`glance`](Self::glance).
    #[inline]
    pub(crate) fn second_glance(&self, hash: u64) -> Option<u32> {
        self.first_in(self.places(hash).1, tag(hash))
    }

    fn first_in(&self, bucket: usize, tag: u32) -> Option<u32> {
        self.buckets[bucket]
            .iter()
            .find_map(|slot| entry_in(*slot, tag))
    }

    /// Adds `entry` under `hash`; false when both buckets are full.
    pub(crate) fn insert(&mut self, hash: u64, entry: u32) -> bool {
        let (first, second) = self.places(hash);
        let used = |bucket: usize| {
            self.buckets[bucket]
                .iter()
                .filter(|slot| **slot != 0)
                .count()
        };
        let crowded = used(first) >= CROWDED && used(second) < used(first);
        let bucket = if crowded { second } else { first };
        match self.buckets[bucket].iter_mut().find(|slot| **slot == 0) {
            Some(slot) => {
                *slot = filled(tag(hash), entry);
                true
            }
            None => false,
        }
    }

    /// Removes `entry` from under `hash`.
    pub(crate) fn remove(&mut self, hash: u64, entry: u32) {
        let (first, second) = self.places(hash);
        let wanted = filled(tag(hash), entry);
        for bucket in [first, second] {
            if let Some(slot) = self.buckets[bucket]
                .iter_mut()
                .find(|slot| **slot == wanted)
            {
                *slot = 0;
                return;
            }
        }
        debug_assert!(false, "an entry that is removed was inserted");
    }

    fn places(&self, hash: u64) -> (usize, usize) {
        let first = hash as usize & self.mask;
        // Depends on the tag alone, and is never zero before masking.
        let away = tag(hash).wrapping_mul(0x9e37_79b1) as usize | 1;
        (first, (first ^ away) & self.mask)
    }
}

/// Slots of a bucket.
pub(crate) const SLOTS: usize = 8;
/// Used slots from which on a bucket sends newcomers to the emptier of the two.
/// With 4, a million entries in a half-full index lie in their second bucket
/// once in seven times, and the first refusal comes at 72 %; with 6 it is once
/// in twenty, but a refusal at 54 %, too near to what [`Index::buckets_for`]
/// promises.
const CROWDED: usize = 4;

const fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// A slot in use: never zero, as entries count from one here.
const fn filled(tag: u32, entry: u32) -> u64 {
    (tag as u64) << 32 | (entry as u64 + 1)
}

const fn entry_in(slot: u64, tag: u32) -> Option<u32> {
    if (slot >> 32) as u32 == tag && slot as u32 != 0 {
        Some(slot as u32 - 1)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    fn scramble(n: u64) -> u64 {
        let mut word = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    #[test]
    fn two_thirds_fill_without_a_refusal() {
        let mut lines = vec![[0; SLOTS]; 1 << 17];
        let mut index = Index::new(&mut lines);
        let many = (1u32 << 20) * 2 / 3;
        for n in 0..many {
            assert!(
                index.insert(scramble(u64::from(n)), n),
                "entry {n} of {many}"
            );
        }
        for n in 0..many {
            assert!(
                index
                    .candidates(scramble(u64::from(n)))
                    .any(|found| found == n)
            );
        }
    }

    #[test]
    fn what_is_removed_is_gone_and_what_stays_is_found() {
        let mut lines = vec![[0; SLOTS]; 32];
        let mut index = Index::new(&mut lines);
        let kept: Vec<u32> = (0..100)
            .filter(|n| index.insert(scramble(u64::from(*n)), *n))
            .collect();
        assert!(kept.len() > 95);
        for n in kept.iter().filter(|n| *n % 2 == 0) {
            index.remove(scramble(u64::from(*n)), *n);
        }
        for n in &kept {
            let found = index
                .candidates(scramble(u64::from(*n)))
                .any(|entry| entry == *n);
            assert_eq!(found, n % 2 == 1, "entry {n}");
        }
    }

    #[test]
    fn both_buckets_full_is_said() {
        let mut lines = vec![[0; SLOTS]; 4];
        let mut index = Index::new(&mut lines);
        let hash = 0xdead_beef_0000_0002;
        let placed = (0..20).filter(|n| index.insert(hash, *n)).count();
        assert!(placed == 2 * SLOTS || placed == SLOTS, "{placed}");
        assert!(!index.insert(hash, 99));
    }
}
