//! Locality-based least connection with replication (`lblcr`): each
//! destination address has a set of real servers.
//!
//! As `lblc`, but when the real servers of an address no longer cope, the least
//! loaded of all joins them, so that a popular address is served by many. The
//! least loaded of the set is chosen. When a set has not changed for the
//! expiration, the most loaded leaves it.
//!
//! ```text
//! 198.18.0.1   14           one real server
//!              13 14        14 had more active connections than its weight
//!              13           a day later
//! ```
//!
//! Each shard remembers for itself.
//!
//! *Source:* the behaviour of `ip_vs_lblcr.c`, Linux 6.12; the order in which
//! too many are forgotten is another, and a real server that was removed is the
//! first to leave its sets. *Cost:* a lookup and the loads of the set, and for an
//! unknown address the load of every real server. *Weight 0:* passed over.

use crate::config::RealServerId;
use crate::time::{Tick, ticks};

use super::cache::{Cache, Entry};
use super::locality::{Localities, adopt, is_burdened};
use super::memory::Row;
use super::roster::Member;
use super::sets::Set;
use super::share::{Search, Share, least};
use super::{Arrival, Counts, Roster, Rule};

/// What one shard remembers of where addresses went.
#[derive(Clone, Debug)]
pub(super) struct ReplicatedLocality {
    shard: usize,
    cache: Cache,
}

impl ReplicatedLocality {
    pub(super) fn new(shard: usize, seed: u64) -> Self {
        let cache = Cache::new(seed);
        Self { shard, cache }
    }

    /// The most loaded leaves a set of several that has not changed for long.
    fn shrink<C: Counts>(&mut self, entry: Entry, known: &Known<'_>, counts: &C, now: Tick) {
        let row = known.row;
        let age = entry.changed(row).until(now);
        if age <= ticks(known.localities.expiration) as i32 || known.numbers().nth(1).is_none() {
            return;
        }
        if let Some(most) = known.most_loaded(counts) {
            self.cache.take_out(row, entry, most, now);
        }
    }
}

impl Rule for ReplicatedLocality {
    fn adopt(&mut self, old: Option<&Roster>, new: &Roster) {
        adopt(&mut self.cache, self.shard, old, new);
    }

    fn pick<C: Counts>(
        &mut self,
        roster: &Roster,
        arrival: &Arrival,
        counts: &C,
    ) -> Option<RealServerId> {
        let localities = roster.localities()?;
        let (row, now) = (localities.row(self.shard), arrival.now.tick());
        self.cache.pass(row, arrival.now, localities.expiration);
        let found = self.cache.find(row, arrival.vip, now);
        if let Some(entry) = found {
            let known = Known {
                set: entry.set(row),
                row,
                localities,
                members: roster.members(),
            };
            let chosen = known.least_loaded(counts);
            self.shrink(entry, &known, counts, now);
            if let Some(member) = chosen
                && !is_burdened(roster, member, counts)
            {
                return Some(member.id);
            }
        }
        let least = least(roster.members(), counts, |member| {
            Share::of(member, counts.load(member.id).overhead())
        })?;
        // Without room it is served all the same, and not remembered.
        let entry = found.or_else(|| self.cache.insert(row, arrival.vip, Set::EMPTY.0, now));
        if let Some(entry) = entry
            && !entry.set(row).contains(row, least.id.0)
        {
            self.cache.push(row, entry, least.id.0, now);
        }
        Some(least.id)
    }
}

/// The set of an address that is known, and where its real servers are looked up.
struct Known<'r> {
    set: Set,
    row: Row<'r>,
    localities: &'r Localities,
    members: &'r [Member],
}

impl<'r> Known<'r> {
    fn numbers(&self) -> impl Iterator<Item = u32> {
        self.set.numbers(self.row)
    }

