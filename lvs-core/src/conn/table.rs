//! The connections of one shard, in memory handed in.

use core::ops::Range;

use super::begin::NewConnection;
use super::entry::{Entry, EntryMut, Line, Lines};
use super::entry::{INVALID, TEMPLATE};
use super::index::Index;
use super::timer::{self, Due, TimerWheel};
use super::{Direction, entry};
use crate::packet::{Addresses, FlowKey, Seed};
use crate::time::Tick;
use crate::verdict::DropReason;

/// A fixed number of connections, found from both directions.
///
/// ```text
///  memory:  | buckets of the index | timer slots | entries, two lines each |
/// ```
///
/// *Cost:* finding touches one bucket and one entry as a rule; nothing is
/// allocated after construction. Memory is touched as it is first used, so an
/// empty table is cheap whatever its size.
#[derive(Debug)]
pub(crate) struct ConnTable<'m> {
    index: Index<'m>,
    wheel: TimerWheel<'m>,
    entries: &'m mut [Lines],
    /// Entries below this have been used before.
    touched: u32,
    /// First of the free entries that have been used before, counted from one.
    free: u32,
    used: u32,
    seed: Seed,
}

impl<'m> ConnTable<'m> {
    /// Divides `memory`, which must be zero, into index, timer slots and
    /// entries; `None` when it is less than [`lines_for`] one connection.
    pub(crate) fn new(memory: &'m mut [Line], seed: Seed) -> Option<Self> {
        let capacity = capacity_of(memory.len());
        if capacity == 0 {
            return None;
        }
        let (index, rest) = memory.split_at_mut(Index::buckets_for(2 * capacity));
        let (wheel, rest) = rest.split_at_mut(timer::LINES);
        let (entries, _) = rest.as_chunks_mut::<{ entry::LINES }>();
        let (entries, _) = entries.split_at_mut(capacity);
        Some(Self {
            index: Index::new(index),
            wheel: TimerWheel::new(wheel),
            entries,
            touched: 0,
            free: 0,
            used: 0,
            seed,
        })
    }

    /// How many connections it can hold.
    pub(crate) const fn capacity(&self) -> usize {
        self.entries.len()
    }

    /// How many it holds.
    pub(crate) const fn len(&self) -> usize {
        self.used as usize
    }

    /// How many entries were ever in use: all that are lie among the first so many.
    pub(crate) const fn touched(&self) -> usize {
        self.touched as usize
    }

    /// The hash under which a flow is found.
    #[inline]
    pub(crate) fn hash(&self, flow: &FlowKey) -> u64 {
        flow.hash(self.seed)
    }

    /// Loads the flow's bucket ahead of time; what is returned says nothing.
    #[inline]
    pub(crate) fn touch(&self, hash: u64) -> u64 {
        self.index.touch(hash)
    }

    /// A look at the flow's bucket ahead of time: the entry that probably
    /// holds it. Only a load; nothing is compared but 32 bits of the hash.
    #[inline]
    pub(crate) fn glance(&self, hash: u64) -> Option<u32> {
        self.index.glance(hash)
    }

    /// A look at the flow's other bucket ahead of time.
    #[inline]
    pub(crate) fn second_glance(&self, hash: u64) -> Option<u32> {
        self.index.second_glance(hash)
    }

    /// A look at an entry ahead of time, so that its lines are in the cache when
    /// they are needed: whether it may be in use.
    #[inline]
    pub(crate) fn peek(&self, entry: u32, flow: &FlowKey) -> bool {
        self.entries
            .get(entry as usize)
            .is_some_and(|lines| match flow.addresses {
                Addresses::V4 { .. } => Entry(lines).is_used(),
                Addresses::V6 { .. } => Entry(lines).is_used() & Entry(lines).has_far_line(),
            })
    }

    /// The connection a flow belongs to, in either direction. `guess` is tried first.
    #[inline]
    pub(crate) fn find(
        &self,
        flow: &FlowKey,
        hash: u64,
        guess: Option<u32>,
    ) -> Option<(u32, Direction)> {
        match guess.and_then(|entry| self.direction(entry, flow)) {
            None => self.search(flow, hash),
            found => found,
        }
    }

