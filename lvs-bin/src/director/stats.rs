//! What a director has done: [`DirectorStats`].

use std::fmt;
use std::net::SocketAddr;

use lvs_core::{
    DropReason, ForwardingMethod, Loads, RealServer, RealServerId, Service, ServiceKey, Snapshot,
    Stats, Traffic,
};

use super::counters::WorkerCounters;
use super::latency::{Latency, WorkerLatency};

/// Counters of a director.
///
/// Connections of a real server are as of when they were asked for. A worker
/// publishes the others before it rests, but not twice within a millisecond, and
/// else every tenth of a second.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DirectorStats {
    /// Verdicts and connections of all shards together.
    pub shards: Stats,
    /// What the workers did besides, together.
    pub workers: WorkerCounters,
    /// The same for each worker.
    pub per_worker: Vec<WorkerCounters>,
    /// How long what the workers do takes, together.
    pub latency: WorkerLatency,
    /// The same for each worker.
    pub per_worker_latency: Vec<WorkerLatency>,
    /// Each real server, in the order of the configuration.
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
    /// Clients remembered.
    pub persistent: u32,
    /// What has passed.
    pub traffic: Traffic,
}

impl DirectorStats {
    /// Packets dropped, by reason: the shards' reasons, the workers' and the
    /// kernel's on their queues.
    pub fn drop_reasons(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let decided = DropReason::ALL
            .into_iter()
            .map(|reason| (reason.name(), self.shards.dropped(reason)));
        decided.chain(self.workers.drops())
    }

    /// The same without those that never happened.
    pub fn drops(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.drop_reasons().filter(|(_, count)| *count > 0)
    }
}

/// What each real server has and had to do, in the order of the configuration.
pub(super) fn real_servers(
    snapshot: &Snapshot,
    loads: &Loads,
    shards: &Stats,
) -> Vec<RealServerStats> {
    let row = |(service, real_server, id): (&Service, &RealServer, RealServerId)| {
        let port = real_server.port_in(&service.key);
        let (active, inactive) = loads.connections(id);
        RealServerStats {
            service: service.key,
            address: SocketAddr::new(real_server.address, port),
            forwarding: real_server.forwarding,
            weight: real_server.share().get(),
            active,
            inactive,
            persistent: loads.templates(id),
            traffic: shards.traffic(id),
        }
    };
    snapshot.configured().map(row).collect()
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
        if shards.held > 0 || shards.cut > 0 {
            writeln!(
                f,
                "fragments held {}: joined {}, given up {}; packets cut {}; pieces sent {}",
                shards.held, shards.joined, shards.given_up, shards.cut, self.workers.pieces,
            )?;
        }
        for (reason, count) in self.drops() {
            writeln!(f, "  dropped {reason}: {count}")?;
        }
        writeln!(
            f,
            "connections {}: opened {}, closed {}",
            self.workers.connections, shards.opened, shards.closed
        )?;
        took(f, "turns with work", &self.latency.turn)?;
        took(f, "connection setups", &self.latency.connection_setup)?;
        if !self.real_servers.is_empty() {
            let columns = [
                "forward",
                "weight",
                "active",
                "inactive",
                "packets in",
                "out",
            ];
            row(f, "service", columns)?;
        }
        let mut service = None;
        for server in &self.real_servers {
            if service != Some(server.service) {
                service = Some(server.service);
                writeln!(f, "{}", server.service)?;
            }
            let columns = [
                method(server.forwarding).to_owned(),
                server.weight.to_string(),
                server.active.to_string(),
                server.inactive.to_string(),
                server.traffic.packets_in.to_string(),
                server.traffic.packets_out.to_string(),
            ];
            row(f, &format!("  -> {}", server.address), columns)?;
        }
        Ok(())
    }
}

/// A line on how long something took, if it ever happened.
fn took(f: &mut fmt::Formatter<'_>, what: &str, latency: &Latency) -> fmt::Result {
    if latency.count() == 0 {
        return Ok(());
    }
    let [half, most, longest] = [0.5, 0.99, 1.0].map(|part| latency.quantile(part));
    writeln!(
        f,
        "{what} {}: half within {half:?}, 99 % within {most:?}, all within {longest:?}",
        latency.count(),
    )
}

/// A line of the table of real servers.
fn row(f: &mut fmt::Formatter<'_>, name: &str, columns: [impl fmt::Display; 6]) -> fmt::Result {
    let [forward, weight, active, inactive, packets_in, out] = columns;
    writeln!(
        f,
        "{name:<33} {forward:<7} {weight:>10} {active:>10} {inactive:>10} {packets_in:>12} {out:>12}",
    )
}

/// The forwarding method as ipvsadm names it in listings.
const fn method(forwarding: ForwardingMethod) -> &'static str {
    match forwarding {
        ForwardingMethod::Masquerade => "Masq",
        ForwardingMethod::DirectRoute => "Route",
        ForwardingMethod::Tunnel(_) => "Tunnel",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_headings() {
        let service = lvs_core::Service::tcp(
            "192.0.2.10:80".parse().unwrap(),
            lvs_core::Scheduler::RoundRobin,
        );
        let stats = DirectorStats {
            shards: Stats::new(1),
            workers: WorkerCounters::default(),
            per_worker: Vec::new(),
            latency: WorkerLatency::default(),
            per_worker_latency: Vec::new(),
            real_servers: vec![RealServerStats {
                service: service.key(),
                address: "10.0.0.11:8080".parse().unwrap(),
                forwarding: ForwardingMethod::Masquerade,
                weight: 1,
                active: 2,
                inactive: 20,
                persistent: 0,
                traffic: Traffic {
                    packets_in: 120,
                    packets_out: 80,
                    ..Traffic::default()
                },
            }],
        };
        assert_eq!(
            stats.to_string(),
            "\
packets 0: transmitted 0 (answers 0), host 0, handed off 0, dropped 0
connections 0: opened 0, closed 0
service                           forward     weight     active   inactive   packets in          out
TCP 192.0.2.10:80
  -> 10.0.0.11:8080               Masq             1          2         20          120           80
"
        );
    }
}
