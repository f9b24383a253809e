//! One core's share of a director: its connections, its schedulers, its counters.

mod answers;
mod backup;
mod bypass;
mod claims;
mod cut;
mod decide;
mod defence;
mod gone;
mod hold;
mod icmp_error;
mod list;
mod local;
mod observe;
mod persist;
mod release;
mod schedule;
mod schedulers;
mod way;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;
use core::hint::black_box;
use core::marker::PhantomData;

use crate::conn::{ConnTable, Line, lines_for};
use crate::datagram::{Datagrams, SCRATCH};
use crate::packet::{Packet, PacketBuf, Seed};
use crate::plan::Limits;
use crate::snapshot::{ShardId, Snapshot};
use crate::stats::Stats;
use crate::time::Instant;
use crate::verdict::{DropReason, Verdict};
use answers::AnswerBudget;
use decide::Step;
use defence::Defence;
pub use list::Connection;
use observe::uncount;
use release::Leaving;
pub use release::Released;
use schedulers::Schedulers;

/// One core's share of a director.
///
/// Packets and time go in, verdicts come out; nothing else is read or written.
/// It may be moved to a thread but never shared between two, so there is
/// nothing to lock.
///
/// ```text
///  packets ──> parse all ──> load all buckets ──> glance at them ──> at all
///  entries ──> each: find its connection, or schedule one; forward; verdict
/// ```
#[derive(Debug)]
pub struct Shard<'m> {
    id: ShardId,
    seed: u64,
    table: ConnTable<'m>,
    snapshot: Arc<Snapshot>,
    schedulers: Schedulers,
    stats: Stats,
    answers: AnswerBudget,
    outer_id: Cell<u16>,
    /// How many packets were cut into IPv6 fragments.
    cuts: u32,
    datagrams: Datagrams,
    /// The datagram whose pieces are leaving, laid into `scratch`.
    leaving: Option<Leaving>,
    scratch: Vec<u8>,
    defence: Defence,
    /// The entry to go on with in a sweep for connections of removed real servers.
    sweep: Option<u32>,
    /// What the passes of a batch hand to one another. Kept, so that no batch
    /// begins with making it.
    ahead: [Ahead; BATCH],
    /// Makes the type not `Sync`.
    not_shared: PhantomData<Cell<()>>,
}

/// The memory given to a shard does not hold a single connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLittleMemory {
    /// Lines needed for one connection.
    pub least: usize,
}

impl fmt::Display for TooLittleMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a shard needs at least {} lines of memory", self.least)
    }
}

impl core::error::Error for TooLittleMemory {}

impl<'m> Shard<'m> {
    /// A shard with no connections, its table in `memory`, which must be zero.
    ///
    /// `limits` are those of the planner that made `snapshot`.
    ///
    /// *Units:* [`Line`]s of 64 bytes; [`memory_for`](Self::memory_for) says how many.
    /// *Errors:* [`TooLittleMemory`]. *Cost:* the only place a shard allocates: its share of the
    /// memory for fragments, 64 KiB to put a datagram together,
    /// and a line for each service and real server of `limits`.
    pub fn new(
        id: ShardId,
        memory: &'m mut [Line],
        limits: &Limits,
        snapshot: Arc<Snapshot>,
    ) -> Result<Self, TooLittleMemory> {
        // Each shard hashes by another seed, so that no set of flows is bad for all.
        let seed = limits.seed ^ (u64::from(id.0) << 56);
        let table = ConnTable::new(memory, Seed::new(seed)).ok_or(TooLittleMemory {
            least: lines_for(1),
        })?;
        Ok(Self {
            id,
            seed,
            table,
            schedulers: Schedulers::new(id, seed, limits.services, &snapshot),
            stats: Stats::new(limits.real_servers),
            answers: AnswerBudget::default(),
            // Shards begin apart, as they share the paths their tunnels take.
            outer_id: Cell::new(u16::from(id.0) << 8),
            cuts: 0,
            datagrams: Datagrams::new(Seed::new(seed), &limits.fragments, limits.shards),
            leaving: None,
            scratch: alloc::vec![0; SCRATCH],
            defence: Defence::new(limits.seed ^ u64::from(id.0)),
            sweep: None,
            ahead: [Ahead::NOTHING; BATCH],
            snapshot,
            not_shared: PhantomData,
        })
    }

