//! Where packets can go: interfaces, routes and neighbours, as one immutable
//! value that the control side copies from the host.

mod rules;

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::ops::Range;

use crate::packet::Mac;
use crate::snapshot::Port;
use rules::Rule;
pub use rules::SourceRule;

/// A NIC the director sends and receives on; its place in the list is its [`Port`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its link address.
    pub mac: Mac,
    /// Longest IP packet it takes, bytes.
    pub mtu: u32,
    /// Source of what the director itself sends here over IPv4.
    pub ipv4: Option<Ipv4Addr>,
    /// Source of what the director itself sends here over IPv6.
    pub ipv6: Option<Ipv6Addr>,
}

/// A route of the host's, as far as a director needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The prefix's address; bits beyond its length do not count.
    pub prefix: IpAddr,
    /// The prefix's length in bits.
    pub length: u8,
    /// What is done with packets to it.
    pub way: Way,
}

impl Route {
    /// The route to an address of the host's own.
    #[must_use]
    pub const fn local(address: IpAddr) -> Self {
        Self {
            prefix: address,
            length: if address.is_ipv4() { 32 } else { 128 },
            way: Way::Local,
        }
    }
}

/// What a route does with a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// It leaves by one of the director's ports.
    Out {
        /// By which port.
        port: Port,
        /// With this 802.1Q tag.
        vlan: Option<u16>,
        /// Through this gateway; on the link itself when there is none.
        gateway: Option<IpAddr>,
        /// The source address the host would use.
        source: Option<IpAddr>,
        /// Longest IP packet on this route, bytes, when less than the port's.
        mtu: Option<u32>,
    },
    /// The address is the host's own.
    Local,
    /// It leaves by an interface the director does not serve.
    Elsewhere,
    /// It is refused.
    Unreachable,
}

/// The link address of a neighbour on a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Neighbour {
    /// Its IP address.
    pub address: IpAddr,
    /// The port it is reached by.
    pub port: Port,
    /// The 802.1Q VLAN it is reached by.
    pub vlan: Option<u16>,
    /// Its link address.
    pub mac: Mac,
}

/// Everything needed to send a packet to the next machine on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// By which port.
    pub port: Port,
    /// With this 802.1Q tag.
    pub vlan: Option<u16>,
    /// To this link address.
    pub mac: Mac,
    /// Longest IP packet, bytes.
    pub mtu: u32,
    /// Source address of what the director itself sends this way.
    pub source: Option<IpAddr>,
}

/// What became of looking for a hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// This one.
    Hop(Hop),
    /// The route is known, the neighbour's link address is not yet.
    Unresolved,
    /// The address is the host's own.
    Local,
    /// No route, one that refuses, or one by a foreign interface.
    Unreachable,
}

/// Interfaces, routes and neighbours.
///
/// *Cost:* resolving is one binary search per distinct prefix length and one
/// for the neighbour; done once per real server and publish, and once per
/// connection with replies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    interfaces: Vec<Interface>,
    ipv4: Prefixes,
    ipv6: Prefixes,
    /// Sorted by address, port, VLAN.
    neighbours: Vec<Neighbour>,
    /// Of packets from some sources, in the order they are asked.
    rules: Vec<Rule>,
}

impl Network {
    /// Puts the parts together. Of two routes to one prefix the first counts.
    #[must_use]
    pub fn new(
        interfaces: Vec<Interface>,
        routes: impl IntoIterator<Item = Route>,
        neighbours: impl IntoIterator<Item = Neighbour>,
    ) -> Self {
        let (ipv4, ipv6) = routes.into_iter().partition(|route| route.prefix.is_ipv4());
        let mut neighbours: Vec<_> = neighbours.into_iter().collect();
        neighbours.sort();
        Self {
            interfaces,
            ipv4: Prefixes::new(ipv4),
            ipv6: Prefixes::new(ipv6),
            neighbours,
            rules: Vec::new(),
        }
    }

