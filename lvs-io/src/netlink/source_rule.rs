//! Policy rules of others that look at the source alone.

use netlink_packet_route::AddressFamily;
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};

use super::prefix::Prefix;

/// A rule that packets from a prefix go by a table of their own, whatever else
/// they are (`ip rule add from PREFIX lookup TABLE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceRule {
    /// Its place among the rules, lowest first.
    pub priority: u32,
    /// The sources.
    pub source: Prefix,
    /// The table to look into.
    pub table: u32,
}

impl SourceRule {
    /// The rule a message tells of, if it is one that is asked before the main
    /// table and looks at nothing but the source.
    pub(super) fn from_message(message: &RuleMessage) -> Option<Self> {
        let header = &message.header;
        let is_plain = header.action == RuleAction::ToTable
            && [AddressFamily::Inet, AddressFamily::Inet6].contains(&header.family)
            && !header.flags.contains(RuleFlags::Invert)
            && (header.dst_len, header.tos) == (0, 0);
        let (mut source, mut priority) = (None, 0);
        let mut table = u32::from(header.table);
        for attribute in &message.attributes {
            match attribute {
                RuleAttribute::Source(address) => source = Some(*address),
                RuleAttribute::Priority(number) => priority = *number,
                RuleAttribute::Table(number) => table = *number,
                RuleAttribute::Protocol(_) | RuleAttribute::SuppressPrefixLen(u32::MAX) => {}
                _ => return None,
            }
        }
        let source = Prefix::new(source?, header.src_len).ok()?;
        (is_plain && priority < MAIN).then_some(Self {
            priority,
            source,
            table,
        })
    }
}

/// The priority of the rule for the main table.
const MAIN: u32 = 32_766;

#[cfg(test)]
mod tests {
    use super::*;
    use netlink_packet_route::rule::RuleHeader;

    fn message(attributes: Vec<RuleAttribute>) -> RuleMessage {
        let mut message = RuleMessage::default();
        message.header = RuleHeader {
            family: AddressFamily::Inet,
            src_len: 24,
            action: RuleAction::ToTable,
            ..RuleHeader::default()
        };
        message.attributes = attributes;
        message
    }

    fn plain() -> Vec<RuleAttribute> {
        vec![
            RuleAttribute::Source("192.0.2.0".parse().unwrap()),
            RuleAttribute::Priority(100),
            RuleAttribute::Table(7000),
            RuleAttribute::SuppressPrefixLen(u32::MAX),
        ]
    }

    #[test]
    fn a_rule_on_the_source_alone_is_one() {
        let rule = SourceRule::from_message(&message(plain())).unwrap();
        assert_eq!((rule.priority, rule.table), (100, 7000));
        assert_eq!(rule.source, "192.0.2.0/24".parse().unwrap());
    }

    #[test]
    fn what_looks_at_more_is_none() {
        for more in [
            RuleAttribute::FwMark(1),
            RuleAttribute::Iifname("lo".into()),
            RuleAttribute::SuppressPrefixLen(0),
            RuleAttribute::Priority(MAIN),
        ] {
            let attributes = [plain(), vec![more]].concat();
            assert_eq!(SourceRule::from_message(&message(attributes)), None);
        }
        let mut every = plain();
        every.remove(0);
        assert_eq!(SourceRule::from_message(&message(every)), None);
        let mut inverted = message(plain());
        inverted.header.flags = RuleFlags::Invert;
        assert_eq!(SourceRule::from_message(&inverted), None);
    }
}
