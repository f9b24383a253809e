//! The real servers of one service as its scheduler walks them.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::net::IpAddr;
use core::time::Duration;

use crate::config::{
    Family, RealServer, RealServerId, Scheduler, SchedulerFlags, Service, ServiceKey, Setting,
    Settings,
};

use super::locality::Localities;
use super::{Counts, hash, mh, sh, wrr};

/// The real servers of a service, newest first, and what its scheduler works
/// out of them once.
///
/// The kernel puts each real server that is added at the head of its list and
/// leaves the others where they are; schedulers walk from the head. The order
/// therefore depends on history, which is why a roster is made from the one
/// before it.
///
/// ```text
/// add 11, 12, 13    13 12 11
/// add 14            14 13 12 11
/// remove 12         14 13 11
/// add 12            12 14 13 11
/// ```
///
/// *Source:* the behaviour of `ip_vs_ctl.c`, Linux 6.12.
#[derive(Clone, Debug)]
pub(crate) struct Roster {
    terms: Terms,
    members: Box<[Member]>,
    prepared: Prepared,
}

impl Roster {
    /// The roster of `real_servers`, which are in the order they were added.
    ///
    /// `previous` is the roster of the same service before this change. What
    /// differs counts as done one by one: weights edited, in the order of the
    /// list; then real servers removed; then real servers added.
    ///
    /// *Cost:* for the control side; n log n of all real servers, and n for
    /// each one changed where the scheduler is `wrr`; for `mh` see
    /// [`mh::Table`].
    pub(crate) fn new(terms: Terms, previous: Option<&Self>, real_servers: &[Member]) -> Self {
        let before = previous.map_or(&[][..], |previous| &previous.members);
        let members = arranged(before, real_servers);
        let same = previous.filter(|previous| previous.terms.scheduler == terms.scheduler);
        let prepared = match terms.scheduler {
            Scheduler::WeightedRoundRobin => Prepared::Laps(match previous {
                Some(_) if same.is_none() => wrr::Laps::begun(&members),
                _ => {
                    let edited = same.is_some_and(|it| it.terms.edits != terms.edits);
                    wrr::Laps::changed(before, &members, edited)
                }
            }),
            Scheduler::SourceHashing => Prepared::Slots(Box::new(sh::Slots::of(&members))),
            Scheduler::MaglevHashing => Prepared::Table(match same.map(|it| &it.prepared) {
                Some(Prepared::Table(table)) if mh::Table::is_kept(before, &members) => {
                    table.clone()
                }
                _ => Arc::new(mh::Table::of(&members)),
            }),
            Scheduler::LocalityLeastConnection | Scheduler::ReplicatedLocalityLeastConnection => {
                Prepared::Localities(Localities::of(
                    same.and_then(Self::localities),
                    &members,
                    terms.expiration,
                    terms.shards,
                    terms.scheduler == Scheduler::ReplicatedLocalityLeastConnection,
                ))
            }
            Scheduler::WeightedFailover | Scheduler::WeightedOverflow => {
                let mut sorted = members.clone();
                sorted.sort_by_key(|member| Reverse(member.weight));
                Prepared::HeaviestFirst(sorted.into_boxed_slice())
            }
            _ => Prepared::Nothing,
        };
        Self {
            terms,
            members: members.into_boxed_slice(),
            prepared,
        }
    }

    /// Whose rule it is made for.
    pub(crate) fn scheduler(&self) -> Scheduler {
        self.terms.scheduler
    }

    /// By which it was made.
    #[cfg(test)]
    pub(super) fn terms(&self) -> Terms {
        self.terms
    }

    /// The switches of its rule.
    pub(super) fn flags(&self) -> SchedulerFlags {
        self.terms.flags
    }

    /// The real servers, newest first.
    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// Those that take new connections, newest first.
    pub(super) fn available<C: Counts>(&self, counts: &C) -> impl Iterator<Item = &Member> {
        let members = self.members.iter();
        members.filter(|member| member.is_available(counts))
    }

    /// The real servers, the heaviest first and of equals the newest; nobody for
    /// schedulers other than `fo` and `ovf`.
    pub(super) fn heaviest_first(&self) -> &[Member] {
        match &self.prepared {
            Prepared::HeaviestFirst(members) => members,
            _ => &[],
        }
    }

    /// What `wrr` needs; `None` for any other scheduler.
    pub(super) fn laps(&self) -> Option<&wrr::Laps> {
        match &self.prepared {
            Prepared::Laps(laps) => Some(laps),
            _ => None,
        }
    }

