//! Setting connections up: what choosing a real server costs, by scheduler,
//! number of real servers and number of shards.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use lvs_core::network::{Interface, Neighbour, Route, Way as RouteWay};
use lvs_core::{Config, Limits, Network, Planner, Port, RealServer, Scheduler, Service, Snapshot};

use crate::class::{Class, Family, SERVICE_PORT, Way};
use crate::world::{CLIENT_ROUTER_MAC, DIRECTOR_MACS, REAL_SERVER_MAC, SEED};

/// A scheduler and what it has to choose from.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// The rule.
    pub scheduler: Scheduler,
    /// How many real servers, up to 4000.
    pub real_servers: u16,
    /// How many shards count the connections of each. One of them is measured.
    pub shards: u8,
}

impl Setup {
    /// Every one that is measured.
    pub fn all() -> impl Iterator<Item = Self> {
        Scheduler::ALL.into_iter().flat_map(|scheduler| {
            [(100, 1), (100, 8), (1000, 1), (1000, 8)].map(|(real_servers, shards)| Self {
                scheduler,
                real_servers,
                shards,
            })
        })
    }

    /// The packets by which connections begin.
    #[must_use]
    pub const fn class() -> Class {
        Class::short_tcp(Way::DirectRoute, Family::V4)
    }

    /// What a director with this scheduler needs.
    ///
    /// # Panics
    ///
    /// Never: configuration and network are fixed and fit.
    #[must_use]
    pub fn plan(&self) -> (Limits, Arc<Snapshot>) {
        let limits = Limits {
            shards: self.shards,
            seed: SEED,
            ..Limits::default()
        };
        let address = SocketAddr::new(Self::class().vip(), SERVICE_PORT);
        let service =
            (0..self.real_servers).fold(Service::tcp(address, self.scheduler), |service, index| {
                let real_server = RealServer::direct_route(rip(index));
                service.real_server(real_server.weight(self.weight(index)))
            });
        let config = Config::new([service]).expect("one service, checked by hand");
        let snapshot = Planner::new(limits)
            .plan(&config, &Arc::new(self.network()))
            .expect("one service fits");
        (limits, snapshot)
    }

    /// Seven weights side by side. Under `ovf`, which serves nobody past them,
    /// they are as large as the connections are many.
    const fn weight(&self, index: u16) -> u32 {
        let weight = 1 + index as u32 % 7;
        match self.scheduler {
            Scheduler::WeightedOverflow => 1000 * weight,
            _ => weight,
        }
    }

    fn network(&self) -> Network {
        let interfaces = [0, 1].map(|port: u8| Interface {
            mac: DIRECTOR_MACS[usize::from(port)],
            mtu: 9000,
            ipv4: Some(Ipv4Addr::new(10, 0, port, 1)),
            ipv6: None,
        });
        let router: IpAddr = Ipv4Addr::new(10, 0, 0, 254).into();
        let out = |prefix: Ipv4Addr, length, port, gateway| Route {
            prefix: prefix.into(),
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
            out(Ipv4Addr::UNSPECIFIED, 0, 0, Some(router)),
            out(Ipv4Addr::new(10, 1, 0, 0), 16, 1, None),
            Route::local(Self::class().vip()),
        ];
        let neighbour = |address, port, mac| Neighbour {
            address,
            port: Port(port),
            vlan: None,
            mac,
        };
        let real_servers =
            (0..self.real_servers).map(|index| neighbour(rip(index), 1, REAL_SERVER_MAC));
        let router = neighbour(router, 0, CLIENT_ROUTER_MAC);
        Network::new(interfaces.to_vec(), routes, real_servers.chain([router]))
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            scheduler,
            real_servers,
            shards,
        } = self;
        write!(f, "{}/{real_servers}rs/{shards}shards", scheduler.name())
    }
}

/// The address of real server `index`: 10.1.0.1 and on.
const fn rip(index: u16) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(0x0a01_0001 + index as u32))
}

/// Connections that begin before all are ended and begin anew.
pub const SETUP_FLOWS: u32 = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::director::Lvs;
    use crate::run::Run;
    use lvs_core::{Line, Shard};

    #[test]
    fn every_packet_of_every_setup_is_sent_on() {
        let mut memory: Vec<Line> = vec![[0; 8]; Shard::memory_for(SETUP_FLOWS as usize)];
        for setup in Setup::all() {
            let lvs = Lvs::with_plan(setup.plan(), &mut memory);
            // All there are, and some of the next round.
            let packets = u64::from(SETUP_FLOWS) * 9 / 8;
            Run::beginning(Setup::class(), SETUP_FLOWS, lvs).time(packets);
        }
    }
}
