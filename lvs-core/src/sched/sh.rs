//! Source hashing (`sh`): one client, one real server.
//!
//! The client's address picks one of 256 slots. The slots are dealt out in list
//! order, as many in a row to each real server as its weight, again and again
//! until none is left.
//!
//! ```text
//! list  14(5) 13(2) 12(1) 11(3)
//! slots 14 14 14 14 14 13 13 12 11 11 11 14 14 ...
//! 192.0.2.1 has slot 50, which is 13's
//! ```
//!
//! A change of weights or of the list moves clients to other real servers; their
//! connections stay.
//!
//! With the flag `sh-port` the client's port is part of the key, so that the
//! connections of one client spread. With `sh-fallback` a client whose real
//! server takes no connections is put on another: the slots from twice its own
//! number on are tried, round the end, and the first usable one is taken.
//!
//! *Source:* the behaviour of `ip_vs_sh.c`, Linux 6.12. *Cost:* one
//! multiplication and two loads; with `sh-fallback`, while the real server is out,
//! up to 257 times that. *Weight 0:* still owns a slot of each lap, and whoever
//! falls on it is refused, or falls back.

use crate::config::RealServerId;

use super::hash::{SLOTS, slot};
use super::roster::Member;
use super::{Arrival, Counts, Roster, Rule};

/// Remembers nothing.
#[derive(Clone, Debug)]
pub(super) struct SourceHashing;

impl Rule for SourceHashing {
    fn pick<C: Counts>(
        &mut self,
        roster: &Roster,
        arrival: &Arrival,
        counts: &C,
    ) -> Option<RealServerId> {
        let (slots, flags) = (roster.slots()?, roster.flags());
        let port = if flags.port { arrival.client_port } else { 0 };
        let usable = |slot| {
            let member = roster.members().get(slots.owner(slot))?;
            member.is_available(counts).then_some(member.id)
        };
        let first = slot(arrival.client, port);
        match usable(first) {
            None if flags.fallback => (0..=u8::MAX)
                .map(|step| first.wrapping_mul(2).wrapping_add(step))
                .find_map(usable),
            found => found,
        }
    }
}

/// Who owns each slot, by place on the roster.
///
/// A byte is enough: everyone owns a slot of the first lap, so with more than
/// 256 real servers those after the 256th own none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slots([u8; SLOTS]);

impl Slots {
    /// Deals the slots out to `members`; with none, nobody owns any.
    pub(super) fn of(members: &[Member]) -> Self {
        let mut slots = [0; SLOTS];
        let mut rest = &mut slots[..];
        while !members.is_empty() && !rest.is_empty() {
            for (place, member) in (0..=u8::MAX).zip(members) {
                let share = rest.len().min(member.weight.max(1) as usize);
                let (own, others) = rest.split_at_mut(share);
                own.fill(place);
                rest = others;
            }
        }
        Self(slots)
    }

    fn owner(&self, slot: u8) -> usize {
        usize::from(self.0[usize::from(slot)])
    }
}

#[cfg(test)]
mod tests {
    use super::super::roster::tests::{servers, terms};
    use super::super::tests::Service;
    use super::*;
    use crate::config::Scheduler;
    use alloc::vec::Vec;

    const SERVERS: [(u32, u32); 4] = [(11, 3), (12, 1), (13, 2), (14, 5)];

    #[test]
    fn clients_fall_where_the_kernel_puts_them() {
        let mut service = Service::new(Scheduler::SourceHashing, &SERVERS);
        for (client, expected) in [
            ("10.0.0.100", 13),
            ("10.0.0.101", 14),
            ("192.0.2.1", 13),
            ("192.0.2.2", 13),
            ("192.0.2.3", 14),
            ("192.0.2.4", 14),
        ] {
            service.arrival.client = client.parse().unwrap();
            for port in [0, 4000] {
                service.arrival.client_port = port;
                assert_eq!(service.pick(), Some(expected), "{client}");
            }
        }
    }

    #[test]
    fn with_the_port_in_the_key_too() {
        let mut service = Service::new(Scheduler::SourceHashing, &SERVERS);
        service.change_terms(|terms| terms.flags.port = true);
        service.arrival.client_port = 4000;
        for (client, expected) in [
            ("10.0.0.100", 14),
            ("10.0.0.101", 14),
            ("192.0.2.1", 13),
            ("192.0.2.2", 14),
            ("192.0.2.3", 14),
            ("192.0.2.4", 11),
        ] {
            service.arrival.client = client.parse().unwrap();
            assert_eq!(service.pick(), Some(expected), "{client}");
        }
    }

    #[test]
    fn falling_back_tries_from_twice_the_slot_on() {
        let mut service = Service::new(Scheduler::SourceHashing, &[(11, 1), (12, 1), (13, 0)]);
        service.change_terms(|terms| terms.flags.fallback = true);
        // Slots are 13 12 11 again and again; 198.18.0.2 has slot 30, which is
        // 13's, as is slot 60, and 61 is 12's.
        service.arrival.client = "198.18.0.2".parse().unwrap();
        assert_eq!(service.pick(), Some(12));
        service.counts.overloaded.insert(12);
        assert_eq!(service.pick(), Some(11));
        service.counts.overloaded.insert(11);
        assert_eq!(service.pick(), None);
    }

    #[test]
    fn weight_zero_owns_a_slot_and_refuses() {
        let mut service = Service::new(Scheduler::SourceHashing, &[(11, 1), (12, 0)]);
        // The slots alternate 12, 11, and 192.0.2.1 has slot 50.
        service.arrival.client = "192.0.2.1".parse().unwrap();
        assert_eq!(service.pick(), None);
        service.edit(&[(11, 1), (12, 1)]);
        assert_eq!(service.pick(), Some(12));
    }

    #[test]
    fn a_lap_is_dealt_by_weight_and_the_last_is_cut_short() {
        let roster = Roster::new(
            terms(Scheduler::SourceHashing),
            None,
            &servers(&[(1, 100), (2, 90)]),
        );
        let owners = roster.slots().unwrap().0;
        let runs: Vec<usize> = owners.chunk_by(|a, b| a == b).map(<[u8]>::len).collect();
        assert_eq!(runs, [90, 100, 66]);
    }

    #[test]
    fn more_real_servers_than_slots_leave_some_without() {
        let many: Vec<(u32, u32)> = (0..300).map(|number| (number, 1)).collect();
        let roster = Roster::new(terms(Scheduler::SourceHashing), None, &servers(&many));
        let owners: Vec<u8> = (0..=255).collect();
        assert_eq!(roster.slots().unwrap().0[..], owners);
    }
}