    fn member(&self, number: u32) -> Option<&'r Member> {
        self.localities.member(self.members, number)
    }

    /// Of the set's real servers that take connections the least loaded.
    ///
    /// *Cost:* as that of [`least`] for so many.
    fn least_loaded<C: Counts>(&self, counts: &C) -> Option<&'r Member> {
        let share = |number: &u32| self.localities.share(*number, counts);
        let is_available = |number: &u32| {
            let member = self.member(*number);
            member.is_some_and(|member| member.is_available(counts))
        };
        let mut search = Search::default();
        for numbers in self.set.several(self.row) {
            search.pass(&numbers, share, is_available);
        }
        let least = search.least().unwrap_or_else(|| {
            let available = self.numbers().filter(is_available);
            let shares = available.map(|number| share(&number));
            shares.min_by(Share::compare)
        });
        self.member(least?.id.0)
    }

    /// The first of the set that was removed from the service, or else the
    /// most loaded for its weight, the first of several equals.
    fn most_loaded<C: Counts>(&self, counts: &C) -> Option<u32> {
        let mut most: Option<Share> = None;
        for number in self.numbers() {
            let Some(member) = self.member(number) else {
                return Some(number);
            };
            let share = Share::of(member, counts.load(member.id).overhead());
            if member.weight > 0 && most.is_none_or(|most| share.compare(&most).is_gt()) {
                most = Some(share);
            }
        }
        most.map(|most| most.id.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Service;
    use crate::config::Scheduler;
    use crate::time::Instant;
    use core::net::Ipv4Addr;

    fn pick(service: &mut Service, last: u8) -> Option<u32> {
        service.arrival.vip = Ipv4Addr::new(198, 18, 0, last).into();
        service.pick()
    }

    fn service(numbers: &[(u32, u32)]) -> Service {
        let scheduler = Scheduler::ReplicatedLocalityLeastConnection;
        Service::new(scheduler, numbers)
    }

    #[test]
    fn an_address_stays_with_its_real_server() {
        let mut service = service(&[(11, 9), (12, 9), (13, 9)]);
        let picks = [1, 2, 3, 1, 1, 2, 3].map(|last| pick(&mut service, last).unwrap());
        assert_eq!(picks, [13, 12, 11, 13, 13, 12, 11]);
    }

    #[test]
    fn another_joins_when_it_does_not_cope_and_both_serve() {
        let mut service = service(&[(11, 2), (12, 2)]);
        let picks = [(); 8].map(|()| pick(&mut service, 1).unwrap());
        // Of equals it is the one that joined last.
        assert_eq!(picks, [12, 12, 12, 11, 11, 11, 11, 12]);
    }

    #[test]
    fn overload_is_passed_over_in_a_set_too() {
        let mut service = service(&[(11, 9), (12, 9)]);
        assert_eq!(pick(&mut service, 1), Some(12));
        service.counts.overloaded.insert(12);
        assert_eq!(pick(&mut service, 1), Some(11));
        service.counts.overloaded.clear();
        assert_eq!(
            pick(&mut service, 1),
            Some(11),
            "both have one, 11 is newer"
        );
        assert_eq!(pick(&mut service, 1), Some(12), "and now it has fewer");
    }

    #[test]
    fn the_most_loaded_leaves_a_set_that_has_not_changed_for_long() {
        let mut service = service(&[(11, 2), (12, 2)]);
        for _ in 0..6 {
            pick(&mut service, 1).unwrap();
        }
        // The set is 11 12, with three each; 11 gets the next, being newer.
        let day = Instant::from_nanoseconds(86_402_000_000_000);
        let half = Instant::from_nanoseconds(43_200_000_000_000);
        service.arrival.now = half;
        assert_eq!(pick(&mut service, 1), Some(11));
        service.arrival.now = day;
        assert_eq!(pick(&mut service, 1), Some(12), "11 leaves with four");
        assert_eq!([(); 3].map(|()| pick(&mut service, 1).unwrap()), [12; 3]);
    }

    #[test]
    fn one_that_was_removed_is_the_first_to_leave() {
        let mut service = service(&[(11, 2), (12, 2)]);
        for _ in 0..6 {
            pick(&mut service, 1).unwrap();
        }
        service.edit(&[(12, 2)]);
        service.arrival.now = Instant::from_nanoseconds(43_200_000_000_000);
        assert_eq!(pick(&mut service, 1), Some(12));
        service.arrival.now = Instant::from_nanoseconds(86_402_000_000_000);
        assert_eq!(pick(&mut service, 1), Some(12));
        service.edit(&[(12, 2), (11, 2)]);
        let picks = [(); 2].map(|()| pick(&mut service, 1).unwrap());
        assert_eq!(picks, [12; 2], "11 is no more in the set");
    }
}
