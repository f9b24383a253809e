//! The control side: from configurations and networks to snapshots.

mod limits;
mod numbers;
mod parts;
mod slots;

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

pub use limits::{FragmentLimits, Limits, PlanError};
use numbers::{Number, Numbers};
use parts::Parts;
use slots::Slots;

use crate::config::{Config, ForwardingMethod, RealServer, RealServerId, Service, ServiceKey};
use crate::loads::Loads;
use crate::lookup::FTP;
use crate::memory::Memory;
use crate::network::{Network, Resolution};
use crate::packet::Seed;
use crate::paths::PathMtus;
use crate::sched::{Member, Roster, Terms};
use crate::snapshot::{PlannedRealServer, PlannedService, Snapshot};
use crate::steer::Owner;

/// Makes snapshots, and remembers which number belongs to which real server.
#[derive(Debug)]
pub struct Planner {
    limits: Limits,
    seed: Seed,
    loads: Arc<Loads>,
    paths: Arc<PathMtus>,
    memory: Arc<Memory>,
    numbers: Numbers,
    slots: Slots,
    previous: Option<Arc<Snapshot>>,
    /// Every snapshot a shard may be at work by still, the oldest first.
    at_work: Vec<Weak<Snapshot>>,
}

/// A plan in the making; dropped, it leaves the planner as it was.
struct Draft {
    generation: u64,
    /// The oldest generation some shard may be at work by.
    oldest: u64,
    numbers: Numbers,
    slots: Slots,
    parts: Parts,
}

impl Planner {
    /// A planner for a director of this size.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            seed: Seed::new(limits.seed),
            paths: PathMtus::new(limits.real_servers),
            memory: Memory::plenty(),
            loads: Loads::new(usize::from(limits.shards.max(1)), limits.real_servers),
            numbers: Numbers::default(),
            slots: Slots::new(limits.services),
            previous: None,
            at_work: Vec::new(),
        }
    }

    /// The connection counts all its snapshots share.
    #[must_use]
    pub const fn loads(&self) -> &Arc<Loads> {
        &self.loads
    }

    /// The host's free memory, which the caller tells all shards by.
    #[must_use]
    pub const fn memory(&self) -> &Arc<Memory> {
        &self.memory
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
        let mut draft = Draft {
            generation,
            oldest: self.oldest_at_work(generation),
            numbers: self.numbers.clone(),
            slots: self.slots.clone(),
            parts: Parts::new(self.numbers.len()),
        };
        draft.slots.retire(config);
        for service in config.services() {
            self.add(service, config, network, &mut draft)?;
        }
        draft.numbers.retire(config, generation);
        let Draft {
            oldest,
            mut numbers,
            slots,
            parts,
            ..
        } = draft;
        for (id, thresholds) in &parts.limits {
            self.loads.limit(*id, *thresholds);
        }
        numbers.forget_ways(oldest, &self.loads);
        let mut snapshot = parts.into_snapshot(self, generation, config, network, numbers.all());
        snapshot.lets_go = self.previous.as_ref().is_some_and(|before| {
            let mut numbers = before.real_servers().map(|(.., id)| id);
            numbers.any(|id| snapshot.lets_go_of(id))
        });
        let snapshot = Arc::new(snapshot);
        self.at_work.push(Arc::downgrade(&snapshot));
        for id in numbers.given_by(generation) {
            self.paths.forget(id);
        }
        self.numbers = numbers;
        self.slots = slots;
        self.previous = Some(snapshot.clone());
        Ok(snapshot)
    }

    /// Adds one service and its real servers to a draft.
    fn add(
        &self,
        service: &Service,
        config: &Config,
        network: &Network,
        draft: &mut Draft,
    ) -> Result<(), PlanError> {
        let key = service.key();
        let slot = draft.slots.take(key).ok_or(PlanError::TooManyServices {
            limit: self.limits.services,
        })?;
        let settings = service.settings.over(config.settings());
        let mut listed = Vec::with_capacity(service.real_servers.len());
        for real_server in &service.real_servers {
            let id = self.add_real_server(service, real_server, network, draft)?;
            listed.push(Member::new(id, real_server, &key));
            draft.parts.limits.push((id, real_server.thresholds));
        }
        let before = self
            .previous
            .as_ref()
            .and_then(|previous| previous.service_of(key))
            .map(|before| &before.roster);
        let shards = usize::from(self.limits.shards.max(1));
        let terms = Terms::of(service, &settings, shards);
        let owner = owner_of(service);
        draft.parts.services.push(PlannedService {
            key,
            is_reached: is_reached(key, network),
            roster: Roster::new(terms, before, &listed),
            numbers: listed.iter().map(|member| member.id).collect(),
            owner,
            owners: owner.into_iter().collect(),
            persistence: service.persistence,
            one_packet: service.one_packet,
            settings,
            slot,
        });
        Ok(())
    }

    /// Adds a real server of the service that is added next.
    fn add_real_server(
        &self,
        service: &Service,
        real_server: &RealServer,
        network: &Network,
        draft: &mut Draft,
    ) -> Result<RealServerId, PlanError> {
        let key = service.key();
        let port = real_server.port_in(&key);
        let generation = draft.generation;
        let owner = owner_of(service).map(|owner| (owner, generation));
        let whose = Number {
            service: key,
            address: real_server.address,
            port,
            forwarding: real_server.forwarding,
            since: generation,
            is_orphan: false,
            retired: None,
            masqueraded: masquerades(real_server).then_some(generation),
            owners: owner.into_iter().collect(),
            keeps_ports: keeps_ports(service, port),
            taken: generation,
        };
        let limit = self.limits.real_servers;
        let (id, since) = draft
            .numbers
            .take(whose, limit, draft.oldest, &self.loads)
            .ok_or(PlanError::TooManyRealServers { limit })?;
        let planned = PlannedRealServer {
            address: real_server.address,
            port,
            forwarding: real_server.forwarding,
            way: network.resolve(real_server.address),
            weight: real_server.share(),
            service: draft.parts.services.len() as u32,
            since,
        };
        draft.parts.add(id, planned);
        Ok(id)
    }

    /// The oldest generation some shard may be at work by; `next` if none is.
    fn oldest_at_work(&self, next: u64) -> u64 {
        let mut at_work = self.at_work.iter().filter_map(Weak::upgrade);
        at_work.next().map_or(next, |snapshot| snapshot.generation)
    }
}

