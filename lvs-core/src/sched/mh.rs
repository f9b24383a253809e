//! Maglev hashing (`mh`): one client, one real server, and few move when the
//! list changes.
//!
//! The client's address picks one of 4093 slots. Each real server has an order
//! of its own in which it would like the slots; they take turns, as many in a row
//! as their weight says, and each time the next free one in that order.
//!
//! ```text
//! 14(5)  wants 2466 3235 4004 680 ...      has 1861 slots
//! 13(2)  wants 3594 1875  156 ...          has  744
//! 192.0.2.1 has slot 2891, which is 14's
//! ```
//!
//! When one is added or removed, most slots stay with whom they were. A weight of
//! zero changes no slot: the clients of a real server that is out for a while come
//! back to it.
//!
//! With the flag `mh-port` the client's port is part of the key. With
//! `mh-fallback` a client whose real server takes no connections is hashed
//! again, by the slot and a number added to it, until a usable one is found.
//!
//! *Source:* Eisenbud and others, Maglev: A Fast and Reliable Software Network
//! Load Balancer, 2016; the behaviour of `ip_vs_mh.c`, Linux 6.12, on 64-bit
//! machines. *Cost:* one hash and two loads; with `mh-fallback` and a real server
//! that is out, one more for each try, at most 4093. *Weight 0:* keeps its slots,
//! and whoever falls on them is refused, or falls back.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::config::RealServerId;

use super::hash::folded;
use super::roster::Member;
use super::siphash::hash;
use super::wrr::divisor;
use super::{Arrival, Counts, Roster, Rule};

/// Remembers nothing.
#[derive(Clone, Debug)]
pub(super) struct MaglevHashing;

impl Rule for MaglevHashing {
    fn pick<C: Counts>(
        &mut self,
        roster: &Roster,
        arrival: &Arrival,
        counts: &C,
    ) -> Option<RealServerId> {
        let (table, flags) = (roster.table()?, roster.flags());
        let port = if flags.port { arrival.client_port } else { 0 };
        let key = folded(arrival.client).wrapping_add(u32::from(port));
        let usable = |slot| {
            let member = roster.members().get(table.owner(slot)?)?;
            member.is_available(counts).then_some(member.id)
        };
        let first = slot(key);
        match usable(first) {
            None if flags.fallback => {
                roster.available(counts).next()?;
                (0..SLOTS)
                    .map(|step| slot(key.wrapping_add((first + step) % SLOTS)))
                    .find_map(usable)
            }
            found => found,
        }
    }
}

/// The slot of a key.
fn slot(key: u32) -> u32 {
    hash(FIRST_KEY, key) % SLOTS
}

/// Who owns each slot, by place on the roster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table(Box<[u16]>);

impl Table {
    /// Has `members` take turns at the slots.
    ///
    /// *Cost:* for the control side. Each real server goes through its order once
    /// at most, which is 4093 steps; with many, each takes few slots. Measured
    /// at 0.2 ms for a hundred and for a thousand.
    pub(super) fn of(members: &[Member]) -> Self {
        let mut slots: Box<[u16]> = (0..SLOTS).map(|_| NOBODY).collect();
        let mut orders = orders(members);
        let mut free = if orders.is_empty() { 0 } else { SLOTS };
        while free > 0 {
            for order in &mut orders {
                let turns = order.turns.min(free);
                free -= turns;
                for _ in 0..turns {
                    order.claim(&mut slots);
                }
            }
        }
        Self(slots)
    }

    /// Whether it is as good for `after`, if made for `before`.
    pub(super) fn is_kept(before: &[Member], after: &[Member]) -> bool {
        let what_counts = |m: &Member| (m.key, m.last_weight);
        before
            .iter()
            .map(what_counts)
            .eq(after.iter().map(what_counts))
    }

    fn owner(&self, slot: u32) -> Option<usize> {
        let place = *self.0.get(slot as usize)?;
        (place != NOBODY).then_some(usize::from(place))
    }
}

/// In which order a real server wants the slots, and how fast it may take them.
struct Order {
    place: u16,
    /// The slot it wants next.
    next: u32,
    /// From one slot to the next; the number of slots is prime, so it comes by
    /// all of them.
    skip: u32,
    /// Slots it takes each time.
    turns: u32,
}

impl Order {
    /// Takes the next free slot; there must be one.
    fn claim(&mut self, slots: &mut [u16]) {
        for _ in 0..SLOTS {
            let wanted = slots.get_mut(self.next as usize);
            self.next = (self.next + self.skip) % SLOTS;
            if let Some(owner) = wanted
                && *owner == NOBODY
            {
                *owner = self.place;
                return;
            }
        }
    }
}

/// The orders of those that ever had a weight.
fn orders(members: &[Member]) -> Vec<Order> {
    let weights = || members.iter().map(|m| m.last_weight).filter(|w| *w > 0);
    let common = weights().fold(0, divisor).max(1);
    let greatest = weights().max().unwrap_or(0) / common;
    let excess = (u32::BITS - greatest.leading_zeros()).saturating_sub(TURN_BITS);
    // With more real servers than slots those after the last slot's get none.
    (0..NOBODY)
        .zip(members)
        .filter(|(_, member)| member.last_weight > 0)
        .map(|(place, member)| Order {
            place,
            next: hash(FIRST_KEY, member.key) % SLOTS,
            skip: hash(SECOND_KEY, member.key) % (SLOTS - 1) + 1,
            turns: ((member.last_weight / common) >> excess).max(1),
        })
        .collect()
}

