//! Routes, kept for finding the one to an address.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use super::prefix::{Prefix, masked};
use super::route::{Hop, Route, RouteKind};
use super::source_rule::SourceRule;

/// The routes the kernel searches by itself: tables local, main and default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RouteTable {
    v4: Family,
    v6: Family,
}

/// Where a new route goes among those with the same rank: same prefix, table,
/// type of service and metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// Before them.
    First,
    /// Behind them.
    Last,
    /// In place of the first.
    Replacing,
}

/// What became of a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removal {
    /// The route is gone now.
    Removed,
    /// It was not there.
    Absent,
    /// It was not there, but others of its rank are: what is here is not what
    /// the kernel has.
    Mismatch,
}

impl RouteTable {
    /// The table of `routes`, those of one rank in the kernel's order.
    pub(super) fn new(routes: impl IntoIterator<Item = Route>) -> Self {
        let mut table = Self::default();
        for route in routes {
            table.family_mut(&route).push(route);
        }
        table
    }

    /// The main table and, for each of `rules`, its own.
    pub(super) fn with_sources(
        routes: Vec<Route>,
        rules: &[SourceRule],
    ) -> (Self, Vec<(SourceRule, Self)>) {
        let of = |rule: &SourceRule| {
            let own = routes.iter().filter(|route| {
                let family = route.prefix.address().is_ipv4();
                route.table == rule.table && family == rule.source.address().is_ipv4()
            });
            // It is all there is to search.
            let own = own.map(|route| Route {
                table: Route::MAIN,
                ..route.clone()
            });
            (*rule, Self::new(own))
        };
        let by_source = rules.iter().map(of).collect();
        (Self::new(routes), by_source)
    }

    /// The route a packet to `to` takes: the longest prefix that has one in
    /// use, and among its routes the lowest metric.
    ///
    /// As the kernel does without policy rules, which are not asked: IPv4
    /// searches local and main as one (at the same length local goes first),
    /// then default; IPv6 searches local, then main. Routes for one type of
    /// service only are passed over, as are those whose every way is dead.
    pub(super) fn best(&self, to: IpAddr) -> Option<&Route> {
        self.best_within(Prefix::host(to))
    }

    /// Every prefix that some route is to, and for each the route taken by
    /// packets to those of its addresses that no longer prefix has: what
    /// [`RouteTable::best`] finds, for all addresses at once.
    pub(super) fn best_by_prefix(&self) -> impl Iterator<Item = (Prefix, Option<&Route>)> {
        let prefixes = self.v4.by_prefix.keys().chain(self.v6.by_prefix.keys());
        prefixes.map(|prefix| (*prefix, self.best_within(*prefix)))
    }

    /// The route of packets to `prefix`, longer prefixes aside.
    fn best_within(&self, prefix: Prefix) -> Option<&Route> {
        let (family, passes) = match prefix.address() {
            IpAddr::V4(_) => (&self.v4, V4_PASSES),
            IpAddr::V6(_) => (&self.v6, V6_PASSES),
        };
        passes
            .iter()
            .find_map(|tables| family.search(prefix, tables))
    }

    /// All routes, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Route> {
        self.v4.routes().chain(self.v6.routes())
    }

    /// Enters a route that the kernel says it entered; returns whether that
    /// changed anything.
    pub(super) fn insert(&mut self, route: Route, placement: Placement) -> bool {
        PASSES_OF_ANY.contains(&route.table) && self.family_mut(&route).insert(route, placement)
    }

    /// Removes a route that the kernel says it removed.
    pub(super) fn remove(&mut self, route: &Route) -> Removal {
        self.family_mut(route).remove(route)
    }

    fn family_mut(&mut self, route: &Route) -> &mut Family {
        match route.prefix.address() {
            IpAddr::V4(_) => &mut self.v4,
            IpAddr::V6(_) => &mut self.v6,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Family {
    /// Routes to each prefix, best first: by rank, then in the kernel's order.
    by_prefix: HashMap<Prefix, Vec<Route>>,
    /// How many prefixes of each length there are.
    lengths: BTreeMap<u8, usize>,
}

impl Family {
    fn search(&self, to: Prefix, tables: &[u32]) -> Option<&Route> {
        for &length in self.lengths.range(..=to.length()).map(|(l, _)| l).rev() {
            let prefix = Prefix::new(masked(to.address(), length), length).ok()?;
            let routes = self.by_prefix.get(&prefix).into_iter().flatten();
            let found = routes
                .filter(|route| route.service_type == 0 && tables.contains(&route.table))
                .find(|route| is_usable(route));
            match found {
                Some(route) if route.kind == RouteKind::Throw => return None,
                Some(route) => return Some(route),
                None => {}
            }
        }
        None
    }

    fn routes(&self) -> impl Iterator<Item = &Route> {
        self.by_prefix.values().flatten()
    }

    fn push(&mut self, route: Route) {
        if PASSES_OF_ANY.contains(&route.table) {
            let routes = self.at(route.prefix);
            let end = routes.partition_point(|other| rank(other) <= rank(&route));
            routes.insert(end, route);
        }
    }

    fn insert(&mut self, route: Route, placement: Placement) -> bool {
        let routes = self.at(route.prefix);
        if routes.contains(&route) {
            return false;
        }
        let joins = joins_others(&route);
        let start = routes.partition_point(|other| rank(other) < rank(&route));
        let end = routes.partition_point(|other| rank(other) <= rank(&route));
        let alike = routes[start..end]
            .iter()
            .position(|other| joins_others(other) == joins);
        let replaced = match placement {
            Placement::Replacing => alike.or((start < end).then_some(0)),
            // A message about one way of an IPv6 multipath route tells of all
            // its ways, so it takes the place of what was known of it.
            _ if joins => alike,
            _ => None,
        };
        let last = placement == Placement::Last || route.prefix.address().is_ipv6();
        match replaced {
            Some(offset) => routes[start + offset] = route,
            None if last => routes.insert(end, route),
            None => routes.insert(start, route),
        }
        true
    }

    fn remove(&mut self, gone: &Route) -> Removal {
        let Some(routes) = self.by_prefix.get_mut(&gone.prefix) else {
            return Removal::Absent;
        };
        let removal = if joins_others(gone) {
            remove_ways(routes, gone)
        } else {
            remove_whole(routes, gone)
        };
        if routes.is_empty() {
            self.by_prefix.remove(&gone.prefix);
            self.forget_length(gone.prefix.length());
        }
        removal
    }

    /// The routes to `prefix`, to which the caller adds at least one.
    fn at(&mut self, prefix: Prefix) -> &mut Vec<Route> {
        let lengths = &mut self.lengths;
        self.by_prefix.entry(prefix).or_insert_with(|| {
            *lengths.entry(prefix.length()).or_default() += 1;
            Vec::new()
        })
    }

    fn forget_length(&mut self, length: u8) {
        if let Some(count) = self.lengths.get_mut(&length) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&length);
            }
        }
    }
}

