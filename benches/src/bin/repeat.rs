//! Runs one class for so many packets and prints the time of each: for
//! profilers, and for two builds run in turn.
//!
//! ```text
//! repeat hit|new direct_route|tunnel|masquerade_request|masquerade_reply \
//!        tcp|udp 4|6 <flows> <packets> [rounds]
//! repeat setup <scheduler> <real servers> <shards> <connections> [rounds]
//! ```
#![forbid(unsafe_code)]

use std::env;
use std::process::ExitCode;

use af_xdp::{HugePages, Region};
use lvs_benches::class::{Class, Family, Size, Transport, Way};
use lvs_benches::director::{Director, Lvs, Nothing};
use lvs_benches::run::Run;
use lvs_benches::setup::{SETUP_FLOWS, Setup};
use lvs_core::{Line, Scheduler, Shard};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let Some((setup, packets, rounds)) = read_setup(&arguments) {
        let lines = Shard::memory_for(SETUP_FLOWS as usize);
        let mut memory = Region::new(lines * size_of::<Line>(), HugePages::Prefer)
            .expect("memory for the table");
        let lvs = Lvs::with_plan(setup.plan(), memory.lines_mut());
        repeat(
            Run::beginning(Setup::class(), SETUP_FLOWS, lvs),
            packets,
            rounds,
        );
        return ExitCode::SUCCESS;
    }
    let Some(wanted) = Wanted::read(&arguments) else {
        eprintln!(
            "repeat hit|new|restore direct_route|tunnel|masquerade_request|masquerade_reply \
             tcp|udp 4|6 <flows, a power of two> <packets> [rounds]\n\
             repeat setup <scheduler> <real servers> <shards> <connections> [rounds]"
        );
        return ExitCode::FAILURE;
    };
    let lines = Shard::memory_for(wanted.flows as usize);
    let mut memory =
        Region::new(lines * size_of::<Line>(), HugePages::Prefer).expect("memory for the table");
    let (class, flows) = (wanted.class, wanted.flows);
    if wanted.kind == "restore" {
        wanted.repeat(Run::frames_only(class, Nothing));
        return ExitCode::SUCCESS;
    }
    let lvs = Lvs::new(class, memory.lines_mut());
    match wanted.kind.as_str() {
        "new" => wanted.repeat(Run::beginning(class, flows, lvs)),
        _ => wanted.repeat(Run::established(class, flows, lvs)),
    }
    ExitCode::SUCCESS
}

/// What the arguments ask for.
struct Wanted {
    kind: String,
    class: Class,
    flows: u32,
    packets: u64,
    rounds: u32,
}

impl Wanted {
    fn read(arguments: &[String]) -> Option<Self> {
        let [kind, way, transport, family, flows, packets, rest @ ..] = arguments else {
            return None;
        };
        let way = match way.as_str() {
            "direct_route" => Way::DirectRoute,
            "tunnel" => Way::Tunnel,
            "masquerade_request" => Way::MasqueradeRequest,
            "masquerade_reply" => Way::MasqueradeReply,
            _ => return None,
        };
        let class = Class {
            way,
            family: if family == "6" {
                Family::V6
            } else {
                Family::V4
            },
            transport: if transport == "udp" {
                Transport::Udp
            } else {
                Transport::Tcp
            },
            size: Size::Short,
        };
        let flows: u32 = flows.parse().ok()?;
        Some(Self {
            kind: kind.clone(),
            class,
            flows: flows.checked_next_power_of_two()?.max(32),
            packets: packets.parse().ok()?,
            rounds: rest.first().map_or(Some(1), |rounds| rounds.parse().ok())?,
        })
    }

    fn repeat<D: Director>(&self, run: Run<D>) {
        repeat(run, self.packets, self.rounds);
    }
}

fn read_setup(arguments: &[String]) -> Option<(Setup, u64, u32)> {
    let [kind, scheduler, real_servers, shards, packets, rest @ ..] = arguments else {
        return None;
    };
    let setup = Setup {
        scheduler: Scheduler::named(scheduler).filter(|_| kind == "setup")?,
        real_servers: real_servers.parse().ok()?,
        shards: shards.parse().ok()?,
    };
    let rounds = rest.first().map_or(Some(1), |rounds| rounds.parse().ok())?;
    Some((setup, packets.parse().ok()?, rounds))
}

fn repeat<D: Director>(mut run: Run<D>, packets: u64, rounds: u32) {
    for _ in 0..rounds {
        let spent = run.time(packets);
        println!("{:.2}", spent.as_nanos() as f64 / packets as f64);
    }
}
