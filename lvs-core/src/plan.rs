//! The control side: from configurations and networks to snapshots.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use crate::config::{Config, Family, ForwardingMethod, RealServerId, Service, ServiceKey};
use crate::conn::Lifetimes;
use crate::end_table::EndTable;
use crate::ends::{End, Ends};
use crate::loads::Loads;
use crate::lookup::{FTP, Lookup};
use crate::network::Network;
use crate::packet::Seed;
use crate::packet::transport::IPIP;
use crate::paths::PathMtus;
use crate::sched::Roster;
use crate::snapshot::{PlannedRealServer, PlannedService, Snapshot};
use crate::steer::Owner;

/// How large a director is, fixed for its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Shards, 1 to 255.
    pub shards: u8,
    /// Services at one time.
    pub services: usize,
    /// Real servers at one time, those removed but still holding connections
    /// included.
    pub real_servers: usize,
    /// A random number, so that nobody can aim at one bucket.
    pub seed: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            shards: 1,
            services: 1024,
            real_servers: 4096,
            seed: 0,
        }
    }
}

/// A configuration that does not fit the director's [`Limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlanError {
    /// More services than the limit.
    TooManyServices {
        /// The limit.
        limit: usize,
    },
    /// More real servers than the limit, those that still hold connections included.
    TooManyRealServers {
        /// The limit.
        limit: usize,
    },
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyServices { limit } => {
                write!(
                    f,
                    "more than {limit} services: raise the limit and start anew"
                )
            }
            Self::TooManyRealServers { limit } => write!(
                f,
                "more than {limit} real servers, counting removed ones that still hold \
                 connections: raise the limit and start anew, or wait for them to end"
            ),
        }
    }
}

impl core::error::Error for PlanError {}

/// Makes snapshots, and remembers which number belongs to which real server.
#[derive(Debug)]
pub struct Planner {
    limits: Limits,
    seed: Seed,
    loads: Arc<Loads>,
    paths: Arc<PathMtus>,
    numbers: Vec<Number>,
    slots: Vec<Option<ServiceKey>>,
    previous: Option<Arc<Snapshot>>,
    /// Every snapshot a shard may be at work by still, the oldest first.
    at_work: Vec<Weak<Snapshot>>,
}

/// Whose a real server's number is.
#[derive(Clone, Debug)]
struct Number {
    service: ServiceKey,
    address: IpAddr,
    port: u16,
    /// The generation that gave it the number.
    since: u64,
    /// The generation that removed it; `None` while it is configured.
    retired: Option<u64>,
    /// The last generation that had it masqueraded; `None` when no connection
    /// of that time can be left whose replies must be known.
    masqueraded: Option<u64>,
    /// How owners of its connections are or were found, each with the last
    /// generation that did so.
    owners: Vec<(Owner, u64)>,
    /// Whether its service is or was persistent or without a port of its own, so
    /// that connections keep their ports.
    keeps_ports: bool,
}

/// How the shard is found that begins a connection with a real server of this
/// service; `None` where the one does whose queue receives it.
fn owner_of(service: &Service) -> Option<Owner> {
    let masquerades = |method| matches!(method, ForwardingMethod::Masquerade);
    match service.persistence {
        Some(persistence) => Some(Owner::ByClient(persistence.mask)),
        None => service
            .real_servers
            .iter()
            .any(|real_server| masquerades(real_server.forwarding))
            .then_some(Owner::ByPort),
    }
}

/// Whether connections of a service may keep the ports of their packets.
fn keeps_ports(service: &Service, port: u16) -> bool {
    port == 0 || service.persistence.is_some() && matches!(service.key.port(), 0 | FTP)
}