fn remove_whole(routes: &mut Vec<Route>, gone: &Route) -> Removal {
    let mut of_rank = false;
    let position = routes.iter().position(|route| {
        of_rank |= rank(route) == rank(gone);
        rank(route) == rank(gone) && route.kind == gone.kind && same_ways(route, gone)
    });
    match position {
        Some(position) => {
            routes.remove(position);
            Removal::Removed
        }
        None if of_rank => Removal::Mismatch,
        None => Removal::Absent,
    }
}

/// Removes each way of `gone` from the multipath route of its rank, and the
/// route with its last way: the kernel may tell of them one by one.
fn remove_ways(routes: &mut Vec<Route>, gone: &Route) -> Removal {
    let position = routes
        .iter()
        .position(|route| rank(route) == rank(gone) && joins_others(route));
    let Some(position) = position else {
        return Removal::Absent;
    };
    let ways = &mut routes[position].next_hops;
    let before = ways.len();
    ways.retain(|way| !gone.next_hops.iter().any(|other| same_way(way, other)));
    let removed = before - ways.len();
    if ways.is_empty() {
        routes.remove(position);
    }
    match removed == gone.next_hops.len() {
        true => Removal::Removed,
        false => Removal::Mismatch,
    }
}

/// Whether the kernel makes this route and others of its rank one multipath
/// route (net/ipv6/ip6_fib.c, `rt6_qualify_for_ecmp`: it has a router, and did
/// not come from a router advertisement).
fn joins_others(route: &Route) -> bool {
    route.prefix.address().is_ipv6()
        && route.protocol != PROTOCOL_ROUTER_ADVERTISEMENT
        && !route.next_hops.is_empty()
        && route.next_hops.iter().all(|way| way.gateway.is_some())
}

fn same_ways(one: &Route, other: &Route) -> bool {
    one.next_hops.len() == other.next_hops.len()
        && one
            .next_hops
            .iter()
            .zip(&other.next_hops)
            .all(|(one, other)| same_way(one, other))
}

/// Whether two ways are one; whether it lives is not a part of that.
fn same_way(one: &Hop, other: &Hop) -> bool {
    (one.link, one.gateway) == (other.link, other.gateway)
}

/// What orders routes to the same prefix: local before main before default,
/// then the metric.
fn rank(route: &Route) -> (std::cmp::Reverse<u32>, u32, u8) {
    let order = std::cmp::Reverse(route.table);
    (order, route.metric, route.service_type)
}

fn is_usable(route: &Route) -> bool {
    route.kind != RouteKind::Unicast || route.next_hops.iter().any(|way| !way.dead)
}

/// The tables searched for IPv4, those in one row as one.
const V4_PASSES: &[&[u32]] = &[&[Route::LOCAL, Route::MAIN], &[Route::DEFAULT]];

/// The tables searched for IPv6.
const V6_PASSES: &[&[u32]] = &[&[Route::LOCAL], &[Route::MAIN]];

/// The tables that are kept.
const PASSES_OF_ANY: [u32; 3] = [Route::LOCAL, Route::MAIN, Route::DEFAULT];

/// `RTPROT_RA` (linux/rtnetlink.h).
const PROTOCOL_ROUTER_ADVERTISEMENT: u8 = 9;

#[cfg(test)]
mod tests;
