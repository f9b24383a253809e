//! A worker's counters, as the rest of the program sees them.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam::utils::CachePadded;
use lvs_core::{Shard, Snapshot, Stats};

use super::counters::WorkerCounters;
use super::latency::LatencyBoard;

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

/// How far a worker has got with putting its shard's numbers on the board.
///
/// A director may have a hundred thousand real servers, and to put all their numbers
/// there takes a millisecond: it is done some at a time, between packets.
#[derive(Debug)]
pub(super) struct Publication {
    /// The real server to go on with.
    next: usize,
    /// How many real servers have had a number.
    until: usize,
    /// What the shard had adopted when this began.
    generation: u64,
}

impl Publication {
    pub(super) fn begin(shard: &Shard<'_>) -> Self {
        Self {
            next: 0,
            until: shard.snapshot().real_server_numbers(),
            generation: shard.adopted(),
        }
    }
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

    /// Puts the worker's numbers on the board.
    pub(super) fn publish(&self, worker: &WorkerCounters) {
        for (cell, number) in self.worker.iter().zip(worker.numbers()) {
            cell.store(number, Ordering::Relaxed);
        }
    }

    /// Puts the next of its shard's numbers there; what is left to do.
    pub(super) fn publish_some(&self, stats: &Stats, at: Publication) -> Option<Publication> {
        let until = (at.next + AT_ONCE).min(at.until);
        let (common, traffic) = self.shard.split_at(Stats::COMMON);
        let store = |(cell, number): (&AtomicU64, u64)| cell.store(number, Ordering::Relaxed);
        common.iter().zip(stats.common_numbers()).for_each(store);
        let traffic = traffic.iter().skip(at.next * Stats::PER_REAL_SERVER);
        traffic
            .zip(stats.numbers_of(at.next..until))
            .for_each(store);
        if until < at.until {
            return Some(Publication { next: until, ..at });
        }
        self.generation.store(at.generation, Ordering::Release);
        None
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

/// Real servers whose numbers are put on the board at once: a few microseconds.
const AT_ONCE: usize = 256;

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

    /// All of it, by a worker that works by `snapshot`.
    fn publish(board: &Board, counters: &WorkerCounters, stats: &Stats, snapshot: &Snapshot) {
        board.publish(counters);
        let mut left = Some(Publication {
            next: 0,
            until: snapshot.real_server_numbers(),
            generation: snapshot.generation(),
        });
        while let Some(publication) = left {
            left = board.publish_some(stats, publication);
        }
    }

    /// Every number another one.
    fn counted(real_servers: usize) -> Stats {
        let mut stats = Stats::new(real_servers);
        for (n, number) in (1u64..).zip(stats.numbers_mut()) {
            *number = n;
        }
        stats
    }

    #[test]
    fn what_is_published_reads_back() {
        let (stats, [snapshot, removed, _]) = (counted(2), snapshots());
        let board = Board::new(&stats);
        let counters = WorkerCounters {
            turns: 7,
            connections: 9,
            ..WorkerCounters::default()
        };
        publish(&board, &counters, &stats, &snapshot);
        for in_force in [&snapshot, &removed] {
            let mut read = Stats::new(2);
            assert_eq!(board.read(&mut read, in_force), counters);
            assert_eq!(read, stats);
        }
    }

    #[test]
    fn numbers_of_a_real_server_are_not_those_of_one_before() {
        let (stats, [before, removed, again]) = (counted(2), snapshots());
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
            publish(&board, &counters, &stats, by);
            assert_eq!(read(), forgotten);
        }
        publish(&board, &counters, &stats, &again);
        assert_eq!(read(), stats);
    }

    #[test]
    fn many_numbers_are_published_some_at_a_time() {
        let many = 3 * AT_ONCE + 1;
        let (stats, [snapshot, ..]) = (counted(many), snapshots());
        let board = Board::new(&stats);
        let mut left = Some(Publication {
            next: 0,
            until: many,
            generation: 7,
        });
        for begun in 1..=4 {
            assert_eq!(board.generation(), 0, "not all are there");
            left = board.publish_some(&stats, left.unwrap());
            assert_eq!(left.is_none(), begun == 4);
        }
        assert_eq!(board.generation(), 7);
        let mut read = Stats::new(many);
        board.read(&mut read, &snapshot);
        assert_eq!(read, stats);
    }
}
