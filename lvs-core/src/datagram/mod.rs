//! Datagrams that come in fragments, until they are whole.
//!
//! ```text
//!  fragment ──> waiting ──> ready ──> its pieces leave
//!                  │  all parts are there, or whose it is turned out
//!                  └──> given up: no time left, no memory, a contradiction
//! ```
//!
//! Memory is bounded: fragments lie in a fixed number of blocks. When they are
//! all taken, the datagram that has waited longest gives way and not the
//! fragment that comes: an honest datagram is whole within moments, and what a
//! flood of halves fills the memory with is its own. One source has no more
//! than a quarter of them, so that it takes several to do even that. Time is
//! bounded by the datagram's first arrival, which later fragments do not renew.
//!
//! *Source:* RFC 791 section 3.2, RFC 8200 section 4.5, RFC 5722; the behaviour
//! of ip_fragment.c, inet_fragment.c and nf_conntrack_reasm.c, Linux 6.12.

mod blocks;
mod bounds;
mod lay;
mod order;
mod piece;

use alloc::vec::Vec;

pub(crate) use lay::{Laid, SCRATCH};

use crate::packet::Seed;
use crate::packet::flow::hash_end;
use crate::packet::fragment::{DatagramKey, Fragment};
use crate::plan::FragmentLimits;
use crate::snapshot::Port;
use crate::stats::Stats;
use crate::time::{Instant, Tick, ticks};
use crate::verdict::DropReason;
use blocks::Blocks;
use order::{Ends, Order};
use piece::Piece;

/// Whose a datagram is, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Its first fragment has not come.
    Unknown,
    /// A service's: to be held until it is whole.
    Services,
    /// The host's: every fragment goes there at once.
    Hosts,
}

/// Why a datagram's pieces leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ready {
    /// It is whole.
    Whole,
    /// It is the host's.
    Hosts,
    /// It never became whole, and its sender is owed an answer.
    TimedOut,
}

/// The datagrams of a shard.
#[derive(Debug)]
pub(crate) struct Datagrams {
    seed: Seed,
    blocks: Blocks,
    /// By the first block of each piece.
    pieces: Vec<Piece>,
    slots: Vec<Slot>,
    /// The first slot of each chain of equal hashes.
    buckets: Vec<u32>,
    /// The first of the slots that are free, chained as those.
    spare: u32,
    /// Places in the queues below.
    order: Order,
    /// Those that wait, by family, the oldest first.
    waiting: [Ends; 2],
    /// Those that may leave, in order.
    ready: Ends,
    /// Places in the lists of each source.
    by_source: Order,
    sources: Vec<Source>,
    /// Most blocks of one source.
    share: u32,
    /// How long each family's wait, ticks.
    times: [u32; 2],
}

/// One datagram.
#[derive(Clone, Copy, Debug)]
struct Slot {
    key: DatagramKey,
    whose: Whose,
    /// The next slot with the same hash.
    chain: u32,
    /// When it is given up.
    until: Tick,
    /// What its fragments hold, `None` for none.
    pieces: Option<Pieces>,
    /// Why it is in the queue of those that may leave; `None` while it waits.
    ready: Option<Ready>,
}

/// The fragments of a datagram.
#[derive(Clone, Copy, Debug)]
struct Pieces {
    /// First and last by their offset.
    first: u32,
    last: u32,
    count: u16,
    /// Where the datagram's data ends: known once its last fragment came, and
    /// no less than `least_end`.
    end: Option<u32>,
    least_end: u32,
    /// Bytes of data so far.
    data: u32,
    /// The longest fragment, bytes of the IP packet; and the longest with DF.
    longest: u32,
    longest_df: u32,
    /// A bit for each congestion mark seen.
    ecn: u8,
}

/// What one source, or several with the same hash, hold.
#[derive(Clone, Copy, Debug)]
struct Source {
    blocks: u32,
    datagrams: Ends,
}

impl Datagrams {
    /// None, with room as `limits` say for one of so many shards.
    pub(crate) fn new(seed: Seed, limits: &FragmentLimits, shards: u8) -> Self {
        let memory = limits.memory / usize::from(shards.max(1));
        let blocks = (memory / blocks::BLOCK).max(LEAST_BLOCKS);
        let slots = blocks;
        let mut datagrams = Self {
            seed,
            blocks: Blocks::new(blocks),
            pieces: alloc::vec![Piece::NONE; blocks],
            slots: alloc::vec![Slot::NONE; slots],
            buckets: alloc::vec![NONE; slots.next_power_of_two()],
            spare: NONE,
            order: Order::new(slots),
            waiting: [Ends::EMPTY; 2],
            ready: Ends::EMPTY,
            by_source: Order::new(slots),
            sources: alloc::vec![Source::NONE; SOURCES],
            share: (blocks / 4) as u32,
            times: [ticks(limits.ipv4_time), ticks(limits.ipv6_time)],
        };
        for (slot, number) in datagrams.slots.iter_mut().zip(0..) {
            slot.chain = datagrams.spare;
            datagrams.spare = number;
        }
        datagrams
    }

