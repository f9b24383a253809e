//! The running whole: workers that direct, and a control side that tells them how.
//!
//! Each worker owns one queue of every NIC, one shard and one core, and meets
//! others only through rings. The control side owns the configuration, the view
//! of the host's network and the steering program, and speaks to workers only
//! by publishing snapshots. This folder knows no file format, no command line
//! and no health of real servers.
//!
//! ```text
//!  apply ──> Control ──> Publisher ──> Inbox ──> Worker ──> Board ──> stats
//!  netlink ──>  |                                 ^  |  └─> Lister ─> Reader ─> connections
//!            Steering                             Exchange
//! ```

#[cfg(test)]
mod allocation;
mod board;
mod burst;
mod connections;
mod control;
mod counters;
mod doorbell;
mod error;
mod handoff;
mod host_port;
mod idle;
mod latency;
mod listing;
mod mailbox;
mod memory;
mod options;
mod outlets;
mod pieces;
mod stats;
mod steers;
pub(crate) mod surroundings;
mod thread;
mod witness;
mod worker;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lvs_core::{Config, Limits, Network, Snapshot, Stats};
use lvs_io::netlink::Mirror;
use lvs_io::{Capabilities, Nic, Punt, Queues};

pub use connections::{ConnectionPage, ListError};
pub use counters::WorkerCounters;
pub use error::DirectorError;
pub use idle::Waiting;
pub use latency::{Latency, WorkerLatency};
pub use options::DirectorOptions;
pub use stats::{DirectorStats, RealServerStats};

use board::Board;
use control::{Control, Surroundings};
use doorbell::Doorbell;
use listing::Reader;

/// A running director.
///
/// What changes around it while it runs, such as a NIC that goes down or a real
/// server that cannot be reached any more, is logged through `tracing`, once a
/// change; never by a worker.
///
/// Dropping it is [`stop`](Self::stop): it takes no more traffic, sends what it
/// has, and gives the NICs back to the host.
///
/// ```no_run
/// use lvs::{Config, Director, Nic, RealServer, Scheduler, Service};
///
/// let web = Service::tcp("192.0.2.10:80".parse()?, Scheduler::WeightedLeastConnection)
///     .real_server(RealServer::direct_route("10.0.0.11".parse()?))
///     .real_server(RealServer::tunnel("10.9.0.12".parse()?));
/// let queues = Nic::named("eth0")?.open_queues()?;
/// let director = Director::start(queues, Config::new([web])?)?;
/// println!("{}", director.stats());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Director {
    control: Arc<Mutex<Control>>,
    boards: Vec<Arc<Board>>,
    bells: Vec<Arc<Doorbell>>,
    /// Of each worker's connections.
    readers: Vec<Mutex<Reader>>,
    workers: Vec<JoinHandle<()>>,
    follower: Option<JoinHandle<()>>,
    /// Workers go on until this is set.
    stop_workers: Arc<AtomicBool>,
    stop_follower: Arc<AtomicBool>,
    capabilities: Vec<Capabilities>,
    /// The NIC of each of them.
    queue_nics: Vec<usize>,
    limits: Limits,
    capacity: usize,
}

impl Director {
    /// Starts directing by `config` on `queues`, with default options.
    ///
    /// # Errors
    ///
    /// As [`Director::start_with`].
    pub fn start(queues: Queues, config: Arc<Config>) -> Result<Self, DirectorError> {
        Self::start_with(queues, config, &DirectorOptions::default())
    }

    /// Starts directing by `config` on `queues`: one worker for each lane.
    ///
    /// Returns when all workers run and, at the latest after half a second, the
    /// link addresses of real servers are known. The calling thread's network
    /// namespace is the one whose routes are followed.
    ///
    /// # Errors
    ///
    /// What the machine refused or the configuration breaks; nothing is left
    /// running then.
    pub fn start_with(
        queues: Queues,
        config: Arc<Config>,
        options: &DirectorOptions,
    ) -> Result<Self, DirectorError> {
        let Queues {
            steering,
            nics,
            lanes,
        } = queues;
        let shards = u8::try_from(lanes.len())
            .ok()
            .filter(|lanes| *lanes > 0)
            .ok_or(DirectorError::Lanes(lanes.len()))?;
        let limits = Limits {
            shards,
            services: options.services,
            real_servers: options.real_servers,
            fragments: options.fragments,
            seed: options
                .seed
                .unwrap_or_else(|| RandomState::new().build_hasher().finish()),
        };
        let surroundings = match &options.network {
            Some(network) => Surroundings::Fixed(Arc::new(network.clone())),
            None => Surroundings::Host(Box::new(Mirror::open()?)),
        };
        // Only what was steered comes: what turns out to be the host's must go back.
        let punt = match &steering {
            Some(_) => Some(Arc::new(Punt::open("lvs%d")?)),
            None => None,
        };
        let ports = nics.len();
        let mut control = Control::new(limits, surroundings, steering, nics, &config)?;
        if let Some(punt) = &punt {
            control.prepare_detour(punt);
        }
        let mut director = Self::idle(control, limits, options.connections);
        director.spawn_workers(lanes, ports, punt, options)?;
        director.spawn_follower()?;
        director.wait_for_neighbours();
        director.lock().open()?;
        Ok(director)
    }