    /// The interface of a port.
    #[must_use]
    pub fn interface(&self, port: Port) -> Option<&Interface> {
        self.interfaces.get(port.index())
    }

    /// How many ports there are.
    #[must_use]
    pub fn ports(&self) -> usize {
        self.interfaces.len()
    }

    /// The next machine on the way to `address`.
    #[must_use]
    pub fn resolve(&self, address: IpAddr) -> Resolution {
        let prefixes = if address.is_ipv4() {
            &self.ipv4
        } else {
            &self.ipv6
        };
        self.follow(prefixes.longest(bits(address)), address)
    }

    /// The next machine by a way to `address`.
    fn follow(&self, way: Option<&Way>, address: IpAddr) -> Resolution {
        let (port, vlan, gateway, source, mtu) = match way {
            Some(Way::Out {
                port,
                vlan,
                gateway,
                source,
                mtu,
            }) => (*port, *vlan, *gateway, *source, *mtu),
            Some(Way::Local) => return Resolution::Local,
            Some(Way::Elsewhere | Way::Unreachable) | None => return Resolution::Unreachable,
        };
        let Some(interface) = self.interface(port) else {
            return Resolution::Unreachable;
        };
        let Some(mac) = self.neighbour(gateway.unwrap_or(address), port, vlan) else {
            return Resolution::Unresolved;
        };
        let own = if address.is_ipv4() {
            interface.ipv4.map(IpAddr::V4)
        } else {
            interface.ipv6.map(IpAddr::V6)
        };
        Resolution::Hop(Hop {
            port,
            vlan,
            mac,
            mtu: mtu.unwrap_or(interface.mtu).min(interface.mtu),
            source: source.or(own),
        })
    }

    fn neighbour(&self, address: IpAddr, port: Port, vlan: Option<u16>) -> Option<Mac> {
        let key = (address, port, vlan);
        let found = self
            .neighbours
            .binary_search_by(|n| (n.address, n.port, n.vlan).cmp(&key));
        Some(self.neighbours[found.ok()?].mac)
    }
}

/// Routes of one family, longest prefix first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Prefixes {
    /// Sorted by length, longest first, then by masked address.
    routes: Vec<(u8, u128, Way)>,
    /// Which of them have each length there is.
    lengths: Vec<(u8, Range<usize>)>,
}

impl Prefixes {
    fn new(routes: Vec<Route>) -> Self {
        let mut routes: Vec<(u8, u128, Way)> = routes
            .into_iter()
            .map(|route| {
                (
                    route.length,
                    masked(bits(route.prefix), route.length),
                    route.way,
                )
            })
            .collect();
        // Stable, so that the first of equal prefixes stays the first.
        routes.sort_by_key(|(length, prefix, _)| (core::cmp::Reverse(*length), *prefix));
        routes.dedup_by_key(|(length, prefix, _)| (*length, *prefix));
        let mut lengths: Vec<(u8, Range<usize>)> = Vec::new();
        for (index, (length, ..)) in routes.iter().enumerate() {
            match lengths.last_mut() {
                Some((last, range)) if last == length => range.end = index + 1,
                _ => lengths.push((*length, index..index + 1)),
            }
        }
        Self { routes, lengths }
    }

    fn longest(&self, address: u128) -> Option<&Way> {
        self.lengths.iter().find_map(|(length, range)| {
            let routes = &self.routes[range.clone()];
            let wanted = masked(address, *length);
            let found = routes
                .binary_search_by_key(&wanted, |(_, prefix, _)| *prefix)
                .ok()?;
            Some(&routes[found].2)
        })
    }
}

/// An address as 128 bits, IPv4 in the upper 32 so that prefixes begin at the top.
const fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => (v4.to_bits() as u128) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

