//! Firewall marks: which packets carry which.
//!
//! Marks are the director's own: what `iptables -j MARK` or nftables do before
//! kernel IPVS sees a packet, a list of rules does here.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::num::NonZeroU32;
use core::ops::RangeInclusive;

use crate::packet::Mac;
use crate::snapshot::Port;

/// The rules that mark packets, in order; the first that fits decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Classifier {
    /// In order.
    pub rules: Vec<MarkRule>,
}

/// Which packets get a mark: those that fit every part that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MarkRule {
    /// The mark they get; `None` leaves them without one, which shields them
    /// from later rules.
    pub mark: Option<NonZeroU32>,
    /// The NIC they come in on.
    pub interface: Option<Port>,
    /// The link address they come from.
    pub source_mac: Option<MacMatch>,
    /// Where they come from.
    pub source: Option<Prefix>,
    /// Where they are sent.
    pub destination: Option<Prefix>,
    /// IP protocol number.
    pub protocol: Option<u8>,
    /// Ports they come from: one of these.
    pub source_ports: Vec<RangeInclusive<u16>>,
    /// Ports they are sent to: one of these. Packets without ports fit only
    /// where none are given.
    pub destination_ports: Vec<RangeInclusive<u16>>,
}

impl MarkRule {
    /// The one address its packets are sent to, if it names one.
    ///
    /// With [`single_ports`](Self::single_ports) this is what a program can be
    /// told of a rule that steers packets by where they are sent.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        let Prefix { address, length } = self.destination?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        (length == longest).then_some(address)
    }

    /// The ports its packets are sent to, if it names each by itself; `None`
    /// where they may be any, or of a range.
    #[must_use]
    pub fn single_ports(&self) -> Option<impl Iterator<Item = u16>> {
        let is_single = |range: &RangeInclusive<u16>| range.start() == range.end();
        let ports = &self.destination_ports;
        let named = !ports.is_empty()
            && ports
                .iter()
                .all(|range| is_single(range) && *range.start() != 0);
        named.then(|| ports.iter().map(|range| *range.start()))
    }
}

/// A link address, or every other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacMatch {
    /// The address.
    pub mac: Mac,
    /// Whether all but this one fit.
    pub not: bool,
}

/// Addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// The address; bits beyond the length do not count.
    pub address: IpAddr,
    /// How many leading bits count.
    pub length: u8,
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn to(address: [u8; 4], length: u8, ports: Vec<RangeInclusive<u16>>) -> MarkRule {
        let address = address.into();
        MarkRule {
            destination: Some(Prefix { address, length }),
            destination_ports: ports,
            ..MarkRule::default()
        }
    }

    #[test]
    fn an_address_is_named_by_its_whole_length() {
        let vip = [192, 0, 2, 10];
        assert_eq!(to(vip, 32, vec![]).address(), Some(vip.into()));
        assert_eq!(to(vip, 31, vec![]).address(), None);
        assert_eq!(MarkRule::default().address(), None);
        let six = |length| MarkRule {
            destination: Some(Prefix {
                address: [0x20; 16].into(),
                length,
            }),
            ..MarkRule::default()
        };
        assert_eq!(six(128).address(), Some([0x20; 16].into()));
        assert_eq!(six(32).address(), None, "32 bits of IPv6 are a network");
    }

    #[test]
    fn ports_are_named_each_by_itself_or_not_at_all() {
        let named = |ports| {
            let rule = to([192, 0, 2, 10], 32, ports);
            rule.single_ports().map(Iterator::collect::<Vec<_>>)
        };
        assert_eq!(named(vec![80..=80, 443..=443]), Some(vec![80, 443]));
        assert_eq!(named(vec![80..=80, 443..=444]), None);
        assert_eq!(named(vec![0..=0]), None, "port 0 stands for every port");
        assert_eq!(named(vec![]), None);
    }
}
