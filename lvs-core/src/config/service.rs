//! A virtual service: one address, protocol and port, its scheduler, and the
//! real servers behind it.

use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};

use super::{ConfigError, ForwardingMethod, RealServer};

/// The transport protocol of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// TCP (RFC 9293), IP protocol 6.
    Tcp,
    /// UDP (RFC 768), IP protocol 17.
    Udp,
}

impl Protocol {
    /// Its number in an IP header.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        })
    }
}

/// Which rule chooses a real server for a new connection.
///
/// The names in brackets are those of ipvsadm. The rules themselves are in
/// `sched/`, one a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheduler {
    /// Each in turn (`rr`).
    RoundRobin,
    /// Each in turn, as often as its weight says (`wrr`).
    WeightedRoundRobin,
    /// The least loaded (`lc`).
    LeastConnection,
    /// The least loaded for its weight (`wlc`).
    #[default]
    WeightedLeastConnection,
    /// By the client's address (`sh`).
    SourceHashing,
    /// By the virtual address (`dh`).
    DestinationHashing,
}

impl Scheduler {
    /// Every scheduler there is, in the order of the documentation.
    pub const ALL: [Self; 6] = [
        Self::RoundRobin,
        Self::WeightedRoundRobin,
        Self::LeastConnection,
        Self::WeightedLeastConnection,
        Self::SourceHashing,
        Self::DestinationHashing,
    ];

    /// Its short name, as in ipvsadm.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "rr",
            Self::WeightedRoundRobin => "wrr",
            Self::LeastConnection => "lc",
            Self::WeightedLeastConnection => "wlc",
            Self::SourceHashing => "sh",
            Self::DestinationHashing => "dh",
        }
    }

    /// The scheduler of this short name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|scheduler| scheduler.name() == name)
    }
}

/// What identifies a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceKey {
    /// Transport protocol.
    pub protocol: Protocol,
    /// Virtual address and port.
    pub address: SocketAddr,
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.protocol, self.address)
    }
}

/// A virtual service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Transport protocol.
    pub protocol: Protocol,
    /// Virtual address (VIP) and port.
    pub address: SocketAddr,
    /// Who chooses the real server of a new connection.
    pub scheduler: Scheduler,
    /// Real servers in the order they were added. A scheduler walks them
    /// newest first, as the kernel does.
    pub real_servers: Vec<RealServer>,
}

impl Service {
    /// A TCP service at `address`, with no real server yet.
    #[must_use]
    pub const fn tcp(address: SocketAddr, scheduler: Scheduler) -> Self {
        Self::new(Protocol::Tcp, address, scheduler)
    }

    /// A UDP service at `address`, with no real server yet.
    #[must_use]
    pub const fn udp(address: SocketAddr, scheduler: Scheduler) -> Self {
        Self::new(Protocol::Udp, address, scheduler)
    }

    /// A service with no real server yet.
    #[must_use]
    pub const fn new(protocol: Protocol, address: SocketAddr, scheduler: Scheduler) -> Self {
        Self {
            protocol,
            address,
            scheduler,
            real_servers: Vec::new(),
        }
    }

    /// The same with one more real server.
    #[must_use]
    pub fn real_server(mut self, real_server: RealServer) -> Self {
        self.real_servers.push(real_server);
        self
    }

    /// The same with weight 0 for every real server at `address`: they take
    /// no new connections and keep those they have.
    #[must_use]
    pub fn drain(mut self, address: IpAddr) -> Self {
        for real_server in self
            .real_servers
            .iter_mut()
            .filter(|rs| rs.address == address)
        {
            *real_server = real_server.clone().weight(0);
        }
        self
    }

    /// What identifies it.
    #[must_use]
    pub const fn key(&self) -> ServiceKey {
        ServiceKey {
            protocol: self.protocol,
            address: self.address,
        }
    }

