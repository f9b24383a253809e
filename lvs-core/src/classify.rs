//! Marking a packet: the rules of a [`Classifier`], carried out.
//!
//! Only a packet of no connection is marked: what a connection's packets carry
//! was decided with its first.

use core::net::IpAddr;
use core::num::NonZeroU32;
use core::ops::RangeInclusive;

use crate::config::{Classifier, MarkRule, Prefix};
use crate::packet::{FlowKey, Kind, Packet};
use crate::snapshot::Port;

impl Classifier {
    /// The mark of a packet that came in on `port`; `None` without one.
    ///
    /// *Cost:* the rules in order, until one fits; nothing where there are none.
    pub(crate) fn mark(&self, port: Port, packet: &Packet) -> Option<NonZeroU32> {
        let fits = |rule: &&MarkRule| rule.fits(port, packet);
        self.rules.iter().find(fits)?.mark
    }

    /// The same for a first fragment, which has the ports of its datagram's `flow`.
    pub(crate) fn mark_first_fragment(
        &self,
        port: Port,
        fragment: &Packet,
        flow: FlowKey,
    ) -> Option<NonZeroU32> {
        let mut first = *fragment;
        // Of any kind that has ports.
        (first.flow, first.kind) = (flow, Kind::Udp);
        self.mark(port, &first)
    }

    /// Whether a packet whose ports are not known may get a mark.
    pub(crate) fn may_mark(&self, port: Port, packet: &Packet) -> bool {
        let fits = |rule: &MarkRule| rule.mark.is_some() && rule.fits_but_ports(port, packet);
        self.rules.iter().any(fits)
    }
}

impl MarkRule {
    fn fits(&self, port: Port, packet: &Packet) -> bool {
        self.fits_but_ports(port, packet) && self.fits_ports(&packet.flow, packet.kind)
    }

    fn fits_but_ports(&self, port: Port, packet: &Packet) -> bool {
        let flow = &packet.flow;
        self.interface.is_none_or(|interface| interface == port)
            && self
                .source_mac
                .is_none_or(|it| (it.mac == packet.source_mac) != it.not)
            && self
                .source
                .is_none_or(|prefix| prefix.holds(flow.addresses.source()))
            && self
                .destination
                .is_none_or(|prefix| prefix.holds(flow.addresses.destination()))
            && self
                .protocol
                .is_none_or(|protocol| protocol == flow.protocol)
    }

    fn fits_ports(&self, flow: &FlowKey, kind: Kind) -> bool {
        if self.source_ports.is_empty() && self.destination_ports.is_empty() {
            return true;
        }
        let has_ports = !matches!(
            kind,
            Kind::Fragment | Kind::IcmpError | Kind::Cut { has_ports: false }
        );
        has_ports
            && is_one_of(&self.source_ports, flow.source_port)
            && is_one_of(&self.destination_ports, flow.destination_port)
    }
}

/// Whether a port is in one of the ranges; every port is where none are given.
fn is_one_of(ranges: &[RangeInclusive<u16>], port: u16) -> bool {
    ranges.is_empty() || ranges.iter().any(|range| range.contains(&port))
}

