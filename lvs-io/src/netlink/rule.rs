//! Policy rules, as plain data and as netlink messages.

use std::net::IpAddr;

use netlink_packet_route::rule::{
    RuleAction, RuleAttribute, RuleHeader, RuleMessage, RulePortRange,
};

use super::address::family;
use super::prefix::Prefix;

/// A rule that what this machine itself sends from one of its addresses goes by
/// a table of its own.
///
/// Only such rules are known here; those of others are nobody's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    /// The source.
    pub source: IpAddr,
    /// The IP protocol.
    pub protocol: u8,
    /// The source port; every one where there is none.
    pub port: Option<u16>,
    /// The table to look into.
    pub table: u32,
}

impl Rule {
    /// Packets with this bit in their firewall mark are not meant. It is the
    /// highest, as those who mark packets begin with the lowest.
    pub const EXEMPT: u32 = 1 << 31;

    /// The rule a message tells of, if this crate made it.
    pub(super) fn from_message(message: &RuleMessage) -> Option<Self> {
        let attributes = &message.attributes;
        let ours = RuleAttribute::Protocol(PROTOCOL.into());
        let find = |read: fn(&RuleAttribute) -> Option<u32>| attributes.iter().find_map(read);
        let source = attributes.iter().find_map(|attribute| match attribute {
            RuleAttribute::Source(source) => Some(*source),
            _ => None,
        })?;
        let protocol = find(|attribute| match attribute {
            RuleAttribute::IpProtocol(protocol) => Some(i32::from(*protocol) as u32),
            _ => None,
        })?;
        let port = find(|attribute| match attribute {
            RuleAttribute::SourcePortRange(range) => Some(range.start.into()),
            _ => None,
        });
        let table = find(|attribute| match attribute {
            RuleAttribute::Table(table) => Some(*table),
            _ => None,
        })?;
        attributes.contains(&ours).then_some(Self {
            source,
            protocol: u8::try_from(protocol).ok()?,
            port: port.and_then(|port| u16::try_from(port).ok()),
            table,
        })
    }

    /// The message that describes this rule.
    pub(super) fn message(&self) -> RuleMessage {
        let mut message = RuleMessage::default();
        message.header = RuleHeader {
            family: family(self.source),
            src_len: Prefix::host(self.source).length(),
            action: RuleAction::ToTable,
            ..RuleHeader::default()
        };
        message.attributes = vec![
            RuleAttribute::Source(self.source),
            // What only passes has come by another link.
            RuleAttribute::Iifname("lo".into()),
            RuleAttribute::IpProtocol(i32::from(self.protocol).into()),
            RuleAttribute::FwMark(0),
            RuleAttribute::FwMask(Self::EXEMPT),
            RuleAttribute::Table(self.table),
            RuleAttribute::Priority(PRIORITY),
            RuleAttribute::Protocol(PROTOCOL.into()),
        ];
        let port = self.port.map(|port| RulePortRange {
            start: port,
            end: port,
        });
        let port = port.map(RuleAttribute::SourcePortRange);
        message.attributes.extend(port);
        message
    }
}

/// Right behind the table of what is for this machine, before every rule that
/// an operator is likely to have.
const PRIORITY: u32 = 1;

/// Who entered it (`FRA_PROTOCOL`), by which it is known again. The kernel gives
/// numbers beyond four no meaning; nobody is known to use this one.
const PROTOCOL: u8 = 0x6c;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_tells_of_the_rule_it_was_made_from() {
        let rule = Rule {
            source: "192.0.2.1".parse().unwrap(),
            protocol: 17,
            port: Some(53),
            table: 70_000,
        };
        let all = Rule { port: None, ..rule };
        let v6 = Rule {
            source: "2001:db8::1".parse().unwrap(),
            protocol: 58,
            ..all
        };
        for rule in [rule, all, v6] {
            assert_eq!(Rule::from_message(&rule.message()), Some(rule));
        }
    }

    #[test]
    fn a_rule_of_others_is_none() {
        let rule = Rule {
            source: "192.0.2.1".parse().unwrap(),
            protocol: 6,
            port: None,
            table: 100,
        };
        let mut message = rule.message();
        let ours = RuleAttribute::Protocol(PROTOCOL.into());
        message.attributes.retain(|attribute| *attribute != ours);
        assert_eq!(Rule::from_message(&message), None);
    }
}
