//! What the fuzz targets do with their input, whoever feeds them.
//!
//! Each takes any bytes, reads from them what to do, and panics when the core
//! does what it must not.

pub(crate) mod fragments;
pub(crate) mod icmp_error;
pub(crate) mod input;
pub(crate) mod parse;
pub(crate) mod rewrite;
pub(crate) mod shard_ops;

use lvs_core::config::GueChecksum;
use lvs_core::{
    Config, ForwardingMethod, FragmentLimits, Limits, Line, Protocol, RealServer, Service, Tunnel,
};

use crate::common::bed::{self, Bed};
use crate::common::place::{FAMILIES, Family, Wiring};

/// A small director: few services fit, so that limits are met.
const LIMITS: Limits = Limits {
    shards: 1,
    services: 6,
    real_servers: 16,
    fragments: FragmentLimits {
        // The least there is.
        memory: 0,
        ..FragmentLimits::LINUX
    },
    seed: 77,
};

/// A way to a real server: the method, and the port of a masqueraded one.
type Way = (ForwardingMethod, u16);

/// Every way to a real server.
const WAYS: [Way; 8] = [
    (ForwardingMethod::Masquerade, 8080),
    (ForwardingMethod::Masquerade, 0),
    (ForwardingMethod::DirectRoute, 0),
    (ForwardingMethod::Tunnel(Tunnel::Ipip), 0),
    (gue(GueChecksum::None), 0),
    (gue(GueChecksum::Full), 0),
    (gre(false), 0),
    (gre(true), 0),
];

/// Where GUE tunnels end.
const GUE_PORT: u16 = 6080;

const fn gue(checksum: GueChecksum) -> ForwardingMethod {
    let port = GUE_PORT;
    ForwardingMethod::Tunnel(Tunnel::Gue { port, checksum })
}

const fn gre(checksum: bool) -> ForwardingMethod {
    ForwardingMethod::Tunnel(Tunnel::Gre { checksum })
}

/// A real server that is reached so.
fn real_server(w: Family, number: u8, (method, port): Way) -> RealServer {
    RealServer::new(w.real_at(number, port), method)
}

/// Memory for one small shard.
fn memory() -> Vec<Vec<Line>> {
    bed::memory(1, 8)
}

/// A director that serves TCP and UDP of both families in one way.
fn director<'m>(memory: &'m mut [Vec<Line>], way: Way, wiring: &Wiring) -> Bed<'m> {
    let services: Vec<Service> = FAMILIES
        .into_iter()
        .flat_map(|w| [(w, Protocol::Tcp), (w, Protocol::Udp)])
        .map(|(w, protocol)| w.service(protocol).real_server(real_server(w, 11, way)))
        .collect();
    let config = Config::new(services).expect("a valid configuration");
    Bed::with(memory, config, wiring.network(), LIMITS)
}
