//! Listing all links, addresses, routes or neighbours of a namespace.

use std::io;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::LinkMessage;
use netlink_packet_route::neighbour::NeighbourMessage;
use netlink_packet_route::route::RouteMessage;
use netlink_packet_route::rule::RuleMessage;

use super::address::{self, Address};
use super::error::Error;
use super::link::Link;
use super::neighbour::Neighbour;
use super::request::{Conversation, Dump};
use super::route::Route;
use super::rule::Rule;
use super::source_rule::SourceRule;

impl Conversation {
    /// All links.
    pub(super) fn links(&mut self) -> Result<Vec<Link>, Error> {
        let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
        self.list("links", request, |message| match message {
            RouteNetlinkMessage::NewLink(message) => Link::from_message(&message),
            _ => None,
        })
    }

    /// All addresses of both families that can be used.
    pub(super) fn addresses(&mut self) -> Result<Vec<Address>, Error> {
        let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        self.list("addresses", request, |message| match message {
            RouteNetlinkMessage::NewAddress(message) if address::is_usable(&message) => {
                Address::from_message(&message)
            }
            _ => None,
        })
    }

    /// All routes of both families and all tables, those to the same prefix in
    /// the kernel's order.
    pub(super) fn routes(&mut self) -> Result<Vec<Route>, Error> {
        let request = RouteNetlinkMessage::GetRoute(RouteMessage::default());
        self.list("routes", request, |message| match message {
            RouteNetlinkMessage::NewRoute(message) => Route::from_message(&message),
            _ => None,
        })
    }

    /// The rules of both families that this crate made.
    pub(super) fn rules(&mut self) -> Result<Vec<Rule>, Error> {
        let request = RouteNetlinkMessage::GetRule(RuleMessage::default());
        self.list("rules", request, |message| match message {
            RouteNetlinkMessage::NewRule(message) => Rule::from_message(&message),
            _ => None,
        })
    }

    /// The rules of both families that look at the source alone, in the order
    /// they are asked.
    pub(super) fn source_rules(&mut self) -> Result<Vec<SourceRule>, Error> {
        let request = RouteNetlinkMessage::GetRule(RuleMessage::default());
        let mut rules = self.list("rules", request, |message| match message {
            RouteNetlinkMessage::NewRule(message) => SourceRule::from_message(&message),
            _ => None,
        })?;
        // Those of one priority stay in the kernel's order.
        rules.sort_by_key(|rule| rule.priority);
        Ok(rules)
    }

    /// All neighbours of both families.
    pub(super) fn neighbours(&mut self) -> Result<Vec<Neighbour>, Error> {
        let request = RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default());
        self.list("neighbours", request, |message| match message {
            RouteNetlinkMessage::NewNeighbour(message) => Neighbour::from_message(&message),
            _ => None,
        })
    }

    fn list<T>(
        &mut self,
        things: &'static str,
        request: RouteNetlinkMessage,
        read: impl Fn(RouteNetlinkMessage) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        for _ in 0..ATTEMPTS {
            let mut list = Vec::new();
            let mut take = |message| list.extend(read(message));
            if self.dump(&things, request.clone(), &mut take)? == Dump::Whole {
                return Ok(list);
            }
        }
        Err(Error::new(
            "list",
            &things,
            io::ErrorKind::ResourceBusy.into(),
        ))
    }
}

/// How often a list that changed while it was read is begun anew. A change
/// must fall into each reading; that many in a row mean a storm of them.
const ATTEMPTS: usize = 16;
