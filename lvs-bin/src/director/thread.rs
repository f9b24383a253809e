//! The threads of a director: workers, and the one that follows the host.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant as Clock};

use af_xdp::{HugePages, Region};
use lvs_core::{Instant, Limits, Shard, ShardId, Snapshot};
use lvs_io::{Lane, Mode, Punt};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::board::Board;
use super::burst::Burst;
use super::control::{Control, Surroundings};
use super::counters::WorkerCounters;
use super::doorbell::Doorbell;
use super::handoff::{self, Exchange};
use super::host_port::HostPort;
use super::idle::{Idle, Waiting};
use super::latency::Stopwatch;
use super::listing::{self, Lister};
use super::mailbox::{self, Inbox};
use super::memory::Watch;
use super::outlets::Sink;
use super::pieces::Blank;
use super::witness::News;
use super::worker::Worker;
use super::{Director, DirectorError, DirectorOptions};

/// What a worker's thread is given to begin with.
struct Beginning {
    number: u8,
    lane: Lane,
    ports: usize,
    inbox: Inbox,
    exchange: Exchange,
    bell: Arc<Doorbell>,
    lister: Lister,
    punt: Option<Arc<Punt>>,
    board: Arc<Board>,
    snapshot: Arc<Snapshot>,
    limits: Limits,
    connections: usize,
    waiting: Waiting,
    pin: bool,
    began: Clock,
    stop: Arc<AtomicBool>,
}

impl Director {
    /// Starts a worker for each lane and waits until all of them run.
    pub(super) fn spawn_workers(
        &mut self,
        lanes: Vec<Lane>,
        ports: usize,
        punt: Option<Arc<Punt>>,
        options: &DirectorOptions,
    ) -> Result<(), DirectorError> {
        let all = || lanes.iter().flat_map(|lane| &lane.queues);
        self.capabilities = all().map(|queue| queue.capabilities().clone()).collect();
        self.queue_nics = lanes.iter().flat_map(|lane| lane.nics.clone()).collect();
        let longest = self
            .capabilities
            .iter()
            .map(|c| c.max_frame)
            .max()
            .unwrap_or(0);
        let shards = lanes.len();
        for _ in 0..shards {
            let bell = Doorbell::new().map_err(|error| DirectorError::Thread(error.into()))?;
            self.bells.push(Arc::new(bell));
        }
        let exchanges = handoff::exchange(&self.bells, longest);
        let (ready, outcome) = mpsc::channel();
        let began = Clock::now();
        for ((number, lane), exchange) in (0u8..).zip(lanes).zip(exchanges) {
            let (publisher, inbox) = mailbox::mailbox();
            let bell = self.bells[usize::from(number)].clone();
            let mut control = self.lock();
            control.workers.push((publisher, bell.clone()));
            let snapshot = control.snapshot.clone();
            drop(control);
            let board = Arc::new(Board::new(&lvs_core::Stats::new(self.limits.real_servers)));
            self.boards.push(board.clone());
            let (reader, lister) = listing::listing(bell.clone());
            self.readers.push(Mutex::new(reader));
            let beginning = Beginning {
                number,
                lane,
                ports,
                inbox,
                exchange,
                bell,
                lister,
                punt: punt.clone(),
                board,
                snapshot,
                limits: self.limits,
                connections: options.connections.div_ceil(shards),
                waiting: options.waiting,
                pin: options.pin,
                began,
                stop: self.stop_workers.clone(),
            };
            let ready = ready.clone();
            let thread = thread::Builder::new()
                .name(format!("lvs-worker-{number}"))
                .spawn(move || run(beginning, &ready))
                .map_err(DirectorError::Thread)?;
            self.workers.push(thread);
        }
        drop(ready);
        // One word from each; a thread that died without one ends the wait.
        for _ in 0..shards {
            outcome.recv().map_err(|_| {
                DirectorError::Thread(io::Error::other("a worker ended before it began"))
            })??;
        }
        Ok(())
    }

    /// Starts the thread that follows the host's routes and neighbours, if
    /// those are what the director goes by.
    pub(super) fn spawn_follower(&mut self) -> Result<(), DirectorError> {
        let events = match &self.lock().surroundings {
            Surroundings::Host(mirror) => mirror.as_fd().try_clone_to_owned(),
            Surroundings::Fixed(_) => return Ok(()),
        };
        let events = events.map_err(DirectorError::Thread)?;
        let (control, stop) = (self.control.clone(), self.stop_follower.clone());
        let thread = thread::Builder::new()
            .name("lvs-follower".to_owned())
            .spawn(move || follow(&events, &control, &stop))
            .map_err(DirectorError::Thread)?;
        self.follower = Some(thread);
        Ok(())
    }
}