const fn masked(bits: u128, length: u8) -> u128 {
    match length {
        0 => 0,
        1..128 => bits & (u128::MAX << (128 - length)),
        _ => bits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn out(prefix: &str, length: u8, port: u8, gateway: Option<&str>) -> Route {
        let way = Way::Out {
            port: Port(port),
            vlan: None,
            gateway: gateway.map(ip),
            source: None,
            mtu: None,
        };
        Route {
            prefix: ip(prefix),
            length,
            way,
        }
    }

    fn network() -> Network {
        let interface = |last: u8| Interface {
            mac: [2, 0, 0, 0, 0, last],
            mtu: 1500,
            ipv4: Some(Ipv4Addr::new(10, last, 0, 1)),
            ipv6: None,
        };
        let refused = Route {
            prefix: ip("10.2.9.0"),
            length: 24,
            way: Way::Unreachable,
        };
        let own = Route {
            prefix: ip("10.1.0.1"),
            length: 32,
            way: Way::Local,
        };
        let neighbour = |address: &str, port: u8, last: u8| Neighbour {
            address: ip(address),
            port: Port(port),
            vlan: None,
            mac: [2, 0, 0, 0, 1, last],
        };
        Network::new(
            vec![interface(1), interface(2)],
            [
                out("0.0.0.0", 0, 0, Some("10.1.0.254")),
                out("10.1.0.0", 16, 0, None),
                out("10.2.0.0", 16, 1, None),
                out("2001:db8::", 32, 1, Some("fe80::1")),
                refused,
                own,
            ],
            [
                neighbour("10.1.0.254", 0, 254),
                neighbour("10.2.0.7", 1, 7),
                neighbour("fe80::1", 1, 9),
            ],
        )
    }

    fn hop(address: &str) -> (u8, u8) {
        match network().resolve(ip(address)) {
            Resolution::Hop(hop) => (hop.port.0, hop.mac[5]),
            other => panic!("{address}: {other:?}"),
        }
    }

    #[test]
    fn the_longest_prefix_decides() {
        assert_eq!(hop("10.2.0.7"), (1, 7));
        assert_eq!(hop("198.51.100.1"), (0, 254));
        assert_eq!(hop("2001:db8::5"), (1, 9));
        assert_eq!(network().resolve(ip("10.2.9.7")), Resolution::Unreachable);
        assert_eq!(network().resolve(ip("10.1.0.1")), Resolution::Local);
        assert_eq!(network().resolve(ip("10.2.0.8")), Resolution::Unresolved);
        assert_eq!(network().resolve(ip("2001:db9::")), Resolution::Unreachable);
    }

    #[test]
    fn random_routes_resolve_as_the_naive_search_does() {
        let mut state = 9u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as u32
        };
        let routes: Vec<(u32, u8)> = (0..300)
            .map(|_| (next() << 20, (next() % 33) as u8))
            .collect();
        let prefixes = Prefixes::new(
            routes
                .iter()
                .enumerate()
                .map(|(index, (prefix, length))| {
                    let way = Way::Out {
                        port: Port(0),
                        vlan: Some(index as u16),
                        gateway: None,
                        source: None,
                        mtu: None,
                    };
                    Route {
                        prefix: Ipv4Addr::from_bits(*prefix).into(),
                        length: *length,
                        way,
                    }
                })
                .collect(),
        );
        for _ in 0..2000 {
            let address = bits(Ipv4Addr::from_bits(next() << 18).into());
            let matches = |(prefix, length): &(u32, u8)| {
                let prefix = bits(Ipv4Addr::from_bits(*prefix).into());
                masked(prefix, *length) == masked(address, *length)
            };
            let best = routes.iter().filter(|r| matches(r)).map(|r| r.1).max();
            let first = routes.iter().position(|r| matches(r) && Some(r.1) == best);
            let found = prefixes.longest(address).map(|way| match way {
                Way::Out {
                    vlan: Some(index), ..
                } => usize::from(*index),
                other => panic!("{other:?}"),
            });
            assert_eq!(found, first);
        }
    }
}
