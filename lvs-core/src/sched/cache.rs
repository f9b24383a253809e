//! What `lblc` and `lblcr` remember of each destination address.
//!
//! A row of memory holds buckets, chains of entries that hang on them, and for
//! `lblcr` the [blocks](super::sets) its sets are made of:
//!
//! ```text
//!  bucket  0 .. 1023    first entry
//!  entry   0  address, upper half        2  last used 32 | changed 32
//!          1  address, lower half        3  value 32     | next entry 32
//! ```
//!
//! Entries and nodes are numbered from one, so that zeroed memory is empty.
//! Buckets are picked by a seeded hash, so that nobody can aim at one.
//!
//! *Source:* the limits are those of `ip_vs_lblc.c` and `ip_vs_lblcr.c`, Linux
//! 6.12. *Cost:* a walk of one chain, on average up to 24 long when full.

use core::net::IpAddr;
use core::time::Duration;

use crate::packet::{Seed, flow::hash_end};
use crate::time::{Instant, Tick};

use super::memory::Row;
use super::numbers::Numbers;
use super::sets::{Set, Sets};
use super::upkeep::{BUCKETS, LIMIT, Upkeep};

/// One shard's bookkeeping of one service's cache; the entries are in its row.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    seed: Seed,
    entries: Numbers,
    sets: Sets,
    upkeep: Upkeep,
}

/// The number of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry(u32);

impl Cache {
    /// A cache that remembers nothing.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed: Seed::new(seed),
            entries: Numbers::up_to(ENTRIES as u32),
            sets: Sets::new(),
            upkeep: Upkeep::default(),
        }
    }

    /// Forgets everything, and whatever else was in the row.
    pub(super) fn clear(&mut self, row: Row<'_>) {
        for bucket in 0..BUCKETS {
            row.set(bucket, 0);
        }
        self.entries = Numbers::up_to(ENTRIES as u32);
        self.sets = Sets::new();
        self.upkeep = Upkeep::default();
    }

    /// Lets time pass, and removes what has been idle for too long: of one
    /// bucket at most.
    pub(super) fn pass(&mut self, row: Row<'_>, now: Instant, expiration: Duration) {
        let count = self.entries.taken as usize;
        self.upkeep.pass(now, count, expiration);
        if let Some((bucket, before)) = self.upkeep.next_bucket() {
            let removed = self.sweep(row, bucket, before);
            self.upkeep.removed(removed);
        }
    }

    /// The entry of an address that has not expired, used `now`.
    pub(super) fn find(&mut self, row: Row<'_>, address: IpAddr, now: Tick) -> Option<Entry> {
        let words = words_of(address);
        let mut link = self.bucket(address);
        for _ in 0..ENTRIES {
            let entry = Entry::linked(row, link)?;
            if entry.address(row) != words {
                link = entry.place() + LINK;
                continue;
            }
            let (used, changed) = row.halves(entry.place() + STAMPS);
            if self.upkeep.has_expired(Tick(used)) {
                self.remove(row, link, entry);
                return None;
            }
            row.set_halves(entry.place() + STAMPS, now.0, changed);
            return Some(entry);
        }
        None
    }

    /// Remembers an address that has no entry; `None` when there is no room.
    pub(super) fn insert(
        &mut self,
        row: Row<'_>,
        address: IpAddr,
        value: u32,
        now: Tick,
    ) -> Option<Entry> {
        let bucket = self.bucket(address);
        let next = |number| row.halves(Entry(number).place() + LINK).1;
        let entry = Entry(self.entries.take(next)?);
        let (upper, lower) = words_of(address);
        row.set(entry.place(), upper);
        row.set(entry.place() + 1, lower);
        row.set_halves(entry.place() + STAMPS, now.0, now.0);
        row.set_halves(entry.place() + LINK, value, row.halves(bucket).1);
        link_to(row, bucket, entry.0);
        Some(entry)
    }

    /// Puts a real server's number before all others of a set. Without room, the
    /// set stays as it is.
    pub(super) fn push(&mut self, row: Row<'_>, entry: Entry, number: u32, now: Tick) {
        if let Some(set) = self.sets.push(row, entry.set(row), number) {
            entry.set_value(row, set.0);
            entry.set_changed(row, now);
        }
    }

    /// Takes a real server's number out of an entry's set.
    pub(super) fn take_out(&mut self, row: Row<'_>, entry: Entry, number: u32, now: Tick) {
        if let Some(set) = self.sets.take_out(row, entry.set(row), number) {
            entry.set_value(row, set.0);
            entry.set_changed(row, now);
        }
    }

    /// Removes the entries of a bucket that were not used since `before`.
    fn sweep(&mut self, row: Row<'_>, bucket: usize, before: Tick) -> usize {
        let (mut link, mut removed) = (bucket, 0);
        for _ in 0..ENTRIES {
            let Some(entry) = Entry::linked(row, link) else {
                break;
            };
            let (used, _) = row.halves(entry.place() + STAMPS);
            if Tick(used).until(before) >= 0 {
                self.remove(row, link, entry);
                removed += 1;
            } else {
                link = entry.place() + LINK;
            }
        }
        removed
    }

    /// Removes an entry, to which `link` leads, and its set.
    fn remove(&mut self, row: Row<'_>, link: usize, entry: Entry) {
        // Values that are no sets come where there is no set at all.
        if !self.sets.is_empty() {
            self.sets.clear(row, entry.set(row));
        }
        let (_, next) = row.halves(entry.place() + LINK);
        link_to(row, link, next);
        link_to(row, entry.place() + LINK, self.entries.free);
        self.entries.give_back(entry.0);
    }

    fn bucket(&self, address: IpAddr) -> usize {
        hash_end(address, 0, self.seed) as usize % BUCKETS
    }
}

