//! The world a class plays in: one service of sixteen real servers, clients
//! behind a router, two NICs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use lvs_core::network::{Interface, Neighbour, Route, Way as RouteWay};
use lvs_core::packet::Mac;
use lvs_core::{Config, Limits, Network, Planner, Port, RealServer, Scheduler, Service, Snapshot};

use crate::class::{Class, REAL_SERVER_PORT, REAL_SERVERS, SERVICE_PORT, Transport, Way};

/// The director's own link addresses: towards clients, towards real servers.
pub const DIRECTOR_MACS: [Mac; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
/// The link address of the router before the clients.
pub const CLIENT_ROUTER_MAC: Mac = [2, 0, 0, 0, 1, 1];
/// The link address of every real server: which one it is does not matter here.
pub const REAL_SERVER_MAC: Mac = [2, 0, 0, 0, 2, 1];
/// Seed of all hashes.
pub const SEED: u64 = 0x5eed;

/// What a director of one shard needs for `class`.
///
/// # Panics
///
/// Never: configuration and network are fixed and fit.
#[must_use]
pub fn plan(class: Class) -> (Limits, Arc<Snapshot>) {
    let limits = Limits {
        seed: SEED,
        ..Limits::default()
    };
    let address = SocketAddr::new(class.vip(), SERVICE_PORT);
    let service = match class.transport {
        Transport::Tcp => Service::tcp(address, Scheduler::RoundRobin),
        Transport::Udp => Service::udp(address, Scheduler::RoundRobin),
    };
    let service = (0..REAL_SERVERS).fold(service, |service, index| {
        let rip = class.rip(index);
        service.real_server(match class.way {
            Way::DirectRoute => RealServer::direct_route(rip),
            Way::Tunnel => RealServer::tunnel(rip),
            Way::MasqueradeRequest | Way::MasqueradeReply => {
                RealServer::masquerade(SocketAddr::new(rip, REAL_SERVER_PORT))
            }
        })
    });
    let config = Config::new([service]).expect("one service, checked by hand");
    let snapshot = Planner::new(limits)
        .plan(&config, &Arc::new(network(class)))
        .expect("one service fits");
    (limits, snapshot)
}

fn network(class: Class) -> Network {
    let interfaces = [0, 1].map(|port: u8| Interface {
        mac: DIRECTOR_MACS[usize::from(port)],
        mtu: 9000,
        ipv4: Some(Ipv4Addr::new(10, 0, port, 1)),
        ipv6: Some(Ipv6Addr::new(
            0x2001,
            0xdb8,
            0x20,
            u16::from(port),
            0,
            0,
            0,
            1,
        )),
    });
    let (anywhere, router, length): (IpAddr, IpAddr, u8) = if class.vip().is_ipv4() {
        (
            Ipv4Addr::UNSPECIFIED.into(),
            Ipv4Addr::new(10, 0, 0, 254).into(),
            24,
        )
    } else {
        let router = Ipv6Addr::new(0x2001, 0xdb8, 0x20, 1, 0, 0, 0, 0xfe);
        (Ipv6Addr::UNSPECIFIED.into(), router.into(), 64)
    };
    let out = |prefix, length, port, gateway| Route {
        prefix,
        length,
        way: RouteWay::Out {
            port: Port(port),
            vlan: None,
            gateway,
            source: None,
            mtu: None,
        },
    };
    let routes = [
        out(anywhere, 0, 0, Some(router)),
        out(class.rip(0), length, 1, None),
        Route::local(class.vip()),
    ];
    let router = Neighbour {
        address: router,
        port: Port(0),
        vlan: None,
        mac: CLIENT_ROUTER_MAC,
    };
    let real_servers = (0..REAL_SERVERS).map(|index| Neighbour {
        address: class.rip(index),
        port: Port(1),
        vlan: None,
        mac: REAL_SERVER_MAC,
    });
    Network::new(interfaces.to_vec(), routes, real_servers.chain([router]))
}
