//! What the fuzz targets do with their input, whoever feeds them.
//!
//! Each takes any bytes, reads from them what to do, and panics when the core
//! does what it must not.

pub(crate) mod icmp_error;
pub(crate) mod input;
pub(crate) mod parse;
pub(crate) mod rewrite;
pub(crate) mod shard_ops;

use lvs_core::{Config, ForwardingMethod, Limits, Line, Protocol, RealServer, Service};

use crate::common::bed::{self, Bed};
use crate::common::place::{FAMILIES, Family, Wiring};

/// A small director: few services fit, so that limits are met.
const LIMITS: Limits = Limits {
    shards: 1,
    services: 6,
    real_servers: 16,
    seed: 77,
};

/// Every way to a real server.
const METHODS: [ForwardingMethod; 4] = [
    ForwardingMethod::Masquerade { port: 8080 },
    ForwardingMethod::Masquerade { port: 0 },
    ForwardingMethod::DirectRoute,
    ForwardingMethod::Tunnel,
];

/// A real server by a method.
fn real_server(w: Family, number: u8, method: ForwardingMethod) -> RealServer {
    match method {
        ForwardingMethod::Masquerade { port } => RealServer::masquerade(w.real_at(number, port)),
        ForwardingMethod::DirectRoute => RealServer::direct_route(w.real(number)),
        ForwardingMethod::Tunnel => RealServer::tunnel(w.real(number)),
    }
}

/// Memory for one small shard.
fn memory() -> Vec<Vec<Line>> {
    bed::memory(1, 8)
}

/// A director that serves TCP and UDP of both families by one method.
fn director<'m>(memory: &'m mut [Vec<Line>], method: ForwardingMethod, wiring: &Wiring) -> Bed<'m> {
    let services: Vec<Service> = FAMILIES
        .into_iter()
        .flat_map(|w| [(w, Protocol::Tcp), (w, Protocol::Udp)])
        .map(|(w, protocol)| w.service(protocol).real_server(real_server(w, 11, method)))
        .collect();
    let config = Config::new(services).expect("a valid configuration");
    Bed::with(memory, config, wiring.network(), LIMITS)
}