/// How many slots there are: the kernel's default, a prime.
const SLOTS: u32 = 4093;
/// Nobody takes 2^6 slots or more at a time.
const TURN_BITS: u32 = 6;
const NOBODY: u16 = u16::MAX;
/// 2^32 divided by the golden ratio, rounded to a prime.
const FIRST_KEY: u64 = 2_654_435_761;
const SECOND_KEY: u64 = 2_654_446_892;

#[cfg(test)]
mod tests {
    use super::super::roster::tests::servers;
    use super::super::tests::Service;
    use super::*;
    use crate::config::Scheduler;

    const SERVERS: [(u32, u32); 4] = [(11, 3), (12, 1), (13, 2), (14, 5)];

    fn members(numbers: &[(u32, u32)]) -> Vec<Member> {
        servers(numbers).into_iter().rev().collect()
    }

    fn turns(weights: &[u32]) -> Vec<u32> {
        let numbers: Vec<(u32, u32)> = (1..).zip(weights.iter().copied()).collect();
        let orders = orders(&members(&numbers));
        orders.iter().rev().map(|order| order.turns).collect()
    }

    #[test]
    fn slots_fall_to_whom_the_kernel_gives_them() {
        let members = members(&SERVERS);
        let table = Table::of(&members);
        let owners: Vec<u32> = (0..SLOTS)
            .map(|slot| members[table.owner(slot).unwrap()].id.0)
            .collect();
        assert_eq!(
            owners[..40],
            [
                11, 11, 11, 13, 14, 13, 14, 11, 13, 13, 14, 14, 14, 14, 13, 14, 14, 14, 11, 14, 13,
                14, 11, 14, 11, 14, 11, 11, 11, 11, 11, 14, 13, 14, 11, 12, 14, 14, 14, 14
            ]
        );
        let owned = |number| owners.iter().filter(|owner| **owner == number).count();
        assert_eq!([11, 12, 13, 14].map(owned), [1116, 372, 744, 1861]);
    }

    #[test]
    fn turns_follow_the_weights_as_far_as_six_bits_tell() {
        assert_eq!(turns(&[100, 200]), [1, 2]);
        assert_eq!(turns(&[1, 100]), [1, 50]);
        assert_eq!(turns(&[64, 1]), [32, 1]);
        assert_eq!(turns(&[63, 1]), [63, 1]);
        assert_eq!(turns(&[1000, 1]), [62, 1]);
        assert_eq!(turns(&[0, 5]), [1], "one that never had a weight has none");
    }

    #[test]
    fn clients_fall_where_the_kernel_puts_them() {
        let mut service = Service::new(Scheduler::MaglevHashing, &SERVERS);
        for (client, expected) in [
            ("10.0.0.100", 14),
            ("10.0.0.101", 13),
            ("192.0.2.1", 14),
            ("192.0.2.2", 13),
            ("192.0.2.3", 13),
            ("192.0.2.4", 11),
        ] {
            service.arrival.client = client.parse().unwrap();
            assert_eq!(service.pick(), Some(expected), "{client}");
        }
    }

    #[test]
    fn weight_zero_keeps_its_slots_and_one_added_with_it_has_none() {
        let mut service = Service::new(Scheduler::MaglevHashing, &SERVERS);
        service.arrival.client = "192.0.2.1".parse().unwrap();
        assert_eq!(service.pick(), Some(14));
        service.edit(&[(11, 3), (12, 1), (13, 2), (14, 0)]);
        assert_eq!(service.pick(), None);
        service.change_terms(|terms| terms.flags.fallback = true);
        let other = service.pick();
        assert!(other.is_some_and(|other| other != 14));
        service.edit(&[(11, 3), (12, 1), (13, 2), (14, 5)]);
        assert_eq!(service.pick(), Some(14));
        let mut fresh = Service::new(Scheduler::MaglevHashing, &[(11, 1), (12, 0)]);
        assert_eq!(fresh.picks(3), [11; 3]);
    }

    #[test]
    fn with_the_port_in_the_key_a_client_spreads() {
        let mut service = Service::new(Scheduler::MaglevHashing, &SERVERS);
        service.change_terms(|terms| terms.flags.port = true);
        let mut seen: Vec<u32> = (4000..4100)
            .map(|port| {
                service.arrival.client_port = port;
                service.pick().unwrap()
            })
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [11, 12, 13, 14]);
    }

    #[test]
    fn removing_one_moves_few_of_the_others() {
        let numbers: Vec<(u32, u32)> = (1..=20).map(|number| (number, 1)).collect();
        let (before, after) = (members(&numbers), members(&numbers[1..]));
        let (first, second) = (Table::of(&before), Table::of(&after));
        let moved = (0..SLOTS)
            .filter(|slot| {
                let was = before[first.owner(*slot).unwrap()].id;
                was.0 != 1 && was != after[second.owner(*slot).unwrap()].id
            })
            .count();
        assert!(moved < SLOTS as usize / 10, "{moved}");
    }

    #[test]
    fn more_real_servers_than_slots_leave_some_without() {
        let numbers: Vec<(u32, u32)> = (1..=5000).map(|number| (number, 1)).collect();
        let table = Table::of(&members(&numbers));
        let owners: Vec<usize> = (0..SLOTS).map(|slot| table.owner(slot).unwrap()).collect();
        assert!(owners.iter().all(|owner| *owner < SLOTS as usize));
    }
}
