//! Routes for packets from some sources only, as a host has them by policy rules.

use alloc::vec::Vec;
use core::net::IpAddr;

use super::{Network, Prefixes, Resolution, Route, bits, masked};

/// A rule that packets from a prefix go by routes of their own, where those lead
/// somewhere (`ip rule add from PREFIX lookup TABLE`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRule {
    /// The sources' prefix; bits beyond its length do not count.
    pub prefix: IpAddr,
    /// The prefix's length in bits.
    pub length: u8,
    /// Their routes.
    pub routes: Vec<Route>,
}

/// A rule that can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    prefix: u128,
    length: u8,
    is_ipv4: bool,
    routes: Prefixes,
}

impl Rule {
    fn new(rule: SourceRule) -> Self {
        let is_ipv4 = rule.prefix.is_ipv4();
        let mut routes = rule.routes;
        routes.retain(|route| route.prefix.is_ipv4() == is_ipv4);
        Self {
            prefix: masked(bits(rule.prefix), rule.length),
            length: rule.length,
            is_ipv4,
            routes: Prefixes::new(routes),
        }
    }

    fn is_for(&self, source: IpAddr) -> bool {
        source.is_ipv4() == self.is_ipv4 && masked(bits(source), self.length) == self.prefix
    }
}

impl Network {
    /// The same with rules, in the order they are asked: before all other
    /// routes, but for those to the host itself.
    #[must_use]
    pub fn with_rules(mut self, rules: impl IntoIterator<Item = SourceRule>) -> Self {
        self.rules = rules.into_iter().map(Rule::new).collect();
        self
    }

    /// The next machine on the way from `source` to `address`.
    ///
    /// *Cost:* that of [`resolve`](Self::resolve), and a search for each rule
    /// that is for the source.
    #[must_use]
    pub fn resolve_from(&self, source: IpAddr, address: IpAddr) -> Resolution {
        let usual = self.resolve(address);
        if usual == Resolution::Local || source.is_ipv4() != address.is_ipv4() {
            return usual;
        }
        let rules = self.rules.iter().filter(|rule| rule.is_for(source));
        let mut ways = rules.filter_map(|rule| rule.routes.longest(bits(address)));
        ways.next()
            .map_or(usual, |way| self.follow(Some(way), address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Interface, Neighbour, Way};
    use crate::snapshot::Port;
    use alloc::vec;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn by(prefix: &str, length: u8, gateway: &str) -> Route {
        Route {
            prefix: ip(prefix),
            length,
            way: Way::Out {
                port: Port(0),
                vlan: None,
                gateway: Some(ip(gateway)),
                source: None,
                mtu: None,
            },
        }
    }

    /// The last byte of the link address of the next machine, 0 for the host.
    fn next(network: &Network, source: &str, to: &str) -> u8 {
        match network.resolve_from(ip(source), ip(to)) {
            Resolution::Hop(hop) => hop.mac[5],
            Resolution::Local => 0,
            other => panic!("{source} to {to}: {other:?}"),
        }
    }

    #[test]
    fn the_first_rule_for_a_source_that_leads_somewhere_counts() {
        let interface = Interface {
            mac: [2; 6],
            mtu: 1500,
            ipv4: None,
            ipv6: None,
        };
        let neighbour = |last: u8| Neighbour {
            address: IpAddr::from([10, 0, 0, last]),
            port: Port(0),
            vlan: None,
            mac: [2, 0, 0, 0, 0, last],
        };
        let rule = |prefix: &str, length, routes| SourceRule {
            prefix: ip(prefix),
            length,
            routes,
        };
        let routes = [by("0.0.0.0", 0, "10.0.0.1"), Route::local(ip("10.0.0.9"))];
        let neighbours = [1, 2, 3].map(neighbour);
        let network = Network::new(vec![interface], routes, neighbours).with_rules([
            rule("192.0.2.10", 32, vec![by("198.51.0.0", 16, "10.0.0.2")]),
            rule("192.0.2.99", 24, vec![by("0.0.0.0", 0, "10.0.0.3")]),
            rule("2001:db8::", 0, vec![by("0.0.0.0", 0, "10.0.0.2")]),
        ]);
        let next = |source, to| next(&network, source, to);
        assert_eq!(next("192.0.2.10", "198.51.100.7"), 2);
        assert_eq!(next("192.0.2.10", "203.0.113.7"), 3, "the next rule");
        assert_eq!(next("192.0.2.11", "198.51.100.7"), 3);
        assert_eq!(next("192.0.3.10", "198.51.100.7"), 1, "no rule");
        assert_eq!(next("192.0.2.10", "10.0.0.9"), 0, "the host goes before");
        assert_eq!(next("2001:db8::1", "198.51.100.7"), 1, "another family");
    }
}
