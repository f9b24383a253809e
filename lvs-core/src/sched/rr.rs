//! Round robin (`rr`): each real server in turn.
//!
//! The turn passes to the next real server on the list, and from its end to
//! its head. Weight only says whether one takes part.
//!
//! ```text
//! added 11, 12, 13, 14; list 14 13 12 11
//! picks 14 13 12 11 14 13 12 11 ...
//! ```
//!
//! A real server added later sits at the head, so its turn comes when the lap is
//! over. If the one chosen last is removed, the turn steps back to the one before
//! it on the list, so nobody is passed over.
//!
//! *Source:* the behaviour of `ip_vs_rr.c`, Linux 6.12. *Cost:* one step, and one
//! more for each real server passed over. *Weight 0:* passed over; `None` when a
//! full lap finds no other.

use crate::config::RealServerId;

use super::{Arrival, Counts, Roster, Rule};

/// Who was chosen last.
#[derive(Clone, Debug)]
pub(super) struct RoundRobin {
    shard: usize,
    /// Place on the roster of the one chosen last; `None` before the head.
    last: Option<usize>,
}

impl RoundRobin {
    pub(super) fn new(shard: usize) -> Self {
        Self { shard, last: None }
    }
}

impl Rule for RoundRobin {
    fn adopt(&mut self, old: Option<&Roster>, new: &Roster) {
        let old = old.map_or(&[][..], Roster::members);
        let place = |gone: usize| {
            let id = old.get(gone)?.id;
            new.members().iter().position(|member| member.id == id)
        };
        self.last = self.last.and_then(|last| (0..=last).rev().find_map(place));
    }

    fn pick<C: Counts>(
        &mut self,
        roster: &Roster,
        _arrival: &Arrival,
        counts: &C,
    ) -> Option<RealServerId> {
        let members = roster.members();
        let first = match self.last {
            Some(last) if last + 1 < members.len() => last + 1,
            Some(_) => 0,
            None => self.shard.checked_rem(members.len())?,
        };
        let lap = (first..members.len()).chain(0..first);
        let (place, member) = lap
            .filter_map(|place| Some((place, members.get(place)?)))
            .find(|(_, member)| member.is_available(counts))?;
        self.last = Some(place);
        Some(member.id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Service;
    use crate::config::Scheduler::RoundRobin;

    #[test]
    fn each_in_turn_newest_first() {
        let mut service = Service::new(RoundRobin, &[(11, 1), (12, 1), (13, 1), (14, 1)]);
        assert_eq!(service.picks(8), [14, 13, 12, 11, 14, 13, 12, 11]);
    }

    #[test]
    fn weight_zero_is_passed_over_and_all_zero_is_none() {
        let mut service = Service::new(RoundRobin, &[(11, 3), (12, 0), (13, 1)]);
        assert_eq!(service.picks(4), [13, 11, 13, 11]);
        service.edit(&[(11, 0), (12, 0), (13, 0)]);
        assert_eq!(service.pick(), None);
        service.edit(&[]);
        assert_eq!(service.pick(), None);
    }

    #[test]
    fn one_added_waits_for_the_end_of_the_lap() {
        let mut service = Service::new(RoundRobin, &[(11, 1), (12, 1), (13, 1)]);
        assert_eq!(service.picks(2), [13, 12]);
        service.edit(&[(11, 1), (12, 1), (13, 1), (14, 1)]);
        assert_eq!(service.picks(5), [11, 14, 13, 12, 11]);
    }

    #[test]
    fn removing_the_last_chosen_passes_nobody_over() {
        let mut service = Service::new(RoundRobin, &[(11, 1), (12, 1), (13, 1), (14, 1)]);
        assert_eq!(service.picks(3), [14, 13, 12]);
        service.edit(&[(11, 1), (14, 1)]);
        assert_eq!(service.picks(3), [11, 14, 11]);
    }

    #[test]
    fn shards_begin_at_different_places_and_then_take_turns() {
        let servers = [(11, 1), (12, 1), (13, 1), (14, 1)];
        let first = |shard| Service::on_shard(shard, RoundRobin, &servers).picks(3);
        assert_eq!(first(0), [14, 13, 12]);
        assert_eq!(first(1), [13, 12, 11]);
        assert_eq!(first(2), [12, 11, 14]);
        assert_eq!(first(3), [11, 14, 13]);
        assert_eq!(first(4), [14, 13, 12]);
    }
}