    /// Whose a datagram is, if anything is known of it.
    pub(crate) fn whose(&self, now: Instant, key: &DatagramKey) -> Option<Whose> {
        let slot = self.slot(self.find(key)?)?;
        let counts = slot.ready.is_some() || now.tick().until(slot.until) > 0;
        counts.then_some(slot.whose)
    }

    /// Takes note of whose a datagram is. If it is the host's, what was held of
    /// it becomes ready.
    pub(crate) fn tell(
        &mut self,
        now: Instant,
        key: &DatagramKey,
        whose: Whose,
        stats: &mut Stats,
    ) {
        if whose != Whose::Hosts {
            self.begin_anew(key);
        }
        let Some(at) = self.find_or_begin(now, key, stats) else {
            return;
        };
        let Some(slot) = self.slots.get_mut(at as usize) else {
            return;
        };
        slot.whose = whose;
        if whose == Whose::Hosts && slot.pieces.is_some() && slot.ready.is_none() {
            self.make_ready(at, Ready::Hosts);
        }
    }

    /// Keeps a fragment, whose frame's bytes are `parts`, with its datagram.
    ///
    /// *Errors:* why it is not kept. The datagram is given up too where the
    /// fragment contradicts it, or where there is no memory but the datagram's.
    pub(crate) fn hold(
        &mut self,
        now: Instant,
        fragment: &Fragment,
        (ingress, parts): (Port, &[&[u8]]),
        stats: &mut Stats,
    ) -> Result<(), DropReason> {
        let key = &fragment.datagram;
        let at = self
            .find_or_begin(now, key, stats)
            .ok_or(DropReason::FragmentMemory)?;
        let found = self
            .slot(at)
            .and_then(|slot| slot.pieces)
            .unwrap_or(Pieces::NONE);
        let place = match self.place(&found, fragment) {
            Ok(place) => place,
            Err(DropReason::FragmentOverlap) => {
                self.give_up(at, DropReason::FragmentOverlap, stats);
                return Err(DropReason::FragmentOverlap);
            }
            Err(reason) => return Err(reason),
        };
        let length = fragment.frame as usize;
        self.make_room(at, Blocks::needed(length), stats)?;
        let first = self
            .blocks
            .store(parts, length)
            .ok_or(DropReason::FragmentMemory)?;
        let piece = Piece::of(fragment, ingress, first);
        let pieces = self.insert(found, piece, place);
        let bucket = self.source_of(key);
        if let Some(source) = self.sources.get_mut(bucket) {
            source.blocks += Blocks::needed(length);
        }
        if let Some(slot) = self.slots.get_mut(at as usize) {
            slot.pieces = Some(pieces);
        }
        if pieces.end == Some(pieces.data) {
            self.make_ready(at, Ready::Whole);
        }
        Ok(())
    }

    /// The first datagram that may leave, and why.
    pub(crate) fn first_ready(&self) -> Option<(u32, Ready)> {
        let first = self.ready.first;
        Some((first, self.slot(first)?.ready?))
    }

    /// Whether there is one.
    pub(crate) const fn is_ready(&self) -> bool {
        self.ready.first != NONE
    }

    /// Forgets the fragments of a datagram that has left, and returns how many
    /// they were; and all of it, unless it is the host's, which more fragments
    /// may come for.
    pub(crate) fn finish(&mut self, at: u32) -> u16 {
        let Some(slot) = self.slots.get_mut(at as usize) else {
            return 0;
        };
        let is_hosts = slot.ready.take() == Some(Ready::Hosts) && slot.whose == Whose::Hosts;
        let (key, family) = (slot.key, family(&slot.key));
        self.order.remove(&mut self.ready, at);
        let count = self.free_pieces(at, &key);
        if is_hosts {
            // Behind younger ones, so it may be kept for longer than its time;
            // nobody is told so.
            if let Some(waiting) = self.waiting.get_mut(family) {
                self.order.push(waiting, at);
            }
            let source = self.source_of(&key);
            if let Some(source) = self.sources.get_mut(source) {
                self.by_source.push(&mut source.datagrams, at);
            }
        } else {
            self.free_slot(at);
        }
        count
    }

    /// How many fragments of one are held.
    pub(crate) fn count_of(&self, at: u32) -> u16 {
        let pieces = self.slot(at).and_then(|slot| slot.pieces);
        pieces.map_or(0, |pieces| pieces.count)
    }

