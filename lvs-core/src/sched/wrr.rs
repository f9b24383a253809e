//! Weighted round robin (`wrr`): in turn, as often as the weight says.
//!
//! A threshold falls lap by lap from the largest weight, in steps of the greatest
//! common divisor of all weights, and starts over below one. In each lap those
//! take a turn whose weight reaches the threshold, so the heavy ones come first
//! and the light ones join in.
//!
//! ```text
//! list     13(2) 12(1) 11(3), divisor 1
//! lap at 3             11
//! lap at 2 13          11
//! lap at 1 13    12    11      picks 11 13 11 13 12 11, and again
//! ```
//!
//! The threshold survives a change of the list, but the walk begins again at the
//! head. As every addition is such a change, a service that was set up one real
//! server after the other usually begins at the threshold of the first.
//!
//! *Source:* the behaviour of `ip_vs_wrr.c`, Linux 6.12. *Cost:* at most three
//! walks of the roster, however far the weights lie apart. *Weight 0:* below
//! every threshold; `None` when all are.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::config::RealServerId;

use super::roster::Member;
use super::{Arrival, Counts, Roster, Rule};

/// Where in which lap the last choice was made.
#[derive(Clone, Debug)]
pub(super) struct WeightedRoundRobin {
    shard: usize,
    /// Place on the roster of the one chosen last; `None` before the head.
    last: Option<usize>,
    /// The weight that takes part in this lap; zero before the first.
    threshold: u32,
}

impl WeightedRoundRobin {
    pub(super) fn new(shard: usize) -> Self {
        Self {
            shard,
            last: None,
            threshold: 0,
        }
    }

    /// Begins again at the head, at a threshold that fits `bounds`.
    fn restart(&mut self, bounds: Bounds) {
        self.last = None;
        self.threshold = if self.threshold == 0 || self.threshold > bounds.highest {
            bounds.highest
        } else if bounds.step > 1 {
            self.threshold / bounds.step * bounds.step + 1
        } else {
            self.threshold
        };
    }
}

impl Rule for WeightedRoundRobin {
    fn adopt(&mut self, _old: Option<&Roster>, new: &Roster) {
        for bounds in new.laps().iter().flat_map(|laps| &laps.changes) {
            self.restart(*bounds);
        }
    }

    fn pick<C: Counts>(
        &mut self,
        roster: &Roster,
        _arrival: &Arrival,
        counts: &C,
    ) -> Option<RealServerId> {
        let members = roster.members();
        let bounds = roster.laps()?.bounds;
        let first = match self.last {
            Some(last) => last + 1,
            None => self.shard.checked_rem(members.len())?,
        };
        let place = match seek(members, first, self.threshold, counts) {
            Some(place) => place,
            None => {
                let available = roster.available(counts);
                let heaviest = available.map(|m| m.weight).max()?;
                self.threshold = bounds.below(self.threshold, heaviest);
                seek(members, 0, self.threshold, counts)?
            }
        };
        self.last = Some(place);
        members.get(place).map(|member| member.id)
    }
}

/// The first place from `first` on whose real server takes part at `threshold`.
fn seek<C: Counts>(members: &[Member], first: usize, threshold: u32, counts: &C) -> Option<usize> {
    let takes_part = |member: &Member| member.weight >= threshold && member.is_available(counts);
    let found = members.get(first..)?.iter().position(takes_part)?;
    Some(first + found)
}

/// What laps over a list are like, and what they were like at every change that
/// led to it.
#[derive(Clone, Debug)]
pub(super) struct Laps {
    bounds: Bounds,
    changes: Box<[Bounds]>,
}

impl Laps {
    /// Laps over `members` by a scheduler that has just come to the service.
    pub(super) fn begun(members: &[Member]) -> Self {
        let bounds = Bounds::of(members);
        Self {
            bounds,
            changes: Box::new([bounds]),
        }
    }

    /// Laps over `after`, which `before` became by edits, removals, additions;
    /// `edited` if there was an edit, though nothing may have changed by it.
    pub(super) fn changed(before: &[Member], after: &[Member], edited: bool) -> Self {
        let weights: BTreeMap<RealServerId, u32> = after.iter().map(|m| (m.id, m.weight)).collect();
        let mut list = before.to_vec();
        let mut changes = Vec::new();
        for place in 0..list.len() {
            if let Some(&weight) = weights.get(&list[place].id)
                && weight != list[place].weight
            {
                list[place].weight = weight;
                changes.push(Bounds::of(&list));
            }
        }
        for removed in before.iter().filter(|m| !weights.contains_key(&m.id)) {
            list.retain(|member| member.id != removed.id);
            changes.push(Bounds::of(&list));
        }
        let added = after.len() - list.len();
        for place in (0..added).rev() {
            changes.push(Bounds::of(&after[place..]));
        }
        let bounds = Bounds::of(after);
        if edited && changes.is_empty() {
            changes.push(bounds);
        }
        Self {
            bounds,
            changes: changes.into_boxed_slice(),
        }
    }
}

/// Between which thresholds laps fall, and how fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bounds {
    /// The threshold of the first lap; zero when no weight is above zero.
    highest: u32,
    /// The greatest common divisor of the weights above zero, or one.
    step: u32,
}

impl Bounds {
    fn of(members: &[Member]) -> Self {
        let weights = || members.iter().map(|m| m.weight).filter(|w| *w > 0);
        let step = weights().fold(0, divisor).max(1);
        // With the step taken off but for one, the lowest lap is at one.
        let highest = weights().max().map_or(0, |heaviest| heaviest - (step - 1));
        Self { highest, step }
    }

