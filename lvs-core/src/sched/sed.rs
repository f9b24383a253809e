//! Shortest expected delay (`sed`): whoever would have the fewest active
//! connections for its weight with the new one.
//!
//! The overhead is the active connections and one; the smallest share of the
//! weight is chosen, and among equals the first on the list. Where nobody has
//! any, that is the one with the greatest weight, which `wlc` does not see.
//!
//! ```text
//! list     14(5)  13(2)  12(1)  11(3)
//! active    0      0      0      0     picks 14: a fifth is the smallest share of one
//! active    1      0      0      0     picks 11: a third is less than two fifths
//! ```
//!
//! *Source:* the behaviour of `ip_vs_sed.c`, Linux 6.12. *Cost:* the load of every
//! real server, once. *Weight 0:* passed over.

use crate::config::RealServerId;

use super::share::{Share, least};
use super::{Arrival, Counts, Roster, Rule};

/// Remembers nothing.
#[derive(Clone, Debug)]
pub(super) struct ShortestExpectedDelay;

impl Rule for ShortestExpectedDelay {
    fn pick<C: Counts>(
        &mut self,
        roster: &Roster,
        _arrival: &Arrival,
        counts: &C,
    ) -> Option<RealServerId> {
        let least = least(roster.members(), counts, |member| {
            Share::of(member, counts.load(member.id).delay())
        })?;
        Some(least.id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Load;
    use super::super::tests::Service;
    use crate::config::Scheduler::ShortestExpectedDelay;

    #[test]
    fn the_heaviest_is_first_and_the_rest_follow_the_weights() {
        let servers = [(11, 3), (12, 1), (13, 2), (14, 5)];
        let mut service = Service::new(ShortestExpectedDelay, &servers);
        assert_eq!(
            service.picks(24),
            [
                14, 11, 14, 13, 14, 11, 14, 14, 13, 12, 11, 14, 11, 14, 13, 14, 11, 14, 14, 13, 12,
                11, 14, 11
            ]
        );
    }

    #[test]
    fn inactive_connections_weigh_nothing() {
        let mut service = Service::new(ShortestExpectedDelay, &[(11, 1), (12, 2)]);
        let many = Load {
            active: 0,
            inactive: 1_000_000,
        };
        service.counts.loads.insert(12, many);
        assert_eq!(service.pick(), Some(12));
    }

    #[test]
    fn weight_zero_and_overload_are_passed_over() {
        let mut service = Service::new(ShortestExpectedDelay, &[(11, 1), (12, 0), (13, 9)]);
        service.counts.overloaded.insert(13);
        assert_eq!(service.picks(2), [11, 11]);
    }
}
