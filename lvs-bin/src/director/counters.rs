//! A worker's counters, as the rest of the program sees them.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam::utils::CachePadded;
use lvs_core::{Snapshot, Stats};
use lvs_io::QueueCounters;

use super::latency::LatencyBoard;

/// Declares the counters a worker keeps besides its shard's.
macro_rules! worker_counters {
    ($($(#[doc = $doc:literal])+ $field:ident,)+) => {
        /// What a worker did besides directing; counted since it began.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct WorkerCounters {
            $($(#[doc = $doc])+ pub $field: u64,)+
        }

        impl WorkerCounters {
            const COUNT: usize = [$(stringify!($field)),+].len();

            /// Each counter with its name.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($field), self.$field)),+].into_iter()
            }

            fn numbers(&self) -> [u64; Self::COUNT] {
                [$(self.$field),+]
            }

            fn from_numbers(numbers: [u64; Self::COUNT]) -> Self {
                let [$($field),+] = numbers;
                Self { $($field),+ }
            }

            /// Adds another worker's counters to these.
            pub fn add(&mut self, other: &Self) {
                $(self.$field += other.$field;)+
            }
        }
    };
}

worker_counters! {
    /// Packets it had a verdict on, those that others handed over among them.
    packets,
    /// Turns of the main loop.
    turns,
    /// Times it slept because nothing was to do.
    sleeps,
    /// Packets for the host that were given back to it.
    given_back,
    /// Packets for the host that it refused to take back, and are lost.
    give_back_refused,
    /// Packets for the host that it has a copy of already.
    host_has_copy,
    /// Packets that the host itself sent and the director had a look at.
    heard,
    /// Of those, sent on as the host would have.
    sent_on,
    /// Packets handed to other workers.
    handed_off,
    /// Packets that came from other workers.
    taken_over,
    /// Packets lost because the worker that owns them was too far behind.
    handoff_full,
    /// Packets lost because no chunk was free to take them over.
    no_chunk,
    /// Frames sent that the shard wrote: pieces of packets that were cut, and of
    /// datagrams that came in fragments.
    pieces,
    /// Pieces lost because no chunk was free for them.
    no_chunk_for_piece,
    /// Packets lost because they could not be cut.
    not_cut,
    /// Packets lost because the port they leave by was too far behind.
    transmit_full,
    /// Packets lost because they leave by a port the worker does not have.
    no_such_port,
    /// Frames the kernel dropped because the worker did not take them in time.
    receive_ring_full,
    /// Frames the kernel dropped because the worker had no memory for them.
    fill_ring_empty,
    /// Frames the kernel or a queue refused as malformed or too long.
    invalid,
    /// System calls made to move frames.
    kicks,
    /// Of those, answered that the kernel is busy.
    kicks_busy,
    /// Of those, answered that the link is down.
    kicks_link_down,
    /// Of those, answered with another error.
    kicks_failed,
    /// Connections held at the moment.
    connections,
    /// Connections that can be held.
    capacity,
}

impl WorkerCounters {
    /// Packets lost on their way in, out and between workers, by reason; those
    /// that never happened among them.
    pub fn drops(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("give_back_refused", self.give_back_refused),
            ("handoff_full", self.handoff_full),
            ("no_chunk", self.no_chunk),
            ("no_chunk_for_piece", self.no_chunk_for_piece),
            ("not_cut", self.not_cut),
            ("transmit_full", self.transmit_full),
            ("no_such_port", self.no_such_port),
            ("receive_ring_full", self.receive_ring_full),
            ("fill_ring_empty", self.fill_ring_empty),
            ("invalid", self.invalid),
        ]
        .into_iter()
    }

    /// Takes over what the worker's queues have counted themselves.
    pub(super) fn observe(&mut self, queues: impl Iterator<Item = QueueCounters>) {
        let mut sum = QueueCounters::default();
        for queue in queues {
            sum.receive_ring_full += queue.receive_ring_full;
            sum.fill_ring_empty += queue.fill_ring_empty;
            sum.invalid += queue.invalid;
            sum.kicks += queue.kicks;
            sum.kicks_busy += queue.kicks_busy;
            sum.kicks_link_down += queue.kicks_link_down;
            sum.kicks_failed += queue.kicks_failed;
        }
        self.receive_ring_full = sum.receive_ring_full;
        self.fill_ring_empty = sum.fill_ring_empty;
        self.invalid = sum.invalid;
        self.kicks = sum.kicks;
        self.kicks_busy = sum.kicks_busy;
        self.kicks_link_down = sum.kicks_link_down;
        self.kicks_failed = sum.kicks_failed;
    }
}

/// Where a worker puts its counters, now and then, and others read them.
///
/// *Cost:* a relaxed store a number for the worker; a load a number for a
/// reader. Numbers of one reading may differ in age by one publication.
#[derive(Debug)]
pub(super) struct Board {
    worker: CachePadded<[AtomicU64; WorkerCounters::COUNT]>,
    shard: Vec<AtomicU64>,
    /// Of the snapshot by which the numbers of real servers are given.
    generation: AtomicU64,
    pub(super) latency: LatencyBoard,
}

impl Board {
    /// Zeroes, with room for the shape of `stats`.
    pub(super) fn new(stats: &Stats) -> Self {
        Self {
            worker: CachePadded::new(std::array::from_fn(|_| AtomicU64::new(0))),
            shard: stats.numbers().map(|_| AtomicU64::new(0)).collect(),
            generation: AtomicU64::new(0),
            latency: LatencyBoard::new(),
        }
    }

    /// Puts the worker's numbers on the board, and those of its shard, which works
    /// by `snapshot`.
    pub(super) fn publish(&self, worker: &WorkerCounters, stats: &Stats, snapshot: &Snapshot) {
        for (cell, number) in self.worker.iter().zip(worker.numbers()) {
            cell.store(number, Ordering::Relaxed);
        }
        let used = Stats::numbers_for(snapshot.real_server_numbers());
        for (cell, number) in self.shard.iter().zip(stats.numbers()).take(used) {
            cell.store(number, Ordering::Relaxed);
        }
        let generation = snapshot.generation();
        self.generation.store(generation, Ordering::Release);
    }

    /// Of the snapshot by which the worker worked when it put them there.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// What was put there last; nothing of real servers that got their numbers,
    /// by the snapshot in force, since then.
    pub(super) fn read(&self, stats: &mut Stats, in_force: &Snapshot) -> WorkerCounters {
        // Before the numbers: theirs are of this generation or a later one.
        let generation = self.generation();
        for (number, cell) in stats.numbers_mut().zip(&self.shard) {
            *number = cell.load(Ordering::Relaxed);
        }
        for id in in_force.numbered_since(generation) {
            stats.forget(id);
        }
        WorkerCounters::from_numbers(std::array::from_fn(|at| {
            self.worker[at].load(Ordering::Relaxed)
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lvs_core::{Config, Limits, Network, Planner, RealServer, Scheduler, Service};

    use super::*;

    /// The snapshots in force when a service with its real servers is there, has
    /// been removed, and is there again.
    fn snapshots() -> [Arc<Snapshot>; 3] {
        let service = Service::tcp("192.0.2.10:80".parse().unwrap(), Scheduler::RoundRobin)
            .real_server(RealServer::direct_route([10, 0, 0, 1].into()))
            .real_server(RealServer::direct_route([10, 0, 0, 2].into()));
        let mut planner = Planner::new(Limits::default());
        let network = Arc::new(Network::default());
        [vec![service.clone()], vec![], vec![service]].map(|services| {
            let config = Config::new(services).unwrap();
            planner.plan(&config, &network).unwrap()
        })
    }

    /// Every number another one.
    fn counted() -> Stats {
        let mut stats = Stats::new(2);
        for (n, number) in (1u64..).zip(stats.numbers_mut()) {
            *number = n;
        }
        stats
    }

    #[test]
    fn what_is_published_reads_back() {
        let (stats, [snapshot, removed, _]) = (counted(), snapshots());
        let board = Board::new(&stats);
        let counters = WorkerCounters {
            turns: 7,
            connections: 9,
            ..WorkerCounters::default()
        };
        board.publish(&counters, &stats, &snapshot);
        for in_force in [&snapshot, &removed] {
            let mut read = Stats::new(2);
            assert_eq!(board.read(&mut read, in_force), counters);
            assert_eq!(read, stats);
        }
    }

    #[test]
    fn numbers_of_a_real_server_are_not_those_of_one_before() {
        let (stats, [before, removed, again]) = (counted(), snapshots());
        let board = Board::new(&stats);
        let counters = WorkerCounters::default();
        let read = || {
            let mut read = Stats::new(2);
            board.read(&mut read, &again);
            read
        };
        let mut forgotten = stats.clone();
        again
            .numbered_since(before.generation())
            .for_each(|id| forgotten.forget(id));
        assert_ne!(forgotten, stats);
        // Until the worker has taken the last snapshot up, what it counts is of
        // those before.
        for by in [&before, &removed] {
            board.publish(&counters, &stats, by);
            assert_eq!(read(), forgotten);
        }
        board.publish(&counters, &stats, &again);
        assert_eq!(read(), stats);
    }
}
