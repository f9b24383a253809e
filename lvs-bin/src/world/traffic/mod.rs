//! What travels through a world: servers that say who they are, and clients
//! that check every byte and give up at a deadline.
//!
//! Bodies and datagrams are cut from one endless [pattern], so that either side
//! can check any number of bytes without keeping them. The functions for
//! clients block and belong into [`Namespace::run`](super::Namespace::run) of
//! the client; a [`Server`] may be started from anywhere.

mod ask;
mod echo;
mod hold;
mod http;
pub mod pattern;
mod serve;

pub use ask::{Request, http, http_many, udp, udp_many};
pub use hold::{Held, HeldConnection};
pub use serve::{Offer, Server};

use std::future::Future;
use std::io;
use std::time::Duration;

/// Runs `work` to its end on this thread.
fn block_on<T>(work: impl Future<Output = T>) -> io::Result<T> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work))
}

/// An error that says which step of an exchange failed.
fn step(what: impl std::fmt::Display) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// An answer that came, and is wrong.
fn wrong(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// How long a server waits when it cannot take a connection, for want of
/// descriptors: trying again at once would starve the connections it has.
const RESPITE: Duration = Duration::from_millis(10);
