//! No scheduler (`none`): nobody is chosen.
//!
//! Clients that persistence keeps to a real server go on to it, and so do
//! connections; new clients are told that there is nobody.
//!
//! *Source:* the behaviour of `ip_vs_ctl.c` and `ip_vs_core.c`, Linux 6.12.
//! *Cost:* none. *Weight 0:* means nothing.

use crate::config::RealServerId;

use super::{Arrival, Counts, Roster, Rule};

/// Remembers nothing.
#[derive(Clone, Debug)]
pub(super) struct Nobody;

impl Rule for Nobody {
    fn pick<C: Counts>(
        &mut self,
        _roster: &Roster,
        _arrival: &Arrival,
        _counts: &C,
    ) -> Option<RealServerId> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Service;
    use crate::config::Scheduler;

    #[test]
    fn nobody_is_chosen_until_there_is_a_scheduler() {
        let mut service = Service::new(Scheduler::None, &[(11, 1), (12, 1)]);
        assert_eq!(service.pick(), None);
        service.reschedule(Scheduler::RoundRobin);
        assert_eq!(service.picks(3), [12, 11, 12]);
        service.reschedule(Scheduler::None);
        assert_eq!(service.pick(), None);
    }
}
