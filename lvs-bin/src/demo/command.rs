//! `lvs demo`: what it is asked for, and a director in each world.

use std::{io, process, thread};

use lvs_core::{Config, Scheduler};
use lvs_io::{Options, Queues, WantedMode};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::show;
use crate::director::{Director, DirectorOptions};
use crate::privileges::{Work, check_privileges};
use crate::world::{Method, Plan, World};

/// What a demo shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoOptions {
    /// Which forwarding methods, in this order.
    pub methods: Vec<Method>,
    /// How the director's frames travel.
    pub mode: WantedMode,
    /// How many real servers each service has.
    pub real_servers: u8,
}

impl Default for DemoOptions {
    fn default() -> Self {
        Self {
            methods: vec![Method::Masquerade, Method::DirectRoute, Method::Tunnel],
            mode: WantedMode::Auto,
            real_servers: 3,
        }
    }
}

/// Builds a world for each method, directs real traffic in it, and prints what
/// it looked like and what became of it. Whether everything passed.
///
/// Everything it builds is in network namespaces that end with the process,
/// however that ends.
///
/// # Errors
///
/// Privileges that are lacking, with what to type; or what the machine refused.
pub fn demo(options: &DemoOptions) -> io::Result<bool> {
    check_privileges(Work::Demo)?.map_err(io::Error::other)?;
    end_when_interrupted()?;
    let plans: Vec<Plan> = options
        .methods
        .iter()
        .map(|method| Plan {
            real_servers: options.real_servers,
            ..Plan::new(*method)
        })
        .collect();
    let start = |world: &World| start(world, options.mode).map_err(io::Error::other);
    match show(&plans, &mut io::stdout().lock(), start, account) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(true),
        outcome => outcome,
    }
}

/// Has SIGINT and SIGTERM end the process, and with it all that was built.
fn end_when_interrupted() -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::Builder::new()
        .name("lvs-interrupt".to_owned())
        .spawn(move || {
            if let Some(signal) = signals.forever().next() {
                eprintln!("lvs: interrupted; what was built is gone with this process");
                // As shells count a process that a signal has ended.
                process::exit(128 + signal);
            }
        })?;
    Ok(())
}

/// Starts a director in the world's place for one.
fn start(
    world: &World,
    mode: WantedMode,
) -> Result<Director, Box<dyn std::error::Error + Send + Sync>> {
    let plan = world.plan();
    let mut options = Options::new(plan.director_links().iter().copied());
    options.mode = mode;
    let config = Config::new(plan.services(Scheduler::RoundRobin))?;
    let small = DirectorOptions {
        connections: 1 << 14,
        ..DirectorOptions::default()
    };
    Ok(Director::start_with(
        Queues::open(&options)?,
        config,
        &small,
    )?)
}

/// How frames travelled, and what became of them.
fn account(director: &Director) -> String {
    // The workers publish their counters ten times a second.
    thread::sleep(std::time::Duration::from_millis(150));
    let mut lines = String::new();
    for way in director.ways() {
        lines += &format!("frames on {way}\n");
    }
    lines + &director.stats().to_string()
}
