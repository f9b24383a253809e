//! One queue of every NIC, one shard, one core: the main loop.

use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

use lvs_core::{ChecksumState, Instant, Port, Shard};
use lvs_io::{Checksum, Lane, Punt};

use super::burst::{Burst, Sink};
use super::counters::{Board, WorkerCounters};
use super::doorbell::Doorbell;
use super::handoff::Exchange;
use super::idle::Idle;
use super::mailbox::Inbox;

/// Everything one worker owns. Nothing of it is shared but the ends of rings.
pub(super) struct Worker<'m> {
    pub(super) lane: Lane,
    pub(super) shard: Shard<'m>,
    pub(super) inbox: Inbox,
    pub(super) exchange: Exchange,
    pub(super) bell: Arc<Doorbell>,
    pub(super) punt: Option<Arc<Punt>>,
    pub(super) board: Arc<Board>,
    pub(super) counters: WorkerCounters,
    pub(super) burst: Burst,
    pub(super) sink: Sink,
    pub(super) idle: Idle,
    /// The origin of the shard's time; the same for all workers.
    pub(super) began: Clock,
    pub(super) housekeeping_due: Instant,
    /// When what it counted was published.
    pub(super) published: Instant,
    /// Whether it has counted since.
    pub(super) has_news: bool,
}

impl Worker<'_> {
    /// One turn of the main loop; whether there was anything to do.
    ///
    /// Nothing here blocks, allocates, logs or fails.
    pub(super) fn turn(&mut self, now: Instant) -> bool {
        self.adopt();
        self.reclaim_and_refill();
        let mut busy = self.take_over(now);
        for queue in 0..self.lane.queues.len() {
            busy |= self.receive(queue, now);
        }
        self.flush();
        self.shard.expire(now, EXPIRE_BUDGET);
        self.housekeep(now);
        self.counters.turns += 1;
        self.has_news |= busy;
        busy || self.sink.has_frames()
    }

    /// The time of the shard.
    pub(super) fn now(&self) -> Instant {
        let nanoseconds = self.began.elapsed().as_nanos();
        Instant::from_nanoseconds(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }

    /// Waits until a frame, a parcel or a snapshot comes, or a little while.
    pub(super) fn rest(&mut self, now: Instant) {
        self.publish_news(now);
        self.bell.lie_down();
        if self.exchange.is_empty() && self.inbox.is_empty() {
            self.counters.sleeps += 1;
            self.idle.wait(&self.lane, &self.bell);
        }
        self.bell.get_up();
    }

    /// Whether frames are on their way out still.
    pub(super) fn has_unsent(&self) -> bool {
        self.sink.has_frames() || self.lane.queues.iter().any(|queue| queue.in_flight() > 0)
    }

    fn adopt(&mut self) {
        while let Some(snapshot) = self.inbox.deliver() {
            let old = self.shard.adopt(snapshot);
            self.inbox.retire(old);
        }
    }

    fn reclaim_and_refill(&mut self) {
        let Lane { umem, queues, .. } = &mut self.lane;
        for queue in &mut *queues {
            queue.reclaim(umem);
        }
        for queue in queues {
            queue.refill(umem);
        }
    }

    /// Directs what one queue has received.
    fn receive(&mut self, queue: usize, now: Instant) -> bool {
        let Lane { umem, queues, nics } = &mut self.lane;
        let Some(receiving) = queues.get_mut(queue) else {
            return false;
        };
        let ingress = Port(nics.get(queue).map_or(0, |nic| *nic as u8));
        if self.burst.receive(receiving.as_mut(), umem, ingress) == 0 {
            return false;
        }
        let checksum = match receiving.capabilities().checksum {
            Checksum::Whole => ChecksumState::Whole,
            Checksum::MaybePartial => ChecksumState::MaybePartial,
        };
        self.direct(checksum, now);
        true
    }

    /// Directs what other workers have handed over.
    fn take_over(&mut self, now: Instant) -> bool {
        let Self {
            burst,
            exchange,
            lane,
            counters,
            ..
        } = self;
        if burst.take_over(exchange, &mut lane.umem, counters) == 0 {
            return false;
        }
        // Whoever handed them over has completed their checksums.
        self.direct(ChecksumState::Whole, now);
        true
    }

    /// Directs the burst at hand and acts on the verdicts.
    fn direct(&mut self, checksum: ChecksumState, now: Instant) {
        let umem = &mut self.lane.umem;
        let host = self.punt.as_deref();
        self.burst.process(umem, &mut self.shard, checksum, now);
        self.burst.act(
            umem,
            &mut self.sink,
            &self.exchange,
            host,
            &mut self.counters,
        );
    }

    fn flush(&mut self) {
        self.exchange.ring();
        let Lane { umem, queues, .. } = &mut self.lane;
        for (queue, frames) in queues.iter_mut().zip(self.sink.ports_mut()) {
            if !frames.is_empty() {
                queue.transmit(umem, frames);
            }
        }
        for queue in queues {
            queue.flush();
        }
    }

    fn housekeep(&mut self, now: Instant) {
        if now < self.housekeeping_due {
            return;
        }
        self.housekeeping_due = now + HOUSEKEEPING;
        self.published = now;
        self.publish();
    }

    /// Publishes before a rest what was counted since the last time, or has the
    /// first turn after the rest do so if that was only just.
    fn publish_news(&mut self, now: Instant) {
        if self.has_news && now >= self.published + BETWEEN {
            self.published = now;
            self.publish();
        } else if self.has_news {
            self.housekeeping_due = now;
        }
    }

    /// Puts the counters where others can read them.
    pub(super) fn publish(&mut self) {
        self.has_news = false;
        self.counters.connections = self.shard.connections() as u64;
        self.counters
            .observe(self.lane.queues.iter().map(|queue| queue.counters()));
        let real_servers = self.shard.snapshot().real_server_numbers();
        self.board
            .publish(&self.counters, self.shard.stats(), real_servers);
    }
}

/// Timer steps a turn. A turn begins at most 32 connections a queue, so that
/// even with several NICs, and timers that are put off once before they end,
/// timers do not fall behind.
const EXPIRE_BUDGET: u32 = 256;
/// How often counters are published: often enough for people and scrapers,
/// rarely enough that a few thousand stores do not show.
const HOUSEKEEPING: Duration = Duration::from_millis(100);
/// Between two rests that publish, at least: under light traffic a worker rests
/// thousands of times a second.
const BETWEEN: Duration = Duration::from_millis(1);
