//! Seeing what a network namespace has.

use super::Network;
use crate::netlink::address::Address;
use crate::netlink::error::Error;
use crate::netlink::link::Link;
use crate::netlink::neighbour::Neighbour;
use crate::netlink::route::Route;
use crate::netlink::rule::Rule;

/// Each list is a consistent moment's; one that keeps changing while it is
/// read is, in the end, an error of kind `ResourceBusy`.
impl Network {
    /// All links.
    pub fn links(&mut self) -> Result<Vec<Link>, Error> {
        self.kernel.links()
    }

    /// All addresses of both families that can be used: not those IPv6 is still
    /// asking others about.
    pub fn addresses(&mut self) -> Result<Vec<Address>, Error> {
        self.kernel.addresses()
    }

    /// All routes of both families and all tables.
    pub fn routes(&mut self) -> Result<Vec<Route>, Error> {
        self.kernel.routes()
    }

    /// The rules of both families that this crate made, in this process or another.
    pub fn rules(&mut self) -> Result<Vec<Rule>, Error> {
        self.kernel.rules()
    }

    /// All neighbours of both families.
    pub fn neighbours(&mut self) -> Result<Vec<Neighbour>, Error> {
        self.kernel.neighbours()
    }
}
