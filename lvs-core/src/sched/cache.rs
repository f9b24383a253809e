//! What `lblc` and `lblcr` remember of each destination address.
//!
//! A row of memory holds buckets, chains of entries that hang on them, and for
//! `lblcr` the nodes its sets are made of:
//!
//! ```text
//!  bucket  0 .. 1023    first entry
//!  entry   0  address, upper half        2  last used 32 | changed 32
//!          1  address, lower half        3  value 32     | next entry 32
//!  node                                  0  value 32     | next node 32
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
use super::upkeep::{BUCKETS, LIMIT, Upkeep};

/// One shard's bookkeeping of one service's cache; the entries are in its row.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    seed: Seed,
    entries: Numbers,
    nodes: Numbers,
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
            nodes: Numbers::up_to(NODES as u32),
            upkeep: Upkeep::default(),
        }
    }

    /// Forgets everything, and whatever else was in the row.
    pub(super) fn clear(&mut self, row: Row<'_>) {
        for bucket in 0..BUCKETS {
            row.set(bucket, 0);
        }
        self.entries = Numbers::up_to(ENTRIES as u32);
        self.nodes = Numbers::up_to(NODES as u32);
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

    /// Puts a node before the first of a set, which the entry's value names.
    /// Without room, the set stays as it is.
    pub(super) fn push(&mut self, row: Row<'_>, entry: Entry, value: u32, now: Tick) {
        let next = |number| row.halves(node_place(number)).1;
        if let Some(node) = self.nodes.take(next) {
            row.set_halves(node_place(node), value, entry.value(row));
            entry.set_value(row, node);
            entry.set_changed(row, now);
        }
    }

    /// Takes the first node of this value out of an entry's set.
    pub(super) fn take_out(&mut self, row: Row<'_>, entry: Entry, value: u32, now: Tick) {
        let mut before = None;
        for (node, of) in nodes(row, entry) {
            let next = row.halves(node_place(node)).1;
            if of == value {
                match before {
                    None => entry.set_value(row, next),
                    Some(before) => link_to(row, node_place(before), next),
                }
                self.free_node(row, node);
                entry.set_changed(row, now);
                return;
            }
            before = Some(node);
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
        // Entries whose value is no set have had no nodes to give back.
        if self.nodes.taken > 0 {
            for (node, _) in nodes(row, entry) {
                self.free_node(row, node);
            }
        }
        let (_, next) = row.halves(entry.place() + LINK);
        link_to(row, link, next);
        link_to(row, entry.place() + LINK, self.entries.free);
        self.entries.give_back(entry.0);
    }

    fn free_node(&mut self, row: Row<'_>, node: u32) {
        link_to(row, node_place(node), self.nodes.free);
        self.nodes.give_back(node);
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

    /// What is remembered: a real server, or the first node of a set of them.
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

    /// The values of its set, the newest first.
    pub(super) fn set(self, row: Row<'_>) -> impl Iterator<Item = u32> {
        nodes(row, self).map(|(_, value)| value)
    }
}

/// The nodes of an entry's set with their values. Each is left before it is
/// handed out, so it may be freed meanwhile.
fn nodes(row: Row<'_>, entry: Entry) -> impl Iterator<Item = (u32, u32)> {
    let mut node = entry.value(row);
    core::iter::from_fn(move || {
        let this = node;
        let (value, next) = row.halves(node_place(this));
        node = next;
        (this != 0).then_some((this, value))
    })
    .take(NODES)
}

/// Makes a bucket, an entry or a node lead to another.
fn link_to(row: Row<'_>, link: usize, number: u32) {
    let (value, _) = row.halves(link);
    row.set_halves(link, value, number);
}

const fn node_place(node: u32) -> usize {
    BUCKETS + ENTRY_WORDS * ENTRIES + (node as usize).saturating_sub(1)
}

fn words_of(address: IpAddr) -> (u64, u64) {
    let bits = match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    ((bits >> 64) as u64, bits as u64)
}

/// Which of the numbers from one on are taken. Those given back are a chain,
/// from `free` on, whose links are in the row.
#[derive(Clone, Debug)]
struct Numbers {
    taken: u32,
    /// The first of those given back; zero when none was.
    free: u32,
    /// The highest number ever taken.
    highest: u32,
    limit: u32,
}

impl Numbers {
    fn up_to(limit: u32) -> Self {
        Self {
            taken: 0,
            free: 0,
            highest: 0,
            limit,
        }
    }

    /// A number; `next` says which was given back before one.
    fn take(&mut self, next: impl Fn(u32) -> u32) -> Option<u32> {
        let number = if self.free != 0 {
            let number = self.free;
            self.free = next(number);
            number
        } else if self.highest < self.limit {
            self.highest += 1;
            self.highest
        } else {
            return None;
        };
        self.taken += 1;
        Some(number)
    }

    /// Gives a number back, which must lead to the one given back before.
    fn give_back(&mut self, number: u32) {
        self.free = number;
        self.taken = self.taken.saturating_sub(1);
    }
}

/// No more than half again as many as the limit are remembered.
const ENTRIES: usize = LIMIT + LIMIT / 2;
/// Two real servers for each address, on average.
const NODES: usize = 2 * ENTRIES;
const ENTRY_WORDS: usize = 4;
/// In an entry: when it was last used, and changed.
const STAMPS: usize = 2;
/// In an entry: its value, and the next.
const LINK: usize = 3;
/// Words of a row without sets: 776 KiB.
pub(super) const WORDS: usize = BUCKETS + ENTRY_WORDS * ENTRIES;
/// Words of a row with sets: 1160 KiB.
pub(super) const WORDS_WITH_SETS: usize = WORDS + NODES;

#[cfg(test)]
mod tests {
    use super::super::memory::Memory;
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
    fn sets_grow_at_the_head_and_give_back_what_they_had() {
        let memory = Memory::new(1, WORDS_WITH_SETS);
        let (row, now) = (memory.row(0), Tick(5));
        let mut cache = Cache::new(1);
        let entry = cache.insert(row, address(1), 0, now).unwrap();
        for value in [11, 12, 13] {
            cache.push(row, entry, value, now);
        }
        let set = |row| entry.set(row).collect::<Vec<u32>>();
        assert_eq!(set(row), [13, 12, 11]);
        cache.take_out(row, entry, 12, Tick(9));
        assert_eq!(
            (set(row), entry.changed(row)),
            (alloc::vec![13, 11], Tick(9))
        );
        cache.take_out(row, entry, 13, now);
        cache.take_out(row, entry, 99, now);
        assert_eq!(set(row), [11]);
        cache.push(row, entry, 14, now);
        cache.push(row, entry, 15, now);
        assert_eq!(
            (set(row), cache.nodes.highest),
            (alloc::vec![15, 14, 11], 3)
        );
        let bucket = cache.bucket(address(1));
        assert_eq!(cache.sweep(row, bucket, now), 1);
        assert_eq!((cache.nodes.taken, cache.entries.taken), (0, 0));
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
