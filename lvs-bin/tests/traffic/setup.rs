//! A world with a director in it.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lvs::director::DirectorStats;
use lvs::lvs_io::{Mode, WantedMode};
use lvs::privileges::{Work, check_privileges};
use lvs::world::{Plan, World};
use lvs::{Config, Director, DirectorOptions, Options, Queues, Scheduler, Service};

use crate::skip;

/// A director at work in a world; one at a time, as the machine may be small.
pub(crate) struct Setup {
    pub director: Director,
    pub world: World,
    _alone: MutexGuard<'static, ()>,
}

static ALONE: Mutex<()> = Mutex::new(());

/// The right to fill the machine with a world; `None`, with the reason
/// printed, where worlds cannot be built.
pub(crate) fn alone() -> Option<MutexGuard<'static, ()>> {
    if let Err(lacking) = check_privileges(Work::Demo).unwrap() {
        skip::say(lacking);
        return None;
    }
    Some(ALONE.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Setup {
    /// Builds the world of `plan` and starts a director by round robin in it;
    /// `None`, with the reason printed, where that needs more privileges.
    pub(crate) fn new(plan: Plan, mode: WantedMode, workers: usize) -> Option<Self> {
        Self::prepared(plan, mode, workers, |_, _| Ok(()))
    }

    /// The same, in a world and with options that `prepare` has changed first.
    pub(crate) fn prepared(
        plan: Plan,
        mode: WantedMode,
        workers: usize,
        prepare: impl FnOnce(&World, &mut DirectorOptions) -> io::Result<()>,
    ) -> Option<Self> {
        let alone = alone()?;
        let world = World::build(plan).unwrap();
        let mut options = DirectorOptions {
            connections: 1 << 14,
            ..DirectorOptions::default()
        };
        prepare(&world, &mut options).unwrap();
        let director = world
            .director()
            .run(|| start(&plan, mode, workers, &options).map_err(io::Error::other))
            .unwrap();
        let wanted = match mode {
            WantedMode::Packet => Mode::Packet,
            WantedMode::Generic => Mode::XdpGeneric,
            // No virtual NIC has zero copy.
            WantedMode::Auto | WantedMode::Native => Mode::XdpCopy,
        };
        for capabilities in director.capabilities() {
            assert_eq!(capabilities.mode, wanted, "{}", capabilities.reason);
        }
        // It waits for its neighbours, but on a busy machine not long enough.
        let give_up = Instant::now() + RESOLUTION;
        while !director.unreachable().is_empty() && Instant::now() < give_up {
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(Self {
            director,
            world,
            _alone: alone,
        })
    }

    /// Has the director carry out other services.
    pub(crate) fn apply(&self, services: Vec<Service>) {
        self.director.apply(Config::new(services).unwrap()).unwrap();
    }

    /// The director's counters, after they have been published.
    pub(crate) fn stats(&self) -> DirectorStats {
        std::thread::sleep(Duration::from_millis(250));
        self.director.stats()
    }

    /// Checks that every packet ended where it should.
    ///
    /// Resets of vanished clients and the like may end with the host; nothing
    /// may be lost.
    pub(crate) fn check_nothing_dropped(&self) {
        let stats = self.stats();
        let drops: Vec<_> = stats.drops().collect();
        assert!(drops.is_empty(), "{drops:?}\n{stats}");
        let shards = &stats.shards;
        let ended = shards.transmitted + shards.host + shards.handed_off + shards.held;
        assert_eq!(shards.packets, ended, "{stats}");
    }
}

fn start(
    plan: &Plan,
    mode: WantedMode,
    workers: usize,
    how: &DirectorOptions,
) -> Result<Director, Box<dyn std::error::Error + Send + Sync>> {
    let mut options = Options::new(plan.director_links().iter().copied());
    options.mode = mode;
    options.workers = Some(workers);
    let config = Config::new(plan.services(Scheduler::RoundRobin))?;
    Ok(Director::start_with(Queues::open(&options)?, config, how)?)
}

/// In which real servers answer who asks for their link addresses, whatever else
/// the machine does.
const RESOLUTION: Duration = Duration::from_secs(5);
