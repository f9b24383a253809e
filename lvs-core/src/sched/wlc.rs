//! Weighted least connection (`wlc`): whoever has the fewest connections for
//! its weight.
//!
//! The overhead of a real server (an active connection counts 257 times an
//! inactive one) divided by its weight is compared; the smallest is chosen, and
//! among equals the first on the list. The division is done by multiplying across.
//!
//! ```text
//! list     14(5)  13(2)  12(1)  11(3)
//! active    1      1      0      1     picks 12: nothing is least for any weight
//! active    1      1      1      1     picks 14: a fifth of 257 is the smallest share
//! ```
//!
//! *Source:* the behaviour of `ip_vs_wlc.c`, Linux 6.12. *Cost:* the load of every
//! real server, once. *Weight 0:* passed over.

use crate::config::RealServerId;

use super::share::{Share, least};
use super::{Arrival, Counts, Roster, Rule};

/// Remembers nothing.
#[derive(Clone, Debug)]
pub(super) struct WeightedLeastConnection;

impl Rule for WeightedLeastConnection {
    fn pick<C: Counts>(
        &mut self,
        roster: &Roster,
        _arrival: &Arrival,
        counts: &C,
    ) -> Option<RealServerId> {
        let least = least(roster.members(), counts, |member| {
            Share::of(member, counts.load(member.id).overhead())
        })?;
        Some(least.id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Load;
    use super::super::tests::Service;
    use crate::config::Scheduler::WeightedLeastConnection;

    #[test]
    fn connections_follow_the_weights() {
        let servers = [(11, 3), (12, 1), (13, 2), (14, 5)];
        let mut service = Service::new(WeightedLeastConnection, &servers);
        assert_eq!(
            service.picks(24),
            [
                14, 13, 12, 11, 14, 11, 14, 13, 14, 11, 14, 14, 13, 12, 11, 14, 11, 14, 13, 14, 11,
                14, 14, 13
            ]
        );
    }

    #[test]
    fn weight_zero_never_wins_though_it_is_empty() {
        let mut service = Service::new(WeightedLeastConnection, &[(11, 0), (12, 1), (13, 0)]);
        assert_eq!(service.picks(3), [12, 12, 12]);
        service.edit(&[(11, 0), (12, 0), (13, 0)]);
        assert_eq!(service.pick(), None);
    }

    #[test]
    fn the_largest_loads_and_weights_compare() {
        let max = i32::MAX as u32;
        let full = Load {
            active: u32::MAX,
            inactive: u32::MAX,
        };
        let servers = [(11, max), (12, max - 1), (13, 1)];
        let mut service = Service::new(WeightedLeastConnection, &servers);
        for number in [11, 12, 13] {
            service.counts.loads.insert(number, full);
        }
        assert_eq!(service.pick(), Some(11));
    }
}
