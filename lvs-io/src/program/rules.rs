//! What is to be steered, as the keys and values the program looks up.
//!
//! Layouts are those of `struct key` and the address record in
//! `bpf/steer.bpf.c`; `bpf/README.md` explains them.

use std::iter::Peekable;
use std::net::IpAddr;

use super::Error;

/// Traffic that belongs to the director.
///
/// A service is steered by its [`Destination`](End::Destination); a real
/// server behind masquerading, whose replies must come back through the
/// director, by its [`Source`](End::Source). Fragments of such packets and ICMP
/// errors about them follow by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Steer {
    /// IP protocol number: TCP 6, UDP 17 or SCTP 132.
    pub protocol: u8,
    /// The address of the end.
    pub address: IpAddr,
    /// The port of the end, or every port.
    pub port: Option<u16>,
    /// Which end of a packet this describes.
    pub end: End,
}

/// One of the two ends of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum End {
    /// Where it goes.
    Destination,
    /// Where it comes from.
    Source,
}

/// A key of the map `rules`.
pub(crate) type Key = [u8; 20];

/// The contents of the map `rules`, sorted.
pub(crate) type Entries = Vec<(Key, u32)>;

/// A set of [`Steer`]s as the maps hold it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) entries: Entries,
    /// The value of the map `present`.
    pub(crate) present: u32,
}

impl Rules {
    /// *Errors*: [`Error::Protocol`] for one without ports. *Cost*: n log n.
    pub(crate) fn of(steers: &[Steer]) -> Result<Self, Error> {
        let mut rules = Self::default();
        for steer in steers {
            let bit = protocol_bit(steer.protocol)?;
            let (end, row) = match steer.end {
                End::Destination => (0, 0),
                End::Source => (1, ROW_SOURCE),
            };
            let mut record = bit << row;
            match steer.port {
                Some(port) => {
                    let key = key(steer.address, port, steer.protocol, end);
                    rules.entries.push((key, 1));
                }
                None => {
                    record |= bit << (row + ROW_ANY_PORT);
                    rules.present |= PRESENT_ANY_PORT;
                }
            }
            if steer.end == End::Source {
                rules.present |= PRESENT_SOURCE;
            }
            let record_key = key(steer.address, 0, 0, ADDRESS_RECORD);
            rules.entries.push((record_key, record));
        }
        rules.entries.sort_unstable();
        rules.entries.dedup_by(|(later, more), (key, value)| {
            // The kept one is before.
            if later == key {
                *value |= *more;
            }
            later == key
        });
        Ok(rules)
    }

    /// What either of two sets steers.
    pub(crate) fn and(&self, other: &Self) -> Self {
        let sides = Sides::of(&self.entries, &other.entries);
        let or = |(key, one, another): Side| (key, one.unwrap_or(0) | another.unwrap_or(0));
        Self {
            entries: sides.map(or).collect(),
            present: self.present | other.present,
        }
    }
}

/// A key with its values on two sides; it is there on one at least.
type Side = (Key, Option<u32>, Option<u32>);

/// Two sets of entries side by side, by key.
struct Sides<I: Iterator> {
    left: Peekable<I>,
    right: Peekable<I>,
}

impl<'a> Sides<std::slice::Iter<'a, (Key, u32)>> {
    fn of(left: &'a Entries, right: &'a Entries) -> Self {
        Self {
            left: left.iter().peekable(),
            right: right.iter().peekable(),
        }
    }
}

impl<'a, I: Iterator<Item = &'a (Key, u32)>> Iterator for Sides<I> {
    type Item = Side;

    fn next(&mut self) -> Option<Side> {
        let keys = [self.left.peek(), self.right.peek()].map(|next| next.map(|(key, _)| *key));
        let key = keys.into_iter().flatten().min()?;
        let take = |side: &mut Peekable<I>| side.next_if(|(next, _)| *next == key);
        let [left, right] = [take(&mut self.left), take(&mut self.right)];
        let value = |entry: Option<&(Key, u32)>| entry.map(|(_, value)| *value);
        Some((key, value(left), value(right)))
    }
}

/// One change of the map `rules`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) key: Key,
    /// The value until now, if there was one.
    pub(crate) before: Option<u32>,
    /// The value from now on, or none.
    pub(crate) after: Option<u32>,
}

/// The changes that lead from one set of rules to another, such that nothing
/// that is in both is ever missing.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    /// First: after these, all of both is in.
    pub(crate) grow: Vec<Step>,
    /// Then: after these, only the other is.
    pub(crate) shrink: Vec<Step>,
}

/// How to get from `old` to `new`. An address record that both gains and loses
/// bits changes twice.
pub(crate) fn steps(old: &Entries, new: &Entries) -> Steps {
    let Steps {
        mut grow,
        mut shrink,
    } = Steps::default();
    for (key, before, after) in Sides::of(old, new) {
        let both = before.unwrap_or(0) | after.unwrap_or(0);
        if before != Some(both) {
            grow.push(Step {
                key,
                before,
                after: Some(both),
            });
        }
        if after != Some(both) {
            shrink.push(Step {
                key,
                before: Some(both),
                after,
            });
        }
    }
    Steps { grow, shrink }
}

