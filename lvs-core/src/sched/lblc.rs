//! Locality-based least connection (`lblc`): each destination address has its
//! real server, as long as that one copes.
//!
//! For services on firewall marks, as in front of caches: an address goes to the
//! real server that had it last. A new address goes to the least loaded for its
//! weight, and so does one whose real server is gone, out, or has more active
//! connections than its weight while another has fewer than half as many.
//!
//! ```text
//! 198.18.0.1   to 14, the least loaded; from now on to 14
//! 198.18.0.2   to 13, and so on
//! ```
//!
//! Each shard remembers for itself. An overloaded real server keeps the
//! addresses it has: its thresholds turn away only new ones, as in the kernel.
//!
//! *Source:* the behaviour of `ip_vs_lblc.c`, Linux 6.12; the order in which
//! too many are forgotten is another. *Cost:* a lookup, and for an unknown address
//! the load of every real server. *Weight 0:* passed over, and left by those it had.

use crate::config::RealServerId;

use super::cache::Cache;
use super::locality::{adopt, is_burdened};
use super::share::{Share, least};
use super::{Arrival, Counts, Roster, Rule};

/// What one shard remembers of where addresses went.
#[derive(Clone, Debug)]
pub(super) struct Locality {
    shard: usize,
    cache: Cache,
}

impl Locality {
    pub(super) fn new(shard: usize, seed: u64) -> Self {
        let cache = Cache::new(seed);
        Self { shard, cache }
    }
}

impl Rule for Locality {
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
        let known = self.cache.find(row, arrival.vip, now);
        if let Some(entry) = known
            && let Some(member) = localities.member(roster.members(), entry.value(row))
            && member.weight > 0
            && !is_burdened(roster, member, counts)
        {
            return Some(member.id);
        }
        let least = least(roster.members(), counts, |member| {
            Share::of(member, counts.load(member.id).overhead())
        })?;
        match known {
            Some(entry) => entry.set_value(row, least.id.0),
            // Without room it is served all the same, and not remembered.
            None => {
                self.cache.insert(row, arrival.vip, least.id.0, now);
            }
        }
        Some(least.id)
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
        Service::new(Scheduler::LocalityLeastConnection, numbers)
    }

    #[test]
    fn an_address_stays_with_its_real_server() {
        let mut service = service(&[(11, 9), (12, 9), (13, 9)]);
        let picks = [1, 2, 3, 1, 1, 2, 3].map(|last| pick(&mut service, last).unwrap());
        assert_eq!(picks, [13, 12, 11, 13, 13, 12, 11]);
    }

    #[test]
    fn past_its_weight_it_is_left_only_if_another_is_half_idle() {
        let mut service = service(&[(11, 1), (12, 1)]);
        assert_eq!(pick(&mut service, 1), Some(12));
        assert_eq!(pick(&mut service, 1), Some(12), "one is not more than one");
        assert_eq!(pick(&mut service, 1), Some(11));
        assert_eq!(pick(&mut service, 1), Some(11), "it is known now");
        assert_eq!(pick(&mut service, 1), Some(11), "nobody is half idle");
    }

    #[test]
    fn overload_turns_away_only_new_addresses() {
        let mut service = service(&[(11, 9), (12, 9)]);
        assert_eq!(pick(&mut service, 1), Some(12));
        service.counts.overloaded.insert(12);
        assert_eq!(pick(&mut service, 1), Some(12));
        assert_eq!(pick(&mut service, 2), Some(11));
        assert_eq!(pick(&mut service, 3), Some(11));
    }

    #[test]
    fn one_that_is_out_or_gone_is_left() {
        let mut service = service(&[(11, 9), (12, 9)]);
        assert_eq!(pick(&mut service, 1), Some(12));
        service.edit(&[(11, 9), (12, 0)]);
        assert_eq!(pick(&mut service, 1), Some(11));
        service.edit(&[(12, 9)]);
        assert_eq!(pick(&mut service, 1), Some(12));
        service.edit(&[(12, 0)]);
        assert_eq!(pick(&mut service, 1), None);
        service.edit(&[(12, 9), (13, 9)]);
        assert_eq!(
            pick(&mut service, 1),
            Some(12),
            "what it had is not forgotten"
        );
    }

    #[test]
    fn another_scheduler_in_between_forgets_all() {
        let mut service = service(&[(11, 9), (12, 9), (13, 9)]);
        assert_eq!(pick(&mut service, 1), Some(13));
        service.reschedule(Scheduler::RoundRobin);
        service.reschedule(Scheduler::LocalityLeastConnection);
        assert_eq!(pick(&mut service, 1), Some(12), "13 has one");
    }

    #[test]
    fn an_unused_address_is_forgotten_after_the_expiration() {
        let mut service = service(&[(11, 9), (12, 9)]);
        service.change_terms(|terms| terms.expiration = core::time::Duration::from_secs(120));
        assert_eq!(pick(&mut service, 1), Some(12));
        service.arrival.now = Instant::from_nanoseconds(1_700_000_000_000);
        assert_eq!(pick(&mut service, 1), Some(12));
        service.arrival.now = Instant::from_nanoseconds(3_601_000_000_000);
        assert_eq!(pick(&mut service, 1), Some(11));
    }
}
