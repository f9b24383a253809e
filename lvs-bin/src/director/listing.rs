//! The connections of a worker, page by page, while it directs.
//!
//! ```text
//!  Reader ──> [ asked  ] ──> Lister      an empty page, made by who asks for it
//!         <── [ filled ] <──             fills some places of it a turn
//! ```
//!
//! The worker makes and frees no page: what a reader that gave up does not take,
//! the next one finds and throws away, by its ticket.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant as Clock};

use crossbeam::queue::ArrayQueue;
use lvs_core::{Instant, Shard};

use super::connections::ConnectionPage;
use super::doorbell::Doorbell;

/// The end of those who ask, one at a time.
#[derive(Debug)]
pub(super) struct Reader {
    channel: Arc<Channel>,
    bell: Arc<Doorbell>,
    /// Counts up with each page asked for.
    ticket: u64,
}

/// A worker's end.
#[derive(Debug)]
pub(super) struct Lister {
    channel: Arc<Channel>,
    at_hand: Option<Sheet>,
}

#[derive(Debug)]
struct Channel {
    asked: ArrayQueue<Sheet>,
    filled: ArrayQueue<Sheet>,
}

/// A page on its way there and back.
#[derive(Debug)]
struct Sheet {
    ticket: u64,
    /// Places of the table that are still to be looked at for it.
    places: usize,
    /// Its `next` is the place to go on with, also while it is being filled.
    page: ConnectionPage,
}

/// The two ends for a worker that is woken by `bell`.
pub(super) fn listing(bell: Arc<Doorbell>) -> (Reader, Lister) {
    let channel = Arc::new(Channel {
        asked: ArrayQueue::new(1),
        filled: ArrayQueue::new(1),
    });
    let lister = Lister {
        channel: channel.clone(),
        at_hand: None,
    };
    (
        Reader {
            channel,
            bell,
            ticket: 0,
        },
        lister,
    )
}

impl Reader {
    /// The page that begins at the place `from`; `None` if the worker has not
    /// filled it after `patience`.
    pub(super) fn read(&mut self, from: usize, patience: Duration) -> Option<ConnectionPage> {
        let give_up = Clock::now() + patience;
        self.ask(from);
        loop {
            let page = self.take();
            if page.is_some() || Clock::now() > give_up {
                return page;
            }
            thread::sleep(BETWEEN);
        }
    }

    /// Asks for the page that begins at the place `from`, and for no other that
    /// the worker has not begun with.
    fn ask(&mut self, from: usize) {
        self.ticket += 1;
        let sheet = Sheet {
            ticket: self.ticket,
            places: PAGE,
            page: ConnectionPage {
                connections: Vec::with_capacity(PAGE),
                next: Some(from),
            },
        };
        // What it displaces is freed here.
        self.channel.asked.force_push(sheet);
        self.bell.ring();
    }

    /// The page asked for last, once it is filled.
    fn take(&self) -> Option<ConnectionPage> {
        let sheet = self.channel.filled.pop()?;
        if sheet.ticket == self.ticket {
            return Some(sheet.page);
        }
        // Of a reader that gave up. Now there is room for the next, which the
        // worker may have gone to sleep with.
        self.bell.ring();
        None
    }
}

impl Lister {
    /// Fills a part of the page that was asked for, if one was; whether it did.
    ///
    /// Never allocates, frees or blocks. *Cost:* two loads when no page was asked
    /// for.
    pub(super) fn turn(&mut self, shard: &Shard<'_>, now: Instant) -> bool {
        if self.at_hand.is_none() && !self.channel.asked.is_empty() {
            self.at_hand = self.channel.asked.pop();
        }
        let Some(sheet) = &mut self.at_hand else {
            return false;
        };
        let busy = !sheet.is_filled();
        sheet.fill(shard, now);
        if sheet.is_filled() {
            self.hand_over();
        }
        busy
    }

    /// Whether nothing waits here.
    pub(super) fn is_empty(&self) -> bool {
        self.channel.asked.is_empty()
    }

    /// Hands the page at hand over, or keeps it as long as the one before has not
    /// been taken.
    fn hand_over(&mut self) {
        if let Some(sheet) = self.at_hand.take() {
            self.at_hand = self.channel.filled.push(sheet).err();
        }
    }
}

impl Sheet {
    /// Fills in the connections of some more places.
    fn fill(&mut self, shard: &Shard<'_>, now: Instant) {
        let Some(from) = self.page.next else {
            return;
        };
        let most = self.places.min(PLACES);
        let (connections, next) = shard.list_from(now, from, most);
        // There is room for one from each place.
        for connection in connections {
            self.page.connections.push(connection);
        }
        self.places -= most;
        self.page.next = next;
    }

    const fn is_filled(&self) -> bool {
        self.places == 0 || self.page.next.is_none()
    }
}

