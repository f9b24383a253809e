//! Configurations as large as directors have them, and changes of them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use lvs_core::network::{Interface, Neighbour, Route, Way};
use lvs_core::{Config, Limits, Network, Port, RealServer, Scheduler, Service};

use crate::world::{CLIENT_ROUTER_MAC, DIRECTOR_MACS, SEED};

/// How many services there are, each with as many real servers.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Services, up to 65,536.
    pub services: u32,
    /// Real servers of each; with the services no more than 4 million.
    pub real_servers: u32,
}

impl Size {
    /// Every one that is measured.
    pub const ALL: [Self; 2] = [Self::of(1_000), Self::of(10_000)];

    const fn of(services: u32) -> Self {
        Self {
            services,
            real_servers: 10,
        }
    }

    /// The limits of a director that has room for it.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            services: self.services as usize,
            real_servers: (self.services * self.real_servers) as usize,
            seed: SEED,
            ..Limits::default()
        }
    }

    /// The services, under schedulers in turn and every third one masqueraded, the
    /// real server number `lighter` of the middle one with half its weight.
    #[must_use]
    pub fn services(&self, lighter: Option<u32>) -> Vec<Service> {
        let service = |at| {
            let vip = SocketAddr::new(vip(at), 80);
            let scheduler = SCHEDULERS[at as usize % SCHEDULERS.len()];
            (0..self.real_servers).fold(Service::tcp(vip, scheduler), |service, index| {
                let address = rip(at * self.real_servers + index);
                let real_server = match at % 3 {
                    0 => RealServer::masquerade(SocketAddr::new(address, 8080)),
                    _ => RealServer::direct_route(address),
                };
                let is_lighter = at == self.services / 2 && lighter == Some(index);
                service.real_server(real_server.weight(if is_lighter { 50 } else { 100 }))
            })
        };
        (0..self.services).map(service).collect()
    }

    /// The services as a configuration.
    ///
    /// # Panics
    ///
    /// Never: no two are alike.
    #[must_use]
    pub fn config(&self, lighter: Option<u32>) -> Arc<Config> {
        Config::new(self.services(lighter)).expect("no two services are alike")
    }

    /// The VIPs, and a gateway by which all real servers are reached.
    #[must_use]
    pub fn network(&self) -> Arc<Network> {
        let interface = Interface {
            mac: DIRECTOR_MACS[0],
            mtu: 1500,
            ipv4: Some(Ipv4Addr::new(172, 16, 0, 1)),
            ipv6: None,
        };
        let router: IpAddr = Ipv4Addr::new(172, 16, 0, 254).into();
        let everywhere = Route {
            prefix: Ipv4Addr::UNSPECIFIED.into(),
            length: 0,
            way: Way::Out {
                port: Port(0),
                vlan: None,
                gateway: Some(router),
                source: None,
                mtu: None,
            },
        };
        let vips = (0..self.services).map(|at| Route::local(vip(at)));
        let neighbour = Neighbour {
            address: router,
            port: Port(0),
            vlan: None,
            mac: CLIENT_ROUTER_MAC,
        };
        let routes = vips.chain([everywhere]);
        Arc::new(Network::new(vec![interface], routes, [neighbour]))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.services, self.real_servers)
    }
}

/// The address of a service, by its place.
#[must_use]
pub fn vip(service: u32) -> IpAddr {
    Ipv4Addr::from_bits(u32::from_be_bytes([172, 20, 0, 0]) + service).into()
}

fn rip(real_server: u32) -> IpAddr {
    Ipv4Addr::from_bits(u32::from_be_bytes([10, 0, 0, 1]) + real_server).into()
}

/// The most used ones.
const SCHEDULERS: [Scheduler; 5] = [
    Scheduler::RoundRobin,
    Scheduler::WeightedRoundRobin,
    Scheduler::WeightedLeastConnection,
    Scheduler::SourceHashing,
    Scheduler::LeastConnection,
];