    /// Lines of memory for a table of so many connections: 128 bytes each, and
    /// 32 to 64 for the index.
    #[must_use]
    pub const fn memory_for(connections: usize) -> usize {
        lines_for(connections)
    }

    /// Decides what becomes of each packet, in order, and rewrites those that
    /// are sent on. `verdicts` gets one for each; the shorter of the two slices
    /// says how many are looked at.
    ///
    /// *Cost:* see `benches/`. Never allocates, blocks or panics.
    pub fn process(
        &mut self,
        now: Instant,
        packets: &mut [PacketBuf<'_>],
        verdicts: &mut [Verdict],
    ) {
        let count = packets.len().min(verdicts.len());
        let packets = packets[..count].chunks_mut(BATCH);
        for (packets, verdicts) in packets.zip(verdicts[..count].chunks_mut(BATCH)) {
            self.look_ahead(packets);
            let (mut step, ahead) = self.step(now);
            for ((ahead, buf), verdict) in ahead.iter().zip(packets).zip(verdicts) {
                *verdict = match ahead.read {
                    Ok(()) => step.decide(buf, &ahead.packet, ahead.hash, ahead.guess),
                    Err(verdict) => verdict,
                };
                step.stats.count(*verdict);
            }
        }
    }

    /// Parses a batch, and asks memory for all that its packets need before any
    /// of them waits for it.
    fn look_ahead(&mut self, packets: &mut [PacketBuf<'_>]) {
        let ahead = &mut self.ahead[..packets.len()];
        let network = &*self.snapshot.network;
        for (ahead, buf) in ahead.iter_mut().zip(packets) {
            let interface = network.interface(buf.ingress());
            ahead.read = ahead
                .packet
                .read(buf, interface.map(|interface| &interface.mac));
            ahead.hash = self.table.hash(&ahead.packet.flow);
        }
        // Passes of loads that do not wait for each other: by the time a packet
        // is decided on, its bucket and its entry are in the cache.
        let touched = ahead
            .iter()
            .fold(0, |touched, ahead| touched ^ self.table.touch(ahead.hash));
        // Nobody asks for it, but without this nothing would be loaded.
        black_box(touched);
        for ahead in &mut *ahead {
            ahead.guess = self.table.glance(ahead.hash);
        }
        for ahead in ahead.iter_mut().filter(|ahead| ahead.guess.is_none()) {
            ahead.guess = self.table.second_glance(ahead.hash);
        }
        for ahead in ahead {
            ahead.guess = ahead
                .guess
                .filter(|entry| self.table.peek(*entry, &ahead.packet.flow));
        }
    }

    /// Works by `snapshot` from now on and returns the one before.
    ///
    /// Connections stay as they are: they keep the number of their real server.
    ///
    /// *Cost:* some tenth of a microsecond a service. Whoever has thousands, and
    /// packets that should not wait for so long, begins with
    /// [`begin_adoption`](Self::begin_adoption).
    pub fn adopt(&mut self, snapshot: Arc<Snapshot>) -> Arc<Snapshot> {
        let old = self.snapshot.clone();
        self.begin_adoption(snapshot);
        self.complete_adoption();
        old
    }

    /// Works by `snapshot` from now on: services are found and packets forwarded as
    /// it says. What schedulers remember, and counters of real servers that are
    /// new, go over to it with [`continue_adoption`](Self::continue_adoption), or
    /// when a service is asked.
    ///
    /// An adoption under way is completed first.
    ///
    /// *Cost:* none but that.
    pub fn begin_adoption(&mut self, snapshot: Arc<Snapshot>) {
        self.complete_adoption();
        if snapshot.lets_go {
            self.sweep = Some(0);
        }
        let old = core::mem::replace(&mut self.snapshot, snapshot);
        self.schedulers.begin(old);
    }

    /// Goes on with the adoption under way; the snapshot before, once it is
    /// complete. That may be the last one to hold it, and freeing it takes time.
    ///
    /// *Units:* `budget` is services and real servers together; at least one
    /// service is gone over to. *Cost:* in proportion; it never allocates.
    pub fn continue_adoption(&mut self, budget: u32) -> Option<Arc<Snapshot>> {
        self.schedulers
            .adopt(&self.snapshot, &mut self.stats, budget)
    }

    fn complete_adoption(&mut self) {
        while self.is_adopting() {
            self.continue_adoption(u32::MAX);
        }
    }

    /// Whether an adoption is under way.
    #[must_use]
    pub const fn is_adopting(&self) -> bool {
        self.schedulers.is_adopting()
    }

    /// The generation of the last snapshot that is adopted in full: of it, or of
    /// the one that is being adopted, are the counters of real servers.
    #[must_use]
    pub fn adopted(&self) -> u64 {
        let last = self.schedulers.old().unwrap_or(&self.snapshot);
        last.generation
    }

    /// Ends connections whose time has come, in at most `budget` steps, and
    /// returns how many. Those a defence gives up (`drop_entry`), or whose real
    /// server is gone (`expire_nodest_conn`), end here too, each in as many steps
    /// again, and are not among them.
    pub fn expire(&mut self, now: Instant, budget: u32) -> usize {
        let (loads, mut closed) = (&self.snapshot.loads, 0);
        let ended = self.table.expire(now.tick(), budget, |entry| {
            closed += u64::from(uncount(loads, entry));
        });
        self.stats.closed += closed;
        self.datagrams.expire(now, budget, &mut self.stats);
        self.defend(now, budget);
        if let Some(next) = self.sweep {
            let (mut step, _) = self.step(now);
            self.sweep = step.sweep(next, budget);
        }
        ended
    }

    /// Whether [`expire`](Self::expire) stopped for want of budget: its caller
    /// should come back soon.
    ///
    /// *Cost:* a comparison.
    #[must_use]
    pub const fn is_expiry_due(&self, now: Instant) -> bool {
        self.table.is_expiry_due(now.tick())
    }

    /// What it has done so far.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The snapshot it works by.
    #[must_use]
    pub const fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// How many connections it holds.
    #[must_use]
    pub const fn connections(&self) -> usize {
        self.table.len()
    }

    /// How many connections it can hold.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.table.capacity()
    }

    /// What deciding on packets takes, and what was seen of them ahead.
    fn step(&mut self, now: Instant) -> (Step<'_, 'm>, &[Ahead; BATCH]) {
        let step = Step {
            now,
            id: self.id,
            table: &mut self.table,
            snapshot: &self.snapshot,
            schedulers: &mut self.schedulers,
            stats: &mut self.stats,
            answers: &mut self.answers,
            outer_id: &self.outer_id,
            defence: &mut self.defence,
        };
        (step, &self.ahead)
    }
}

/// A packet on its way through the passes of a batch.
#[derive(Clone, Copy, Debug)]
struct Ahead {
    packet: Packet,
    /// Whether there is a packet at all, or else what becomes of the frame.
    read: Result<(), Verdict>,
    hash: u64,
    guess: Option<u32>,
}

impl Ahead {
    const NOTHING: Self = Self {
        packet: Packet::NONE,
        read: Err(Verdict::Drop(DropReason::Truncated)),
        hash: 0,
        guess: None,
    };
}

/// Packets looked at together. Enough loads in flight to hide the memory
/// behind a million connections, few enough that what was fetched is still in
/// the first-level cache when its turn comes; see `benches/`.
const BATCH: usize = 32;
