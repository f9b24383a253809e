//! One queue of every NIC, one shard, one core: the main loop.

use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

use lvs_core::{ChecksumState, Instant, Port, Shard};
use lvs_io::{Checksum, Lane, Punt};

use super::board::{Board, Publication};
use super::burst::Burst;
use super::counters::WorkerCounters;
use super::doorbell::Doorbell;
use super::handoff::Exchange;
use super::host_port::HostPort;
use super::idle::Idle;
use super::latency::Stopwatch;
use super::listing::Lister;
use super::mailbox::Inbox;
use super::outlets::{Outlets, Sink};
use super::pieces::Blank;

/// Everything one worker owns. Nothing of it is shared but the ends of rings.
pub(super) struct Worker<'m> {
    pub(super) lane: Lane,
    pub(super) shard: Shard<'m>,
    pub(super) inbox: Inbox,
    pub(super) exchange: Exchange,
    pub(super) bell: Arc<Doorbell>,
    pub(super) lister: Lister,
    pub(super) punt: Option<Arc<Punt>>,
    /// Of the one worker that hears the host.
    pub(super) host_port: Option<HostPort>,
    pub(super) board: Arc<Board>,
    pub(super) counters: WorkerCounters,
    pub(super) stopwatch: Stopwatch,
    pub(super) burst: Burst,
    pub(super) blank: Blank,
    pub(super) sink: Sink,
    pub(super) idle: Idle,
    /// The origin of the shard's time; the same for all workers.
    pub(super) began: Clock,
    pub(super) housekeeping_due: Instant,
    /// When what it counted was published.
    pub(super) published: Instant,
    /// The publication of its shard's numbers that is under way.
    pub(super) publication: Option<Publication>,
    /// Whether it has counted since.
    pub(super) has_news: bool,
}

impl<'m> Worker<'m> {
    /// One turn of the main loop; whether there was anything to do.
    ///
    /// Nothing here blocks, allocates, logs or fails.
    pub(super) fn turn(&mut self, now: Instant) -> bool {
        self.stopwatch.begin(now);
        let mut busy = self.adopt();
        self.reclaim_and_refill();
        busy |= self.take_over(now);
        busy |= self.hear_host(now);
        for queue in 0..self.lane.queues.len() {
            busy |= self.receive(queue, now);
        }
        self.flush();
        self.shard.expire(now, EXPIRE_BUDGET);
        // What expired of fragments leaves with the next turn. That, and what is
        // over budget, is not for after a rest.
        busy |= self.shard.is_release_due();
        self.release(now);
        busy |= self.shard.is_expiry_due(now);
        busy |= self.lister.turn(&self.shard, now);
        self.housekeep(now);
        self.counters.turns += 1;
        self.has_news |= busy;
        busy |= self.go_on_publishing();
        self.stopwatch.end(now, busy, self.shard.stats().opened);
        busy || self.sink.has_frames()
    }

