//! What a director has done: [`DirectorStats`].

use std::fmt;
use std::net::SocketAddr;

use lvs_core::{DropReason, ForwardingMethod, ServiceKey, Stats, Traffic};

use super::counters::WorkerCounters;

/// Counters of a director, at most a tenth of a second old.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DirectorStats {
    /// Verdicts and connections of all shards together.
    pub shards: Stats,
    /// What the workers did besides, together.
    pub workers: WorkerCounters,
    /// The same for each worker.
    pub per_worker: Vec<WorkerCounters>,
    /// Each real server, services in the order of the configuration.
    pub real_servers: Vec<RealServerStats>,
}

/// What a real server has and had to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RealServerStats {
    /// Of which service.
    pub service: ServiceKey,
    /// Where it is.
    pub address: SocketAddr,
    /// How packets reach it.
    pub forwarding: ForwardingMethod,
    /// Its weight.
    pub weight: u32,
    /// Connections in an active state.
    pub active: u32,
    /// Other connections.
    pub inactive: u32,
    /// What has passed.
    pub traffic: Traffic,
}

impl DirectorStats {
    /// Packets dropped, by reason, without those that never happened: the
    /// shards' reasons, the workers' and the kernel's on their queues.
    pub fn drops(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let decided = DropReason::ALL
            .into_iter()
            .map(|reason| (reason.name(), self.shards.dropped(reason)));
        let workers = &self.workers;
        let carried = [
            ("give_back_refused", workers.give_back_refused),
            ("handoff_full", workers.handoff_full),
            ("no_chunk", workers.no_chunk),
            ("transmit_full", workers.transmit_full),
            ("no_such_port", workers.no_such_port),
            ("receive_ring_full", workers.receive_ring_full),
            ("fill_ring_empty", workers.fill_ring_empty),
            ("invalid", workers.invalid),
        ];
        decided.chain(carried).filter(|(_, count)| *count > 0)
    }
}

/// A table for people; columns as in `ipvsadm -L --stats`.
impl fmt::Display for DirectorStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shards = &self.shards;
        writeln!(
            f,
            "packets {}: transmitted {} (answers {}), host {}, handed off {}, dropped {}",
            shards.packets,
            shards.transmitted,
            shards.answers,
            shards.host,
            shards.handed_off,
            shards.all_dropped(),
        )?;
        for (reason, count) in self.drops() {
            writeln!(f, "  dropped {reason}: {count}")?;
        }
        writeln!(
            f,
            "connections {}: opened {}, closed {}",
            self.workers.connections, shards.opened, shards.closed
        )?;
        let mut service = None;
        for row in &self.real_servers {
            if service != Some(row.service) {
                service = Some(row.service);
                writeln!(f, "{}", row.service)?;
            }
            writeln!(
                f,
                "  -> {:<28} {:<7} {:>6} {:>10} {:>10} {:>12} {:>12}",
                row.address.to_string(),
                method(row.forwarding),
                row.weight,
                row.active,
                row.inactive,
                row.traffic.packets_in,
                row.traffic.packets_out,
            )?;
        }
        Ok(())
    }
}

/// The forwarding method as ipvsadm names it in listings.
const fn method(forwarding: ForwardingMethod) -> &'static str {
    match forwarding {
        ForwardingMethod::Masquerade => "Masq",
        ForwardingMethod::DirectRoute => "Route",
        ForwardingMethod::Tunnel(_) => "Tunnel",
    }
}