    /// The same without a guess that was right.
    #[inline(never)]
    fn search(&self, flow: &FlowKey, hash: u64) -> Option<(u32, Direction)> {
        let mut candidates = self.index.candidates(hash);
        candidates.find_map(|entry| self.direction(entry, flow))
    }

    /// This entry, if a packet of this flow is of it, and which way it goes.
    #[inline]
    fn direction(&self, entry: u32, flow: &FlowKey) -> Option<(u32, Direction)> {
        let lines = self.entries.get(entry as usize)?;
        Some((entry, Entry(lines).direction(flow)?))
    }

    /// A connection, for reading.
    pub(crate) fn entry(&self, entry: u32) -> Option<Entry<'_>> {
        self.entries.get(entry as usize).map(Entry)
    }

    /// A connection, for writing.
    pub(crate) fn entry_mut(&mut self, entry: u32) -> Option<EntryMut<'_>> {
        self.entries.get_mut(entry as usize).map(EntryMut)
    }

    /// Begins a connection.
    ///
    /// *Errors:* [`DropReason::TableFull`], [`DropReason::IndexFull`]; nothing
    /// has changed then.
    pub(crate) fn insert(
        &mut self,
        new: &NewConnection,
        deadline: Tick,
        now: Tick,
    ) -> Result<u32, DropReason> {
        self.place(new, 0, deadline, now)
    }

    /// Begins an entry with these flags.
    pub(super) fn place(
        &mut self,
        new: &NewConnection,
        flags: u64,
        deadline: Tick,
        now: Tick,
    ) -> Result<u32, DropReason> {
        let at = self.take_free().ok_or(DropReason::TableFull)?;
        let hash = self.hash(&new.flow);
        let reply_flow = new.reply_flow().filter(|_| flags & TEMPLATE == 0);
        let reply_hash = reply_flow.map(|flow| self.hash(&flow));
        let placed = self.index.insert(hash, at);
        if placed && reply_hash.is_none_or(|hash| self.index.insert(hash, at)) {
            if let Some(mut entry) = self.entry_mut(at) {
                entry.begin(new);
                entry.set(flags, true);
            }
            self.wheel.file(self.entries, at, deadline, now);
            self.used += 1;
            return Ok(at);
        }
        if placed {
            self.index.remove(hash, at);
        }
        self.give_free(at);
        Err(DropReason::IndexFull)
    }

    /// Ends a connection.
    pub(crate) fn remove(&mut self, at: u32) {
        let Some(entry) = self.entry(at).filter(|entry| entry.is_used()) else {
            return;
        };
        let hash = self.hash(&entry.flow());
        let reply_hash = entry.reply_flow().map(|flow| self.hash(&flow));
        if !entry.has(INVALID) {
            self.index.remove(hash, at);
        }
        self.release(at);
        if let Some(hash) = reply_hash {
            self.index.remove(hash, at);
        }
        self.wheel.unfile(self.entries, at);
        self.give_free(at);
        self.used -= 1;
    }

    /// Gives a connection until `deadline`.
    #[inline]
    pub(crate) fn extend(&mut self, entry: u32, deadline: Tick, now: Tick) {
        self.wheel.extend(self.entries, entry, deadline, now);
    }

    /// Ends entries no other depends on whose time has come, in at most `budget` steps, telling
    /// `ended` of each. Returns how many.
    pub(crate) fn expire(
        &mut self,
        now: Tick,
        mut budget: u32,
        mut ended: impl FnMut(Entry<'_>),
    ) -> usize {
        let mut count = 0;
        while let Due::Ended(at) = self.wheel.turn(self.entries, now, &mut budget) {
            if self.outlives(at, now) {
                continue;
            }
            if let Some(entry) = self.entry(at) {
                ended(entry);
            }
            self.remove(at);
            count += 1;
        }
        count
    }

    /// The entries that may be found under a hash.
    pub(super) fn candidates(&self, hash: u64) -> impl Iterator<Item = u32> {
        self.index.candidates(hash)
    }

    /// Makes an entry unknown under a hash.
    pub(super) fn unplace(&mut self, hash: u64, at: u32) {
        self.index.remove(hash, at);
    }

    /// Whether [`expire`](Self::expire) has something left to look at.
    pub(crate) const fn is_expiry_due(&self, now: Tick) -> bool {
        self.wheel.is_due(now)
    }

    /// The connections among the entries of these numbers, in their order. One
    /// keeps its entry as long as it lives.
    pub(crate) fn among(&self, numbers: Range<usize>) -> impl Iterator<Item = Entry<'_>> {
        let numbers = numbers.start..numbers.end.min(self.touched());
        let entries = self.entries.get(numbers).unwrap_or_default();
        entries.iter().map(Entry).filter(|entry| entry.is_used())
    }

    fn take_free(&mut self) -> Option<u32> {
        match self.free.checked_sub(1) {
            Some(at) => {
                self.free = self.entry(at)?.next();
                Some(at)
            }
            None if (self.touched as usize) < self.entries.len() => {
                self.touched += 1;
                Some(self.touched - 1)
            }
            None => None,
        }
    }

    fn give_free(&mut self, at: u32) {
        let free = self.free;
        if let Some(mut entry) = self.entry_mut(at) {
            entry.end();
            entry.set_next(free);
            self.free = at + 1;
        }
    }
}

