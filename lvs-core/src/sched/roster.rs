//! The real servers of one service as its scheduler walks them.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::config::{RealServerId, Scheduler, Weight};

use super::{sh, wrr};

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
    scheduler: Scheduler,
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
    /// each one changed where the scheduler is `wrr`.
    pub(crate) fn new(
        scheduler: Scheduler,
        previous: Option<&Self>,
        real_servers: &[(RealServerId, Weight)],
    ) -> Self {
        let before = previous.map_or(&[][..], |previous| &previous.members);
        let members = arranged(before, real_servers);
        let prepared = match scheduler {
            Scheduler::WeightedRoundRobin => {
                let previous = previous.map(|previous| (previous.scheduler, before));
                Prepared::Laps(match previous {
                    Some((other, _)) if other != scheduler => wrr::Laps::begun(&members),
                    _ => wrr::Laps::changed(before, &members),
                })
            }
            Scheduler::SourceHashing => Prepared::Slots(Box::new(sh::Slots::of(&members))),
            _ => Prepared::Nothing,
        };
        Self {
            scheduler,
            members: members.into_boxed_slice(),
            prepared,
        }
    }

    /// Whose rule it is made for.
    pub(crate) fn scheduler(&self) -> Scheduler {
        self.scheduler
    }

    /// Whether a real server is on it with weight 0. *Cost:* linear.
    pub(crate) fn is_quiescent(&self, id: RealServerId) -> bool {
        let mut members = self.members.iter();
        members.any(|member| member.id == id && member.weight == 0)
    }

    /// The real servers, newest first.
    pub(super) fn members(&self) -> &[Member] {
        &self.members
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
}

/// A real server on a roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) id: RealServerId,
    pub(super) weight: u32,
}

impl Member {
    /// Whether it takes new connections: the one place that decides it, for
    /// every scheduler. Weight zero takes none; a real server past its upper
    /// threshold would be refused here, too.
    pub(super) fn is_available(&self) -> bool {
        self.weight > 0
    }
}

/// What is worked out once per configuration, for the schedulers that do.
#[derive(Clone, Debug)]
enum Prepared {
    Nothing,
    Laps(wrr::Laps),
    Slots(Box<sh::Slots>),
}

/// `real_servers` in list order: those of `before` where they were, the others
/// at the head, the last of them first.
fn arranged(before: &[Member], real_servers: &[(RealServerId, Weight)]) -> Vec<Member> {
    let mut wanted: BTreeMap<RealServerId, Weight> = real_servers.iter().copied().collect();
    let mut take = |id| {
        let weight = wanted.remove(&id)?.get();
        Some(Member { id, weight })
    };
    let kept: Vec<Member> = before.iter().filter_map(|member| take(member.id)).collect();
    let added = real_servers.iter().filter_map(|(id, _)| take(*id));
    let mut members: Vec<Member> = added.collect();
    members.reverse();
    members.extend(kept);
    members
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use alloc::vec;

    /// Real servers of these numbers and weights, in the order of adding.
    pub(in super::super) fn servers(numbers: &[(u32, u32)]) -> Vec<(RealServerId, Weight)> {
        numbers
            .iter()
            .map(|&(number, weight)| (RealServerId(number), Weight::new(weight).unwrap()))
            .collect()
    }

    fn order(roster: &Roster) -> Vec<u32> {
        roster.members().iter().map(|member| member.id.0).collect()
    }

    fn roster(previous: Option<&Roster>, numbers: &[(u32, u32)]) -> Roster {
        Roster::new(Scheduler::RoundRobin, previous, &servers(numbers))
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
    fn changing_the_scheduler_keeps_the_list() {
        let first = roster(None, &[(12, 1), (11, 1)]);
        let second = Roster::new(
            Scheduler::SourceHashing,
            Some(&first),
            &servers(&[(11, 1), (12, 1)]),
        );
        assert_eq!(order(&second), [11, 12]);
        assert!(second.slots().is_some() && second.laps().is_none());
    }
}
