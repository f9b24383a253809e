//! Which number belongs to which real server.

use alloc::vec::Vec;
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
}

/// The numbers given out so far; one's place in it is the number.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers(Vec<Number>);

impl Numbers {
    /// How many were ever given out.
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Marks those `config` no longer has, in `generation`.
    pub(super) fn retire(&mut self, config: &Config, generation: u64) {
        for number in &mut self.0 {
            let service = config.service(number.service);
            number.is_orphan |= service.is_none();
            let kept = service.is_some_and(|service| {
                service.real_servers.iter().any(|real_server| {
                    (real_server.address, real_server.port_in(&service.key))
                        == (number.address, number.port)
                })
            });
            if !kept {
                number.retired.get_or_insert(generation);
            }
        }
    }

    /// The number of a real server: its own if it has or had one, an unused
    /// one below `limit`, or that of a real server which is gone and forgotten;
    /// and the generation that gave it.
    ///
    /// No shard is at work by a snapshot from before the generation `oldest`.
    pub(super) fn take(
        &mut self,
        whose: Number,
        limit: usize,
        oldest: u64,
        loads: &Loads,
    ) -> Option<(RealServerId, u64)> {
        let same = |number: &Number| {
            (number.service, number.address, number.port)
                == (whose.service, whose.address, whose.port)
        };
        let id = |index: usize| RealServerId(index as u32);
        if let Some(index) = self.0.iter().position(same) {
            let number = &mut self.0[index];
            number.retired = None;
            number.forwarding = whose.forwarding;
            // A service made anew counts anew, whenever it gets its real servers.
            if core::mem::take(&mut number.is_orphan) {
                number.since = whose.since;
            }
            number.masqueraded = whose.masqueraded.or(number.masqueraded);
            number.keeps_ports |= whose.keeps_ports;
            for (owner, since) in whose.owners {
                number.owners.retain(|(other, _)| *other != owner);
                number.owners.push((owner, since));
            }
            return Some((id(index), number.since));
        }
        let since = whose.since;
        if self.0.len() < limit {
            self.0.push(whose);
            return Some((id(self.0.len() - 1), since));
        }
        // A shard that works by a snapshot from before may begin a connection.
        let idle = |(index, number): &(usize, &Number)| {
            number.retired.is_some_and(|retired| retired <= oldest) && loads.is_idle(id(*index))
        };
        let (index, _) = self
            .0
            .iter()
            .enumerate()
            .filter(idle)
            .min_by_key(|(_, number)| number.retired)?;
        self.0[index] = whose;
        Some((id(index), since))
    }

    /// Forgets that a real server was masqueraded, and how owners of its
    /// connections were found, once nobody does so any more and none of its
    /// connections is left.
    pub(super) fn forget_ways(&mut self, oldest: u64, loads: &Loads) {
        for (id, number) in (0u32..).map(RealServerId).zip(&mut self.0) {
            if !loads.is_idle(id) {
                continue;
            }
            number.masqueraded = number.masqueraded.filter(|last| *last >= oldest);
            number.owners.retain(|(_, last)| *last >= oldest);
            number.keeps_ports &= number.masqueraded.is_some();
        }
    }

    /// Whose each number is.
    pub(super) fn all(&self) -> &[Number] {
        &self.0
    }

    /// The numbers that `generation` gave.
    pub(super) fn given_by(&self, generation: u64) -> impl Iterator<Item = RealServerId> {
        (0u32..)
            .map(RealServerId)
            .zip(&self.0)
            .filter(move |(_, number)| number.since == generation)
            .map(|(id, _)| id)
    }
}
