//! What the benches of the data path share: packet classes, the traffic of
//! each, and the directors that are measured with it.
//!
//! ```text
//!  Class ──> Traffic ──> 32 frames, restored in place ──> Director ──> time
//!              │                                             ├ Lvs: a shard
//!              └ 1 k or 1 M flows in scattered order         ├ Naive: maps and whole sums
//!                                                            └ Touch, Nothing: the floors
//! ```
//!
//! Every director is handed the same frames and pays for their restoring; the
//! floor `Nothing` says how much that is.
#![forbid(unsafe_code)]

pub mod change;
pub mod class;
pub mod clock;
pub mod director;
pub mod naive;
pub mod run;
pub mod setup;
pub mod traffic;
pub mod world;