impl Entry {
    /// The entry a bucket or another entry leads to.
    fn linked(row: Row<'_>, link: usize) -> Option<Self> {
        let (_, number) = row.halves(link);
        (number != 0).then_some(Self(number))
    }

    fn place(self) -> usize {
        BUCKETS + ENTRY_WORDS * (self.0 as usize).saturating_sub(1)
    }

    fn address(self, row: Row<'_>) -> (u64, u64) {
        (row.get(self.place()), row.get(self.place() + 1))
    }

    /// What is remembered: a real server, or the first block of a set of them.
    pub(super) fn value(self, row: Row<'_>) -> u32 {
        row.halves(self.place() + LINK).0
    }

    pub(super) fn set_value(self, row: Row<'_>, value: u32) {
        let (_, next) = row.halves(self.place() + LINK);
        row.set_halves(self.place() + LINK, value, next);
    }

    /// When the set of an entry changed last.
    pub(super) fn changed(self, row: Row<'_>) -> Tick {
        Tick(row.halves(self.place() + STAMPS).1)
    }

    fn set_changed(self, row: Row<'_>, now: Tick) {
        let (used, _) = row.halves(self.place() + STAMPS);
        row.set_halves(self.place() + STAMPS, used, now.0);
    }

    /// Its set, where its value is one.
    pub(super) fn set(self, row: Row<'_>) -> Set {
        Set(self.value(row))
    }
}

/// Makes a bucket or an entry lead to another.
fn link_to(row: Row<'_>, link: usize, number: u32) {
    let (value, _) = row.halves(link);
    row.set_halves(link, value, number);
}

fn words_of(address: IpAddr) -> (u64, u64) {
    let bits = match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    ((bits >> 64) as u64, bits as u64)
}

/// No more than half again as many as the limit are remembered.
pub(super) const ENTRIES: usize = LIMIT + LIMIT / 2;
const ENTRY_WORDS: usize = 4;
/// In an entry: when it was last used, and changed.
const STAMPS: usize = 2;
/// In an entry: its value, and the next.
const LINK: usize = 3;
/// Words of a row without sets: 776 KiB.
pub(super) const WORDS: usize = BUCKETS + ENTRY_WORDS * ENTRIES;

#[cfg(test)]
mod tests {
    use super::super::memory::Memory;
    use super::super::sets::WORDS_WITH_SETS;
    use super::*;
    use alloc::vec::Vec;
    use core::net::Ipv4Addr;

    const DAY: Duration = Duration::from_secs(86_400);