    /// What `sh` needs; `None` for any other scheduler.
    pub(super) fn slots(&self) -> Option<&sh::Slots> {
        match &self.prepared {
            Prepared::Slots(slots) => Some(slots),
            _ => None,
        }
    }

    /// What `mh` needs; `None` for any other scheduler.
    pub(super) fn table(&self) -> Option<&mh::Table> {
        match &self.prepared {
            Prepared::Table(table) => Some(table),
            _ => None,
        }
    }

    /// What `lblc` and `lblcr` need; `None` for any other scheduler.
    pub(super) fn localities(&self) -> Option<&Localities> {
        match &self.prepared {
            Prepared::Localities(localities) => Some(localities),
            _ => None,
        }
    }
}

/// What a service asks of its scheduler.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) scheduler: Scheduler,
    pub(crate) flags: SchedulerFlags,
    /// How long `lblc` and `lblcr` remember an unused address.
    pub(crate) expiration: Duration,
    /// How many shards the director has.
    pub(crate) shards: usize,
    /// How often its real servers have been edited.
    pub(crate) edits: u32,
}

impl Terms {
    /// The terms of a service by whose `settings` a director of so many shards
    /// goes.
    pub(crate) fn of(service: &Service, settings: &Settings, shards: usize) -> Self {
        let setting = match service.scheduler {
            Scheduler::ReplicatedLocalityLeastConnection => Setting::LblcrExpiration,
            _ => Setting::LblcExpiration,
        };
        let seconds = u64::try_from(settings.get(setting)).unwrap_or(0);
        Self {
            scheduler: service.scheduler,
            flags: service.flags,
            expiration: Duration::from_secs(seconds),
            shards,
            edits: service.edits,
        }
    }
}

/// A real server on a roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) id: RealServerId,
    pub(super) weight: u32,
    /// The latest weight above zero; zero if it never had one.
    pub(super) last_weight: u32,
    /// Address and port, folded: what `mh` knows it by.
    pub(super) key: u32,
    takes: Takes,
}

/// Whether a real server takes new connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Any,
    /// It has an upper threshold.
    AnyUnlessOverloaded,
    None,
}

impl Member {
    /// A real server of the service `key`, as configured.
    pub(crate) fn new(id: RealServerId, real_server: &RealServer, key: &ServiceKey) -> Self {
        let weight = real_server.share().get();
        let port = u32::from(real_server.port_in(key));
        Self {
            id,
            weight,
            last_weight: weight,
            key: folded(real_server.address, key.family()).wrapping_add(port),
            takes: match (weight, real_server.thresholds.upper) {
                (0, _) => Takes::None,
                (_, 0) => Takes::Any,
                _ => Takes::AnyUnlessOverloaded,
            },
        }
    }

    /// Whether it takes new connections: the one place that decides it, for
    /// every scheduler. Weight zero takes none, nor does one that is overloaded.
    pub(super) fn is_available<C: Counts>(&self, counts: &C) -> bool {
        let limited = || self.takes == Takes::AnyUnlessOverloaded;
        self.takes == Takes::Any || limited() && !counts.is_overloaded(self.id)
    }
}

/// The address of a real server as a service of this family folds it: the kernel
/// looks at no more than an IPv4 address of what an IPv4 service has, though a
/// tunnel may lead to IPv6.
fn folded(address: IpAddr, family: Family) -> u32 {
    match (family, address) {
        (Family::V4, IpAddr::V6(address)) => (address.to_bits() >> 96) as u32,
        _ => hash::folded(address),
    }
}

/// What is worked out once per configuration, for the schedulers that do.
#[derive(Clone, Debug)]
enum Prepared {
    Nothing,
    Laps(wrr::Laps),
    Slots(Box<sh::Slots>),
    Table(Arc<mh::Table>),
    Localities(Localities),
    HeaviestFirst(Box<[Member]>),
}

