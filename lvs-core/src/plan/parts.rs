//! A snapshot in the making: tables from what the planner has collected.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Planner;
use super::numbers::Number;
use crate::config::{Config, Family, ForwardingMethod, RealServerId, Setting, Thresholds, Weight};
use crate::conn::Lifetimes;
use crate::end_table::EndTable;
use crate::ends::{End, Ends};
use crate::forward::tunnel_key;
use crate::lookup::Lookup;
use crate::network::Network;
use crate::packet::Seed;
use crate::snapshot::{PlannedRealServer, PlannedService, Snapshot};
use crate::steer::Owner;

/// A snapshot in the making.
pub(super) struct Parts {
    pub(super) services: Vec<PlannedService>,
    real_servers: Vec<Option<PlannedRealServer>>,
    /// The thresholds of each real server, to be in force with the snapshot.
    pub(super) limits: Vec<(RealServerId, Thresholds)>,
}

impl Parts {
    pub(super) fn new(numbers: usize) -> Self {
        Self {
            services: Vec::new(),
            real_servers: alloc::vec![None; numbers],
            limits: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, id: RealServerId, planned: PlannedRealServer) {
        if self.real_servers.len() <= id.index() {
            self.real_servers.resize(id.index() + 1, None);
        }
        self.real_servers[id.index()] = Some(planned);
    }

    /// Tells each service how owners of its connections were found before.
    fn remember_owners(&mut self, numbers: &[Number], lookup: &Lookup) {
        for number in numbers {
            let place = lookup.place_of(number.service);
            let Some(service) = place.and_then(|it| self.services.get_mut(it as usize)) else {
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
    pub(super) fn into_snapshot(
        mut self,
        planner: &Planner,
        generation: u64,
        config: &Arc<Config>,
        network: &Arc<Network>,
        numbers: &[Number],
    ) -> Snapshot {
        let lookup = Lookup::new(self.services.iter().map(|it| it.key), planner.seed);
        self.remember_owners(numbers, &lookup);
        let mut tunnels: Vec<_> = (0u32..)
            .zip(&self.real_servers)
            .filter_map(|(id, planned)| {
                let planned = planned.as_ref()?;
                let ForwardingMethod::Tunnel(tunnel) = planned.forwarding else {
                    return None;
                };
                let (protocol, port) = tunnel_key(tunnel);
                Some((protocol, planned.address, port, id))
            })
            .collect();
        tunnels.sort_unstable();
        tunnels.dedup_by_key(|(protocol, address, port, _)| (*protocol, *address, *port));
        let mut vips: Vec<_> = lookup.vips().collect();
        vips.sort_unstable();
        vips.dedup();
        let removed = removed(numbers, &lookup, network);
        let stands_by = config.stands_by();
        let serves =
            |family| !stands_by && self.services.iter().any(|it| it.key.family() == family);
        Snapshot {
            generation,
            config: config.clone(),
            network: network.clone(),
            loads: planner.loads.clone(),
            paths: planner.paths.clone(),
            memory: planner.memory.clone(),
            lifetimes: Lifetimes::new(&config.timeouts()),
            masqueraded: masqueraded(numbers, &self.services, &lookup, planner.seed),
            lookup,
            mark_owners: mark_owners(&self.services),
            tunnels: EndTable::new(&tunnels, planner.seed),
            serves_ipv4: serves(Family::V4),
            serves_ipv6: serves(Family::V6),
            drop_entry: drop_entry(config, &self.services),
            lets_go: false,
            stands_by,
            vips,
            services: self.services,
            real_servers: self.real_servers,
            removed,
            seed: planner.seed,
            shards: planner.limits.shards.max(1),
        }
    }
}

/// The real servers that are removed, as they were then, and the ways to them now;
/// of a service that there still is, if theirs is such a one.
fn removed(
    numbers: &[Number],
    lookup: &Lookup,
    network: &Network,
) -> Vec<(RealServerId, PlannedRealServer)> {
    let ids = (0u32..).map(RealServerId);
    let removed = ids.zip(numbers).filter(|(_, it)| it.retired.is_some());
    let planned = removed.map(|(id, number)| {
        let planned = PlannedRealServer {
            address: number.address,
            port: number.port,
            forwarding: number.forwarding,
            way: network.resolve(number.address),
            weight: Weight::ZERO,
            service: lookup.place_of(number.service).unwrap_or(u32::MAX),
            since: number.since,
        };
        (id, planned)
    });
    planned.collect()
}

/// The greatest mode of `drop_entry` there is.
fn drop_entry(config: &Config, services: &[PlannedService]) -> i32 {
    let own = services.iter().map(|service| &service.settings);
    let modes = own
        .chain([config.settings()])
        .map(|it| it.get(Setting::DropEntry));
    modes.max().unwrap_or_default()
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
fn masqueraded(
    numbers: &[Number],
    services: &[PlannedService],
    lookup: &Lookup,
    seed: Seed,
) -> Ends {
    // The kernel refuses nothing of one that was (ip_vs_has_real_service).
    let refuses = |number: &Number| {
        let place = lookup.place_of(number.service);
        let service = place.and_then(|it| services.get(it as usize));
        number.retired.is_none()
            && number.forwarding == ForwardingMethod::Masquerade
            && service.is_some_and(|it| it.settings.is_on(Setting::NatIcmpSend))
    };
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
            refuses: refuses(number),
        })
        .collect();
    Ends::new(&ends, seed)
}
