//! Destination hashing (`dh`): one virtual address, one real server.
//!
//! The address asked for picks one of 256 slots, and the slots belong to the
//! real servers in list order, one each, again and again. It spreads a service
//! over many addresses, as in front of caches; a service with one address
//! sends everything to one real server.
//!
//! ```text
//! list  14 13 12 11
//! slots 14 13 12 11 14 13 12 11 ...
//! 198.18.0.1 has slot 188, which is 14's
//! ```
//!
//! *Source:* the behaviour of `ip_vs_dh.c`, Linux 6.12. Its table of slots is
//! a division here, since weights have no say in it. *Cost:* one multiplication,
//! one division, one load. *Weight 0:* keeps its slots, and whoever falls on
//! them is refused: there is no second choice.

use crate::config::RealServerId;

use super::hash::slot;
use super::{Arrival, Counts, Roster, Rule};

/// Remembers nothing.
#[derive(Clone, Debug)]
pub(super) struct DestinationHashing;

impl Rule for DestinationHashing {
    fn pick<C: Counts>(
        &mut self,
        roster: &Roster,
        arrival: &Arrival,
        counts: &C,
    ) -> Option<RealServerId> {
        let members = roster.members();
        let place = usize::from(slot(arrival.vip, NO_PORT)).checked_rem(members.len())?;
        let member = members.get(place)?;
        member.is_available(counts).then_some(member.id)
    }
}

/// The port is no part of an address' key.
const NO_PORT: u16 = 0;

#[cfg(test)]
mod tests {
    use super::super::tests::Service;
    use crate::config::Scheduler::DestinationHashing;
    use core::net::{IpAddr, Ipv4Addr};

    #[test]
    fn addresses_fall_where_the_kernel_puts_them() {
        let servers = [(11, 3), (12, 1), (13, 2), (14, 5)];
        let mut service = Service::new(DestinationHashing, &servers);
        for (last, expected) in (1..).zip([14, 12, 14, 12, 11, 13, 11, 13, 11, 14]) {
            service.arrival.vip = IpAddr::V4(Ipv4Addr::new(198, 18, 0, last));
            assert_eq!(service.pick(), Some(expected), "198.18.0.{last}");
        }
    }

    #[test]
    fn weight_zero_keeps_its_slots_and_refuses() {
        let mut service = Service::new(DestinationHashing, &[(11, 1), (12, 1)]);
        service.arrival.vip = "198.18.0.1".parse().unwrap();
        assert_eq!(service.pick(), Some(12));
        service.edit(&[(11, 1), (12, 0)]);
        assert_eq!(service.pick(), None);
        service.edit(&[]);
        assert_eq!(service.pick(), None);
    }
}