    /// Checks the service and its real servers.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let key = self.key();
        let vip = self.address.ip();
        if vip.is_unspecified() || vip.is_multicast() {
            return Err(ConfigError::VipNotUnicast(key));
        }
        if self.address.port() == 0 {
            return Err(ConfigError::PortZero(key));
        }
        for (index, real_server) in self.real_servers.iter().enumerate() {
            real_server.check()?;
            if real_server.address.is_ipv4() != vip.is_ipv4() {
                return Err(ConfigError::MixedFamilies {
                    service: key,
                    real_server: real_server.address,
                });
            }
            if real_server.address == vip
                && !matches!(real_server.forwarding, ForwardingMethod::Masquerade { .. })
            {
                return Err(ConfigError::RealServerIsVip(key));
            }
            let at = |rs: &RealServer| (rs.address, rs.port(self.address.port()));
            if self.real_servers[..index]
                .iter()
                .any(|earlier| at(earlier) == at(real_server))
            {
                return Err(ConfigError::DuplicateRealServer {
                    service: key,
                    real_server: SocketAddr::new(
                        real_server.address,
                        real_server.port(self.address.port()),
                    ),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web() -> Service {
        Service::tcp("192.0.2.10:80".parse().unwrap(), Scheduler::RoundRobin)
    }

    #[test]
    fn names_are_found_again() {
        for scheduler in Scheduler::ALL {
            assert_eq!(Scheduler::named(scheduler.name()), Some(scheduler));
        }
        assert_eq!(Scheduler::named("WLC"), None);
    }

    #[test]
    fn one_server_on_two_ports_is_two_real_servers() {
        let two = web()
            .real_server(RealServer::masquerade("10.0.0.1:8080".parse().unwrap()))
            .real_server(RealServer::masquerade("10.0.0.1:8081".parse().unwrap()));
        assert_eq!(two.check(), Ok(()));
    }

    #[test]
    fn each_rule_has_its_error() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let key = web().key();
        let zero = Service::tcp("192.0.2.10:0".parse().unwrap(), Scheduler::RoundRobin);
        assert_eq!(zero.check(), Err(ConfigError::PortZero(zero.key())));
        let many = Service::udp("224.0.0.1:53".parse().unwrap(), Scheduler::RoundRobin);
        assert_eq!(many.check(), Err(ConfigError::VipNotUnicast(many.key())));
        assert_eq!(
            web()
                .real_server(RealServer::tunnel(ip("2001:db8::1")))
                .check(),
            Err(ConfigError::MixedFamilies {
                service: key,
                real_server: ip("2001:db8::1")
            })
        );
        assert_eq!(
            web()
                .real_server(RealServer::direct_route(ip("192.0.2.10")))
                .check(),
            Err(ConfigError::RealServerIsVip(key))
        );
        assert_eq!(
            web()
                .real_server(RealServer::direct_route(ip("255.255.255.255")))
                .check(),
            Err(ConfigError::RealServerNotUnicast(ip("255.255.255.255")))
        );
        assert_eq!(
            web()
                .real_server(RealServer::direct_route(ip("10.0.0.1")).weight(1 << 31))
                .check(),
            Err(ConfigError::WeightTooLarge {
                real_server: ip("10.0.0.1"),
                weight: 1 << 31
            })
        );
        let twice = RealServer::direct_route(ip("10.0.0.1"));
        assert_eq!(
            web().real_server(twice.clone()).real_server(twice).check(),
            Err(ConfigError::DuplicateRealServer {
                service: key,
                real_server: "10.0.0.1:80".parse().unwrap()
            })
        );
    }

    #[test]
    fn draining_touches_only_the_address_named() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let drained = web()
            .real_server(RealServer::direct_route(ip("10.0.0.1")).weight(3))
            .real_server(RealServer::direct_route(ip("10.0.0.2")).weight(4))
            .drain(ip("10.0.0.1"));
        let shares: Vec<u32> = drained
            .real_servers
            .iter()
            .map(|rs| rs.share().get())
            .collect();
        assert_eq!(shares, [0, 4]);
    }
}