/// Places of a table that a page has the connections of: 90 KB, were all in use,
/// and sixteen turns.
const PAGE: usize = 1024;
/// Of these, looked at in a turn. They add 1.4 us to it where all are in use, in a
/// table of a million (Intel Xeon, in a virtual machine).
const PLACES: usize = 64;
/// Between looks for an answer. A worker that has nothing else to do fills a page
/// in less.
const BETWEEN: Duration = Duration::from_micros(50);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use allocation_counter::measure;
    use lvs_core::{Limits, Line, Planner};
    use lvs_io::LoopbackPeer;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::super::allocation::{udp, worker};
    use super::super::worker::Worker;
    use super::*;

    /// Has the worker begin a connection for each of these ports of a client.
    fn begin(worker: &mut Worker<'_>, peers: &[LoopbackPeer], ports: std::ops::Range<u16>) {
        for port in ports {
            assert!(peers[0].send(&udp(port, 2, 64, 0)));
            while worker.turn(Instant::default()) {}
            while peers.iter().any(|peer| peer.receive().is_some()) {}
        }
    }

    fn with_worker(test: impl FnOnce(Worker<'_>, Reader, &[LoopbackPeer])) {
        let mut planner = Planner::new(Limits {
            services: 16,
            real_servers: 32,
            ..Limits::default()
        });
        let mut memory: Vec<Line> = vec![[0; 8]; Shard::memory_for(4000)];
        let (mut worker, _publisher, peers) = worker(&mut memory, &mut planner);
        let (reader, lister) = listing(worker.bell.clone());
        worker.lister = lister;
        test(worker, reader, &peers);
    }

    #[test]
    fn a_page_is_filled_a_part_a_turn_and_nothing_is_allocated() {
        with_worker(|mut worker, mut reader, peers| {
            begin(&mut worker, peers, 1000..3500);
            assert!(reader.take().is_none(), "none was asked for");
            let (mut listed, mut sizes, mut next) = (BTreeSet::new(), Vec::new(), Some(0));
            while let Some(from) = next {
                reader.ask(from);
                let mut turns = 0;
                let counted = measure(|| {
                    while worker.turn(Instant::default()) {
                        turns += 1;
                    }
                });
                assert_eq!(counted.count_total, 0);
                let page = reader.take().expect("it is filled");
                assert_eq!(turns, page.connections.len().div_ceil(PLACES));
                sizes.push(page.connections.len());
                listed.extend(page.connections.iter().map(|it| it.flow.source_port));
                next = page.next;
            }
            assert_eq!(sizes, [1024, 1024, 452]);
            assert!(listed.into_iter().eq(1000..3500));
            assert!(!worker.turn(Instant::default()), "nothing is left to do");
        });
    }

    #[test]
    fn a_worker_that_sleeps_is_woken_and_one_that_is_asked_does_not_sleep() {
        with_worker(|mut worker, mut reader, _peers| {
            let now = Instant::default();
            let is_rung = |bell: &Doorbell| {
                let mut fds = [PollFd::new(bell.fd(), PollFlags::POLLIN)];
                poll(&mut fds, PollTimeout::ZERO).unwrap() == 1
            };
            while worker.turn(now) {}
            worker.rest(now);
            assert_eq!(worker.counters.sleeps, 1);
            reader.ask(0);
            worker.rest(now);
            assert_eq!(worker.counters.sleeps, 1, "somebody asks");
            while worker.turn(now) {}
            worker.bell.lie_down();
            assert!(!is_rung(&worker.bell));
            reader.ask(0);
            assert!(is_rung(&worker.bell));
            worker.bell.get_up();
            // The worker goes to sleep with a page for which there is no room.
            while worker.turn(now) {}
            worker.bell.lie_down();
            assert!(reader.take().is_none(), "that of the first is there still");
            assert!(is_rung(&worker.bell));
            worker.bell.get_up();
            worker.turn(now);
            assert!(reader.take().is_some());
        });
    }

    #[test]
    fn past_the_last_place_there_is_nothing() {
        with_worker(|mut worker, mut reader, peers| {
            begin(&mut worker, peers, 1000..1010);
            for (from, found) in [(0, 10), (7, 3), (10, 0), (usize::MAX, 0)] {
                reader.ask(from);
                while worker.turn(Instant::default()) {}
                let page = reader.take().expect("it is filled");
                assert_eq!((page.connections.len(), page.next), (found, None));
            }
        });
    }

    #[test]
    fn what_a_reader_that_gave_up_left_is_not_taken_for_an_answer() {
        with_worker(|mut worker, mut reader, peers| {
            begin(&mut worker, peers, 1000..2500);
            let now = Instant::default();
            // The worker never saw it; has begun with it; has filled it.
            for turns in [0, 1, 100] {
                assert!(reader.read(0, Duration::ZERO).is_none());
                for _ in 0..turns {
                    worker.turn(now);
                }
                assert!(reader.read(0, Duration::ZERO).is_none());
                for _ in 0..turns {
                    worker.turn(now);
                }
                reader.ask(1024);
                let counted = measure(|| while worker.turn(now) {});
                assert_eq!(counted.count_total, 0);
                let mut page = reader.take();
                if page.is_none() {
                    // One of those before came first; the worker is awake again.
                    while worker.turn(now) {}
                    page = reader.take();
                }
                let page = page.expect("it is filled");
                assert_eq!((page.connections.len(), page.next), (476, None));
            }
        });
    }
}
