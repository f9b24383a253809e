//! Which number belongs to which real server.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::net::IpAddr;

use crate::config::{Config, ForwardingMethod, RealServerId, ServiceKey};
use crate::loads::Loads;
use crate::steer::Owner;

/// Whose a real server's number is.
#[derive(Clone, Debug)]
pub(super) struct Number {
    pub(super) service: ServiceKey,
    pub(super) address: IpAddr,
    pub(super) port: u16,
    /// How it is reached, or was when it was removed.
    pub(super) forwarding: ForwardingMethod,
    /// The generation that gave it the number.
    pub(super) since: u64,
    /// Whether its service has been removed since, so that it begins to count
    /// anew when it comes back.
    pub(super) is_orphan: bool,
    /// The generation that removed it; `None` while it is configured.
    pub(super) retired: Option<u64>,
    /// The last generation that had it masqueraded; `None` when no connection
    /// of that time can be left whose replies must be known.
    pub(super) masqueraded: Option<u64>,
    /// How owners of its connections are or were found, each with the last
    /// generation that did so.
    pub(super) owners: Vec<(Owner, u64)>,
    /// Whether its service is or was persistent or without a port of its own, so
    /// that connections keep their ports.
    pub(super) keeps_ports: bool,
    /// The last generation that has the real server.
    pub(super) taken: u64,
}

impl Number {
    fn end(&self) -> (IpAddr, u16) {
        (self.address, self.port)
    }

    /// Becomes what its real server is now; the generation that gave it.
    fn take_up(&mut self, now: Self) -> u64 {
        self.retired = None;
        self.taken = now.taken;
        self.forwarding = now.forwarding;
        // A service made anew counts anew, whenever it gets its real servers.
        if core::mem::take(&mut self.is_orphan) {
            self.since = now.since;
        }
        self.masqueraded = now.masqueraded.or(self.masqueraded);
        self.keeps_ports |= now.keeps_ports;
        for (owner, since) in now.owners {
            self.owners.retain(|(other, _)| *other != owner);
            self.owners.push((owner, since));
        }
        self.since
    }

    /// Whether anything is remembered of how its connections were treated.
    const fn has_ways(&self) -> bool {
        self.masqueraded.is_some() || !self.owners.is_empty() || self.keeps_ports
    }
}

/// The numbers given out so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    /// One's place in it is the number.
    all: Vec<Number>,
    /// Those of each service, sorted by address and port.
    by_service: BTreeMap<ServiceKey, Vec<RealServerId>>,
    /// Of this draft, those that may be given to others, the latest retired first;
    /// `None` until the first is asked for.
    idle: Option<Vec<RealServerId>>,
    /// The one after that taken last. Where little changes they are taken in the
    /// order of the plan before.
    next: usize,
}

impl Numbers {
    /// How many were ever given out.
    pub(super) const fn len(&self) -> usize {
        self.all.len()
    }

    /// Marks those as removed that `generation`, which carries out `config`, has not
    /// taken.
    pub(super) fn retire(&mut self, config: &Config, generation: u64) {
        (self.idle, self.next) = (None, 0);
        for number in &mut self.all {
            if number.taken != generation {
                number.is_orphan |= config.service(number.service).is_none();
                number.retired.get_or_insert(generation);
            }
        }
    }

    /// The number of a real server: its own if it has or had one, an unused
    /// one below `limit`, or that of a real server which is gone and forgotten;
    /// and the generation that gave it.
    ///
    /// No shard is at work by a snapshot from before the generation `oldest`.
    ///
    /// *Cost:* two binary searches at most; once a draft, where `limit` is reached, a walk of
    /// all numbers.
    pub(super) fn take(
        &mut self,
        whose: Number,
        limit: usize,
        oldest: u64,
        loads: &Loads,
    ) -> Option<(RealServerId, u64)> {
        if let Some(id) = self.own(&whose) {
            self.next = id.index() + 1;
            return Some((id, self.all[id.index()].take_up(whose)));
        }
        let (service, end, since) = (whose.service, whose.end(), whose.since);
        let id = if self.all.len() < limit {
            self.all.push(whose);
            RealServerId(self.all.len() as u32 - 1)
        } else {
            let id = self.idle(oldest, loads)?;
            let before = core::mem::replace(&mut self.all[id.index()], whose);
            let others = self.by_service.entry(before.service).or_default();
            others.retain(|other| *other != id);
            id
        };
        let ids = self.by_service.entry(service).or_default();
        let place = ids.partition_point(|id| self.all[id.index()].end() < end);
        ids.insert(place, id);
        Some((id, since))
    }

    /// The number that a real server has or had.
    fn own(&self, whose: &Number) -> Option<RealServerId> {
        let is_next = |next: &Number| next.service == whose.service && next.end() == whose.end();
        if self.all.get(self.next).is_some_and(is_next) {
            return Some(RealServerId(self.next as u32));
        }
        let ids = self.by_service.get(&whose.service)?;
        let end = |id: &RealServerId| self.all[id.index()].end();
        let place = ids.binary_search_by_key(&whose.end(), end).ok()?;
        Some(ids[place])
    }

    /// A number that was retired so long ago that nothing holds it, of several the
    /// one that has been for longest.
    fn idle(&mut self, oldest: u64, loads: &Loads) -> Option<RealServerId> {
        let numbers = &self.all;
        let idle = self.idle.get_or_insert_with(|| {
            let ids = (0u32..).map(RealServerId).zip(numbers);
            let mut idle: Vec<_> = ids
                // A shard that works by a snapshot from before may begin a connection.
                .filter(|(_, number)| number.retired.is_some_and(|retired| retired <= oldest))
                .filter(|(id, _)| loads.is_idle(*id))
                .map(|(id, number)| (Reverse(number.retired), Reverse(id)))
                .collect();
            idle.sort_unstable();
            idle.into_iter().map(|(_, Reverse(id))| id).collect()
        });
        // Its own real server may have taken it up since.
        core::iter::from_fn(|| idle.pop()).find(|id| numbers[id.index()].retired.is_some())
    }

    /// Forgets that a real server was masqueraded, and how owners of its
    /// connections were found, once nobody does so any more and none of its
    /// connections is left.
    pub(super) fn forget_ways(&mut self, oldest: u64, loads: &Loads) {
        for (id, number) in (0u32..).map(RealServerId).zip(&mut self.all) {
            if !number.has_ways() || !loads.is_idle(id) {
                continue;
            }
            number.masqueraded = number.masqueraded.filter(|last| *last >= oldest);
            number.owners.retain(|(_, last)| *last >= oldest);
            number.keeps_ports &= number.masqueraded.is_some();
        }
    }

    /// Whose each number is.
    pub(super) fn all(&self) -> &[Number] {
        &self.all
    }

    /// The numbers that `generation` gave.
    pub(super) fn given_by(&self, generation: u64) -> impl Iterator<Item = RealServerId> {
        (0u32..)
            .map(RealServerId)
            .zip(&self.all)
            .filter(move |(_, number)| number.since == generation)
            .map(|(id, _)| id)
    }
}
