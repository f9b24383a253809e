//! A Linux Virtual Server director as a pure state machine.
//!
//! A frame comes in on a queue; the core parses it to a **packet**, finds its
//! **connection** or asks the **scheduler** of its **service** for a **real
//! server**, **forwards** it by that server's **forwarding method**, and returns
//! a **verdict**; the worker acts on the verdict.
//!
//! This crate is everything in that sentence between the queues. It reads no
//! clock, owns no thread, allocates only when it is built, and has no
//! dependencies: bytes, time and chance go in, verdicts come out, and the same
//! input gives the same output always.
//!
//! ```text
//!  Config ──┐
//!  Network ─┴─> Planner ──> Snapshot ──> Shard ──> Verdict
//!                                          ^
//!                          now, packets ───┘
//! ```
//!
//! | folder | what |
//! |---|---|
//! | `packet/` | bytes: headers, checksums, flows |
//! | `config/` | what the operator wants |
//! | `network` | interfaces, routes, neighbours |
//! | `sched/` | who serves a new connection |
//! | `conn/` | what is remembered of each, and for how long |
//! | `datagram/` | fragments, until their datagram is whole |
//! | `forward/` | the rewriting of each forwarding method |
//! | `chance`, `time` | random numbers and moments, both handed in |
//! | `loads`, `paths`, `memory` | what shards share: connection counts, learnt MTUs, free memory |
//! | `plan`, `snapshot` | configuration and network, made ready for shards |
//! | `shard/` | the sentence above, for one core |
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

extern crate alloc;

mod chance;
mod classify;
pub mod config;
pub mod conn;
mod datagram;
mod end_table;
mod ends;
mod forward;
mod loads;
mod lookup;
mod memory;
pub mod network;
pub mod packet;
mod paths;
mod plan;
mod sched;
mod shard;
mod snapshot;
mod stats;
pub mod steer;
pub mod time;
mod verdict;

pub use config::{
    Config, ConfigError, Draft, Family, ForwardingMethod, Persistence, Protocol, RealServer,
    RealServerId, Scheduler, Service, ServiceKey, Setting, Settings, Thresholds, Timeouts, Tunnel,
    Weight,
};
pub use conn::Line;
pub use loads::Loads;
pub use memory::Memory;
pub use network::Network;
pub use packet::{ChecksumState, PacketBuf, Pieces, Tail};
pub use plan::{FragmentLimits, Limits, PlanError, Planner};
pub use shard::{Connection, Released, Shard, TooLittleMemory};
pub use snapshot::{Port, ShardId, Snapshot};
pub use stats::{Stats, Traffic};
pub use time::Instant;
pub use verdict::{DropReason, Verdict};