impl Prefix {
    /// Whether an address begins as these do; none of the other family does.
    pub(crate) fn holds(&self, address: IpAddr) -> bool {
        let length = u32::from(self.length);
        match (self.address, address) {
            (IpAddr::V4(prefix), IpAddr::V4(address)) => {
                let beyond = u32::MAX.checked_shr(length).unwrap_or(0);
                (prefix.to_bits() ^ address.to_bits()) & !beyond == 0
            }
            (IpAddr::V6(prefix), IpAddr::V6(address)) => {
                let beyond = u128::MAX.checked_shr(length).unwrap_or(0);
                (prefix.to_bits() ^ address.to_bits()) & !beyond == 0
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MacMatch;
    use crate::packet::Addresses;
    use alloc::vec;
    use core::net::Ipv4Addr;

    fn packet() -> Packet {
        let mut packet = Packet::NONE;
        packet.flow = FlowKey {
            addresses: Addresses::V4 {
                source: Ipv4Addr::new(198, 51, 100, 7),
                destination: Ipv4Addr::new(192, 0, 2, 10),
            },
            source_port: 40_000,
            destination_port: 80,
            protocol: 17,
        };
        packet.kind = Kind::Udp;
        packet.source_mac = [2, 0, 0, 0, 0, 7];
        packet
    }

    fn prefix(address: [u8; 4], length: u8) -> Prefix {
        Prefix {
            address: address.into(),
            length,
        }
    }

    /// A rule for every packet.
    fn any() -> MarkRule {
        MarkRule {
            mark: NonZeroU32::new(1),
            ..MarkRule::default()
        }
    }

    #[test]
    fn every_part_of_a_rule_counts() {
        let mac = |last, not| {
            let mac = [2, 0, 0, 0, 0, last];
            Some(MacMatch { mac, not })
        };
        type Part = fn(&mut MarkRule, bool);
        let parts: [Part; 6] = [
            |rule, fit| rule.interface = Some(Port(if fit { 3 } else { 4 })),
            |rule, fit| rule.source = Some(prefix([198, 51, if fit { 100 } else { 101 }, 99], 24)),
            |rule, fit| rule.destination = Some(prefix([192, 0, 2, if fit { 10 } else { 11 }], 32)),
            |rule, fit| rule.protocol = Some(if fit { 17 } else { 6 }),
            |rule, fit| {
                rule.source_ports = vec![
                    1..=9,
                    if fit {
                        40_000..=40_000
                    } else {
                        40_001..=50_000
                    },
                ];
            },
            |rule, fit| rule.destination_ports = vec![if fit { 79..=80 } else { 81..=81 }],
        ];
        for part in parts {
            for fit in [true, false] {
                let mut rule = any();
                part(&mut rule, fit);
                assert_eq!(rule.fits(Port(3), &packet()), fit, "{rule:?}");
            }
        }
        for (last, not) in [(7, false), (7, true), (8, false), (8, true)] {
            let mut rule = any();
            rule.source_mac = mac(last, not);
            assert_eq!(rule.fits(Port(3), &packet()), (last == 7) != not);
        }
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let none = MarkRule {
            mark: None,
            protocol: Some(17),
            ..MarkRule::default()
        };
        let mut rules = Classifier {
            rules: vec![none, any()],
        };
        assert_eq!(rules.mark(Port(0), &packet()), None, "shielded");
        rules.rules.reverse();
        assert_eq!(rules.mark(Port(0), &packet()), NonZeroU32::new(1));
        assert_eq!(Classifier::default().mark(Port(0), &packet()), None);
    }

    #[test]
    fn ports_are_those_of_packets_that_have_some() {
        let mut rule = any();
        rule.destination_ports = vec![0..=u16::MAX];
        let mut fragment = packet();
        fragment.kind = Kind::Fragment;
        assert!(!rule.fits(Port(0), &fragment));
        let rules = Classifier { rules: vec![rule] };
        assert!(rules.may_mark(Port(0), &fragment));
        fragment.flow.protocol = 6;
        let none = MarkRule {
            protocol: Some(17),
            ..any()
        };
        assert!(!Classifier { rules: vec![none] }.may_mark(Port(0), &fragment));
        assert!(any().fits(Port(0), &fragment));
    }

    #[test]
    fn prefixes_hold_their_family_only() {
        let everything = prefix([0, 0, 0, 0], 0);
        assert!(everything.holds([203, 0, 113, 1].into()));
        assert!(!everything.holds("2001:db8::1".parse().unwrap()));
        let six = Prefix {
            address: "2001:db8:c::".parse().unwrap(),
            length: 48,
        };
        assert!(six.holds("2001:db8:c:ffff::1".parse().unwrap()));
        assert!(!six.holds("2001:db8:d::1".parse().unwrap()));
    }
}