    fn at(seconds: u64) -> Instant {
        Instant::from_nanoseconds(seconds * 1_000_000_000)
    }

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(0x0a00_0000 + number).into()
    }

    #[test]
    fn addresses_are_found_again_with_their_values() {
        let memory = Memory::new(1, WORDS);
        let (row, now) = (memory.row(0), Tick(5));
        let mut cache = Cache::new(1);
        for number in 0..5_000 {
            assert_eq!(cache.find(row, address(number), now), None);
            cache.insert(row, address(number), number, now).unwrap();
        }
        for number in 0..5_000 {
            let entry = cache.find(row, address(number), now).unwrap();
            assert_eq!(entry.value(row), number);
        }
        let v6 = "2001:db8::1".parse().unwrap();
        let entry = cache.insert(row, v6, 9, now).unwrap();
        assert_eq!(cache.find(row, v6, now), Some(entry));
        cache.clear(row);
        assert_eq!(cache.find(row, v6, now), None);
    }

    #[test]
    fn it_holds_half_again_its_limit_and_makes_room_by_the_minute() {
        let memory = Memory::new(1, WORDS);
        let row = memory.row(0);
        let mut cache = Cache::new(1);
        cache.pass(row, at(0), DAY);
        for number in 0..ENTRIES as u32 {
            cache.insert(row, address(number), 1, at(0).tick()).unwrap();
        }
        assert_eq!(cache.insert(row, address(1 << 20), 1, at(0).tick()), None);
        for step in 0..=BUCKETS as u64 {
            cache.pass(row, at(400), DAY);
            assert!(step < 10 || cache.entries.taken < ENTRIES as u32);
        }
        // Half the limit is the most that go in a minute, but by whole buckets.
        let left = cache.entries.taken as usize;
        assert!((LIMIT - 100..=LIMIT).contains(&left), "{left}");
        let kept = (0..ENTRIES as u32)
            .filter(|number| cache.find(row, address(*number), at(401).tick()).is_some());
        assert_eq!(kept.count(), left);
    }

    #[test]
    fn what_has_expired_is_not_found_though_it_is_not_removed_yet() {
        let memory = Memory::new(1, WORDS);
        let row = memory.row(0);
        let mut cache = Cache::new(1);
        cache.pass(row, at(0), Duration::from_secs(120));
        cache.insert(row, address(1), 7, at(0).tick()).unwrap();
        cache.insert(row, address(2), 8, at(0).tick()).unwrap();
        let stays = cache.find(row, address(2), at(1_700).tick());
        cache.pass(row, at(1_801), Duration::from_secs(120));
        assert_eq!(cache.find(row, address(1), at(1_801).tick()), None);
        assert_eq!(cache.find(row, address(2), at(1_801).tick()), stays);
        assert_eq!(cache.entries.taken, 1);
    }

    #[test]
    fn sets_change_and_end_with_their_entries() {
        let memory = Memory::new(1, WORDS_WITH_SETS);
        let (row, now) = (memory.row(0), Tick(5));
        let mut cache = Cache::new(1);
        let entry = cache.insert(row, address(1), 0, now).unwrap();
        for number in [11, 12, 13] {
            cache.push(row, entry, number, now);
        }
        let set = |row| entry.set(row).numbers(row).collect::<Vec<u32>>();
        assert_eq!(set(row), [13, 12, 11]);
        cache.take_out(row, entry, 12, Tick(9));
        assert_eq!(
            (set(row), entry.changed(row)),
            (alloc::vec![13, 11], Tick(9))
        );
        cache.take_out(row, entry, 99, Tick(10));
        assert_eq!(entry.changed(row), Tick(9), "it was not in there");
        let bucket = cache.bucket(address(1));
        assert_eq!(cache.sweep(row, bucket, now), 1);
        assert_eq!((cache.sets.is_empty(), cache.entries.taken), (true, 0));
    }

    #[test]
    fn a_row_that_is_not_there_remembers_nothing() {
        let memory = Memory::new(1, WORDS);
        let (row, now) = (memory.row(1), Tick(5));
        let mut cache = Cache::new(1);
        let entry = cache.insert(row, address(1), 3, now).unwrap();
        cache.push(row, entry, 3, now);
        cache.pass(row, at(5), DAY);
        assert_eq!(cache.find(row, address(1), now), None);
    }
}
