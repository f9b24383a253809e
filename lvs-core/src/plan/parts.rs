//! A snapshot in the making: tables from what the planner has collected.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Planner;
use super::numbers::Number;
use crate::config::{Config, ForwardingMethod, RealServerId, Thresholds};
use crate::conn::Lifetimes;
use crate::forward::tunnel_key;
use crate::network::Network;
use crate::snapshot::{EndTable, PlannedRealServer, PlannedService, Snapshot};

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

    /// The snapshot; `ends` are the real servers whose replies are masqueraded.
    pub(super) fn into_snapshot(
        mut self,
        planner: &Planner,
        generation: u64,
        config: &Arc<Config>,
        network: &Arc<Network>,
        ends: &[&Number],
    ) -> Snapshot {
        let mut masquerading: Vec<_> = ends.iter().map(|number| number.service).collect();
        masquerading.sort_unstable();
        for service in &mut self.services {
            service.masquerades = masquerading.binary_search(&service.key).is_ok();
        }
        let by_address: Vec<_> = (0u32..)
            .zip(&self.services)
            .filter_map(|(index, service)| {
                let (protocol, address) = (service.key.protocol()?, service.key.address()?);
                Some((protocol.number(), address.ip(), address.port(), index))
            })
            .collect();
        let end = |number: &&Number| {
            let protocol = number.service.protocol()?.number();
            Some((protocol, number.address, number.port, 0))
        };
        let mut masqueraded: Vec<_> = ends.iter().filter_map(end).collect();
        masqueraded.sort_unstable();
        masqueraded.dedup();
        let mut masqueraded_addresses: Vec<_> = masqueraded
            .iter()
            .map(|(protocol, address, ..)| (*address, *protocol))
            .collect();
        masqueraded_addresses.sort_unstable();
        masqueraded_addresses.dedup();
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
        let mut vips: Vec<_> = by_address
            .iter()
            .map(|(protocol, address, ..)| (*address, *protocol))
            .collect();
        vips.sort_unstable();
        vips.dedup();
        Snapshot {
            generation,
            config: config.clone(),
            network: network.clone(),
            loads: planner.loads.clone(),
            paths: planner.paths.clone(),
            memory: planner.memory.clone(),
            lifetimes: Lifetimes::new(&config.timeouts()),
            by_address: EndTable::new(&by_address, planner.seed),
            masqueraded: EndTable::new(&masqueraded, planner.seed),
            masqueraded_addresses,
            tunnels: EndTable::new(&tunnels, planner.seed),
            serves_ipv4: vips.iter().any(|(vip, _)| vip.is_ipv4()),
            serves_ipv6: vips.iter().any(|(vip, _)| vip.is_ipv6()),
            vips,
            services: self.services,
            real_servers: self.real_servers,
            seed: planner.seed,
            shards: planner.limits.shards.max(1),
        }
    }
}
