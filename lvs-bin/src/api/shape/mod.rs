//! The JSON shapes, each with its way to the plain data it stands for and back.
//!
//! Words are those of the configuration file; a field of one thing has the same
//! name in both. Times are seconds, traffic is in packets and bytes. What a
//! shape does not know it refuses, so that a misspelt field is not passed over.

mod daemon;
mod fault;
mod key;
mod operation;
mod plan;
mod real_server;
mod service;
mod status;
mod table;

pub use daemon::{Daemon, Role};
pub use fault::{Fault, Refusal};
pub(super) use key::no_service;
pub use key::{key_of, key_text};
pub(super) use operation::bare;
pub use operation::{Operation, Outcome};
pub use plan::{Applied, Change, Field, Kind, Plan, Saved};
pub use real_server::{Checksum, Forwarding, RealServer, TunnelKind};
pub(super) use real_server::{end_of, no_end};
pub use service::{Flag, Mask, Service};
pub use status::{Headroom, Latency, Status, Verdicts, Worker};
pub use table::{Connection, ConnectionPage, Cursor, Engine, Protocol, Timeouts, Traffic};
