//! Changing a network namespace: links, addresses, routes, rules and
//! neighbours.

mod addresses;
mod links;
mod lists;
mod neighbours;
mod routes;
mod rules;

pub use links::VethEnd;

use super::error::Error;
use super::request::Conversation;

/// A network namespace to be changed: the one its opening thread was in.
///
/// It stays with that namespace, wherever the thread goes later and whichever
/// thread uses it. Links are named as people name them; each operation is one
/// request to the kernel, and one more to find a link where it must be
/// numbered.
///
/// Errors, of every operation: what the kernel refused, with its words. What
/// was refused has changed nothing.
///
/// ```no_run
/// use lvs_io::netlink::{Network, Prefix, Route, VethEnd};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut network = Network::open()?;
/// network.add_veth(&VethEnd::new("c0"), &VethEnd::new("d0").queues(2))?;
/// network.add_address("c0", "10.0.0.1/24".parse()?)?;
/// network.set_up("c0")?;
/// network.set_up("d0")?;
/// network.add_route(&Route::via(Prefix::ALL_V4, "10.0.0.254".parse()?))?;
/// # Ok(())
/// # }
/// ```
pub struct Network {
    kernel: Conversation,
}

impl Network {
    /// Opens the calling thread's current network namespace.
    pub fn open() -> Result<Self, Error> {
        Ok(Self {
            kernel: Conversation::open()?,
        })
    }
}