    /// Directs by another configuration from now on. Connections stay, but for
    /// those whose real server was removed: their packets are dropped.
    ///
    /// # Errors
    ///
    /// What is wrong with it; the one before stays in force.
    pub fn apply(&self, config: Arc<Config>) -> Result<(), DirectorError> {
        let generation = {
            let mut control = self.lock();
            control.apply(&config)?;
            control.snapshot.generation()
        };
        // So that what the caller does next meets workers that know of it, and
        // counters as of then.
        let give_up = Instant::now() + ADOPTION;
        let is_adopted = |board: &Arc<Board>| board.generation() >= generation;
        while !self.boards.iter().all(is_adopted) && Instant::now() < give_up {
            std::thread::sleep(Duration::from_micros(100));
        }
        Ok(())
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        self.lock().config.clone()
    }

    /// The network around it, as it is known now.
    pub fn network(&self) -> Arc<Network> {
        self.lock().network.clone()
    }

    /// What the workers are told at the moment.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.lock().snapshot.clone()
    }

    /// What each real server of a snapshot has and had to do; to be asked until two
    /// others have followed it, as then numbers may be reused.
    pub(crate) fn real_servers(&self, snapshot: &Snapshot) -> Vec<RealServerStats> {
        let control = self.lock();
        let mut shards = Stats::new(control.snapshot.real_server_numbers());
        let mut one = shards.clone();
        for board in &self.boards {
            board.read(&mut one, snapshot);
            shards.add(&one);
        }
        stats::real_servers(snapshot, control.planner.loads(), &shards)
    }

    /// How many connections it can hold, over all workers.
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many workers it has, numbered from 0.
    pub const fn workers(&self) -> usize {
        self.boards.len()
    }

    /// What it directs on.
    pub fn nics(&self) -> Vec<Nic> {
        self.lock().nics.clone()
    }

    /// How frames travel on each queue of each worker, and why.
    pub fn capabilities(&self) -> &[Capabilities] {
        &self.capabilities
    }

    /// How frames travel on each NIC, and why: a line each.
    pub fn ways(&self) -> Vec<String> {
        let nics = self.nics();
        let mut ways: Vec<String> = Vec::new();
        for (nic, capabilities) in self.queue_nics.iter().zip(&self.capabilities) {
            let name = nics.get(*nic).map_or("", |nic| nic.name.as_str());
            let Capabilities { mode, reason, .. } = capabilities;
            let way = format!("{name}: {mode} ({reason})");
            // The queues of a NIC mostly agree.
            if !ways.contains(&way) {
                ways.push(way);
            }
        }
        ways
    }

    /// Real servers that cannot be sent to now, and why: a sentence each.
    pub fn unreachable(&self) -> Vec<String> {
        let snapshot = self.lock().snapshot.clone();
        snapshot
            .unreachable()
            .map(|(address, way)| format!("{address}: {}", control::why_unreachable(way)))
            .collect()
    }

    /// What it has done. Connections of a real server are as of now; other
    /// figures are as of when their worker last went to rest or, while it does
    /// not, at most [a tenth of a second](DirectorStats) ago.
    pub fn stats(&self) -> DirectorStats {
        // In hand until all are read, so that no worker counts by a later snapshot.
        let control = self.lock();
        let mut shards = Stats::new(control.snapshot.real_server_numbers());
        let mut one = shards.clone();
        let mut per_worker = Vec::with_capacity(self.boards.len());
        let mut per_worker_latency = Vec::with_capacity(self.boards.len());
        let mut latency = WorkerLatency::default();
        for board in &self.boards {
            per_worker.push(board.read(&mut one, &control.snapshot));
            shards.add(&one);
            let taken = board.latency.read();
            latency.add(&taken);
            per_worker_latency.push(taken);
        }
        let mut workers = WorkerCounters::default();
        per_worker.iter().for_each(|worker| workers.add(worker));
        let loads = control.planner.loads();
        let real_servers = stats::real_servers(&control.snapshot, loads, &shards);
        DirectorStats {
            shards,
            workers,
            per_worker,
            latency,
            per_worker_latency,
            real_servers,
        }
    }

    /// Takes no more traffic, sends what it has, and gives everything back.
    pub fn stop(mut self) {
        self.end();
    }

    fn idle(control: Control, limits: Limits, capacity: usize) -> Self {
        Self {
            control: Arc::new(Mutex::new(control)),
            boards: Vec::new(),
            bells: Vec::new(),
            readers: Vec::new(),
            workers: Vec::new(),
            follower: None,
            stop_workers: Arc::new(AtomicBool::new(false)),
            stop_follower: Arc::new(AtomicBool::new(false)),
            capabilities: Vec::new(),
            queue_nics: Vec::new(),
            limits,
            capacity,
        }
    }

    fn wait_for_neighbours(&self) {
        let give_up = Instant::now() + RESOLUTION;
        while !self.lock().is_resolved() && Instant::now() < give_up {
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Control> {
        // Whoever panicked with it in hand has left whole values behind.
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&mut self) {
        self.stop_follower.store(true, Ordering::Relaxed);
        if let Err(error) = self.lock().close() {
            tracing::warn!("the steering program keeps its rules until it is detached: {error}");
        }
        self.stop_workers.store(true, Ordering::Relaxed);
        self.bells.iter().for_each(|bell| bell.ring());
        for thread in self.workers.drain(..).chain(self.follower.take()) {
            if thread.join().is_err() {
                tracing::error!("a thread of the director had panicked");
            }
        }
    }
}

impl Drop for Director {
    fn drop(&mut self) {
        self.end();
    }
}

/// How long the link addresses of real servers are waited for at the start.
const RESOLUTION: Duration = Duration::from_millis(500);
/// How long the workers' adoption of a configuration is waited for.
const ADOPTION: Duration = Duration::from_millis(500);
