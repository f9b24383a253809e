//! Never queue (`nq`): somebody idle, or else whoever has the shortest expected
//! delay.
//!
//! The first on the list without an active connection is chosen, whatever its
//! weight; when there is none, the choice is that of `sed`.
//!
//! ```text
//! list     14(5)  13(2)  12(1)  11(3)
//! active    1      0      0      0     picks 13, which is idle
//! active    1      1      1      1     picks 14: two fifths is the smallest share
//! ```
//!
//! *Source:* the behaviour of `ip_vs_nq.c`, Linux 6.12. *Cost:* the load of every
//! real server, once. *Weight 0:* passed over.

use crate::config::RealServerId;

use super::share::{Share, least};
use super::{Arrival, Counts, Roster, Rule};

/// Remembers nothing.
#[derive(Clone, Debug)]
pub(super) struct NeverQueue;

impl Rule for NeverQueue {
    fn pick<C: Counts>(
        &mut self,
        roster: &Roster,
        _arrival: &Arrival,
        counts: &C,
    ) -> Option<RealServerId> {
        let least = least(roster.members(), counts, |member| {
            let load = counts.load(member.id);
            // Nothing is the smallest share, and the same for any weight.
            let overhead = if load.active == 0 { 0 } else { load.delay() };
            Share::of(member, overhead)
        })?;
        Some(least.id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Load;
    use super::super::tests::Service;
    use crate::config::Scheduler::NeverQueue;

    #[test]
    fn the_idle_come_first_and_then_the_shortest_delay() {
        let servers = [(11, 3), (12, 1), (13, 2), (14, 5)];
        let mut service = Service::new(NeverQueue, &servers);
        assert_eq!(
            service.picks(24),
            [
                14, 13, 12, 11, 14, 14, 11, 14, 14, 13, 11, 14, 11, 14, 13, 14, 11, 14, 14, 13, 12,
                11, 14, 11
            ]
        );
    }

    #[test]
    fn inactive_connections_leave_one_idle() {
        let mut service = Service::new(NeverQueue, &[(11, 1), (12, 1)]);
        let many = Load {
            active: 0,
            inactive: 1_000_000,
        };
        service.counts.loads.insert(12, many);
        assert_eq!(service.picks(2), [12, 11]);
    }

    #[test]
    fn weight_zero_and_overload_are_passed_over() {
        let mut service = Service::new(NeverQueue, &[(11, 1), (12, 0), (13, 9)]);
        service.counts.overloaded.insert(13);
        assert_eq!(service.picks(2), [11, 11]);
    }
}
