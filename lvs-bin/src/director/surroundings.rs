//! The host's routes and neighbours, as the core wants them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use lvs_core::network::{Interface, Neighbour, Network, Route, SourceRule, Way};
use lvs_core::{Config, Port};
use lvs_io::Nic;
use lvs_io::netlink::{Hop, Link, Prefix, Resolution, Route as HostRoute, RouteKind, View};

/// What of the host's view concerns a director on `nics`.
///
/// Links that are none of its NICs lead elsewhere. Which of several routes
/// counts, the view says; of several ways of a route it is the first that lives.
pub(super) fn network(nics: &[Nic], view: &View) -> Network {
    let ports = ports(nics);
    let route = |(prefix, route): (Prefix, Option<&HostRoute>)| Route {
        prefix: prefix.address(),
        length: prefix.length(),
        way: route.map_or(Way::Unreachable, |route| way(route, view, &ports)),
    };
    let routes = view.best_routes().map(route);
    let rules = view.source_rules().map(|(rule, routes)| SourceRule {
        prefix: rule.source.address(),
        length: rule.source.length(),
        // What a rule's routes do not know, the next ones may.
        routes: routes.filter(|(_, way)| way.is_some()).map(route).collect(),
    });
    let neighbours = view.neighbours().filter_map(|neighbour| {
        Some(Neighbour {
            address: neighbour.address,
            port: *ports.get(&neighbour.link)?,
            vlan: None,
            mac: neighbour.mac?,
        })
    });
    let interfaces = nics.iter().map(|nic| interface(nic, view)).collect();
    Network::new(interfaces, routes, neighbours).with_rules(rules)
}

/// The neighbours a director on `nics` sends to when it carries out `config`:
/// real servers on its links, and the gateways to all others and to clients.
pub(crate) fn wanted_neighbours(nics: &[Nic], view: &View, config: &Config) -> Vec<(u32, IpAddr)> {
    let ports = ports(nics);
    let real_servers = config
        .services()
        .iter()
        .flat_map(|service| &service.real_servers);
    let next_hops = real_servers.filter_map(|real_server| {
        let hop = living(view.route(real_server.address)?)?;
        Some((hop.link, hop.gateway.unwrap_or(real_server.address)))
    });
    let by_source = view.source_rules().flat_map(|(_, routes)| routes);
    let by_source = by_source.filter_map(|(_, route)| route);
    let gateways = view
        .routes()
        .chain(by_source)
        .flat_map(|route| &route.next_hops)
        .filter_map(|hop| Some((hop.link, hop.gateway?)))
        .take(MOST_GATEWAYS);
    let wanted: BTreeSet<_> = next_hops
        .chain(gateways)
        .filter(|(link, _)| ports.contains_key(link))
        .collect();
    wanted.into_iter().collect()
}

fn ports(nics: &[Nic]) -> BTreeMap<u32, Port> {
    (0..)
        .zip(nics)
        .map(|(port, nic)| (nic.index, Port(port)))
        .collect()
}

fn interface(nic: &Nic, view: &View) -> Interface {
    let link: Option<&Link> = view.link(nic.index);
    let own = |v4: bool| {
        // Not a VIP, if there is another: they are kept as host addresses, and
        // a real server that has the VIP too would not answer one.
        let is_in_network =
            |prefix: &Prefix| prefix.length() < Prefix::host(prefix.address()).length();
        view.addresses()
            .filter(|address| address.link == nic.index && address.global)
            .filter(|address| address.prefix.address().is_ipv4() == v4)
            .max_by_key(|address| is_in_network(&address.prefix))
            .map(|address| address.prefix.address())
    };
    Interface {
        mac: link.and_then(|link| link.mac).unwrap_or(nic.mac),
        mtu: link.map_or(nic.mtu, |link| link.mtu),
        ipv4: own(true).and_then(|address| match address {
            IpAddr::V4(v4) => Some(v4),
            IpAddr::V6(_) => None,
        }),
        ipv6: own(false).and_then(|address| match address {
            IpAddr::V6(v6) => Some(v6),
            IpAddr::V4(_) => None,
        }),
    }
}

fn way(route: &HostRoute, view: &View, ports: &BTreeMap<u32, Port>) -> Way {
    match route.kind {
        RouteKind::Local => return Way::Local,
        RouteKind::Unicast => {}
        _ => return Way::Unreachable,
    }
    let Some(hop) = living(route) else {
        return Way::Unreachable;
    };
    let Some(port) = ports.get(&hop.link) else {
        return Way::Elsewhere;
    };
    // The address by which the host would speak to the next machine: of a
    // route without a preference of its own, the one in the gateway's network.
    let through = hop.gateway.unwrap_or(route.prefix.address());
    let source = route.source.or_else(|| match view.resolve(through) {
        Resolution::Via(hop) => hop.source,
        Resolution::Local | Resolution::Unreachable => None,
    });
    let fits = |source: &IpAddr| source.is_ipv4() == route.prefix.address().is_ipv4();
    Way::Out {
        port: *port,
        vlan: None,
        gateway: hop.gateway,
        source: source.filter(fits),
        mtu: route.mtu,
    }
}

/// The way that a route's packets go.
fn living(route: &HostRoute) -> Option<&Hop> {
    let mut ways = route.next_hops.iter();
    ways.find(|way| route.kind == RouteKind::Unicast && !way.dead)
}

/// Gateways that are kept warm: a router with a full table has thousands of
/// routes and few neighbours, but a mistake should not ask for millions.
const MOST_GATEWAYS: usize = 4096;