impl Planner {
    /// A planner for a director of this size.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            seed: Seed::new(limits.seed),
            paths: PathMtus::new(limits.real_servers),
            loads: Loads::new(usize::from(limits.shards.max(1)), limits.real_servers),
            numbers: Vec::new(),
            slots: alloc::vec![None; limits.services],
            previous: None,
            at_work: Vec::new(),
        }
    }

    /// The connection counts all its snapshots share.
    #[must_use]
    pub const fn loads(&self) -> &Arc<Loads> {
        &self.loads
    }

    /// The limits it was made with.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// The snapshot that carries out `config` on `network`.
    ///
    /// Every shard must adopt every snapshot, in order: schedulers learn of
    /// changes step by step.
    ///
    /// *Errors:* [`PlanError`]; the planner is as it was.
    pub fn plan(
        &mut self,
        config: &Arc<Config>,
        network: &Arc<Network>,
    ) -> Result<Arc<Snapshot>, PlanError> {
        let generation = self
            .previous
            .as_ref()
            .map_or(1, |previous| previous.generation + 1);
        self.at_work.retain(|snapshot| snapshot.strong_count() > 0);
        let oldest = self.oldest_at_work(generation);
        let mut numbers = self.numbers.clone();
        let mut slots = self.slots.clone();
        retire(config, &mut numbers, &mut slots, generation);
        let mut planned = Parts::new(numbers.len());
        for service in config.services() {
            let slot = take_slot(&mut slots, service.key()).ok_or(PlanError::TooManyServices {
                limit: self.limits.services,
            })?;
            let owner = owner_of(service);
            let mut listed = Vec::with_capacity(service.real_servers.len());
            for real_server in &service.real_servers {
                let port = real_server.port_in(&service.key);
                let masquerades = matches!(real_server.forwarding, ForwardingMethod::Masquerade);
                let whose = Number {
                    service: service.key(),
                    address: real_server.address,
                    port,
                    since: generation,
                    retired: None,
                    masqueraded: masquerades.then_some(generation),
                    owners: owner.map(|owner| (owner, generation)).into_iter().collect(),
                    keeps_ports: keeps_ports(service, port),
                };
                let id = self.take_number(&mut numbers, whose, oldest).ok_or(
                    PlanError::TooManyRealServers {
                        limit: self.limits.real_servers,
                    },
                )?;
                listed.push((id, real_server.share()));
                planned.add(
                    id,
                    PlannedRealServer {
                        address: real_server.address,
                        port,
                        forwarding: real_server.forwarding,
                        way: network.resolve(real_server.address),
                        weight: real_server.share(),
                        service: planned.services.len() as u32,
                        since: numbers[id.index()].since,
                    },
                );
            }
            let before = self
                .previous
                .as_ref()
                .and_then(|previous| previous.roster(service.key()));
            planned.services.push(PlannedService {
                key: service.key(),
                roster: Roster::new(service.scheduler, before, &listed),
                owner,
                owners: owner.into_iter().collect(),
                persistence: service.persistence,
                one_packet: service.one_packet,
                settings: service.settings.over(config.settings()),
                slot,
            });
        }
        self.forget_ways(&mut numbers, oldest);
        let snapshot = planned.into_snapshot(self, generation, config, network, &numbers);
        let snapshot = Arc::new(snapshot);
        self.at_work.push(Arc::downgrade(&snapshot));
        for (index, number) in numbers.iter().enumerate() {
            if number.since == generation {
                self.paths.forget(RealServerId(index as u32));
            }
        }
        self.numbers = numbers;
        self.slots = slots;
        self.previous = Some(snapshot.clone());
        Ok(snapshot)
    }

    /// The number of a real server: its own if it has or had one, an unused
    /// one, or that of a real server which is gone and forgotten.
    fn take_number(
        &self,
        numbers: &mut Vec<Number>,
        whose: Number,
        oldest: u64,
    ) -> Option<RealServerId> {
        let same = |number: &Number| {
            (number.service, number.address, number.port)
                == (whose.service, whose.address, whose.port)
        };
        let id = |index: usize| RealServerId(index as u32);
        if let Some(index) = numbers.iter().position(same) {
            let number = &mut numbers[index];
            number.retired = None;
            // A service made anew counts anew.
            let service = |before: &Arc<Snapshot>| before.config.service(whose.service).is_some();
            if !self.previous.as_ref().is_some_and(service) {
                number.since = whose.since;
            }
            number.masqueraded = whose.masqueraded.or(number.masqueraded);
            number.keeps_ports |= whose.keeps_ports;
            for (owner, since) in whose.owners {
                number.owners.retain(|(other, _)| *other != owner);
                number.owners.push((owner, since));
            }
            return Some(id(index));
        }
        if numbers.len() < self.limits.real_servers {
            numbers.push(whose);
            return Some(id(numbers.len() - 1));
        }
        // A shard that works by a snapshot from before may begin a connection.
        let idle = |(index, number): &(usize, &Number)| {
            number.retired.is_some_and(|retired| retired <= oldest)
                && self.loads.is_idle(id(*index))
        };
        let (index, _) = numbers
            .iter()
            .enumerate()
            .filter(idle)
            .min_by_key(|(_, number)| number.retired)?;
        numbers[index] = whose;
        Some(id(index))
    }

    /// The oldest generation some shard may be at work by; `next` if none is.
    fn oldest_at_work(&self, next: u64) -> u64 {
        let mut at_work = self.at_work.iter().filter_map(Weak::upgrade);
        at_work.next().map_or(next, |snapshot| snapshot.generation)
    }

    /// Forgets that a real server was masqueraded, and how owners of its
    /// connections were found, once nobody does so any more and none of its
    /// connections is left.
    fn forget_ways(&self, numbers: &mut [Number], oldest: u64) {
        for (id, number) in (0u32..).map(RealServerId).zip(numbers) {
            if !self.loads.is_idle(id) {
                continue;
            }
            number.masqueraded = number.masqueraded.filter(|last| *last >= oldest);
            number.owners.retain(|(_, last)| *last >= oldest);
            number.keeps_ports &= number.masqueraded.is_some();
        }
    }
}