/// `real_servers` in list order: those of `before` where they were, the others
/// at the head, the last of them first.
fn arranged(before: &[Member], real_servers: &[Member]) -> Vec<Member> {
    let mut wanted: BTreeMap<RealServerId, &Member> = real_servers
        .iter()
        .map(|member| (member.id, member))
        .collect();
    let mut edited = |old: &Member| {
        let new = wanted.remove(&old.id)?;
        let last_weight = match new.weight {
            0 => old.last_weight,
            weight => weight,
        };
        Some(Member {
            last_weight,
            ..*new
        })
    };
    let kept: Vec<Member> = before.iter().filter_map(&mut edited).collect();
    let added = real_servers
        .iter()
        .filter(|new| wanted.contains_key(&new.id));
    let mut members: Vec<Member> = added.copied().collect();
    members.reverse();
    members.extend(kept);
    members
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::{Protocol, Thresholds};
    use alloc::vec;
    use core::net::{Ipv4Addr, SocketAddr};

    /// Real servers of these numbers and weights, in the order of adding:
    /// number n is 10.0.0.n at port 1003. Each has a threshold, so that its
    /// counts say whether it is overloaded.
    pub(in super::super) fn servers(numbers: &[(u32, u32)]) -> Vec<Member> {
        let key = ServiceKey::Address {
            protocol: Protocol::Tcp,
            address: "192.0.2.10:80".parse().unwrap(),
        };
        let member = |&(number, weight): &(u32, u32)| {
            let address = Ipv4Addr::from_bits(0x0a00_0000 + number);
            let real_server = RealServer::masquerade(SocketAddr::from((address, 1003)))
                .weight(weight)
                .thresholds(Thresholds { upper: 1, lower: 0 });
            Member::new(RealServerId(number), &real_server, &key)
        };
        numbers.iter().map(member).collect()
    }

    /// Terms of a scheduler without flags.
    pub(in super::super) fn terms(scheduler: Scheduler) -> Terms {
        Terms {
            scheduler,
            flags: SchedulerFlags::default(),
            expiration: Duration::from_secs(86_400),
            shards: 5,
            edits: 0,
        }
    }

    fn order(roster: &Roster) -> Vec<u32> {
        roster.members().iter().map(|member| member.id.0).collect()
    }

    fn roster(previous: Option<&Roster>, numbers: &[(u32, u32)]) -> Roster {
        Roster::new(terms(Scheduler::RoundRobin), previous, &servers(numbers))
    }

    #[test]
    fn the_newest_is_first() {
        let first = roster(None, &[(11, 1), (12, 1), (13, 1)]);
        assert_eq!(order(&first), [13, 12, 11]);
        let second = roster(Some(&first), &[(11, 1), (12, 1), (13, 1), (14, 1), (15, 1)]);
        assert_eq!(order(&second), [15, 14, 13, 12, 11]);
    }

    #[test]
    fn removing_and_adding_again_moves_to_the_head() {
        let first = roster(None, &[(11, 1), (12, 1), (13, 1)]);
        let second = roster(Some(&first), &[(11, 1), (13, 1)]);
        assert_eq!(order(&second), [13, 11]);
        let third = roster(Some(&second), &[(11, 1), (12, 1), (13, 1)]);
        assert_eq!(order(&third), [12, 13, 11]);
    }

    #[test]
    fn an_edit_keeps_the_place_whatever_order_the_configuration_has() {
        let first = roster(None, &[(11, 1), (12, 1), (13, 1)]);
        let second = roster(Some(&first), &[(13, 5), (11, 0), (12, 1)]);
        let weights = second.members().iter().map(|m| (m.id.0, m.weight));
        assert_eq!(weights.collect::<Vec<_>>(), vec![(13, 5), (12, 1), (11, 0)]);
    }

    #[test]
    fn the_last_weight_above_zero_is_remembered_until_removal() {
        let first = roster(None, &[(11, 5), (12, 0)]);
        let second = roster(Some(&first), &[(11, 0), (12, 3)]);
        let third = roster(Some(&second), &[(11, 0), (12, 0)]);
        let last = |roster: &Roster| -> Vec<(u32, u32)> {
            let members = roster.members().iter();
            members.map(|m| (m.weight, m.last_weight)).collect()
        };
        assert_eq!(last(&first), [(0, 0), (5, 5)]);
        assert_eq!(last(&third), [(0, 3), (0, 5)]);
        let gone = roster(Some(&third), &[(12, 0)]);
        let back = roster(Some(&gone), &[(12, 0), (11, 0)]);
        assert_eq!(last(&back), [(0, 0), (0, 3)]);
    }

    #[test]
    fn changing_the_scheduler_keeps_the_list() {
        let first = roster(None, &[(12, 1), (11, 1)]);
        let second = Roster::new(
            terms(Scheduler::SourceHashing),
            Some(&first),
            &servers(&[(11, 1), (12, 1)]),
        );
        assert_eq!(order(&second), [11, 12]);
        assert!(second.slots().is_some() && second.laps().is_none());
    }
}
