//! A Linux Virtual Server director to embed: the same one that the `lvs`
//! binary runs.
//!
//! | you bring | you take |
//! |---|---|
//! | nothing | [`Director`]: queues, workers, routes, everything |
//! | your own logic | [`lvs_io::Queue`]: frames in and out |
//! | your own I/O and threads | [`lvs_core::Shard`]: packets and time in, verdicts out |
//!
//! The example `embed` is the first of these in twenty lines.

#![forbid(unsafe_code)]

pub mod adm;
pub mod api;
pub mod config;
pub mod control;
pub mod demo;
pub mod director;
pub mod doctor;
pub mod ipvsadm;
pub mod log;
pub mod manage;
pub mod metrics;
pub mod privileges;
pub mod run;
pub mod watch;
pub mod world;

#[cfg(test)]
#[path = "../../lvs-io/af-xdp/tests/skip/mod.rs"]
mod skip;

pub use director::{
    ConnectionPage, Director, DirectorError, DirectorOptions, DirectorStats, ListError,
};
pub use lvs_core;
pub use lvs_core::{
    Config, ConfigError, ForwardingMethod, Protocol, RealServer, Scheduler, Service, ServiceKey,
    Timeouts, Weight,
};
pub use lvs_io;
pub use lvs_io::{Nic, Options, Queues};
