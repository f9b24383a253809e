//! The power of two choices (`twos`): of two drawn by chance, the less loaded.
//!
//! Two real servers are drawn, each by its weight, and the one with the smaller
//! overhead for its weight is chosen. Drawing spreads directors that do not know
//! of each other; comparing two keeps the worst load small (Mitzenmacher, The
//! Power of Two Choices in Randomized Load Balancing, 2001).
//!
//! ```text
//! list   14(5)      13(2)  12(1) 11(3)
//! drawn  0 1 2 3 4 5  6 7    8   9 10 11
//! ```
//!
//! A draw is zero to the sum of the weights, both included, so the first has
//! one number more than its weight.
//!
//! *Source:* the behaviour of `ip_vs_twos.c`, Linux 6.12. The kernel draws from its
//! random numbers, a shard from those of the director's seed. *Cost:* two walks
//! of the roster, two loads. *Weight 0:* passed over.

use crate::chance::Chance;
use crate::config::RealServerId;

use super::share::Share;
use super::{Arrival, Counts, Roster, Rule};

/// What will be drawn.
#[derive(Clone, Debug)]
pub(super) struct TwoChoices {
    chance: Chance,
}

impl TwoChoices {
    pub(super) fn new(seed: u64) -> Self {
        let chance = Chance::new(seed);
        Self { chance }
    }
}

impl Rule for TwoChoices {
    fn pick<C: Counts>(
        &mut self,
        roster: &Roster,
        _arrival: &Arrival,
        counts: &C,
    ) -> Option<RealServerId> {
        let weights = roster.available(counts).map(|m| u64::from(m.weight));
        let sum = weights.sum();
        let (first, second) = (self.chance.up_to(sum), self.chance.up_to(sum));
        let first = drawn(roster, counts, first)?;
        let second = drawn(roster, counts, second)?;
        let chosen = if second.compare(&first).is_lt() {
            second
        } else {
            first
        };
        Some(chosen.id)
    }
}

/// Whose number `draw` is.
fn drawn<C: Counts>(roster: &Roster, counts: &C, draw: u64) -> Option<Share> {
    let mut rest = draw;
    let member = roster.available(counts).find(|member| {
        let reached = rest <= u64::from(member.weight);
        rest = rest.saturating_sub(u64::from(member.weight));
        reached
    })?;
    Some(Share::of(member, counts.load(member.id).overhead()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Census, Service};
    use super::*;
    use crate::config::Scheduler;
    use alloc::collections::BTreeMap;
    use alloc::vec::Vec;

    use super::super::roster::tests::{servers, terms};

    const SERVERS: [(u32, u32); 4] = [(11, 3), (12, 1), (13, 2), (14, 5)];

    #[test]
    fn a_draw_falls_by_weight_and_zero_is_the_heads() {
        let roster = Roster::new(terms(Scheduler::TwoChoices), None, &servers(&SERVERS));
        let mut counts = Census::default();
        let owners = |counts: &Census, draws: u64| -> Vec<u32> {
            let owner = |draw| drawn(&roster, counts, draw).unwrap().id.0;
            (0..=draws).map(owner).collect()
        };
        assert_eq!(
            owners(&counts, 11),
            [14, 14, 14, 14, 14, 14, 13, 13, 12, 11, 11, 11]
        );
        counts.overloaded.insert(13);
        assert_eq!(owners(&counts, 9), [14, 14, 14, 14, 14, 14, 12, 11, 11, 11]);
    }

    #[test]
    fn loads_come_out_near_the_weights() {
        let mut service = Service::new(Scheduler::TwoChoices, &SERVERS);
        let mut times: BTreeMap<u32, u32> = BTreeMap::new();
        for picked in service.picks(1_100) {
            *times.entry(picked).or_default() += 1;
        }
        for (number, weight) in SERVERS {
            let share = times[&number].abs_diff(weight * 100);
            assert!(share < 25, "{number} has {times:?}");
        }
    }

    #[test]
    fn weight_zero_is_never_drawn() {
        let mut service = Service::new(Scheduler::TwoChoices, &[(11, 0), (12, 1), (13, 0)]);
        assert_eq!(service.picks(20), [12; 20]);
    }

    #[test]
    fn shards_draw_differently() {
        let first = |shard| Service::on_shard(shard, Scheduler::TwoChoices, &SERVERS).picks(20);
        assert_eq!(first(0), first(0));
        assert_ne!(first(0), first(1));
    }
}
