//! Keeping a view in step with what the kernel announces.

use netlink_packet_core::{NLM_F_APPEND, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;

use super::address::{self, Address};
use super::error::Error;
use super::link::Link;
use super::neighbour::Neighbour;
use super::request::Conversation;
use super::route::Route;
use super::source_rule::SourceRule;
use super::table::{Placement, Removal, RouteTable};
use super::view::View;

/// What an announcement did to a view, beyond the change itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Effect {
    /// Something may now resolve differently.
    pub(super) changed: bool,
    /// The kernel may have changed routes without a word; they must be read
    /// again.
    pub(super) routes_stale: bool,
    /// A neighbour or a link came, went or lost its managed flag.
    pub(super) neighbours_moved: bool,
}

impl View {
    /// Reads everything.
    pub(super) fn read(kernel: &mut Conversation) -> Result<Self, Error> {
        let mut view = Self::default();
        for link in kernel.links()? {
            view.links.insert(link.index, link);
        }
        for address in kernel.addresses()? {
            let key = (address.link, address.prefix);
            view.addresses.insert(key, address);
        }
        view.read_routes(kernel)?;
        let known = kernel.neighbours()?.into_iter().filter(Neighbour::is_known);
        for neighbour in known {
            let key = (neighbour.link, neighbour.address);
            view.neighbours.insert(key, neighbour);
        }
        Ok(view)
    }

    /// Reads routes and rules again; whether any are others.
    pub(super) fn read_routes(&mut self, kernel: &mut Conversation) -> Result<bool, Error> {
        let rules = kernel.source_rules()?;
        let (routes, by_source) = RouteTable::with_sources(kernel.routes()?, &rules);
        let changed = routes != self.routes || by_source != self.by_source;
        self.routes = routes;
        self.by_source = by_source;
        Ok(changed)
    }

    /// Applies one announcement; applying one again changes nothing.
    ///
    /// `flags` are those of the message's header, which say where a route went.
    pub(super) fn apply(&mut self, message: RouteNetlinkMessage, flags: u16) -> Effect {
        let effect =
            match message {
                RouteNetlinkMessage::NewLink(message) => {
                    Link::from_message(&message).map(|link| self.enter_link(link))
                }
                RouteNetlinkMessage::DelLink(message) => {
                    Link::from_message(&message).map(|link| self.remove_link(&link))
                }
                RouteNetlinkMessage::NewAddress(message) => {
                    let usable = address::is_usable(&message);
                    Address::from_message(&message).map(|address| match usable {
                        true => self.enter_address(address),
                        false => self.remove_address(&address),
                    })
                }
                RouteNetlinkMessage::DelAddress(message) => {
                    Address::from_message(&message).map(|address| self.remove_address(&address))
                }
                RouteNetlinkMessage::NewRoute(message) => {
                    Route::from_message(&message).map(|route| self.enter_route(route, flags))
                }
                RouteNetlinkMessage::DelRoute(message) => {
                    Route::from_message(&message).map(|route| self.remove_route(&route))
                }
                RouteNetlinkMessage::NewRule(message) | RouteNetlinkMessage::DelRule(message) => {
                    SourceRule::from_message(&message).map(|_| Effect {
                        routes_stale: true,
                        ..Effect::default()
                    })
                }
                RouteNetlinkMessage::NewNeighbour(message) => Neighbour::from_message(&message)
                    .map(|neighbour| self.enter_neighbour(neighbour)),
                RouteNetlinkMessage::DelNeighbour(message) => Neighbour::from_message(&message)
                    .map(|neighbour| self.remove_neighbour(&neighbour)),
                _ => None,
            };
        effect.unwrap_or_default()
    }

    fn enter_link(&mut self, link: Link) -> Effect {
        let old = self.links.get(&link.index);
        if old == Some(&link) {
            return Effect::default();
        }
        // Without a word, IPv4 takes the routes by a link that goes down, and
        // both families mark the ways of multipath routes dead or alive as it
        // goes down, comes up or gets its carrier (net/ipv4/fib_semantics.c,
        // fib_sync_down_dev and fib_sync_up; net/ipv6/addrconf.c,
        // addrconf_notify).
        let turned = old.is_some_and(|old| (old.up, old.running) != (link.up, link.running));
        self.links.insert(link.index, link);
        Effect {
            changed: true,
            routes_stale: turned,
            neighbours_moved: true,
        }
    }

    fn remove_link(&mut self, link: &Link) -> Effect {
        let index = link.index;
        let known = self.links.remove(&index).is_some();
        self.addresses.retain(|(link, _), _| *link != index);
        self.neighbours.retain(|(link, _), _| *link != index);
        Effect {
            changed: known,
            routes_stale: known,
            neighbours_moved: known,
        }
    }

    fn enter_address(&mut self, address: Address) -> Effect {
        let key = (address.link, address.prefix);
        let old = self.addresses.insert(key, address);
        Effect {
            changed: old != Some(address),
            ..Effect::default()
        }
    }

    fn remove_address(&mut self, address: &Address) -> Effect {
        let key = (address.link, address.prefix);
        let known = self.addresses.remove(&key).is_some();
        Effect {
            changed: known,
            // Routes that bore it as their source go with it (IPv4) or lose it
            // (IPv6), without a word.
            routes_stale: known,
            neighbours_moved: false,
        }
    }

    fn enter_route(&mut self, route: Route, flags: u16) -> Effect {
        let placement = match flags {
            flags if flags & NLM_F_REPLACE != 0 => Placement::Replacing,
            flags if flags & NLM_F_APPEND != 0 => Placement::Last,
            _ => Placement::First,
        };
        Effect {
            routes_stale: self.is_by_source(&route),
            changed: self.routes.insert(route, placement),
            ..Effect::default()
        }
    }

    fn remove_route(&mut self, route: &Route) -> Effect {
        let removal = self.routes.remove(route);
        Effect {
            changed: removal == Removal::Removed,
            routes_stale: removal == Removal::Mismatch || self.is_by_source(route),
            neighbours_moved: false,
        }
    }

    /// Whether a route is in the table of a rule. Such are few, and are read
    /// anew.
    fn is_by_source(&self, route: &Route) -> bool {
        let mut rules = self.by_source.iter();
        rules.any(|(rule, _)| rule.table == route.table)
    }

    fn enter_neighbour(&mut self, neighbour: Neighbour) -> Effect {
        if !neighbour.is_known() {
            return self.remove_neighbour(&neighbour);
        }
        let key = (neighbour.link, neighbour.address);
        let old = self.neighbours.insert(key, neighbour);
        Effect {
            changed: old.and_then(|old| old.mac) != neighbour.mac,
            routes_stale: false,
            neighbours_moved: !neighbour.managed,
        }
    }

    fn remove_neighbour(&mut self, neighbour: &Neighbour) -> Effect {
        let key = (neighbour.link, neighbour.address);
        let old = self.neighbours.remove(&key);
        Effect {
            changed: old.is_some_and(|old| old.mac.is_some()),
            routes_stale: false,
            neighbours_moved: old.is_some(),
        }
    }
}