    /// The time of the shard.
    pub(super) fn now(&self) -> Instant {
        let nanoseconds = self.began.elapsed().as_nanos();
        Instant::from_nanoseconds(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }

    /// Waits until a frame, a parcel, a snapshot or a reader comes, or a little
    /// while.
    pub(super) fn rest(&mut self, now: Instant) {
        self.publish_news(now);
        if self.publication.is_some() {
            return;
        }
        self.bell.lie_down();
        if self.exchange.is_empty() && self.inbox.is_empty() && self.lister.is_empty() {
            self.counters.sleeps += 1;
            let host = self.host_port.as_ref().and_then(HostPort::wait_fd);
            self.idle.wait(&self.lane, &self.bell, host);
        }
        self.bell.get_up();
    }

    /// Whether frames are on their way out still.
    pub(super) fn has_unsent(&self) -> bool {
        self.sink.has_frames() || self.lane.queues.iter().any(|queue| queue.in_flight() > 0)
    }

    /// Goes over to the next snapshot, a little at a time; whether there was
    /// anything to do.
    fn adopt(&mut self) -> bool {
        if !self.shard.is_adopting() {
            let Some(snapshot) = self.inbox.deliver() else {
                return false;
            };
            if let Some(host) = &mut self.host_port {
                host.follow(&snapshot);
            }
            self.shard.begin_adoption(snapshot);
        }
        if let Some(old) = self.shard.continue_adoption(ADOPTION_BUDGET) {
            self.inbox.retire(old);
            // Whoever gave it waits for counters from then on.
            self.housekeeping_due = Instant::default();
        }
        true
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

    /// Directs what the host itself has sent.
    fn hear_host(&mut self, now: Instant) -> bool {
        let Self {
            burst,
            host_port,
            lane,
            counters,
            ..
        } = self;
        let Some(host) = host_port else {
            return false;
        };
        if burst.hear(host, &mut lane.umem, counters) == 0 {
            return false;
        }
        // The device asks the kernel for whole checksums.
        self.direct(ChecksumState::Whole, now);
        true
    }

    /// Directs the burst at hand, acts on the verdicts, and passes on what held
    /// fragments make now.
    fn direct(&mut self, checksum: ChecksumState, now: Instant) {
        self.burst
            .process(&mut self.lane.umem, &mut self.shard, checksum, now);
        let (burst, shard, blank, mut outlets) = self.at_work();
        burst.act(shard, blank, &mut outlets);
        blank.release(now, shard, &mut outlets);
    }

    /// Passes on what leaves in the stead of held fragments.
    fn release(&mut self, now: Instant) {
        let (_, shard, blank, mut outlets) = self.at_work();
        blank.release(now, shard, &mut outlets);
    }

    /// Its parts that have packets in hand, and the ways out.
    fn at_work(&mut self) -> (&mut Burst, &mut Shard<'m>, &mut Blank, Outlets<'_>) {
        let outlets = Outlets {
            umem: &mut self.lane.umem,
            sink: &mut self.sink,
            exchange: &self.exchange,
            host: self.punt.as_deref(),
            counters: &mut self.counters,
        };
        (&mut self.burst, &mut self.shard, &mut self.blank, outlets)
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

    /// Puts the counters where others can read them, and begins with those of its
    /// shard.
    fn publish(&mut self) {
        self.has_news = false;
        self.counters.packets = self.shard.stats().packets;
        self.counters.connections = self.shard.connections() as u64;
        self.counters.capacity = self.shard.capacity() as u64;
        self.counters
            .observe(self.lane.queues.iter().map(|queue| queue.counters()));
        self.board.publish(&self.counters);
        self.board.latency.publish(&self.stopwatch.taken);
        self.publication = Some(Publication::begin(&self.shard));
        self.go_on_publishing();
    }

    /// Puts some more of its shard's counters there; whether there are more.
    fn go_on_publishing(&mut self) -> bool {
        let under_way = self.publication.take();
        let publish = |at| self.board.publish_some(self.shard.stats(), at);
        self.publication = under_way.and_then(publish);
        self.publication.is_some()
    }

    /// Puts all its counters there, for the last time.
    pub(super) fn publish_all(&mut self) {
        self.publish();
        while self.go_on_publishing() {}
    }
}

/// Timer steps a turn. A turn begins at most 32 connections a queue, so that
/// even with several NICs, and timers that are put off once before they end,
/// timers do not fall behind.
const EXPIRE_BUDGET: u32 = 256;
/// Services and real servers a turn that go over to another snapshot: some ten
/// microseconds.
const ADOPTION_BUDGET: u32 = 128;
/// How often counters are published: often enough for people and scrapers,
/// rarely enough that a few thousand stores do not show.
const HOUSEKEEPING: Duration = Duration::from_millis(100);
/// Between two rests that publish, at least: under light traffic a worker rests
/// thousands of times a second.
const BETWEEN: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::super::handoff;
    use super::super::idle::Waiting;
    use super::super::listing;
    use super::super::mailbox;
    use super::*;
    use etherparse::PacketBuilder;
    use lvs_core::network::{Interface, Route};
    use lvs_core::{
        Config, Limits, Network, Planner, RealServer, Scheduler, Service, ShardId, Stats,
    };
    use lvs_io::{Nic, Queues};

    const VIP: [u8; 4] = [192, 0, 2, 10];

    fn snapshot(nic: &Nic, limits: Limits) -> Arc<lvs_core::Snapshot> {
        let service = Service::udp((VIP, 53).into(), Scheduler::RoundRobin)
            .real_server(RealServer::direct_route([10, 0, 0, 1].into()));
        let interface = Interface {
            mac: nic.mac,
            mtu: nic.mtu,
            ipv4: None,
            ipv6: None,
        };
        let network = Arc::new(Network::new(
            vec![interface],
            [Route::local(VIP.into())],
            [],
        ));
        let config = Config::new([service]).unwrap();
        Planner::new(limits).plan(&config, &network).unwrap()
    }

    fn question(port: u16, to: [u8; 6]) -> Vec<u8> {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2([2; 6], to)
            .ipv4([198, 51, 100, 7], VIP, 64)
            .udp(port, 53)
            .write(&mut frame, b"?")
            .unwrap();
        frame
    }

    #[test]
    fn it_is_busy_while_connections_are_due_to_end() {
        let nic = Nic::in_memory("left", 1, 1500);
        let limits = Limits::default();
        let (mut queues, peers) = Queues::loopback(vec![nic.clone()], 1, 256).unwrap();
        let bell = Arc::new(Doorbell::new().unwrap());
        let mut memory = vec![lvs_core::Line::default(); Shard::memory_for(2000)];
        let snapshot = snapshot(&nic, limits);
        let (_publisher, inbox) = mailbox::mailbox();
        let mut worker = Worker {
            lane: queues.lanes.pop().unwrap(),
            shard: Shard::new(ShardId(0), &mut memory, &limits, snapshot).unwrap(),
            inbox,
            exchange: handoff::exchange(std::slice::from_ref(&bell), 2048)
                .pop()
                .unwrap(),
            lister: listing::listing(bell.clone()).1,
            bell,
            punt: None,
            host_port: None,
            board: Arc::new(Board::new(&Stats::new(limits.real_servers))),
            counters: WorkerCounters::default(),
            stopwatch: Stopwatch::default(),
            burst: Burst::new(false, 1),
            blank: Blank::new(),
            sink: Sink::new(1),
            idle: Idle::new(Waiting::Adaptive, 1),
            began: Clock::now(),
            housekeeping_due: Instant::default(),
            published: Instant::default(),
            publication: None,
            has_news: false,
        };
        let now = Instant::default() + Duration::from_secs(1);
        for port in 1..=1500 {
            assert!(peers[0][0].send(&question(port, nic.mac)));
            worker.turn(now);
            while peers[0][0].receive().is_some() {}
        }
        while worker.turn(now) {}
        let before = worker.shard.connections();
        assert!(before > 1000, "{before}");
        // Their five minutes are over, and all lie in one slot of the wheel.
        let later = now + Duration::from_secs(400);
        let busy = (0..10_000).take_while(|_| worker.turn(later)).count();
        assert!(busy >= before / EXPIRE_BUDGET as usize, "{busy} turns");
        assert_eq!(worker.shard.connections(), 0);
    }
}
