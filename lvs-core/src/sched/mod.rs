//! Schedulers at work: who serves a new connection.
//!
//! [`Scheduler`] in `config/` names a rule; here the rules are carried out, one
//! a file. Two things come together in a choice:
//!
//! ```text
//! Roster   the real servers of a service in the kernel's order, and what can be
//!          worked out once per configuration; made by the control side, shared
//! State    whose turn it is; one per service and shard, and never allocates
//! ```
//!
//! With one shard every choice is the kernel's. With more, each takes turns of
//! its own: where the kernel would begin at the head of its list, shard `n`
//! begins `n` further on, so that the first connections of many shards do not
//! all fall on one real server. Shard 0 begins where the kernel does.

mod cache;
mod dh;
mod fo;
mod hash;
mod lblc;
mod lblcr;
mod lc;
mod locality;
mod memory;
mod mh;
mod none;
mod nq;
mod numbers;
mod ovf;
#[cfg(test)]
mod recorded;
mod roster;
mod rr;
mod sed;
mod sets;
mod sh;
mod share;
mod siphash;
mod twos;
mod upkeep;
mod wlc;
mod wrr;

use core::net::IpAddr;

use crate::config::{RealServerId, Scheduler};
use crate::time::Instant;

pub(crate) use roster::{Member, Roster, Terms};

/// A new connection, as far as a scheduler looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Arrival {
    /// Who asks.
    pub(crate) client: IpAddr,
    /// From which port, in host order; 0 where the protocol has none.
    pub(crate) client_port: u16,
    /// The virtual address asked for. Where an ICMP error begins the connection it
    /// is the client's: the packet that is quoted went there.
    pub(crate) vip: IpAddr,
    /// When.
    pub(crate) now: Instant,
}

/// The connections a real server has, without the one being scheduled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    /// Those in an active state, summed over all shards.
    pub(crate) active: u32,
    /// The others, summed over all shards.
    pub(crate) inactive: u32,
}

impl Load {
    /// What the connections weigh: an active one 257 times an inactive one.
    ///
    /// *Source:* Linux 6.12; before, it was 256 times.
    fn overhead(self) -> u64 {
        let active = u64::from(self.active);
        active * 256 + active + u64::from(self.inactive)
    }

    /// How many active connections there would be with one more.
    fn delay(self) -> u64 {
        u64::from(self.active) + 1
    }
}

/// How a scheduler learns what real servers have now.
pub(crate) trait Counts {
    /// The connections of a real server.
    fn load(&self, id: RealServerId) -> Load;

    /// Whether its thresholds keep it from taking new ones.
    fn is_overloaded(&self, id: RealServerId) -> bool;
}

/// What one shard remembers of one service's scheduler.
#[derive(Clone, Debug)]
pub(crate) struct State {
    shard: usize,
    seed: u64,
    turn: Turn,
}

impl State {
    /// Nothing chosen yet. `shard` is the shard's number, from 0.
    /// `seed` is another for each shard and service.
    pub(crate) fn new(scheduler: Scheduler, shard: usize, seed: u64) -> Self {
        let turn = match scheduler {
            Scheduler::RoundRobin => Turn::RoundRobin(rr::RoundRobin::new(shard)),
            Scheduler::WeightedRoundRobin => {
                Turn::WeightedRoundRobin(wrr::WeightedRoundRobin::new(shard))
            }
            Scheduler::LeastConnection => Turn::LeastConnection(lc::LeastConnection),
            Scheduler::WeightedLeastConnection => {
                Turn::WeightedLeastConnection(wlc::WeightedLeastConnection)
            }
            Scheduler::LocalityLeastConnection => Turn::Locality(lblc::Locality::new(shard, seed)),
            Scheduler::ReplicatedLocalityLeastConnection => {
                Turn::ReplicatedLocality(lblcr::ReplicatedLocality::new(shard, seed))
            }
            Scheduler::SourceHashing => Turn::SourceHashing(sh::SourceHashing),
            Scheduler::DestinationHashing => Turn::DestinationHashing(dh::DestinationHashing),
            Scheduler::MaglevHashing => Turn::MaglevHashing(mh::MaglevHashing),
            Scheduler::ShortestExpectedDelay => {
                Turn::ShortestExpectedDelay(sed::ShortestExpectedDelay)
            }
            Scheduler::NeverQueue => Turn::NeverQueue(nq::NeverQueue),
            Scheduler::WeightedFailover => Turn::WeightedFailover(fo::WeightedFailover),
            Scheduler::WeightedOverflow => Turn::WeightedOverflow(ovf::WeightedOverflow),
            Scheduler::TwoChoices => Turn::TwoChoices(twos::TwoChoices::new(seed)),
            Scheduler::None => Turn::Nobody(none::Nobody),
        };
        Self { shard, seed, turn }
    }

