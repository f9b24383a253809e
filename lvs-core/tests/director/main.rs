//! What a director does, packet by packet: the specification to read first.
//!
//! Each scenario says which services there are and then, in turn, which frame
//! the director takes and what becomes of it: sent on, exactly so; left to the
//! host; dropped, for a named reason; handed to another shard. Frames are
//! compared byte by byte with what a builder makes that shares nothing with the
//! director, and every checksum of what is sent is looked at once more.
//!
//! [`common::place`] says who is who: the client, the service `web`, the real
//! servers 11, 12 and 13.

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "each test uses its part of it")]
mod common;

mod scenario;

mod answers;
mod checksums;
mod connections;
mod defences;
mod endings;
mod forwarding;
mod fragments;
mod icmp_errors;
mod local;
mod malformed;
mod marks;
mod not_ours;
mod sctp;
mod settings;
mod shards;
mod tunnels;

use std::collections::BTreeSet;

use lvs_core::DropReason;
use scenario::Scenario;

/// The whole table.
fn table() -> Vec<Scenario> {
    [
        forwarding::scenarios(),
        tunnels::scenarios(),
        connections::scenarios(),
        endings::scenarios(),
        not_ours::scenarios(),
        checksums::scenarios(),
        answers::scenarios(),
        icmp_errors::scenarios(),
        shards::scenarios(),
        malformed::scenarios(),
        marks::scenarios(),
        fragments::scenarios(),
        sctp::scenarios(),
        defences::scenarios(),
        settings::scenarios(),
        local::scenarios(),
    ]
    .concat()
}

#[test]
fn every_scenario_goes_as_written() {
    for bit_by_bit in [false, true] {
        let play = |scenario: &Scenario| scenario.play(bit_by_bit).err();
        let failed: Vec<String> = table().iter().filter_map(play).collect();
        assert!(
            failed.is_empty(),
            "adopting bit by bit: {bit_by_bit}\n{}",
            failed.join("\n\n")
        );
    }
}

#[test]
fn every_scenario_has_a_name_of_its_own() {
    let mut names = BTreeSet::new();
    for scenario in table() {
        assert!(
            names.insert(scenario.name().to_owned()),
            "{}",
            scenario.name()
        );
    }
}

#[test]
fn every_drop_reason_has_a_scenario() {
    let shown: BTreeSet<DropReason> = table().iter().flat_map(Scenario::drops).collect();
    for reason in DropReason::ALL {
        let excused = EXCUSED.iter().any(|(excused, _)| *excused == reason);
        assert_ne!(shown.contains(&reason), excused, "{}", reason.name());
    }
}

/// Drop reasons no scenario can show, and why.
const EXCUSED: [(DropReason, &str); 3] = [
    (
        DropReason::NoConnection,
        "the real server is told; only a director without an address could not",
    ),
    (
        DropReason::IndexFull,
        "takes flows that collide under a secret seed; conn/table.rs forces it",
    ),
    (
        DropReason::NoSuchShard,
        "the caller's: the core names only shards of the limits it was given",
    ),
];
