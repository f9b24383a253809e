//! A real server: where it is, how packets reach it, and how many it gets.

use core::net::{IpAddr, SocketAddr};

use super::ConfigError;

/// How a packet travels from the director to a real server.
///
/// *Source:* ipvsadm(8): `-m` masquerading, `-g` gatewaying, `-i` ipip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ForwardingMethod {
    /// The destination is rewritten to the real server, the source of its
    /// replies back to the VIP. Replies must cross the director.
    Masquerade {
        /// The real server's port. Zero keeps the service's.
        port: u16,
    },
    /// Only the Ethernet destination changes; the real server owns the VIP on
    /// an interface that does not answer ARP, and replies on its own.
    DirectRoute,
    /// The packet travels whole inside an IP packet to the real server
    /// (RFC 2003, RFC 2473); replies as with direct routing.
    Tunnel,
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
    /// Its place in arrays that are kept by real server.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One real server of a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RealServer {
    /// The real server's address (RIP).
    pub address: IpAddr,
    /// How packets reach it.
    pub forwarding: ForwardingMethod,
    weight: u32,
}

impl RealServer {
    /// A real server reached by rewriting to `address`; port zero keeps the
    /// service's port.
    #[must_use]
    pub const fn masquerade(address: SocketAddr) -> Self {
        Self::new(
            address.ip(),
            ForwardingMethod::Masquerade {
                port: address.port(),
            },
        )
    }

    /// A real server on the director's own link, or behind its gateway.
    #[must_use]
    pub const fn direct_route(address: IpAddr) -> Self {
        Self::new(address, ForwardingMethod::DirectRoute)
    }

    /// A real server that takes packets out of an IP tunnel.
    #[must_use]
    pub const fn tunnel(address: IpAddr) -> Self {
        Self::new(address, ForwardingMethod::Tunnel)
    }

    const fn new(address: IpAddr, forwarding: ForwardingMethod) -> Self {
        Self {
            address,
            forwarding,
            weight: 1,
        }
    }

    /// The same with another weight (0 to 2^31 - 1; checked by
    /// [`Config::new`](super::Config::new)).
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Its share of new connections; more than [`Weight::MAX`] reads as that
    /// (no checked config holds it).
    #[must_use]
    pub fn share(&self) -> Weight {
        Weight::new(self.weight).unwrap_or(Weight::MAX)
    }

    /// The port it is addressed at, for a service on `service_port`.
    #[must_use]
    pub const fn port(&self, service_port: u16) -> u16 {
        match self.forwarding {
            ForwardingMethod::Masquerade { port } if port != 0 => port,
            _ => service_port,
        }
    }

    /// Checks what can be said without its service.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.weight > Weight::MAX.get() {
            return Err(ConfigError::WeightTooLarge {
                real_server: self.address,
                weight: self.weight,
            });
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
