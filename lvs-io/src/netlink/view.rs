//! What the kernel knows about the way to anywhere, as a value.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use super::address::Address;
use super::link::Link;
use super::neighbour::Neighbour;
use super::prefix::Prefix;
use super::route::{Hop, Route, RouteKind};
use super::source_rule::SourceRule;
use super::table::RouteTable;

/// The links, addresses, routes and neighbours of a network namespace.
///
/// A plain value: a clone is a consistent picture that any thread may read
/// while the mirror goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    pub(super) links: BTreeMap<u32, Link>,
    pub(super) addresses: BTreeMap<(u32, Prefix), Address>,
    pub(super) routes: RouteTable,
    /// In the order the rules are asked.
    pub(super) by_source: Vec<(SourceRule, RouteTable)>,
    pub(super) neighbours: HashMap<(u32, IpAddr), Neighbour>,
}

/// Where packets to an address go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// To this machine.
    Local,
    /// Out of a link.
    Via(NextHop),
    /// Nowhere: no route, a route that refuses, or an address that is not one
    /// host's (broadcast, multicast, unspecified).
    Unreachable,
}

/// The next step of a packet's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// Index of the link to send on.
    pub link: u32,
    /// The neighbour to send to: a router, or the destination itself.
    pub next_hop: IpAddr,
    /// The source address that this machine's own packets would bear; none if
    /// it has no fitting address.
    pub source: Option<IpAddr>,
    /// The neighbour's MAC; none while the kernel does not know it, and on
    /// links that have no such thing.
    pub mac: Option<[u8; 6]>,
    /// The longest packet for this way, in bytes, without the Ethernet header.
    pub mtu: u32,
}

impl View {
    /// Finds where packets to `to` go, by longest prefix and lowest metric.
    ///
    /// Policy rules are not asked (but see [`View::source_rules`]), nor is any
    /// table but local, main and default: where those send packets elsewhere,
    /// this does not tell the truth. Of a multipath route's living ways one is chosen by a hash of
    /// `to`, in proportion to their weights: all packets to one address take
    /// one way, and different addresses spread. The kernel hashes differently
    /// and may choose another way for the same address.
    ///
    /// Cost: one hash lookup for each prefix length in use that is not shorter
    /// than the answer's (at most 33 for IPv4, in practice a handful), and
    /// three more; no allocation.
    pub fn resolve(&self, to: IpAddr) -> Resolution {
        if is_no_host(to) {
            return Resolution::Unreachable;
        }
        match self.routes.best(to) {
            Some(route) if route.kind == RouteKind::Local => Resolution::Local,
            Some(route) if route.kind == RouteKind::Unicast => self.follow(route, to),
            _ => Resolution::Unreachable,
        }
    }

    /// The route that [`View::resolve`] follows.
    pub fn route(&self, to: IpAddr) -> Option<&Route> {
        self.routes.best(to)
    }

    /// Every prefix that some route is to, and for each the route of packets
    /// to those of its addresses that no longer prefix has; none where nothing
    /// leads. It is the choice of [`View::route`], for all addresses at once.
    pub fn best_routes(&self) -> impl Iterator<Item = (Prefix, Option<&Route>)> {
        self.routes.best_by_prefix()
    }

    /// The rules that look at the source alone, in the order they are asked, and
    /// for each what [`View::best_routes`] is for the main table.
    pub fn source_rules(
        &self,
    ) -> impl Iterator<Item = (SourceRule, impl Iterator<Item = (Prefix, Option<&Route>)>)> {
        self.by_source
            .iter()
            .map(|(rule, routes)| (*rule, routes.best_by_prefix()))
    }

    /// The link with this index.
    pub fn link(&self, index: u32) -> Option<&Link> {
        self.links.get(&index)
    }

    /// All links, by index.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
    }

    /// All addresses, by link.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.addresses.values()
    }

    /// All routes of the tables local, main and default, in no order.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }

    /// What is known of an address on a link.
    pub fn neighbour(&self, link: u32, address: IpAddr) -> Option<&Neighbour> {
        self.neighbours.get(&(link, address))
    }

    /// All neighbours, in no order.
    pub fn neighbours(&self) -> impl Iterator<Item = &Neighbour> {
        self.neighbours.values()
    }

    fn follow(&self, route: &Route, to: IpAddr) -> Resolution {
        let Some(way) = choose(&route.next_hops, to) else {
            return Resolution::Unreachable;
        };
        // The link of a route may be gone some messages before the route.
        let Some(link) = self.links.get(&way.link) else {
            return Resolution::Unreachable;
        };
        let next_hop = way.gateway.unwrap_or(to);
        let known = self.neighbours.get(&(way.link, next_hop));
        Resolution::Via(NextHop {
            link: way.link,
            next_hop,
            source: route.source.or_else(|| self.source(way.link, next_hop, to)),
            mac: known.and_then(|neighbour| neighbour.mac),
            mtu: route.mtu.map_or(link.mtu, |mtu| mtu.min(link.mtu)),
        })
    }

    /// The address the kernel would choose for packets to `to`.
    ///
    /// IPv4: one of the link in the next hop's network, else any of the
    /// link's, else any. IPv6: RFC 6724 section 5, of which rules 2, 3, 5 and
    /// 8 decide here; policy labels and temporary addresses are not known.
    fn source(&self, link: u32, next_hop: IpAddr, to: IpAddr) -> Option<IpAddr> {
        self.addresses
            .values()
            .filter(|address| address.prefix.address().is_ipv4() == to.is_ipv4())
            .filter(|address| to.is_ipv6() || address.global || address.link == link)
            .max_by_key(|address| {
                let ip = address.prefix.address();
                let near = match ip {
                    IpAddr::V4(_) => u32::from(address.prefix.contains(next_hop)),
                    IpAddr::V6(_) => common_bits(ip, to).min(address.prefix.length().into()),
                };
                let scope_fits = is_link_local(ip) == is_link_local(to);
                let on_link = address.link == link;
                // Of equals the lowest, so that it is always the same.
                let order = std::cmp::Reverse(ip);
                (scope_fits, !address.second_choice, on_link, near, order)
            })
            .map(|address| address.prefix.address())
    }
}

/// One of the living ways, by a hash of the destination.
fn choose(ways: &[Hop], to: IpAddr) -> Option<&Hop> {
    let weight = |way: &Hop| u64::from(way.weight.max(1));
    let living = || ways.iter().filter(|way| !way.dead);
    let sum: u64 = living().map(weight).sum();
    let mut point = hash(to).checked_rem(sum)?;
    living().find(|way| {
        let here = point < weight(way);
        point = point.wrapping_sub(weight(way));
        here
    })
}

/// Spreads addresses evenly, the same on every run (the finish of splitmix64).
fn hash(address: IpAddr) -> u64 {
    let bits = match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    let mut z = (bits as u64) ^ ((bits >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn is_no_host(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    broadcast || address.is_multicast() || address.is_unspecified()
}

/// Whether an address means something on its link only; of IPv4 addresses the
/// kernel does not think so.
fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// How many leading bits two addresses of one family share.
fn common_bits(one: IpAddr, other: IpAddr) -> u32 {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