    /// The next threshold below `threshold` that `heaviest` reaches; laps in
    /// between would find nobody.
    fn below(self, threshold: u32, heaviest: u32) -> u32 {
        let next = match threshold.checked_sub(self.step) {
            Some(next) if next > 0 => next,
            _ => self.highest,
        };
        let above = next.saturating_sub(heaviest);
        next.saturating_sub(above.div_ceil(self.step) * self.step)
            .max(1)
    }
}

/// The greatest common divisor of two numbers; of zero and another, the other.
pub(super) fn divisor(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::super::tests::Service;
    use super::*;
    use crate::config::Scheduler;
    use crate::config::Scheduler::WeightedRoundRobin as Wrr;

    #[test]
    fn the_heavy_come_first_and_the_light_join_in() {
        let mut service = Service::new(Wrr, &[(11, 3), (12, 1), (13, 2), (14, 5)]);
        assert_eq!(
            service.picks(30),
            [
                14, 13, 12, 11, 14, 14, 14, 11, 14, 13, 11, 14, 13, 12, 11, 14, 14, 14, 11, 14, 13,
                11, 14, 13, 12, 11, 14, 14, 14, 11
            ]
        );
    }

    #[test]
    fn a_service_edited_between_its_connections() {
        let mut service = Service::new(Wrr, &[(11, 4), (12, 6), (13, 10)]);
        assert_eq!(
            service.picks(21),
            [
                13, 12, 11, 13, 13, 13, 12, 13, 12, 11, 13, 12, 11, 13, 13, 13, 12, 13, 12, 11, 13
            ]
        );
        service.edit(&[(11, 4), (12, 6), (13, 2)]);
        assert_eq!(
            service.picks(15),
            [13, 12, 11, 12, 12, 11, 13, 12, 11, 12, 12, 11, 13, 12, 11]
        );
        service.edit(&[(11, 4), (12, 0), (13, 2)]);
        assert_eq!(service.picks(10), [13, 11, 11, 13, 11, 11, 13, 11, 11, 13]);
        service.edit(&[(12, 0), (13, 2)]);
        assert_eq!(service.picks(3), [13, 13, 13]);
        service.edit(&[(12, 0), (13, 2), (11, 7)]);
        assert_eq!(service.picks(9), [11, 13, 11, 11, 11, 11, 11, 11, 13]);
        service.edit(&[(12, 0), (13, 0), (11, 0)]);
        assert_eq!(service.pick(), None);
    }

    #[test]
    fn a_change_moves_the_threshold_to_a_lap_of_the_new_step() {
        let mut service = Service::new(Wrr, &[(11, 2), (12, 7)]);
        // One lap at 1, then at 7, 6, 5 and 4.
        assert_eq!(service.picks(6), [12, 11, 12, 12, 12, 12]);
        // Now laps are at 5, 3 and 1, and 4 becomes 5.
        service.edit(&[(11, 2), (12, 6)]);
        assert_eq!(service.picks(8), [12, 12, 12, 11, 12, 12, 12, 11]);
    }

    #[test]
    fn a_lap_that_none_would_reach_is_not_walked() {
        let bounds = Bounds {
            highest: 1_000_001,
            step: 10,
        };
        assert_eq!(bounds.below(1_000_001, 2_000_000), 999_991);
        assert_eq!(bounds.below(1_000_001, 30), 21);
        assert_eq!(bounds.below(1, 30), 21);
        assert_eq!(bounds.below(1, 1_000_010), 1_000_001);
    }

    #[test]
    fn an_edit_that_changes_nothing_begins_the_lap_anew() {
        let mut service = Service::new(Wrr, &[(11, 3), (12, 2), (13, 1)]);
        assert_eq!(service.picks(4), [13, 12, 11, 11]);
        service.change_terms(|terms| terms.edits += 1);
        assert_eq!(service.picks(7), [11, 12, 11, 13, 12, 11, 11]);
        service.change_terms(|terms| terms.edits += 1);
        assert_eq!(service.picks(4), [11, 12, 11, 13]);
        service.change_terms(|terms| terms.shards += 1);
        assert_eq!(service.picks(3), [12, 11, 11], "no edit");
    }

    #[test]
    fn the_largest_weights_do_not_overflow() {
        let max = i32::MAX as u32;
        let mut service = Service::new(Wrr, &[(11, max), (12, max), (13, 1)]);
        assert_eq!(service.picks(7), [13, 12, 11, 12, 11, 12, 11]);
    }

    #[test]
    fn a_state_that_saw_no_change_still_picks() {
        let mut service = Service::new(Wrr, &[(11, 2), (12, 1)]);
        service.edit(&[(11, 2), (12, 1)]);
        let mut fresh = service.on_another_shard(0);
        assert_eq!(fresh.picks(6), [12, 11, 11, 12, 11, 11]);
    }

    #[test]
    fn coming_from_another_scheduler_begins_at_the_highest_threshold() {
        let mut service = Service::new(Scheduler::RoundRobin, &[(11, 1), (12, 3)]);
        service.reschedule(Wrr);
        assert_eq!(service.picks(5), [12, 12, 12, 11, 12]);
    }

    #[test]
    fn shards_begin_at_different_places() {
        let servers = [(11, 1), (12, 2), (13, 3)];
        let first = |shard| Service::on_shard(shard, Wrr, &servers).picks(2);
        assert_eq!(first(0), [13, 12]);
        assert_eq!(first(1), [12, 11]);
        assert_eq!(first(2), [11, 13]);
    }
}
