//! Connections: what the director remembers of each, and for how long.
//!
//! The table keeps them in memory handed in; the state machines of the
//! protocols are pure functions beside it. This folder knows addresses and
//! time, and nothing of services or of how packets are forwarded.

mod begin;
mod control;
mod entry;
mod index;
mod lifetimes;
pub mod sctp;
pub mod secure_tcp;
mod state;
mod table;
pub mod tcp;
mod timer;
pub mod udp;
mod way_back;

pub(crate) use begin::NewConnection;
pub(crate) use entry::{ACTIVE, ASSURED, CONTROLLED, Entry, OUTPUT_SEEN, TEMPLATE};
pub use entry::{Direction, Line, Method};
pub(crate) use lifetimes::Lifetimes;
pub use state::State;
pub(crate) use table::{ConnTable, lines_for};
