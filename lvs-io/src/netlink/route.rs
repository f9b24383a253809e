//! Routes, as plain data and as netlink messages.

use std::net::IpAddr;

use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteMetric, RouteNextHop,
    RouteNextHopFlags, RouteProtocol, RouteScope, RouteType, RouteVia,
};

use super::address::family;
use super::prefix::Prefix;

/// A route: where packets to a prefix go.
///
/// The same type says what the kernel has and what it should be given; build
/// one with [`Route::via`], [`Route::on_link`], [`Route::multipath`] or
/// [`Route::refusing`] and change its fields as needed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// The destinations it is for, without host bits.
    pub prefix: Prefix,
    /// The table it is in: [`Route::MAIN`], [`Route::LOCAL`] or another.
    pub table: u32,
    /// Its preference among routes to the same prefix, lowest first. Zero lets
    /// the kernel choose for IPv6 (1024).
    pub metric: u32,
    /// The type of service it is for; zero is for all.
    pub service_type: u8,
    /// Who entered it, by the kernel's number (`RTPROT_*`).
    pub protocol: u8,
    /// What happens to packets to it.
    pub kind: RouteKind,
    /// The ways to go, one unless it is multipath; none for
    /// [`RouteKind::Refused`] and [`RouteKind::Throw`]. Their order means
    /// nothing; as the kernel's they are sorted by link and router.
    pub next_hops: Vec<Hop>,
    /// The source address it suggests.
    pub source: Option<IpAddr>,
    /// A longest packet of its own, in bytes, shorter than the link's.
    pub mtu: Option<u32>,
}

/// What happens to packets that a route matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RouteKind {
    /// They are sent on.
    Unicast,
    /// They are for this machine.
    Local,
    /// They are for all or many on a link.
    Broadcast,
    /// They are dropped, with or without a word to the sender.
    Refused,
    /// The search goes on in the next table.
    Throw,
    /// Something not known here, such as a tunnel in the route itself.
    Other,
}

/// One way a route can go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hop {
    /// Index of the link; zero lets the kernel find it from the gateway.
    pub link: u32,
    /// The router on that link; none if the destination itself is on it.
    pub gateway: Option<IpAddr>,
    /// How many of the route's flows should go this way, relative to its
    /// other ways; at least 1.
    pub weight: u16,
    /// Whether the kernel has given it up because its link is down.
    pub dead: bool,
}

impl Hop {
    /// The way by a router.
    pub fn via(gateway: IpAddr) -> Self {
        Self {
            link: 0,
            gateway: Some(gateway),
            weight: 1,
            dead: false,
        }
    }

    /// The way straight to the destination on a link.
    pub fn on_link(link: u32) -> Self {
        Self {
            link,
            gateway: None,
            weight: 1,
            dead: false,
        }
    }
}

impl Route {
    /// The number of the table that holds what is for this machine.
    pub const LOCAL: u32 = 255;
    /// The number of the table for everything else.
    pub const MAIN: u32 = 254;
    /// The number of the table asked after main.
    pub const DEFAULT: u32 = 253;

    /// The route to `prefix` by the router `gateway`.
    pub fn via(prefix: Prefix, gateway: IpAddr) -> Self {
        Self::multipath(prefix, vec![Hop::via(gateway)])
    }

    /// The route to `prefix` straight on the link with index `link`.
    pub fn on_link(prefix: Prefix, link: u32) -> Self {
        Self::multipath(prefix, vec![Hop::on_link(link)])
    }

    /// The route to `prefix` by several ways.
    pub fn multipath(prefix: Prefix, next_hops: Vec<Hop>) -> Self {
        Self {
            prefix: prefix.network(),
            table: Self::MAIN,
            metric: 0,
            service_type: 0,
            protocol: RouteProtocol::Static.into(),
            kind: RouteKind::Unicast,
            next_hops,
            source: None,
            mtu: None,
        }
    }

    /// The route that refuses packets to `prefix`.
    pub fn refusing(prefix: Prefix) -> Self {
        Self {
            kind: RouteKind::Refused,
            ..Self::multipath(prefix, Vec::new())
        }
    }

    /// The route a message tells of; none if it tells of none that matters to
    /// forwarding: another family, a cached decision, or a route that looks at
    /// the source address too.
    pub(super) fn from_message(message: &RouteMessage) -> Option<Self> {
        let header = &message.header;
        if header.flags.contains(RouteFlags::Cloned) || header.source_prefix_length > 0 {
            return None;
        }
        Self::from_any_message(message)
    }

