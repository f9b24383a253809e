//! Least connection (`lc`): whoever has the fewest connections.
//!
//! The real server with the smallest overhead (an active connection counts
//! 257 times an inactive one) is chosen; among equals the first on the list.
//!
//! ```text
//! list     14 13 12 11
//! active    1  0  0  1
//! inactive  0  9  8  0     picks 12: 8 inactive are less than 9, and than 1 active
//! ```
//!
//! *Source:* the behaviour of `ip_vs_lc.c`, Linux 6.12. *Cost:* the load of every
//! real server, once. *Weight 0:* passed over; otherwise weight means nothing.

use crate::config::RealServerId;

use super::share::{Share, least};
use super::{Arrival, Counts, Roster, Rule};

/// Remembers nothing.
#[derive(Clone, Debug)]
pub(super) struct LeastConnection;

impl Rule for LeastConnection {
    fn pick<C: Counts>(
        &mut self,
        roster: &Roster,
        _arrival: &Arrival,
        counts: &C,
    ) -> Option<RealServerId> {
        let least = least(roster.members(), counts, |member| Share {
            overhead: counts.load(member.id).overhead(),
            weight: 1,
            id: member.id,
        })?;
        Some(least.id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Load;
    use super::super::tests::Service;
    use crate::config::Scheduler::LeastConnection;

    #[test]
    fn equals_take_turns_as_they_fill() {
        let mut service = Service::new(LeastConnection, &[(11, 1), (12, 5), (13, 1), (14, 1)]);
        assert_eq!(service.picks(6), [14, 13, 12, 11, 14, 13]);
    }

    #[test]
    fn an_active_connection_outweighs_257_inactive_ones() {
        let mut service = Service::new(LeastConnection, &[(11, 1), (12, 1)]);
        let mut between = |active, inactive| {
            service.counts.loads.insert(11, Load { active, inactive });
            service.counts.loads.insert(
                12,
                Load {
                    active: 1,
                    inactive: 0,
                },
            );
            service.pick()
        };
        assert_eq!(between(0, 256), Some(11));
        assert_eq!(between(0, 257), Some(12));
        assert_eq!(between(0, 258), Some(12));
    }

    #[test]
    fn weight_zero_is_passed_over() {
        let mut service = Service::new(LeastConnection, &[(11, 1), (12, 0)]);
        assert_eq!(service.picks(3), [11, 11, 11]);
        service.edit(&[(11, 0), (12, 0)]);
        assert_eq!(service.pick(), None);
    }
}