/// The life of a worker's thread.
fn run(beginning: Beginning, ready: &mpsc::Sender<Result<(), DirectorError>>) {
    if beginning.pin {
        pin(usize::from(beginning.number));
    }
    let lines = Shard::memory_for(beginning.connections.max(1));
    // Mapped by the thread that uses it, so that it lies with its core.
    let region = Region::new(lines * size_of::<lvs_core::Line>(), HugePages::Prefer);
    let mut region = match region {
        Ok(region) => region,
        Err(error) => return drop(ready.send(Err(DirectorError::Memory(error)))),
    };
    let id = ShardId(beginning.number);
    let memory = &mut region.lines_mut()[..lines];
    let shard = Shard::new(id, memory, &beginning.limits, beginning.snapshot);
    let shard = match shard {
        Ok(shard) => shard,
        Err(error) => return drop(ready.send(Err(error.into()))),
    };
    let burst = burst_for(&beginning.lane);
    // One is enough: whose packets they are, only the shards know.
    let hears = beginning.punt.clone().filter(|_| beginning.number == 0);
    let host_port = hears.map(|punt| HostPort::new(punt, shard.snapshot()));
    let idle = Idle::new(beginning.waiting, beginning.lane.queues.len());
    let mut worker = Worker {
        lane: beginning.lane,
        shard,
        inbox: beginning.inbox,
        exchange: beginning.exchange,
        bell: beginning.bell,
        lister: beginning.lister,
        punt: beginning.punt,
        host_port,
        board: beginning.board,
        counters: WorkerCounters::default(),
        stopwatch: Stopwatch::default(),
        burst,
        blank: Blank::new(),
        sink: Sink::new(beginning.ports),
        idle,
        began: beginning.began,
        housekeeping_due: Instant::default(),
        published: Instant::default(),
        publication: None,
        has_news: false,
    };
    // Nobody listening means that the start has failed elsewhere.
    if ready.send(Ok(())).is_err() {
        return;
    }
    while !beginning.stop.load(Ordering::Relaxed) {
        let busy = worker.turn(worker.now());
        if worker.idle.should_rest(busy) {
            worker.rest(worker.now());
        }
    }
    drain(&mut worker);
}

/// The burst that serves a lane's queues, whatever they or others' hand over.
fn burst_for(lane: &Lane) -> Burst {
    let capabilities = || lane.queues.iter().map(|queue| queue.capabilities());
    let shared = capabilities().any(|capabilities| capabilities.mode == Mode::Packet);
    let longest = capabilities()
        .map(|capabilities| capabilities.max_frame)
        .max();
    let frames_each = longest.unwrap_or(0).div_ceil(lane.umem.room().max(1));
    Burst::new(shared, frames_each)
}

/// Goes on until nothing comes and nothing is on its way out.
fn drain(worker: &mut Worker<'_>) {
    let give_up = Clock::now() + DRAIN;
    let mut quiet = 0;
    while quiet < QUIET && Clock::now() < give_up {
        let busy = worker.turn(worker.now()) || worker.has_unsent();
        quiet = if busy { 0 } else { quiet + 1 };
        if !busy {
            thread::sleep(Duration::from_micros(100));
        }
    }
    worker.publish_all();
}

/// Takes in the host's changes as they come, and how much memory it has left.
fn follow(events: &OwnedFd, control: &Mutex<Control>, stop: &AtomicBool) {
    let lock = || control.lock().unwrap_or_else(PoisonError::into_inner);
    let (memory, mut watch) = (lock().planner.memory().clone(), Watch::default());
    while !stop.load(Ordering::Relaxed) {
        watch.tell(&memory);
        let mut fds = [PollFd::new(events.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut fds, PollTimeout::from(FOLLOWING));
        let (outcome, news) = {
            let mut control = lock();
            (control.follow(), control.news(Clock::now()))
        };
        news.iter().for_each(News::log);
        if let Err(error) = outcome {
            tracing::warn!(
                event = "not_following",
                "following the host's routes and neighbours: {error}"
            );
            thread::sleep(Duration::from_millis(u64::from(FOLLOWING)));
        }
    }
}

/// Keeps the calling thread on one processor, where the machine allows.
fn pin(number: usize) {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let Some(core) = cores.get(number % cores.len().max(1)) else {
        return;
    };
    if !core_affinity::set_for_current(*core) {
        tracing::warn!("worker {number} could not be kept on processor {}", core.id);
    }
}

/// Longest a worker goes on after it was told to end.
const DRAIN: Duration = Duration::from_millis(200);
/// Turns in a row, a tenth of a millisecond apart, without anything to do.
const QUIET: u32 = 20;
/// Milliseconds between looks at the host when it announces nothing.
const FOLLOWING: u16 = 100;
