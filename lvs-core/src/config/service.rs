//! A virtual service: one address, protocol and port, its scheduler, and the
//! real servers behind it.

use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::num::NonZeroU32;

use super::{
    ConfigError, ForwardingMethod, Overrides, Persistence, RealServer, Scheduler, SchedulerFlags,
};

/// The transport protocol of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// TCP (RFC 9293), IP protocol 6.
    Tcp,
    /// UDP (RFC 768), IP protocol 17.
    Udp,
    /// SCTP (RFC 9260), IP protocol 132.
    Sctp,
}

impl Protocol {
    /// Its number in an IP header.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        })
    }
}

/// One of the two address families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// What identifies a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceKey {
    /// One protocol at one virtual address (VIP) and port. Port 0 is every
    /// port of the VIP that has no service of its own.
    Address {
        /// Transport protocol.
        protocol: Protocol,
        /// Virtual address and port.
        address: SocketAddr,
    },
    /// Every packet that carries this firewall mark, whatever its protocol,
    /// address and port.
    Mark {
        /// The packets' family: one mark may have a service of each.
        family: Family,
        /// The mark, as [`Classifier`](super::Classifier) gives it.
        mark: NonZeroU32,
    },
}

impl ServiceKey {
    /// The family of its packets.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self {
            Self::Address { address, .. } => Family::of(address.ip()),
            Self::Mark { family, .. } => *family,
        }
    }

    /// Its virtual address and port, if it has one of its own.
    #[must_use]
    pub const fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Address { address, .. } => Some(*address),
            Self::Mark { .. } => None,
        }
    }

    /// Whether it is on an address that no machine has as its own (unspecified,
    /// multicast): no packet asks it.
    ///
    /// *Source:* the kernel takes such services and serves nobody by them.
    #[must_use]
    pub const fn is_nobodys(&self) -> bool {
        match self {
            Self::Address { address, .. } => {
                let vip = address.ip();
                vip.is_unspecified() || vip.is_multicast()
            }
            Self::Mark { .. } => false,
        }
    }

    /// Its port; 0 for every port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        match self {
            Self::Address { address, .. } => address.port(),
            Self::Mark { .. } => 0,
        }
    }

    /// Its protocol, if it serves one only.
    #[must_use]
    pub const fn protocol(&self) -> Option<Protocol> {
        match self {
            Self::Address { protocol, .. } => Some(*protocol),
            Self::Mark { .. } => None,
        }
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { protocol, address } => write!(f, "{protocol} {address}"),
            Self::Mark {
                family: Family::V4,
                mark,
            } => write!(f, "FWM {mark}"),
            Self::Mark {
                family: Family::V6,
                mark,
            } => write!(f, "FWM {mark} IPv6"),
        }
    }
}

