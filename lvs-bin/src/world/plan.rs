//! [`Plan`]: what a world is to look like, and who has which address in it.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use lvs_core::config::{RealServer, Scheduler, Service};

use super::address::{DIRECTOR, FIRST_REAL_SERVER, Family, Lan, Port, VIP};

/// What a world is to look like. Every world speaks IPv4 and IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How real servers are reached.
    pub method: Method,
    /// How the director is connected.
    pub layout: Layout,
    /// How many real servers, 1 to 80.
    pub real_servers: u8,
    /// Whether a router stands between the client and the director; without,
    /// the client is on the director's link.
    pub router: bool,
    /// Queues of every link, at least 1. A flow keeps its queue's number from
    /// link to link, so all links have the same.
    pub queues: u32,
    /// MTU of every link, in bytes, at least 1280.
    pub mtu: u32,
    /// Whether the real servers keep silent when somebody asks who has the
    /// VIP (`arp_ignore`, `arp_announce`), as they must.
    pub quiet: bool,
}

/// How real servers are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Rewriting, to other ports as well; the real servers' way out is the
    /// director.
    Masquerade,
    /// Direct routing; the real servers have the VIP on `lo`.
    DirectRoute,
    /// IP in IP; the real servers have the VIP on `lo`.
    Tunnel,
}

/// How the director is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// One link, on which everybody is.
    OneArmed,
    /// A link to the outside and another to the real servers. The outside has
    /// a way to the real servers past the director, unless they masquerade.
    TwoArmed,
}

impl Plan {
    /// The usual world for a method: two real servers, one queue, MTU 1500, a
    /// router; two-armed for masquerading, else one-armed.
    #[must_use]
    pub const fn new(method: Method) -> Self {
        Self {
            method,
            layout: match method {
                Method::Masquerade => Layout::TwoArmed,
                Method::DirectRoute | Method::Tunnel => Layout::OneArmed,
            },
            real_servers: 2,
            router: true,
            queues: 1,
            mtu: 1500,
            quiet: true,
        }
    }

    /// The address that clients connect to.
    #[must_use]
    pub const fn vip(family: Family) -> IpAddr {
        Lan::Front.host(family, VIP)
    }

    /// The HTTP service: port 80, TCP.
    #[must_use]
    pub const fn web(family: Family) -> SocketAddr {
        SocketAddr::new(Self::vip(family), Port::Web.at_vip())
    }

    /// The echo service: port 7, TCP and UDP.
    #[must_use]
    pub const fn echo(family: Family) -> SocketAddr {
        SocketAddr::new(Self::vip(family), Port::Echo.at_vip())
    }

    /// The address (RIP) of real server `index`, from 0.
    #[must_use]
    pub const fn rip(&self, index: u8, family: Family) -> IpAddr {
        self.server_lan().host(family, FIRST_REAL_SERVER + index)
    }

    /// The director's address on the link to the outside.
    #[must_use]
    pub const fn dip(family: Family) -> IpAddr {
        Lan::Front.host(family, DIRECTOR)
    }

