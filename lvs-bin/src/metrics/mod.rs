//! Metrics of a director in Prometheus' text format: [`text`], and [`Server`]
//! for those who want it served.
//!
//! All of it comes from [`Director::stats`] and [`Director::config`]. A worker
//! has no part in it: it publishes its counters when it does anyway, so however
//! often they are asked for, no packet waits.
//!
//! Labels are `service`, by its name in the control API (`tcp:192.0.2.10:80`,
//! `mark:ipv4:1`), `real_server` (`10.0.0.11:80`), `worker` (from 0), `verdict`
//! and `reason`. Nothing else is told apart, no client above all, so the number
//! of series is known: 10 a real server, 6 a service, 77 a worker and some 55
//! besides. 10,000 services of 10 real servers each are 1.06 million series and
//! a page of 98 MB, which took a third of a second to write; a scraper must be
//! given the time and the memory for that, or a longer interval.
//!
//! What passed is counted by real server. A service's own sum would fall with
//! each real server that is removed, which Prometheus takes for a new start; it
//! is `sum by (service) (rate(lvs_real_server_incoming_packets_total[5m]))`.
//!
//! *Cost:* of a page, to whoever asks for it, some 300 ns and 100 bytes a
//! series, and of the memory no more at a time than one metric takes.

mod exposition;
mod figures;
mod page;
mod server;
#[cfg(test)]
mod tests;

pub use page::Page;
pub use server::{ServeError, Server};

use crate::director::Director;

/// The media type of what is served, with the version of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics of a director, as they are now.
///
/// Where there are many services, [`Page`] gives the same in parts.
#[must_use]
pub fn text(director: &Director) -> String {
    Page::of(director).collect()
}