    /// Goes over from `old` to `new`; a fresh state has no `old`.
    ///
    /// `new` should be made from `old`: otherwise the turns are as fair, but
    /// no more the kernel's. A scheduler that is not the one so far starts anew.
    ///
    /// *Cost:* a few walks of the roster, no allocation.
    pub(crate) fn adopt(&mut self, old: Option<&Roster>, new: &Roster) {
        let changed = old.is_some_and(|old| old.scheduler() != new.scheduler());
        if changed {
            *self = Self::new(new.scheduler(), self.shard, self.seed);
        }
        let old = old.filter(|_| !changed);
        match &mut self.turn {
            Turn::RoundRobin(rule) => rule.adopt(old, new),
            Turn::WeightedRoundRobin(rule) => rule.adopt(old, new),
            Turn::LeastConnection(rule) => rule.adopt(old, new),
            Turn::WeightedLeastConnection(rule) => rule.adopt(old, new),
            Turn::Locality(rule) => rule.adopt(old, new),
            Turn::ReplicatedLocality(rule) => rule.adopt(old, new),
            Turn::SourceHashing(rule) => rule.adopt(old, new),
            Turn::DestinationHashing(rule) => rule.adopt(old, new),
            Turn::MaglevHashing(rule) => rule.adopt(old, new),
            Turn::ShortestExpectedDelay(rule) => rule.adopt(old, new),
            Turn::NeverQueue(rule) => rule.adopt(old, new),
            Turn::WeightedFailover(rule) => rule.adopt(old, new),
            Turn::WeightedOverflow(rule) => rule.adopt(old, new),
            Turn::TwoChoices(rule) => rule.adopt(old, new),
            Turn::Nobody(rule) => rule.adopt(old, new),
        }
    }

    /// The real server for `arrival`, or `None` when none takes connections.
    ///
    /// `roster` is the one adopted last; `counts` tells the real servers'
    /// connections as they are now.
    ///
    /// *Cost:* see each rule; at most a few walks of the roster.
    pub(crate) fn pick<C: Counts>(
        &mut self,
        roster: &Roster,
        arrival: &Arrival,
        counts: &C,
    ) -> Option<RealServerId> {
        match &mut self.turn {
            Turn::RoundRobin(rule) => rule.pick(roster, arrival, counts),
            Turn::WeightedRoundRobin(rule) => rule.pick(roster, arrival, counts),
            Turn::LeastConnection(rule) => rule.pick(roster, arrival, counts),
            Turn::WeightedLeastConnection(rule) => rule.pick(roster, arrival, counts),
            Turn::Locality(rule) => rule.pick(roster, arrival, counts),
            Turn::ReplicatedLocality(rule) => rule.pick(roster, arrival, counts),
            Turn::SourceHashing(rule) => rule.pick(roster, arrival, counts),
            Turn::DestinationHashing(rule) => rule.pick(roster, arrival, counts),
            Turn::MaglevHashing(rule) => rule.pick(roster, arrival, counts),
            Turn::ShortestExpectedDelay(rule) => rule.pick(roster, arrival, counts),
            Turn::NeverQueue(rule) => rule.pick(roster, arrival, counts),
            Turn::WeightedFailover(rule) => rule.pick(roster, arrival, counts),
            Turn::WeightedOverflow(rule) => rule.pick(roster, arrival, counts),
            Turn::TwoChoices(rule) => rule.pick(roster, arrival, counts),
            Turn::Nobody(rule) => rule.pick(roster, arrival, counts),
        }
    }
}

/// Each rule with what it remembers.
#[derive(Clone, Debug)]
enum Turn {
    RoundRobin(rr::RoundRobin),
    WeightedRoundRobin(wrr::WeightedRoundRobin),
    LeastConnection(lc::LeastConnection),
    WeightedLeastConnection(wlc::WeightedLeastConnection),
    Locality(lblc::Locality),
    ReplicatedLocality(lblcr::ReplicatedLocality),
    SourceHashing(sh::SourceHashing),
    DestinationHashing(dh::DestinationHashing),
    MaglevHashing(mh::MaglevHashing),
    ShortestExpectedDelay(sed::ShortestExpectedDelay),
    NeverQueue(nq::NeverQueue),
    WeightedFailover(fo::WeightedFailover),
    WeightedOverflow(ovf::WeightedOverflow),
    TwoChoices(twos::TwoChoices),
    Nobody(none::Nobody),
}

/// What the file of a rule provides. It keeps the files alike; the choice
/// between them is the `match` above.
trait Rule {
    /// Carries over what is remembered from `old` to `new`. Most rules
    /// remember nothing.
    fn adopt(&mut self, _old: Option<&Roster>, _new: &Roster) {}

    /// The real server for `arrival`.
    fn pick<C: Counts>(
        &mut self,
        roster: &Roster,
        arrival: &Arrival,
        counts: &C,
    ) -> Option<RealServerId>;
}

#[cfg(test)]
mod tests {
    use super::roster::tests::{servers, terms};
    use super::*;
    use alloc::collections::{BTreeMap, BTreeSet};
    use alloc::vec::Vec;

    /// One service on one shard, whose connections all stay active.
    pub(super) struct Service {
        pub(super) arrival: Arrival,
        pub(super) counts: Census,
        roster: Roster,
        state: State,
    }

