//! What can be wrong with a configuration: the field, the value, the rule.

use core::fmt;
use core::net::{IpAddr, SocketAddr};

use super::{ServiceKey, Weight};

/// A rule of the configuration that was broken. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// Two services with one protocol, address and port.
    DuplicateService(ServiceKey),
    /// Two real servers of a service with one address and port.
    DuplicateRealServer {
        /// The service.
        service: ServiceKey,
        /// The address given twice.
        real_server: SocketAddr,
    },
    /// The VIP is multicast or unspecified.
    VipNotUnicast(ServiceKey),
    /// A service without a port.
    PortZero(ServiceKey),
    /// The real server's address is multicast, broadcast or unspecified.
    RealServerNotUnicast(IpAddr),
    /// The real server's address is the VIP itself, by a method that would
    /// send the packet back to where it came from.
    RealServerIsVip(ServiceKey),
    /// An IPv4 service with an IPv6 real server, or the other way about.
    MixedFamilies {
        /// The service.
        service: ServiceKey,
        /// The real server of the other family.
        real_server: IpAddr,
    },
    /// A weight above [`Weight::MAX`].
    WeightTooLarge {
        /// Whose weight.
        real_server: IpAddr,
        /// The weight given.
        weight: u32,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateService(service) => {
                write!(
                    f,
                    "service {service} is given twice: join the two or change one's port"
                )
            }
            Self::DuplicateRealServer {
                service,
                real_server,
            } => {
                write!(
                    f,
                    "service {service}: real server {real_server} is given twice: remove one"
                )
            }
            Self::VipNotUnicast(service) => {
                write!(
                    f,
                    "service {service}: the virtual address must be a unicast address"
                )
            }
            Self::PortZero(service) => {
                write!(f, "service {service}: the port must be 1 to 65535")
            }
            Self::RealServerNotUnicast(address) => {
                write!(
                    f,
                    "real server {address}: the address must be a unicast address"
                )
            }
            Self::RealServerIsVip(service) => write!(
                f,
                "service {service}: a real server has the service's own address: \
                 give the address by which the director reaches it"
            ),
            Self::MixedFamilies {
                service,
                real_server,
            } => write!(
                f,
                "service {service}: real server {real_server} must be of the service's address family"
            ),
            Self::WeightTooLarge {
                real_server,
                weight,
            } => write!(
                f,
                "real server {real_server}: weight {weight} must be 0 to {}",
                Weight::MAX.get()
            ),
        }
    }
}

impl core::error::Error for ConfigError {}