/// A virtual service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// What identifies it.
    pub key: ServiceKey,
    /// Who chooses the real server of a new connection.
    pub scheduler: Scheduler,
    /// Switches of the scheduler.
    pub flags: SchedulerFlags,
    /// Whether each UDP datagram is scheduled by itself and no connection kept.
    pub one_packet: bool,
    /// Whether and for how long a client's connections go to one real server.
    pub persistence: Option<Persistence>,
    /// Settings that differ from the director's for this service.
    pub settings: Overrides,
    /// How often an operator has edited its real servers: an edit begins `wrr`'s
    /// lap anew, as in the kernel, also where it changes nothing.
    pub edits: u32,
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

    /// An SCTP service at `address`, with no real server yet.
    #[must_use]
    pub const fn sctp(address: SocketAddr, scheduler: Scheduler) -> Self {
        Self::new(Protocol::Sctp, address, scheduler)
    }

    /// A service with no real server yet.
    #[must_use]
    pub const fn new(protocol: Protocol, address: SocketAddr, scheduler: Scheduler) -> Self {
        Self::keyed(ServiceKey::Address { protocol, address }, scheduler)
    }

    /// A service of every packet with a firewall mark, with no real server yet.
    #[must_use]
    pub const fn marked(family: Family, mark: NonZeroU32, scheduler: Scheduler) -> Self {
        Self::keyed(ServiceKey::Mark { family, mark }, scheduler)
    }

    /// A service identified by `key`, with no real server yet.
    #[must_use]
    pub const fn keyed(key: ServiceKey, scheduler: Scheduler) -> Self {
        Self {
            key,
            scheduler,
            flags: SchedulerFlags {
                fallback: false,
                port: false,
                third: false,
            },
            one_packet: false,
            persistence: None,
            settings: Overrides::NONE,
            edits: 0,
            real_servers: Vec::new(),
        }
    }

    /// The same with one more real server.
    #[must_use]
    pub fn real_server(mut self, real_server: RealServer) -> Self {
        self.real_servers.push(real_server);
        self
    }

    /// The same with a client's connections going to one real server.
    #[must_use]
    pub const fn persistent(mut self, persistence: Persistence) -> Self {
        self.persistence = Some(persistence);
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
        self.key
    }

    /// Checks the service and its real servers, as [`Config::checked`] does.
    ///
    /// *Errors:* the first rule broken. *Cost:* n log n of its real servers.
    ///
    /// [`Config::checked`]: super::Config::checked
    pub fn check(&self) -> Result<(), ConfigError> {
        let key = self.key();
        let port = key.address().map(|vip| vip.port());
        if port == Some(0) && self.persistence.is_none() {
            return Err(ConfigError::PortZero(key));
        }
        if self.one_packet && !matches!(key.protocol(), None | Some(Protocol::Udp)) {
            return Err(ConfigError::OnePacketNotUdp(key));
        }
        if let Some(persistence) = self.persistence
            && !persistence.fits(key.family())
        {
            return Err(ConfigError::MaskOfOtherFamily(key));
        }
        for real_server in &self.real_servers {
            real_server.check()?;
            if Family::of(real_server.address) != key.family()
                && !matches!(real_server.forwarding, ForwardingMethod::Tunnel(_))
            {
                return Err(ConfigError::MixedFamilies {
                    service: key,
                    real_server: real_server.address,
                });
            }
        }
        match self.twin() {
            Some(real_server) => Err(ConfigError::DuplicateRealServer {
                service: key,
                real_server,
            }),
            None => Ok(()),
        }
    }

    /// Where there is more than one real server.
    fn twin(&self) -> Option<SocketAddr> {
        let ends = self.real_servers.iter();
        let ends = ends.map(|it| SocketAddr::new(it.address, it.port_in(&self.key)));
        let mut ends: Vec<_> = ends.collect();
        ends.sort_unstable();
        ends.windows(2)
            .find(|pair| pair[0] == pair[1])
            .map(|pair| pair[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ClientMask;
    use core::time::Duration;

    fn web() -> Service {
        Service::tcp("192.0.2.10:80".parse().unwrap(), Scheduler::RoundRobin)
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
        for unreached in ["0.0.0.0:80", "224.0.0.1:80", "[::]:80"] {
            let any = Service::tcp(unreached.parse().unwrap(), Scheduler::RoundRobin);
            assert_eq!(any.check(), Ok(()), "as the kernel has it");
            assert!(any.key().is_nobodys());
        }
        let other = RealServer::direct_route(ip("2001:db8::1"));
        assert_eq!(
            web().real_server(other).check(),
            Err(ConfigError::MixedFamilies {
                service: key,
                real_server: ip("2001:db8::1")
            })
        );
        let mut one_packet = web();
        one_packet.one_packet = true;
        assert_eq!(one_packet.check(), Err(ConfigError::OnePacketNotUdp(key)));
        let wide = Persistence::new(Duration::from_secs(60)).mask(ClientMask::V6(64));
        assert_eq!(
            web().persistent(wide).check(),
            Err(ConfigError::MaskOfOtherFamily(key))
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
    fn a_tunnel_may_lead_to_the_other_family() {
        let other = RealServer::tunnel("2001:db8::1".parse().unwrap());
        assert_eq!(web().real_server(other).check(), Ok(()));
    }

    #[test]
    fn persistence_allows_every_port() {
        let zero = Service::tcp("192.0.2.10:0".parse().unwrap(), Scheduler::RoundRobin);
        let all = zero.persistent(Persistence::new(Duration::from_secs(60)));
        assert_eq!(all.check(), Ok(()));
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