/// Marks what `config` no longer has.
fn retire(
    config: &Config,
    numbers: &mut [Number],
    slots: &mut [Option<ServiceKey>],
    generation: u64,
) {
    for number in numbers {
        let kept = config.service(number.service).is_some_and(|service| {
            service.real_servers.iter().any(|real_server| {
                (real_server.address, real_server.port_in(&service.key))
                    == (number.address, number.port)
            })
        });
        if !kept {
            number.retired.get_or_insert(generation);
        }
    }
    for slot in slots {
        if slot.is_some_and(|key| config.service(key).is_none()) {
            *slot = None;
        }
    }
}

/// The place of a service in arrays kept by service over generations.
fn take_slot(slots: &mut [Option<ServiceKey>], key: ServiceKey) -> Option<u32> {
    let index = slots
        .iter()
        .position(|slot| *slot == Some(key))
        .or_else(|| slots.iter().position(Option::is_none))?;
    slots[index] = Some(key);
    Some(index as u32)
}

/// A snapshot in the making.
struct Parts {
    services: Vec<PlannedService>,
    real_servers: Vec<Option<PlannedRealServer>>,
}

impl Parts {
    fn new(numbers: usize) -> Self {
        Self {
            services: Vec::new(),
            real_servers: alloc::vec![None; numbers],
        }
    }

    fn add(&mut self, id: RealServerId, planned: PlannedRealServer) {
        if self.real_servers.len() <= id.index() {
            self.real_servers.resize(id.index() + 1, None);
        }
        self.real_servers[id.index()] = Some(planned);
    }

    /// Tells each service how owners of its connections were found before.
    fn remember_owners(&mut self, numbers: &[Number]) {
        for number in numbers {
            let service = |it: &&mut PlannedService| it.key == number.service;
            let Some(service) = self.services.iter_mut().find(service) else {
                continue;
            };
            for (owner, _) in &number.owners {
                if !service.owners.contains(owner) {
                    service.owners.push(*owner);
                }
            }
            // What was masqueraded goes on where it began.
            service.owner = service.owners.first().copied();
        }
    }

