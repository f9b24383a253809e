//! Snapshots to a worker, and retired ones back.
//!
//! ```text
//!  Publisher ──> [ snapshots ] ──> Inbox      the worker adopts between turns
//!            <── [  retired  ] <──            and never frees anything itself
//! ```

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam::queue::ArrayQueue;
use lvs_core::Snapshot;

/// The control side's end.
#[derive(Debug)]
pub(super) struct Publisher {
    channel: Arc<Channel>,
    /// Snapshots given and not yet come back; the worker holds one of them.
    outstanding: usize,
}

/// A worker's end.
#[derive(Debug)]
pub(super) struct Inbox {
    channel: Arc<Channel>,
}

#[derive(Debug)]
struct Channel {
    snapshots: ArrayQueue<Arc<Snapshot>>,
    retired: ArrayQueue<Arc<Snapshot>>,
}

/// The two ends of a mailbox whose worker already holds one snapshot.
pub(super) fn mailbox() -> (Publisher, Inbox) {
    let channel = Arc::new(Channel {
        snapshots: ArrayQueue::new(DEPTH),
        retired: ArrayQueue::new(DEPTH),
    });
    let inbox = Inbox {
        channel: channel.clone(),
    };
    (
        Publisher {
            channel,
            outstanding: 1,
        },
        inbox,
    )
}

impl Publisher {
    /// Waits until another snapshot has room: it does while the worker is more
    /// than a few behind. `false` after a second: it is stuck or has ended.
    ///
    /// The room stays until [`publish`](Self::publish) takes it, so that a
    /// snapshot is given to all workers or to none.
    pub(super) fn await_room(&mut self) -> bool {
        let give_up = Instant::now() + PATIENCE;
        loop {
            self.collect();
            // Whatever is outstanding must fit into `retired` one day.
            if self.outstanding < DEPTH {
                return true;
            }
            if Instant::now() > give_up {
                return false;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Gives the worker another snapshot, for which
    /// [`await_room`](Self::await_room) has found room; every one is delivered,
    /// in order.
    pub(super) fn publish(&mut self, snapshot: &Arc<Snapshot>) {
        let given = self.channel.snapshots.push(snapshot.clone());
        debug_assert!(given.is_ok(), "room was waited for");
        self.outstanding += usize::from(given.is_ok());
    }

    /// Frees what the worker has retired.
    pub(super) fn collect(&mut self) {
        while self.channel.retired.pop().is_some() {
            self.outstanding -= 1;
        }
    }
}

impl Inbox {
    /// The next snapshot, if there is one.
    ///
    /// *Cost:* two loads when there is none.
    pub(super) fn deliver(&self) -> Option<Arc<Snapshot>> {
        if self.channel.snapshots.is_empty() {
            None
        } else {
            self.channel.snapshots.pop()
        }
    }

    /// Whether nothing waits here.
    pub(super) fn is_empty(&self) -> bool {
        self.channel.snapshots.is_empty()
    }

    /// Sends a snapshot no longer in use back to be freed.
    pub(super) fn retire(&self, snapshot: Arc<Snapshot>) {
        if let Err(snapshot) = self.channel.retired.push(snapshot) {
            // The publisher keeps room for all it gave out; freeing here is the
            // harmless answer to a mistake there.
            debug_assert!(false, "a retired snapshot found no room");
            drop(snapshot);
        }
    }
}

/// Snapshots on their way to one worker. Each is a configuration change or a
/// change of neighbours; a worker adopts them within a turn.
const DEPTH: usize = 32;
/// How long a worker may take to adopt one before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use lvs_core::{Config, Limits, Network, Planner};

    #[test]
    fn every_snapshot_arrives_in_order_and_comes_back() {
        let mut planner = Planner::new(Limits::default());
        let (config, network) = (Config::new([]).unwrap(), Arc::new(Network::default()));
        let mut held = planner.plan(&config, &network).unwrap();
        let (mut publisher, inbox) = mailbox();
        for _ in 0..5 {
            for _ in 0..20 {
                let snapshot = planner.plan(&config, &network).unwrap();
                assert!(publisher.await_room());
                publisher.publish(&snapshot);
            }
            assert!(!inbox.is_empty());
            while let Some(next) = inbox.deliver() {
                assert_eq!(next.generation(), held.generation() + 1);
                inbox.retire(std::mem::replace(&mut held, next));
            }
            assert!(inbox.is_empty());
        }
        publisher.collect();
        assert_eq!(publisher.outstanding, 1);
    }

    #[test]
    fn a_stuck_worker_is_noticed() {
        let mut planner = Planner::new(Limits::default());
        let (config, network) = (Config::new([]).unwrap(), Arc::new(Network::default()));
        let snapshot = planner.plan(&config, &network).unwrap();
        let (mut publisher, _inbox) = mailbox();
        let given = (0..2 * DEPTH)
            .take_while(|_| {
                let room = publisher.await_room();
                if room {
                    publisher.publish(&snapshot);
                }
                room
            })
            .count();
        assert_eq!(given, DEPTH - 1);
    }
}