/// Lines of memory a table for so many connections takes.
pub(crate) const fn lines_for(connections: usize) -> usize {
    Index::buckets_for(2 * connections) + timer::LINES + entry::LINES * connections
}

/// The most connections that `lines` of memory can hold.
const fn capacity_of(lines: usize) -> usize {
    let (mut fits, mut too_many) = (0, lines / entry::LINES + 1);
    while too_many - fits > 1 {
        let middle = fits + (too_many - fits) / 2;
        if lines_for(middle) <= lines {
            fits = middle;
        } else {
            too_many = middle;
        }
    }
    fits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RealServerId;
    use crate::conn::Method;
    use crate::conn::index::SLOTS;
    use alloc::collections::BTreeMap;
    use alloc::vec;
    use alloc::vec::Vec;
    use core::net::Ipv4Addr;

    fn new(client: u32, method: Method) -> NewConnection {
        NewConnection {
            flow: FlowKey {
                addresses: Addresses::V4 {
                    source: Ipv4Addr::from_bits(client),
                    destination: Ipv4Addr::new(192, 0, 2, 10),
                },
                source_port: 1000,
                destination_port: 80,
                protocol: 17,
            },
            real_server: RealServerId(client),
            address: Ipv4Addr::new(10, 0, 0, 1).into(),
            port: 8080,
            method,
        }
    }

    #[test]
    fn memory_for_so_many_holds_so_many() {
        for connections in [1usize, 7, 100, 1000, 100_000] {
            assert!(capacity_of(lines_for(connections)) >= connections);
        }
        assert!(ConnTable::new(&mut [[0; 8]; 100], Seed::new(1)).is_none());
        let mut memory = vec![[0; 8]; lines_for(50)];
        let mut table = ConnTable::new(&mut memory, Seed::new(1)).unwrap();
        let full = table.capacity();
        for client in 0..full as u32 {
            let masquerade = Method::Masquerade;
            table
                .insert(&new(client, masquerade), Tick(100), Tick(0))
                .unwrap();
        }
        let one_more = table.insert(&new(9999, Method::Tunnel), Tick(100), Tick(0));
        assert_eq!(one_more, Err(DropReason::TableFull));
        assert_eq!(table.len(), full);
    }

    #[test]
    fn a_refusal_of_the_index_changes_nothing() {
        let mut memory = vec![[0; 8]; lines_for(1000)];
        let mut table = ConnTable::new(&mut memory, Seed::new(5)).unwrap();
        let both = Method::Masquerade;
        // Fills the two buckets of one hash with entries of the same hash.
        let crowded = new(0, both).reply_flow().unwrap();
        let crowded = table.hash(&crowded);
        let fill: u32 = (0..2 * SLOTS as u32)
            .filter(|n| table.index.insert(crowded, 5000 + n))
            .count() as u32;
        assert_eq!(
            table.insert(&new(0, both), Tick(9), Tick(0)),
            Err(DropReason::IndexFull)
        );
        let flow = new(0, both).flow;
        assert_eq!(
            (table.len(), table.find(&flow, table.hash(&flow), None)),
            (0, None)
        );
        for n in 0..fill {
            table.index.remove(crowded, 5000 + n);
        }
        for client in 0..table.capacity() as u32 {
            table.insert(&new(client, both), Tick(9), Tick(0)).unwrap();
        }
    }

    #[test]
    fn does_what_a_map_does() {
        let mut memory = vec![[0; 8]; lines_for(400)];
        let mut table = ConnTable::new(&mut memory, Seed::new(3)).unwrap();
        let mut model: BTreeMap<u32, (u32, Method)> = BTreeMap::new();
        let mut state = 77u64;
        let mut random = |below: u32| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            ((state >> 33) as u32) % below
        };
        for _ in 0..30_000 {
            let client = random(500);
            let method = match random(3) {
                0 => Method::DirectRoute,
                1 => Method::Tunnel,
                _ => Method::Masquerade,
            };
            let flow = new(client, method).flow;
            let hash = table.hash(&flow);
            let found = table.find(&flow, hash, table.glance(hash));
            assert_eq!(
                found.map(|(at, _)| at),
                model.get(&client).map(|(at, _)| *at)
            );
            if let Some((at, kept)) = model.get(&client).copied() {
                if let Some(reply) = new(client, kept).reply_flow() {
                    let found = table.find(&reply, table.hash(&reply), None);
                    assert_eq!(found, Some((at, Direction::Reply)));
                }
                if random(2) == 0 {
                    table.remove(at);
                    model.remove(&client);
                }
            } else if let Ok(at) = table.insert(&new(client, method), Tick(1 << 20), Tick(0)) {
                model.insert(client, (at, method));
            } else {
                assert_eq!(model.len(), table.capacity(), "refused only when full");
            }
            assert_eq!(table.len(), model.len());
        }
        assert_eq!(table.among(0..usize::MAX).count(), model.len());
    }

    #[test]
    fn read_in_parts_every_entry_that_stays_is_met_once() {
        let mut memory = vec![[0; 8]; lines_for(400)];
        let mut table = ConnTable::new(&mut memory, Seed::new(3)).unwrap();
        let begin = |table: &mut ConnTable<'_>, client| {
            let new = new(client, Method::Tunnel);
            table.insert(&new, Tick(1 << 20), Tick(0)).unwrap()
        };
        let entries: Vec<u32> = (0..300).map(|client| begin(&mut table, client)).collect();
        let (mut met, mut newcomer) = (Vec::new(), 1000);
        for part in 0..table.capacity().div_ceil(10) {
            let numbers = 10 * part..10 * (part + 1);
            met.extend(table.among(numbers).map(|entry| entry.real_server().0));
            // Odd ones end, behind the reader and before it; others take their places.
            for client in [part as u32 * 2 + 1, 299 - part as u32 * 2] {
                table.remove(entries[client as usize]);
            }
            begin(&mut table, newcomer);
            newcomer += 1;
        }
        let stayed = |client: &&u32| **client < 300 && client.is_multiple_of(2);
        let stayed: Vec<u32> = met.iter().filter(stayed).copied().collect();
        assert_eq!(stayed, (0..300).step_by(2).collect::<Vec<_>>());
        assert!(
            met.iter().any(|client| *client >= 1000),
            "newcomers are met"
        );
        assert!(table.among(500..1000).next().is_none());
    }

    #[test]
    fn expiry_ends_and_frees() {
        let mut memory = vec![[0; 8]; lines_for(10)];
        let mut table = ConnTable::new(&mut memory, Seed::new(3)).unwrap();
        for client in 0..5 {
            let masquerade = Method::Masquerade;
            table
                .insert(&new(client, masquerade), Tick(100 * (client + 1)), Tick(0))
                .unwrap();
        }
        let mut ended = vec![];
        let count = table.expire(Tick(310), 1000, |entry| ended.push(entry.real_server().0));
        assert_eq!((count, table.len()), (3, 2));
        ended.sort_unstable();
        assert_eq!(ended, [0, 1, 2]);
        let gone = new(1, Method::DirectRoute).flow;
        assert_eq!(table.find(&gone, table.hash(&gone), None), None);
    }
}