    /// The snapshot; `numbers` tell of real servers there were before, too.
    fn into_snapshot(
        mut self,
        planner: &Planner,
        generation: u64,
        config: &Arc<Config>,
        network: &Arc<Network>,
        numbers: &[Number],
    ) -> Snapshot {
        self.remember_owners(numbers);
        let lookup = Lookup::new(self.services.iter().map(|it| it.key), planner.seed);
        let mut tunnels: Vec<_> = (0u32..)
            .zip(&self.real_servers)
            .filter_map(|(id, planned)| Some((id, planned.as_ref()?)))
            .filter(|(_, planned)| matches!(planned.forwarding, ForwardingMethod::Tunnel(_)))
            .map(|(id, planned)| (IPIP, planned.address, 0, id))
            .collect();
        tunnels.sort_unstable();
        tunnels.dedup_by_key(|(_, address, ..)| *address);
        let mut vips: Vec<_> = lookup.vips().collect();
        vips.sort_unstable();
        vips.dedup();
        let serves = |family| self.services.iter().any(|it| it.key.family() == family);
        Snapshot {
            generation,
            config: config.clone(),
            network: network.clone(),
            loads: planner.loads.clone(),
            paths: planner.paths.clone(),
            lifetimes: Lifetimes::new(&config.timeouts()),
            lookup,
            mark_owners: mark_owners(&self.services),
            masqueraded: masqueraded(numbers, planner.seed),
            tunnels: EndTable::new(&tunnels, planner.seed),
            serves_ipv4: serves(Family::V4),
            serves_ipv6: serves(Family::V6),
            vips,
            services: self.services,
            real_servers: self.real_servers,
            seed: planner.seed,
            shards: planner.limits.shards.max(1),
        }
    }
}

/// How owners of connections are found that belong to a service on some mark.
fn mark_owners(services: &[PlannedService]) -> Vec<Owner> {
    let marked = services.iter().filter(|it| it.key.address().is_none());
    let mut all = Vec::new();
    for owner in marked.flat_map(|service| &service.owners) {
        if !all.contains(owner) {
            all.push(*owner);
        }
    }
    all
}

/// Where real servers reply from that are masqueraded, or were.
fn masqueraded(numbers: &[Number], seed: Seed) -> Ends {
    let owners: Vec<Vec<Owner>> = numbers
        .iter()
        .map(|number| number.owners.iter().map(|(owner, _)| *owner).collect())
        .collect();
    let ends: Vec<_> = numbers
        .iter()
        .zip(&owners)
        .filter(|(number, _)| number.masqueraded.is_some())
        .map(|(number, owners)| End {
            service: number.service,
            address: number.address,
            port: number.port,
            keeps_ports: number.keeps_ports,
            owners,
        })
        .collect();
    Ends::new(&ends, seed)
}