    /// How many fragments are held.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        let counts = self.slots.iter().filter_map(|slot| slot.pieces);
        counts.map(|pieces| usize::from(pieces.count)).sum()
    }

    fn slot(&self, at: u32) -> Option<&Slot> {
        self.slots.get(at as usize)
    }

    /// The slot of a datagram that waits.
    fn find(&self, key: &DatagramKey) -> Option<u32> {
        let mut at = *self.buckets.get(self.bucket(key))?;
        while let Some(slot) = self.slot(at) {
            if slot.key == *key {
                return Some(at);
            }
            at = slot.chain;
        }
        None
    }

    /// Has the host's datagram of this key, whose fragments have not left yet,
    /// be found no more: its number has been used again.
    fn begin_anew(&mut self, key: &DatagramKey) {
        let Some(at) = self.find(key) else {
            return;
        };
        let slot = self.slots.get_mut(at as usize);
        if let Some(slot) = slot.filter(|slot| slot.ready.is_some()) {
            slot.whose = Whose::Unknown;
            self.leave_chain(at, key);
        }
    }

    /// The same, or a new one; `None` when there is neither.
    fn find_or_begin(&mut self, now: Instant, key: &DatagramKey, stats: &mut Stats) -> Option<u32> {
        if let Some(at) = self.find(key) {
            let slot = self.slot(at)?;
            if now.tick().until(slot.until) > 0 || slot.ready.is_some() {
                return Some(at);
            }
            self.give_up(at, DropReason::FragmentTimeout, stats);
        }
        if self.spare == NONE {
            let oldest = self.oldest()?;
            self.give_up(oldest, DropReason::FragmentMemory, stats);
        }
        let (at, bucket, source) = (self.spare, self.bucket(key), self.source_of(key));
        let family = family(key);
        let head = self.buckets.get_mut(bucket)?;
        let slot = self.slots.get_mut(at as usize)?;
        self.spare = slot.chain;
        *slot = Slot {
            key: *key,
            chain: core::mem::replace(head, at),
            until: now.tick().after(*self.times.get(family)?),
            ..Slot::NONE
        };
        self.order.push(self.waiting.get_mut(family)?, at);
        let source = self.sources.get_mut(source)?;
        self.by_source.push(&mut source.datagrams, at);
        Some(at)
    }

    /// Moves a datagram that waits to those that may leave. It is found no more,
    /// unless it is the host's.
    fn make_ready(&mut self, at: u32, why: Ready) {
        let Some(slot) = self.slots.get_mut(at as usize) else {
            return;
        };
        slot.ready = Some(why);
        let (key, family) = (slot.key, family(&slot.key));
        if let Some(waiting) = self.waiting.get_mut(family) {
            self.order.remove(waiting, at);
        }
        self.order.push(&mut self.ready, at);
        self.leave_source(at, &key);
        if why != Ready::Hosts {
            self.leave_chain(at, &key);
        }
    }

    fn leave_source(&mut self, at: u32, key: &DatagramKey) {
        let source = self.source_of(key);
        if let Some(source) = self.sources.get_mut(source) {
            self.by_source.remove(&mut source.datagrams, at);
        }
    }

    fn leave_chain(&mut self, at: u32, key: &DatagramKey) {
        let bucket = self.bucket(key);
        let Some(next) = self.slot(at).map(|slot| slot.chain) else {
            return;
        };
        let mut link = self.buckets.get_mut(bucket);
        while let Some(place) = link {
            if *place == at {
                *place = next;
                return;
            }
            let behind = *place as usize;
            link = self.slots.get_mut(behind).map(|slot| &mut slot.chain);
        }
    }

    /// Frees the fragments of a datagram and returns how many they were.
    fn free_pieces(&mut self, at: u32, key: &DatagramKey) -> u16 {
        let slot = self.slots.get_mut(at as usize);
        let Some(pieces) = slot.and_then(|slot| slot.pieces.take()) else {
            return 0;
        };
        let (mut piece, mut freed) = (pieces.first, 0);
        while let Some(next) = self.pieces.get(piece as usize).map(|piece| piece.next) {
            freed += self.blocks.release(piece);
            piece = next;
        }
        let source = self.source_of(key);
        if let Some(source) = self.sources.get_mut(source) {
            source.blocks = source.blocks.saturating_sub(freed);
        }
        pieces.count
    }

    fn free_slot(&mut self, at: u32) {
        if let Some(slot) = self.slots.get_mut(at as usize) {
            *slot = Slot {
                chain: self.spare,
                ..Slot::NONE
            };
            self.spare = at;
        }
    }

    fn bucket(&self, key: &DatagramKey) -> usize {
        key.hash(self.seed) as usize & (self.buckets.len() - 1)
    }

    fn source_of(&self, key: &DatagramKey) -> usize {
        hash_end(key.addresses.source(), 0, self.seed) as usize % SOURCES
    }
}

impl Slot {
    const NONE: Self = Self {
        key: DatagramKey::NONE,
        whose: Whose::Unknown,
        chain: NONE,
        until: Tick(0),
        pieces: None,
        ready: None,
    };
}

impl Source {
    const NONE: Self = Self {
        blocks: 0,
        datagrams: Ends::EMPTY,
    };
}

/// The place of a datagram's family in arrays.
const fn family(key: &DatagramKey) -> usize {
    if key.is_ipv4() { 0 } else { 1 }
}

/// No block, piece or slot.
const NONE: u32 = u32::MAX;
/// What four of the longest datagrams take in fragments of 1500 bytes.
const LEAST_BLOCKS: usize = 192;
/// Lists of sources, by hash.
const SOURCES: usize = 1024;

#[cfg(test)]
mod tests;
