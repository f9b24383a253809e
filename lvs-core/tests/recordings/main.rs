//! Plays what was recorded from Linux IPVS (kernel 6.12.117, ipvsadm 1.31) to a
//! shard: the same commands and packets must end in the same frames, byte for
//! byte, and in the same listings of connections, real servers and traffic.
//!
//! ```text
//!  GROUP.json.xz ──> scenario ──> player ──> Shard ──> frames ──┐
//!                                   │           └ Host ──> host ┴─> compared
//! ```
//!
//! | file | what |
//! |---|---|
//! | `scenario` | reads a recording |
//! | `command` | reads the commands in it, and names those of features not built yet |
//! | `director` | the recorded director: interfaces, routes, services, one shard |
//! | `player` | goes through the steps of a scenario and compares |
//! | `listing` | compares what `ipvsadm` listed |
//! | `host` | a Linux host, for packets a shard leaves to it |
//! | `frame` | what `host` needs to read and write frames |
//!
//! A recording is a list of scenarios. A frame is hexadecimal, Ethernet header
//! included; `vary` names the bytes that differed from boot to boot of the
//! kernel, such as identifications, which are not compared. Each scenario
//! passes, fails, or needs a feature that is not built yet; how many do which
//! is asserted exactly, so that none is lost unnoticed.

mod command;
mod director;
mod frame;
mod host;
mod listing;
mod player;
mod scenario;

use std::collections::BTreeMap;

use player::Outcome;

#[test]
fn nat() {
    play("nat", include_bytes!("nat.json.xz"), (34, 7));
}

#[test]
fn dr() {
    play("dr", include_bytes!("dr.json.xz"), (18, 3));
}

#[test]
fn tun() {
    play("tun", include_bytes!("tun.json.xz"), (18, 75));
}

#[test]
fn icmp() {
    play("icmp", include_bytes!("icmp.json.xz"), (12, 11));
}

#[test]
fn timeout() {
    play("timeout", include_bytes!("timeout.json.xz"), (10, 0));
}

#[test]
fn reuse() {
    play("reuse", include_bytes!("reuse.json.xz"), (3, 12));
}

#[test]
fn misc() {
    play("misc", include_bytes!("misc.json.xz"), (2, 19));
}

#[test]
fn stats() {
    play("stats", include_bytes!("stats.json.xz"), (4, 1));
}

#[test]
fn sched_rr() {
    play("sched-rr", include_bytes!("sched-rr.json.xz"), (15, 2));
}

#[test]
fn sched_wrr() {
    play("sched-wrr", include_bytes!("sched-wrr.json.xz"), (13, 3));
}

#[test]
fn sched_lc() {
    play("sched-lc", include_bytes!("sched-lc.json.xz"), (15, 3));
}

#[test]
fn sched_wlc() {
    play("sched-wlc", include_bytes!("sched-wlc.json.xz"), (11, 1));
}

#[test]
fn sched_sh() {
    play("sched-sh", include_bytes!("sched-sh.json.xz"), (18, 22));
}

#[test]
fn sched_dh() {
    play("sched-dh", include_bytes!("sched-dh.json.xz"), (19, 3));
}

#[test]
fn state_tcp() {
    play("state-tcp", include_bytes!("state-tcp.json.xz"), (13, 3));
}

/// Plays every scenario of a recording, of which so many must pass and so many
/// not be possible yet.
fn play(group: &str, recording: &[u8], expected: (usize, usize)) {
    let (mut passed, mut failures) = (0, Vec::new());
    let mut missing: BTreeMap<String, usize> = BTreeMap::new();
    for scenario in scenario::read(recording) {
        match player::play(&scenario) {
            Outcome::Passed => passed += 1,
            Outcome::Failed(why) => failures.push(format!("{}: {why}", scenario.name)),
            Outcome::NotYet(feature) => *missing.entry(feature).or_default() += 1,
        }
    }
    let not_yet: usize = missing.values().sum();
    let features: Vec<String> = missing
        .iter()
        .map(|(feature, count)| format!("{feature} {count}"))
        .collect();
    println!(
        "{group}: {passed} passed, {} failed, {not_yet} not yet ({})",
        failures.len(),
        features.join(", ")
    );
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert_eq!((passed, not_yet), expected, "passed and not yet");
}
