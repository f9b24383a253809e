//! Entering and removing routes.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{RouteAttribute, RouteMessage, RouteProtocol, RouteScope};

use super::Network;
use crate::netlink::address;
use crate::netlink::error::Error;
use crate::netlink::prefix::Prefix;
use crate::netlink::route::Route;

impl Network {
    /// Enters a route; refused if there is one to the same prefix with the
    /// same metric.
    pub fn add_route(&mut self, route: &Route) -> Result<(), Error> {
        self.enter("add route", route, NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Enters a route in place of the one to the same prefix with the same
    /// metric, if there is one.
    pub fn replace_route(&mut self, route: &Route) -> Result<(), Error> {
        self.enter("replace route", route, NLM_F_CREATE | NLM_F_REPLACE)
    }

    /// Enters a route behind those to the same prefix with the same metric.
    /// With IPv6 that makes one multipath route of all that have a router.
    pub fn append_route(&mut self, route: &Route) -> Result<(), Error> {
        self.enter("append route", route, NLM_F_CREATE | NLM_F_APPEND)
    }

    /// Removes the first route that agrees with `route` in all that it says.
    pub fn delete_route(&mut self, route: &Route) -> Result<(), Error> {
        let mut message = route.message();
        // Both mean: whichever it has.
        message.header.scope = RouteScope::NoWhere;
        message.header.protocol = RouteProtocol::Unspec;
        let message = RouteNetlinkMessage::DelRoute(message);
        self.kernel.change(
            "delete route",
            &format_args!("to {}", route.prefix),
            message,
            0,
        )
    }

    /// Asks the kernel which way it would send a packet to `to`, policy rules
    /// included: a route to that address alone, with one way; none if nowhere.
    ///
    /// To hold what a [`Mirror`](crate::netlink::Mirror) resolves against it.
    pub fn route_to(&mut self, to: IpAddr) -> Result<Option<Route>, Error> {
        let question = question(to);
        let request = RouteNetlinkMessage::GetRoute(question);
        match self
            .kernel
            .ask("find route", &format_args!("to {to}"), request)
        {
            Ok(RouteNetlinkMessage::NewRoute(message)) => Ok(Route::from_any_message(&message)),
            Ok(_) => Ok(None),
            Err(error) => match error.raw_os_error() {
                Some(number) if NOWHERE.contains(&number) => Ok(None),
                _ => Err(error),
            },
        }
    }

    fn enter(&mut self, operation: &'static str, route: &Route, flags: u16) -> Result<(), Error> {
        let message = RouteNetlinkMessage::NewRoute(route.message());
        self.kernel.change(
            operation,
            &format_args!("to {}", route.prefix),
            message,
            flags,
        )
    }
}

/// The message that names the destination, and nothing else.
fn question(to: IpAddr) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = address::family(to);
    message.header.destination_prefix_length = Prefix::host(to).length();
    message.attributes = vec![RouteAttribute::Destination(to.into())];
    message
}

/// How the kernel says that packets go nowhere: no route, and those of the
/// kinds unreachable, prohibit and blackhole.
const NOWHERE: [i32; 4] = [
    libc::ENETUNREACH,
    libc::EHOSTUNREACH,
    libc::EACCES,
    libc::EINVAL,
];
