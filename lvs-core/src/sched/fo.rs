//! Weighted failover (`fo`): all to the heaviest there is.
//!
//! Every connection goes to the real server with the greatest weight, the first
//! on the list among equals. The next in weight has none until that one takes no
//! more: its weight is set to zero, or it is overloaded.
//!
//! ```text
//! list      14(5) 13(2) 12(1) 11(3)    picks 14 14 14 14 ...
//! 14 is out       13(2) 12(1) 11(3)    picks 11 11 11 11 ...
//! ```
//!
//! *Source:* the behaviour of `ip_vs_fo.c`, Linux 6.12. *Cost:* a look
//! at the heaviest, and at one more for each that is out. *Weight 0:* passed over.

use crate::config::RealServerId;

use super::{Arrival, Counts, Roster, Rule};

/// Remembers nothing.
#[derive(Clone, Debug)]
pub(super) struct WeightedFailover;

impl Rule for WeightedFailover {
    fn pick<C: Counts>(
        &mut self,
        roster: &Roster,
        _arrival: &Arrival,
        counts: &C,
    ) -> Option<RealServerId> {
        let mut members = roster.heaviest_first().iter();
        let heaviest = members.find(|member| member.is_available(counts))?;
        Some(heaviest.id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Service;
    use crate::config::Scheduler::WeightedFailover;

    #[test]
    fn the_heaviest_has_all_until_it_is_out() {
        let mut service = Service::new(WeightedFailover, &[(11, 3), (12, 1), (13, 2), (14, 5)]);
        assert_eq!(service.picks(3), [14, 14, 14]);
        service.counts.overloaded.insert(14);
        assert_eq!(service.picks(3), [11, 11, 11]);
        service.edit(&[(11, 0), (12, 1), (13, 2), (14, 5)]);
        assert_eq!(service.picks(3), [13, 13, 13]);
        service.counts.overloaded.clear();
        assert_eq!(service.picks(3), [14, 14, 14]);
    }

    #[test]
    fn of_equals_the_first_on_the_list_has_all() {
        let mut service = Service::new(WeightedFailover, &[(11, 2), (12, 2), (13, 1)]);
        assert_eq!(service.picks(3), [12, 12, 12]);
    }
}