impl Snapshot {
    /// The roster of a service, for the next one to go on from.
    fn roster(&self, key: ServiceKey) -> Option<&Roster> {
        self.services
            .iter()
            .find(|service| service.key == key)
            .map(|service| &service.roster)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{RealServer, Scheduler, Service};

    fn config(real_servers: &[u8]) -> Arc<Config> {
        let service = Service::tcp("192.0.2.10:80".parse().unwrap(), Scheduler::RoundRobin);
        let service = real_servers.iter().fold(service, |service, last| {
            service.real_server(RealServer::direct_route(IpAddr::from([10, 0, 0, *last])))
        });
        Config::new([service]).unwrap()
    }

    fn numbers(snapshot: &Snapshot) -> Vec<(u8, u32)> {
        let last = |address: IpAddr| match address {
            IpAddr::V4(v4) => v4.octets()[3],
            IpAddr::V6(v6) => v6.octets()[15],
        };
        snapshot
            .real_servers()
            .map(|(_, address, _, id)| (last(address), id.0))
            .collect()
    }

    #[test]
    fn a_number_stays_with_its_real_server() {
        let mut planner = Planner::new(Limits::default());
        let network = Arc::new(Network::default());
        let mut plan =
            |real_servers: &[u8]| numbers(&planner.plan(&config(real_servers), &network).unwrap());
        assert_eq!(plan(&[1, 2, 3]), [(1, 0), (2, 1), (3, 2)]);
        assert_eq!(plan(&[3, 1]), [(1, 0), (3, 2)]);
        assert_eq!(plan(&[4, 3]), [(3, 2), (4, 3)]);
        assert_eq!(
            plan(&[2, 4]),
            [(2, 1), (4, 3)],
            "one that comes back gets its number back"
        );
    }

    #[test]
    fn a_number_is_reused_only_when_nothing_holds_it() {
        let limits = Limits {
            real_servers: 2,
            ..Limits::default()
        };
        let mut planner = Planner::new(limits);
        let network = Arc::new(Network::default());
        let full = Err(PlanError::TooManyRealServers { limit: 2 });
        let at_work = planner.plan(&config(&[1, 2]), &network).unwrap();
        planner.plan(&config(&[2]), &network).unwrap();
        let plan = |planner: &mut Planner, real_servers: &[u8]| {
            planner
                .plan(&config(real_servers), &network)
                .map(|snapshot| numbers(&snapshot))
        };
        let why = "a shard may be at work with it";
        assert_eq!(plan(&mut planner, &[2, 3]), full, "{why}");
        drop(at_work);
        planner.loads().add(0, RealServerId(0), 1, 0);
        assert_eq!(plan(&mut planner, &[2, 3]), full, "a connection holds it");
        planner.loads().add(0, RealServerId(0), -1, 0);
        assert_eq!(plan(&mut planner, &[2, 3]), Ok(alloc::vec![(3, 0), (2, 1)]));
    }

    #[test]
    fn replies_are_known_until_the_last_masqueraded_connection_ends() {
        let mut planner = Planner::new(Limits::default());
        let network = Arc::new(Network::default());
        let by = |real_server: RealServer| {
            let service = Service::tcp("192.0.2.10:80".parse().unwrap(), Scheduler::RoundRobin);
            Config::new([service.real_server(real_server)]).unwrap()
        };
        let masquerade = by(RealServer::masquerade("10.0.0.1:80".parse().unwrap()));
        let direct = by(RealServer::direct_route("10.0.0.1".parse().unwrap()));
        let mut ends = |config: &Arc<Config>, connections: i32| {
            planner.loads().add(0, RealServerId(0), connections, 0);
            let snapshot = planner.plan(config, &network).unwrap();
            assert_eq!(
                snapshot.services[0].owner.is_some(),
                snapshot.masqueraded_ends().count() > 0
            );
            (snapshot.masqueraded_ends().count(), snapshot)
        };
        let (count, at_work) = ends(&masquerade, 0);
        assert_eq!(count, 1);
        assert_eq!(
            ends(&direct, 0).0,
            1,
            "a shard is at work by the one before"
        );
        drop(at_work);
        assert_eq!(ends(&direct, 1).0, 1, "a connection is left");
        assert_eq!(
            ends(&config(&[2]), 0).0,
            1,
            "though its real server is gone"
        );
        assert_eq!(ends(&direct, -1).0, 0, "none is left");
    }

    #[test]
    fn a_refusal_leaves_the_planner_as_it_was() {
        let mut planner = Planner::new(Limits {
            services: 1,
            ..Limits::default()
        });
        let network = Arc::new(Network::default());
        let first = planner.plan(&config(&[1]), &network).unwrap();
        let second = Service::udp("192.0.2.10:80".parse().unwrap(), Scheduler::RoundRobin);
        let both = Config::new([config(&[1]).services()[0].clone(), second]).unwrap();
        let refused = planner.plan(&both, &network).map(|_| ());
        assert_eq!(refused, Err(PlanError::TooManyServices { limit: 1 }));
        let next = planner.plan(&config(&[1]), &network).unwrap();
        assert_eq!(next.generation(), first.generation() + 1);
    }
}
