//! Weighted overflow (`ovf`): the heaviest first, until it is full.
//!
//! A real server is full when it has more active connections than its weight
//! says; of the others the one with the greatest weight is chosen, the first on
//! the list among equals. So each gets one more than its weight before the
//! next in weight gets any, and when all are full nobody is chosen.
//!
//! ```text
//! list    14(5) 13(3) 12(2) 11(1)
//! picks   14 six times, then 13 four times, 12 three times, 11 twice
//! ```
//!
//! UDP connections are never active, so with UDP nobody is ever full.
//!
//! *Source:* the behaviour of `ip_vs_ovf.c`, Linux 6.12. *Cost:* the loads of
//! those that are full and of one more. *Weight 0:* passed over.

use crate::config::RealServerId;

use super::roster::Member;
use super::{Arrival, Counts, Roster, Rule};

/// Remembers nothing.
#[derive(Clone, Debug)]
pub(super) struct WeightedOverflow;

impl Rule for WeightedOverflow {
    fn pick<C: Counts>(
        &mut self,
        roster: &Roster,
        _arrival: &Arrival,
        counts: &C,
    ) -> Option<RealServerId> {
        let has_room = |member: &Member| counts.load(member.id).active <= member.weight;
        let mut members = roster.heaviest_first().iter();
        let heaviest = members.find(|member| member.is_available(counts) && has_room(member))?;
        Some(heaviest.id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Load;
    use super::super::tests::Service;
    use crate::config::Scheduler::WeightedOverflow;

    #[test]
    fn each_gets_one_more_than_its_weight() {
        let mut service = Service::new(WeightedOverflow, &[(11, 1), (12, 2), (13, 3), (14, 5)]);
        assert_eq!(
            service.picks(15),
            [14, 14, 14, 14, 14, 14, 13, 13, 13, 13, 12, 12, 12, 11, 11]
        );
        assert_eq!(service.pick(), None);
        service.counts.loads.insert(13, Load::default());
        assert_eq!(service.pick(), Some(13));
    }

    #[test]
    fn weight_zero_and_overload_are_passed_over() {
        let mut service = Service::new(WeightedOverflow, &[(11, 1), (12, 0), (13, 9)]);
        service.counts.overloaded.insert(13);
        assert_eq!(service.picks(2), [11, 11]);
        assert_eq!(service.pick(), None);
    }
}