    /// Like [`Route::from_message`], of the kernel's answer for one address
    /// too.
    pub(super) fn from_any_message(message: &RouteMessage) -> Option<Self> {
        let header = &message.header;
        let all = match header.address_family {
            AddressFamily::Inet => Prefix::ALL_V4,
            AddressFamily::Inet6 => Prefix::ALL_V6,
            _ => return None,
        };
        let mut route = Self {
            table: header.table.into(),
            service_type: header.tos,
            protocol: header.protocol.into(),
            kind: kind(header.kind),
            ..Self::multipath(all, Vec::new())
        };
        let mut single = Hop::on_link(0);
        single.dead = header.flags.contains(RouteFlags::Dead);
        for attribute in &message.attributes {
            route.read(attribute, header.destination_prefix_length)?;
            read_hop(attribute, &mut single);
        }
        if matches!(route.kind, RouteKind::Refused | RouteKind::Throw) {
            // IPv6 hangs these on the loopback interface; it means nothing.
            route.next_hops.clear();
        } else if route.next_hops.is_empty() {
            route.next_hops.push(single);
        }
        // IPv6 lists the ways in one order and announces them in another.
        route.next_hops.sort_by_key(|way| (way.link, way.gateway));
        Some(route)
    }

    fn read(&mut self, attribute: &RouteAttribute, length: u8) -> Option<()> {
        match attribute {
            RouteAttribute::Destination(to) => self.prefix = Prefix::new(ip(to)?, length).ok()?,
            RouteAttribute::Table(table) => self.table = *table,
            RouteAttribute::Priority(metric) => self.metric = *metric,
            RouteAttribute::PrefSource(source) => self.source = ip(source),
            RouteAttribute::Metrics(metrics) => self.mtu = mtu(metrics),
            RouteAttribute::MultiPath(ways) => self.next_hops = ways.iter().map(hop).collect(),
            RouteAttribute::EncapType(_) => self.kind = RouteKind::Other,
            _ => {}
        }
        Some(())
    }

    /// The message that describes this route.
    pub(super) fn message(&self) -> RouteMessage {
        let mut message = RouteMessage::default();
        let header = &mut message.header;
        header.address_family = family(self.prefix.address());
        header.destination_prefix_length = self.prefix.length();
        header.tos = self.service_type;
        header.table = u8::try_from(self.table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC);
        header.protocol = self.protocol.into();
        header.scope = self.scope();
        header.kind = message_kind(self.kind);
        let attributes = &mut message.attributes;
        if self.prefix.length() > 0 {
            attributes.push(RouteAttribute::Destination(self.prefix.address().into()));
        }
        attributes.push(RouteAttribute::Table(self.table));
        if self.metric > 0 {
            attributes.push(RouteAttribute::Priority(self.metric));
        }
        attributes.extend(self.source.map(|ip| RouteAttribute::PrefSource(ip.into())));
        attributes.extend(
            self.mtu
                .map(|mtu| RouteAttribute::Metrics(vec![RouteMetric::Mtu(mtu)])),
        );
        match &self.next_hops[..] {
            [] => {}
            [only] => {
                attributes.extend((only.link > 0).then_some(RouteAttribute::Oif(only.link)));
                attributes.extend(self.gateway(only));
            }
            several => {
                let ways = several.iter().map(|hop| self.way(hop)).collect();
                attributes.push(RouteAttribute::MultiPath(ways));
            }
        }
        message
    }

    /// How far away the destination is, which the kernel checks: a router must
    /// be nearer than what it leads to. IPv6 does not look at it.
    fn scope(&self) -> RouteScope {
        match self.kind {
            RouteKind::Local => RouteScope::Host,
            RouteKind::Unicast if self.next_hops.iter().all(|hop| hop.gateway.is_none()) => {
                RouteScope::Link
            }
            _ => RouteScope::Universe,
        }
    }

    fn way(&self, hop: &Hop) -> RouteNextHop {
        let mut way = RouteNextHop::default();
        way.interface_index = hop.link;
        way.hops = u8::try_from(hop.weight.clamp(1, 256) - 1).unwrap_or(u8::MAX);
        way.attributes.extend(self.gateway(hop));
        way
    }

