//! How a director is.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use lvs_core::ServiceKey;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Service, Traffic};
use crate::control::Operator;
use crate::director::{self, RealServerStats};
use crate::ipvsadm::{self, Control};

/// How a director is, and what it has done since it began.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// Of the program.
    pub version: String,
    /// For how long it has been directing, seconds.
    pub uptime: u64,
    /// How frames travel on each NIC, and why: a sentence each.
    pub nics: Vec<String>,
    /// Real servers that cannot be sent to now, and why: a sentence each.
    pub unreachable: Vec<String>,
    /// What passed at all services since the counters were zeroed.
    pub traffic: Traffic,
    /// What passes in a second.
    pub rates: Traffic,
    /// Packets by what became of them.
    pub packets: Verdicts,
    /// Packets dropped, by reason; those that never happened are left out.
    pub drops: BTreeMap<String, u64>,
    /// Connections, over all workers.
    pub connections: Headroom,
    /// Each worker, by its number.
    pub workers: Vec<Worker>,
    /// As `/v1/services` has them, but that traffic is as of now, and since the
    /// director began.
    pub services: Vec<Service>,
}

/// Packets by what became of them; one that is handed to another worker has a
/// verdict of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdicts {
    /// Sent on.
    pub transmitted: u64,
    /// Left to the host.
    pub host: u64,
    /// Handed to the worker whose connection it is.
    pub handed_off: u64,
    /// Fragments held until their datagram is whole.
    pub held: u64,
    /// Dropped.
    pub dropped: u64,
}

/// Connections, and how many there is room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Headroom {
    /// Held now, those of clients remembered included.
    pub held: u64,
    /// That can be held.
    pub capacity: u64,
    /// Begun so far.
    pub opened: u64,
    /// Ended so far.
    pub closed: u64,
}

/// What a worker does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Worker {
    /// The part of its time that it had work, from 0 to 1, in the last seconds.
    pub load: f64,
    /// Packets it had a verdict on.
    pub packets: u64,
    /// Packets it handed to others.
    pub handed_off: u64,
    /// Packets lost on their way in, out and between workers.
    pub lost: u64,
    /// Connections it holds.
    pub connections: u64,
    /// Connections it can hold.
    pub capacity: u64,
    /// Turns of its main loop that had work.
    pub turn: Latency,
    /// The turn that began a connection, once a connection.
    pub connection_setup: Latency,
}

/// How long something took, nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// How many times.
    pub count: u64,
    /// Half of all times at most.
    pub median: u64,
    /// 99 of a hundred times at most.
    pub p99: u64,
    /// Always at most.
    pub longest: u64,
}

impl From<&director::Latency> for Latency {
    fn from(of: &director::Latency) -> Self {
        let quantile = |part| of.quantile(part).as_nanos().try_into().unwrap_or(u64::MAX);
        Self {
            count: of.count(),
            median: quantile(0.5),
            p99: quantile(0.99),
            longest: quantile(1.0),
        }
    }
}

impl From<&Operator> for Status {
    fn from(of: &Operator) -> Self {
        let director = of.director();
        let stats = director.stats();
        let shards = &stats.shards;
        let loads = of.worker_loads().iter().chain(std::iter::repeat(&0.0));
        let workers = stats.per_worker.iter().zip(&stats.per_worker_latency);
        let workers = workers
            .zip(loads)
            .map(|((counters, latency), load)| Worker {
                load: *load,
                packets: counters.packets,
                handed_off: counters.handed_off,
                lost: counters.drops().map(|(_, count)| count).sum(),
                connections: counters.connections,
                capacity: counters.capacity,
                turn: (&latency.turn).into(),
                connection_setup: (&latency.connection_setup).into(),
            });
        let total = of.total();
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime: of.uptime().as_secs(),
            nics: director.ways(),
            unreachable: director.unreachable(),
            traffic: total.traffic().into(),
            rates: total.rates().into(),
            packets: Verdicts {
                transmitted: shards.transmitted,
                host: shards.host,
                handed_off: shards.handed_off,
                held: shards.held,
                dropped: shards.all_dropped(),
            },
            drops: stats
                .drops()
                .map(|(reason, count)| (reason.to_owned(), count))
                .collect(),
            connections: Headroom {
                held: stats.workers.connections,
                capacity: stats.workers.capacity,
                opened: shards.opened,
                closed: shards.closed,
            },
            workers: workers.collect(),
            services: live(of.services(), &stats.real_servers),
        }
    }
}

/// Services with what has passed by now.
fn live(listed: Vec<ipvsadm::Service>, now: &[RealServerStats]) -> Vec<Service> {
    let now: HashMap<(ServiceKey, SocketAddr), Traffic> = now
        .iter()
        .map(|it| ((it.service, it.address), it.traffic.into()))
        .collect();
    let mut services: Vec<Service> = listed.into_iter().map(Service::from).collect();
    for service in &mut services {
        service.traffic = Traffic::default();
        for it in service.real_servers.iter_mut().flatten() {
            let passed = now.get(&(service.service, it.address));
            it.traffic = passed.copied().unwrap_or_default();
            service.traffic.add(&it.traffic);
        }
    }
    services
}
