//! A real server: where it is, how packets reach it, and how many it gets.

use core::net::{IpAddr, SocketAddr};

use super::{ConfigError, ServiceKey};

/// How a packet travels from the director to a real server.
///
/// *Source:* ipvsadm(8): `-m` masquerading, `-g` gatewaying, `-i` ipip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ForwardingMethod {
    /// The destination is rewritten to the real server, the source of its
    /// replies back to the VIP. Replies must cross the director.
    Masquerade,
    /// Only the Ethernet destination changes; the real server owns the VIP on
    /// an interface that does not answer ARP, and replies on its own.
    DirectRoute,
    /// The packet travels whole inside another IP packet to the real server,
    /// which replies as with direct routing.
    Tunnel(Tunnel),
}

/// What a tunnel wraps a packet in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tunnel {
    /// An IP header (RFC 2003, RFC 2473).
    #[default]
    Ipip,
    /// IP, UDP and the four bytes of Generic UDP Encapsulation.
    Gue {
        /// UDP destination port, 1 to 65535.
        port: u16,
        /// What its UDP checksum covers.
        checksum: GueChecksum,
    },
    /// IP and a GRE header (RFC 2784).
    Gre {
        /// Whether the GRE header carries a checksum.
        checksum: bool,
    },
}

/// Checksums of a GUE tunnel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GueChecksum {
    /// The outer UDP checksum is zero.
    #[default]
    None,
    /// The outer UDP checksum is made.
    Full,
    /// The same, and half-made inner checksums are left to the far end. Those
    /// the director has completed already, so there is none to leave.
    Remote,
}

/// A real server's share of new connections; zero takes none and keeps the old.
///
/// *Units:* 0 to 2^31 - 1, relative to the other real servers of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(u32);

impl Weight {
    /// Quiesced: no new connections.
    pub const ZERO: Self = Self(0);
    /// The weight of a real server that was given none.
    pub const ONE: Self = Self(1);
    /// The largest weight (the kernel keeps it in a signed 32-bit integer).
    pub const MAX: Self = Self(i32::MAX as u32);

    /// The weight of this value.
    ///
    /// *Errors:* `None` above [`Weight::MAX`].
    #[must_use]
    pub const fn new(value: u32) -> Option<Self> {
        if value <= Self::MAX.0 {
            Some(Self(value))
        } else {
            None
        }
    }

    /// Its value.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// A real server's number, the same over all configurations it is part of.
///
/// A connection holds the number, never a reference; a number whose real server
/// was removed is not given to another while connections may hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RealServerId(pub(crate) u32);

impl RealServerId {
    /// The number of none: what connections carry that bypass all real servers.
    pub(crate) const NONE: Self = Self(u32::MAX);

    /// Its place in arrays that are kept by real server.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// How many connections overload a real server; 0 sets no limit.
///
/// *Units:* connections, active and inactive together. *Source:* ipvsadm(8),
/// `-x` and `-y`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Thresholds {
    /// With this many it takes no more.
    pub upper: u32,
    /// With fewer than this it takes some again; 0 is three quarters of `upper`.
    pub lower: u32,
}

/// One real server of a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RealServer {
    /// The real server's address (RIP).
    pub address: IpAddr,
    /// Its port; 0 keeps the packet's. Only masquerading changes ports, so it
    /// is the service's with any other method, but for services on marks.
    pub port: u16,
    /// How packets reach it.
    pub forwarding: ForwardingMethod,
    /// When it takes no more connections.
    pub thresholds: Thresholds,
    weight: u32,
}

impl RealServer {
    /// A real server reached by rewriting to `address`; port zero keeps the
    /// service's port.
    #[must_use]
    pub const fn masquerade(address: SocketAddr) -> Self {
        Self::new(address, ForwardingMethod::Masquerade)
    }

    /// A real server on the director's own link, or behind its gateway.
    #[must_use]
    pub const fn direct_route(address: IpAddr) -> Self {
        Self::new(SocketAddr::new(address, 0), ForwardingMethod::DirectRoute)
    }

    /// A real server that takes packets out of an IP tunnel.
    #[must_use]
    pub const fn tunnel(address: IpAddr) -> Self {
        let method = ForwardingMethod::Tunnel(Tunnel::Ipip);
        Self::new(SocketAddr::new(address, 0), method)
    }

    /// A real server reached at `address` by any method.
    #[must_use]
    pub const fn new(address: SocketAddr, forwarding: ForwardingMethod) -> Self {
        Self {
            address: address.ip(),
            port: address.port(),
            forwarding,
            thresholds: Thresholds { upper: 0, lower: 0 },
            weight: 1,
        }
    }

    /// The same with another weight (0 to 2^31 - 1; checked by
    /// [`Config::new`](super::Config::new)).
    #[must_use]
    pub const fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// The same with limits to its connections.
    #[must_use]
    pub const fn thresholds(mut self, thresholds: Thresholds) -> Self {
        self.thresholds = thresholds;
        self
    }

    /// Its share of new connections; more than [`Weight::MAX`] reads as that
    /// (no checked config holds it).
    #[must_use]
    pub fn share(&self) -> Weight {
        Weight::new(self.weight).unwrap_or(Weight::MAX)
    }

    /// The port it is known by in a service, 0 for that of each packet.
    ///
    /// *Source:* ipvsadm gives the service's port to every real server of a
    /// service by address that is not masqueraded.
    #[must_use]
    pub const fn port_in(&self, service: &ServiceKey) -> u16 {
        match (service, self.forwarding) {
            (ServiceKey::Mark { .. }, _) => self.port,
            (_, ForwardingMethod::Masquerade) if self.port != 0 => self.port,
            _ => service.port(),
        }
    }

    /// Checks what can be said without its service.
    pub(super) const fn check(&self) -> Result<(), ConfigError> {
        if self.weight > Weight::MAX.get() {
            return Err(ConfigError::WeightTooLarge {
                real_server: self.address,
                weight: self.weight,
            });
        }
        if self.thresholds.lower > self.thresholds.upper {
            return Err(ConfigError::ThresholdsCrossed {
                real_server: self.address,
                thresholds: self.thresholds,
            });
        }
        if let ForwardingMethod::Tunnel(Tunnel::Gue { port: 0, .. }) = self.forwarding {
            return Err(ConfigError::TunnelPortZero(self.address));
        }
        let unicast = match self.address {
            IpAddr::V4(a) => !(a.is_unspecified() || a.is_multicast() || a.is_broadcast()),
            IpAddr::V6(a) => !(a.is_unspecified() || a.is_multicast()),
        };
        if unicast {
            Ok(())
        } else {
            Err(ConfigError::RealServerNotUnicast(self.address))
        }
    }
}