    /// Connections by real server, and who is overloaded.
    #[derive(Default)]
    pub(super) struct Census {
        pub(super) loads: BTreeMap<u32, Load>,
        pub(super) overloaded: BTreeSet<u32>,
    }

    impl Counts for Census {
        fn load(&self, id: RealServerId) -> Load {
            self.loads.get(&id.0).copied().unwrap_or_default()
        }

        fn is_overloaded(&self, id: RealServerId) -> bool {
            self.overloaded.contains(&id.0)
        }
    }

    impl Service {
        /// A service with real servers of these numbers and weights, in the
        /// order of adding.
        pub(super) fn new(scheduler: Scheduler, numbers: &[(u32, u32)]) -> Self {
            Self::on_shard(0, scheduler, numbers)
        }

        pub(super) fn on_shard(shard: usize, scheduler: Scheduler, numbers: &[(u32, u32)]) -> Self {
            let roster = Roster::new(terms(scheduler), None, &servers(numbers));
            Self::with_roster(shard, roster)
        }

        /// The same service on a shard that comes to it later.
        pub(super) fn on_another_shard(&self, shard: usize) -> Self {
            Self::with_roster(shard, self.roster.clone())
        }

        fn with_roster(shard: usize, roster: Roster) -> Self {
            let mut state = State::new(roster.scheduler(), shard, shard as u64);
            state.adopt(None, &roster);
            Self {
                arrival: Arrival {
                    client: "198.51.100.1".parse().unwrap(),
                    client_port: 1024,
                    vip: "203.0.113.80".parse().unwrap(),
                    now: Instant::default(),
                },
                counts: Census::default(),
                roster,
                state,
            }
        }

        pub(super) fn edit(&mut self, numbers: &[(u32, u32)]) {
            self.change(self.roster.terms(), &servers(numbers));
        }

        pub(super) fn reschedule(&mut self, scheduler: Scheduler) {
            let mut real_servers: Vec<_> = self.roster.members().iter().collect();
            real_servers.reverse();
            let numbers: Vec<(u32, u32)> =
                real_servers.iter().map(|m| (m.id.0, m.weight)).collect();
            self.change(terms(scheduler), &servers(&numbers));
        }

        /// The same real servers by these terms.
        pub(super) fn change_terms(&mut self, change: impl Fn(&mut Terms)) {
            let mut terms = self.roster.terms();
            change(&mut terms);
            let mut real_servers = self.roster.members().to_vec();
            real_servers.reverse();
            self.change(terms, &real_servers);
        }

        fn change(&mut self, terms: Terms, real_servers: &[Member]) {
            let new = Roster::new(terms, Some(&self.roster), real_servers);
            self.state.adopt(Some(&self.roster), &new);
            self.roster = new;
        }

        pub(super) fn pick(&mut self) -> Option<u32> {
            let picked = self.state.pick(&self.roster, &self.arrival, &self.counts)?;
            let load = self.counts.loads.entry(picked.0).or_default();
            load.active = load.active.saturating_add(1);
            Some(picked.0)
        }

        /// As many picks, all of which must find someone.
        pub(super) fn picks(&mut self, count: usize) -> Vec<u32> {
            (0..count).map(|_| self.pick().unwrap()).collect()
        }
    }

    #[test]
    fn nobody_to_choose_is_no_choice() {
        for scheduler in Scheduler::ALL {
            for shard in [0, 3] {
                let mut empty = Service::on_shard(shard, scheduler, &[]);
                assert_eq!(empty.pick(), None, "{scheduler:?}");
                let mut quiesced = Service::on_shard(shard, scheduler, &[(11, 0), (12, 0)]);
                assert_eq!(quiesced.pick(), None, "{scheduler:?}");
                let mut overloaded = Service::on_shard(shard, scheduler, &[(11, 1), (12, 1)]);
                overloaded.counts.overloaded = [11, 12].into();
                assert_eq!(overloaded.pick(), None, "{scheduler:?}");
            }
        }
    }

    #[test]
    fn only_those_on_the_roster_with_a_weight_are_ever_picked() {
        let mut random = 1u32;
        let mut next = |below: u32| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 16) % below
        };
        for scheduler in Scheduler::ALL {
            let mut service = Service::on_shard(next(5) as usize, scheduler, &[]);
            for _ in 0..2_000 {
                let numbers: Vec<(u32, u32)> = (0..next(8))
                    .map(|_| next(10))
                    .collect::<BTreeSet<u32>>()
                    .into_iter()
                    .map(|number| (number, [0, 0, 1, 2, 30, i32::MAX as u32][next(6) as usize]))
                    .collect();
                service.edit(&numbers);
                for _ in 0..next(6) {
                    let picked = service.pick();
                    let able = |number| numbers.iter().any(|&(n, w)| n == number && w > 0);
                    assert!(
                        picked.is_none_or(able),
                        "{scheduler:?} {picked:?} {numbers:?}"
                    );
                }
            }
        }
    }
}