/// The bit of a protocol in an address record's rows.
fn protocol_bit(protocol: u8) -> Result<u32, Error> {
    match protocol {
        6 => Ok(1),
        17 => Ok(2),
        132 => Ok(4),
        protocol => Err(Error::Protocol { protocol }),
    }
}

fn key(address: IpAddr, port: u16, protocol: u8, kind: u8) -> Key {
    let mut key = [0; 20];
    let family = match address {
        IpAddr::V4(address) => {
            key[..4].copy_from_slice(&address.octets());
            0
        }
        IpAddr::V6(address) => {
            key[..16].copy_from_slice(&address.octets());
            KIND_IPV6
        }
    };
    key[16..18].copy_from_slice(&port.to_be_bytes());
    key[18] = protocol;
    key[19] = kind | family;
    key
}

const ADDRESS_RECORD: u8 = 2;
const KIND_IPV6: u8 = 4;
const ROW_ANY_PORT: u32 = 8;
const ROW_SOURCE: u32 = 16;
const PRESENT_SOURCE: u32 = 1;
const PRESENT_ANY_PORT: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn steer(protocol: u8, address: &str, port: Option<u16>, end: End) -> Steer {
        Steer {
            protocol,
            address: address.parse().unwrap(),
            port,
            end,
        }
    }

    #[test]
    fn one_service_is_a_rule_and_a_record() {
        let rules = Rules::of(&[steer(6, "192.0.2.1", Some(80), End::Destination)]).unwrap();
        let mut rule = [0; 20];
        rule[..4].copy_from_slice(&[192, 0, 2, 1]);
        rule[16..].copy_from_slice(&[0, 80, 6, 0]);
        let mut record = rule;
        record[16..].copy_from_slice(&[0, 0, 0, 2]);
        assert_eq!(rules.entries, [(record, 1), (rule, 1)]);
        assert_eq!(rules.present, 0);
    }

    #[test]
    fn every_port_is_a_record_alone() {
        let rules = Rules::of(&[
            steer(17, "2001:db8::1", None, End::Destination),
            steer(132, "2001:db8::1", None, End::Source),
        ])
        .unwrap();
        assert_eq!(rules.entries.len(), 1);
        let (key, record) = rules.entries.first().unwrap();
        assert_eq!(key[19], 2 | 4);
        assert_eq!(*record, 2 | 2 << 8 | 4 << 16 | 4 << 24);
        assert_eq!(rules.present, 3);
    }

    #[test]
    fn protocols_without_ports_are_refused() {
        let icmp = Rules::of(&[steer(1, "192.0.2.1", None, End::Destination)]);
        assert!(matches!(icmp, Err(Error::Protocol { protocol: 1 })));
    }

    type Map = BTreeMap<Key, u32>;

    /// Applies `steps` and calls `see` after each.
    fn walk(old: &Entries, new: &Entries, mut see: impl FnMut(&Map)) -> Entries {
        let mut state: Map = old.iter().copied().collect();
        let Steps { grow, shrink } = steps(old, new);
        for step in grow.into_iter().chain(shrink) {
            assert_eq!(state.get(&step.key).copied(), step.before);
            match step.after {
                Some(value) => state.insert(step.key, value),
                None => state.remove(&step.key),
            };
            see(&state);
        }
        state.into_iter().collect()
    }

    #[test]
    fn nothing_that_stays_is_ever_missing() {
        let vip = "192.0.2.1";
        let sets = [
            vec![],
            vec![steer(6, vip, Some(80), End::Destination)],
            vec![steer(6, vip, None, End::Destination)],
            vec![
                steer(6, vip, Some(443), End::Destination),
                steer(17, vip, None, End::Destination),
                steer(6, "10.0.0.1", Some(80), End::Source),
            ],
            vec![
                steer(6, vip, Some(80), End::Destination),
                steer(6, vip, Some(443), End::Destination),
                steer(17, vip, Some(53), End::Source),
            ],
        ];
        for old in &sets {
            for new in &sets {
                let (old, new) = (Rules::of(old).unwrap(), Rules::of(new).unwrap());
                let end = walk(&old.entries, &new.entries, |state| {
                    for (key, before, after) in Sides::of(&old.entries, &new.entries) {
                        let kept = before.unwrap_or(0) & after.unwrap_or(0);
                        assert_eq!(kept & state.get(&key).unwrap_or(&0), kept);
                    }
                });
                assert_eq!(end, new.entries);
                let both = old.and(&new);
                assert_eq!(walk(&old.entries, &both.entries, |_| ()), both.entries);
                assert!(steps(&both.entries, &new.entries).grow.is_empty());
                assert!(steps(&old.entries, &both.entries).shrink.is_empty());
            }
        }
    }

    #[test]
    fn a_port_is_in_before_every_port_goes() {
        let vip = "192.0.2.1";
        let old = Rules::of(&[steer(6, vip, None, End::Destination)]).unwrap();
        let new = Rules::of(&[steer(6, vip, Some(80), End::Destination)]).unwrap();
        let served = |state: &Map| {
            let has = |rules: &Rules| rules.entries.iter().all(|(k, v)| state.get(k) == Some(v));
            has(&old) || state.keys().any(|key| key[17] == 80)
        };
        walk(&old.entries, &new.entries, |state| assert!(served(state)));
    }
}