    fn gateway(&self, hop: &Hop) -> Option<RouteAttribute> {
        let gateway = hop.gateway?;
        Some(if gateway.is_ipv4() == self.prefix.address().is_ipv4() {
            RouteAttribute::Gateway(gateway.into())
        } else {
            RouteAttribute::Via(gateway.into())
        })
    }
}

fn hop(way: &RouteNextHop) -> Hop {
    let mut hop = Hop {
        link: way.interface_index,
        gateway: None,
        // The kernel's field counts from zero.
        weight: u16::from(way.hops) + 1,
        dead: way.flags.contains(RouteNextHopFlags::Dead),
    };
    for attribute in &way.attributes {
        read_hop(attribute, &mut hop);
    }
    hop
}

fn read_hop(attribute: &RouteAttribute, hop: &mut Hop) {
    match attribute {
        RouteAttribute::Oif(link) => hop.link = *link,
        RouteAttribute::Gateway(gateway) => hop.gateway = ip(gateway),
        RouteAttribute::Via(RouteVia::Inet(gateway)) => hop.gateway = Some((*gateway).into()),
        RouteAttribute::Via(RouteVia::Inet6(gateway)) => hop.gateway = Some((*gateway).into()),
        // A tunnel is no way for a frame; nothing here could build it.
        RouteAttribute::EncapType(_) => hop.dead = true,
        _ => {}
    }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(ip) => Some((*ip).into()),
        RouteAddress::Inet6(ip) => Some((*ip).into()),
        _ => None,
    }
}

fn mtu(metrics: &[RouteMetric]) -> Option<u32> {
    metrics.iter().find_map(|metric| match metric {
        RouteMetric::Mtu(mtu) if *mtu > 0 => Some(*mtu),
        _ => None,
    })
}

fn kind(kind: RouteType) -> RouteKind {
    match kind {
        RouteType::Unicast => RouteKind::Unicast,
        RouteType::Local | RouteType::Anycast => RouteKind::Local,
        RouteType::Broadcast | RouteType::Multicast => RouteKind::Broadcast,
        RouteType::BlackHole | RouteType::Unreachable | RouteType::Prohibit => RouteKind::Refused,
        RouteType::Throw => RouteKind::Throw,
        _ => RouteKind::Other,
    }
}

fn message_kind(kind: RouteKind) -> RouteType {
    match kind {
        RouteKind::Unicast => RouteType::Unicast,
        RouteKind::Local => RouteType::Local,
        RouteKind::Broadcast => RouteType::Broadcast,
        RouteKind::Refused => RouteType::Unreachable,
        RouteKind::Throw => RouteType::Throw,
        RouteKind::Other => RouteType::Unspec,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn every_kind_reads_back() {
        let mut preferred = Route::via(Prefix::ALL_V4, address("10.0.0.1"));
        preferred.metric = 7;
        preferred.source = Some(address("10.0.0.9"));
        preferred.mtu = Some(1400);
        preferred.table = 1000;
        let mut second = Hop::via(address("fe80::2"));
        second.link = 5;
        second.weight = 256;
        let mut first = second;
        first.gateway = Some(address("fe80::1"));
        first.weight = 1;
        for route in [
            preferred,
            Route::on_link(prefix("10.0.0.0/24"), 3),
            Route::via(prefix("10.9.0.0/16"), address("fe80::1")),
            Route::multipath(prefix("2001:db8::/32"), vec![first, second]),
            Route::refusing(prefix("2001:db8::/48")),
        ] {
            assert_eq!(Route::from_message(&route.message()), Some(route));
        }
    }

    #[test]
    fn host_bits_are_cleared() {
        let route = Route::refusing(prefix("10.1.2.3/8"));
        assert_eq!(route.prefix, prefix("10.0.0.0/8"));
    }

    #[test]
    fn a_cached_decision_is_no_route() {
        let mut message = Route::refusing(Prefix::ALL_V4).message();
        message.header.flags |= RouteFlags::Cloned;
        assert_eq!(Route::from_message(&message), None);
    }

    #[test]
    fn a_dead_way_is_told() {
        let mut message = Route::on_link(Prefix::ALL_V4, 3).message();
        message.header.flags |= RouteFlags::Dead;
        assert!(Route::from_message(&message).unwrap().next_hops[0].dead);
    }
}