const fn masquerades(real_server: &RealServer) -> bool {
    matches!(real_server.forwarding, ForwardingMethod::Masquerade)
}

/// Whether packets of a service come to the host, and do not only pass it.
fn is_reached(key: ServiceKey, network: &Network) -> bool {
    key.address()
        .is_none_or(|vip| network.resolve(vip.ip()) == Resolution::Local)
}

/// How the shard is found that begins a connection with a real server of this
/// service; `None` where the one does whose queue receives it.
fn owner_of(service: &Service) -> Option<Owner> {
    match service.persistence {
        Some(persistence) => Some(Owner::ByClient(persistence.mask)),
        None => service
            .real_servers
            .iter()
            .any(masquerades)
            .then_some(Owner::ByPort),
    }
}

/// Whether connections of a service may keep the ports of their packets.
fn keeps_ports(service: &Service, port: u16) -> bool {
    port == 0 || service.persistence.is_some() && matches!(service.key.port(), 0 | FTP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Scheduler;
    use core::net::IpAddr;

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
    fn a_service_made_anew_counts_anew_though_its_real_servers_come_later() {
        let mut planner = Planner::new(Limits::default());
        let network = Arc::new(Network::default());
        let mut since = |config: Arc<Config>| {
            let snapshot = planner.plan(&config, &network).unwrap();
            let first = snapshot.real_servers.iter().flatten().next();
            first.map(|planned| planned.since)
        };
        let none = || Config::new([]).unwrap();
        assert_eq!(since(config(&[1])), Some(1));
        assert_eq!(since(config(&[])), None);
        assert_eq!(since(config(&[1])), Some(1), "the service was there");
        assert_eq!(since(none()), None);
        assert_eq!(since(config(&[])), None);
        assert_eq!(since(config(&[1])), Some(6));
        assert_eq!(since(config(&[1])), Some(6));
        assert_eq!(since(none()), None);
        assert_eq!(since(config(&[1])), Some(9), "all at once");
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
        planner.loads().add(RealServerId(0), 1, 0);
        assert_eq!(plan(&mut planner, &[2, 3]), full, "a connection holds it");
        planner.loads().add(RealServerId(0), -1, 0);
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
            planner.loads().add(RealServerId(0), connections, 0);
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