    /// The director's links: `front0`, and if it has two arms `back0`.
    #[must_use]
    pub const fn director_links(&self) -> &'static [&'static str] {
        match self.layout {
            Layout::OneArmed => &["front0"],
            Layout::TwoArmed => &["front0", "back0"],
        }
    }

    /// The services of the world, of both families: HTTP, and echo over TCP
    /// and UDP, each with all real servers at weight 1.
    #[must_use]
    pub fn services(&self, scheduler: Scheduler) -> Vec<Service> {
        let mut services = Vec::new();
        for family in Family::BOTH {
            for (port, bare) in [
                (Port::Web, Service::tcp(Self::web(family), scheduler)),
                (Port::Echo, Service::tcp(Self::echo(family), scheduler)),
                (Port::Echo, Service::udp(Self::echo(family), scheduler)),
            ] {
                services.push((0..self.real_servers).fold(bare, |service, index| {
                    service.real_server(self.real_server(index, family, port))
                }));
            }
        }
        services
    }

    /// Where the programs of real server `index` listen for `port`.
    pub(super) const fn listens(&self, index: u8, family: Family, port: Port) -> SocketAddr {
        match self.method {
            Method::Masquerade => SocketAddr::new(self.rip(index, family), port.at_rip()),
            // They have the VIP themselves, and the packet is as it was sent.
            Method::DirectRoute | Method::Tunnel => {
                SocketAddr::new(Self::vip(family), port.at_vip())
            }
        }
    }

    /// The network of the real servers' own addresses.
    pub(super) const fn server_lan(&self) -> Lan {
        match self.layout {
            Layout::OneArmed => Lan::Front,
            Layout::TwoArmed => Lan::Back,
        }
    }

    /// Refuses what cannot be built, or could not work if it were.
    pub(super) fn check(&self) -> io::Result<()> {
        let refuse = |rule| Err(io::Error::new(io::ErrorKind::InvalidInput, rule));
        if !(1..=80).contains(&self.real_servers) {
            return refuse("a world has 1 to 80 real servers");
        }
        if self.queues == 0 || self.mtu < 1280 {
            return refuse("a link has at least one queue, and an MTU of at least 1280");
        }
        if self.method == Method::Masquerade && self.layout == Layout::OneArmed && !self.router {
            return refuse(
                "masquerading real servers on the client's own link would answer past the director",
            );
        }
        Ok(())
    }

    fn real_server(&self, index: u8, family: Family, port: Port) -> RealServer {
        let rip = self.rip(index, family);
        match self.method {
            Method::Masquerade => RealServer::masquerade((rip, port.at_rip()).into()),
            Method::DirectRoute => RealServer::direct_route(rip),
            Method::Tunnel => RealServer::tunnel(rip),
        }
    }
}

impl Method {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Masquerade, Self::DirectRoute, Self::Tunnel];
}

impl FromStr for Method {
    type Err = UnknownMethod;

    /// Reads a method as people call it: its own name, the short one, or
    /// ipvsadm's letter.
    fn from_str(word: &str) -> Result<Self, UnknownMethod> {
        match word {
            "masquerade" | "nat" | "m" => Ok(Self::Masquerade),
            "direct-route" | "dr" | "g" => Ok(Self::DirectRoute),
            "tunnel" | "tun" | "i" => Ok(Self::Tunnel),
            _ => Err(UnknownMethod),
        }
    }
}

/// A word that is no forwarding method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownMethod;

impl fmt::Display for UnknownMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a forwarding method: masquerade (nat), direct-route (dr) or tunnel (tun)")
    }
}

impl std::error::Error for UnknownMethod {}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Masquerade => "masquerade",
            Self::DirectRoute => "direct-route",
            Self::Tunnel => "tunnel",
        })
    }
}

#[cfg(test)]
mod tests {
    use lvs_core::config::Config;

    use super::*;

    #[test]
    fn services_of_every_plan_are_a_configuration() {
        for method in Method::ALL {
            let plan = Plan::new(method);
            let services = plan.services(Scheduler::RoundRobin);
            assert_eq!(services.len(), 6);
            assert!(
                services
                    .iter()
                    .all(|service| service.real_servers.len() == 2)
            );
            Config::new(services).unwrap();
        }
    }

    #[test]
    fn methods_are_read_as_they_are_written() {
        for method in Method::ALL {
            assert_eq!(method.to_string().parse(), Ok(method));
        }
        assert_eq!("nat".parse(), Ok(Method::Masquerade));
        assert_eq!("NAT".parse::<Method>(), Err(UnknownMethod));
    }

    #[test]
    fn masqueraded_real_servers_are_at_other_ports() {
        let plan = Plan::new(Method::Masquerade);
        let web = &plan.services(Scheduler::RoundRobin)[0];
        assert_eq!(web.key.address(), Some("192.0.2.100:80".parse().unwrap()));
        assert_eq!(
            web.real_servers[1],
            RealServer::masquerade("10.0.0.12:8080".parse().unwrap())
        );
    }

    #[test]
    fn what_could_not_work_is_refused() {
        let plan = Plan {
            layout: Layout::OneArmed,
            router: false,
            ..Plan::new(Method::Masquerade)
        };
        assert_eq!(
            plan.check().unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
        assert!(
            Plan {
                router: true,
                ..plan
            }
            .check()
            .is_ok()
        );
        assert!(
            Plan {
                real_servers: 0,
                ..plan
            }
            .check()
            .is_err()
        );
    }
}
