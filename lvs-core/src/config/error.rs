//! What can be wrong with a configuration: the field, the value, the rule.

use core::fmt;
use core::net::{IpAddr, SocketAddr};

use super::{ServiceKey, Thresholds, Weight};

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
    /// A service on every port that is not persistent.
    PortZero(ServiceKey),
    /// The real server's address is multicast, broadcast or unspecified.
    RealServerNotUnicast(IpAddr),
    /// An IPv4 service with an IPv6 real server, or the other way about, by a
    /// method other than tunnelling.
    MixedFamilies {
        /// The service.
        service: ServiceKey,
        /// The real server of the other family.
        real_server: IpAddr,
    },
    /// One-packet scheduling of a service that is not UDP's.
    OnePacketNotUdp(ServiceKey),
    /// An IPv4 service with an IPv6 client mask, or the other way about, or an
    /// IPv6 prefix length that is not 1 to 128.
    MaskOfOtherFamily(ServiceKey),
    /// Lower threshold above the upper one.
    ThresholdsCrossed {
        /// Whose thresholds.
        real_server: IpAddr,
        /// The thresholds given.
        thresholds: Thresholds,
    },
    /// A GUE tunnel without a port.
    TunnelPortZero(IpAddr),
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
                let other = match service {
                    ServiceKey::Address { .. } => "port",
                    ServiceKey::Mark { .. } => "mark",
                };
                write!(
                    f,
                    "service {service} is given twice: join the two or change one's {other}"
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
            Self::PortZero(service) => {
                write!(
                    f,
                    "service {service}: the port must be 1 to 65535: only a persistent service \
                     may have port 0, which is every port"
                )
            }
            Self::RealServerNotUnicast(address) => {
                write!(
                    f,
                    "real server {address}: the address must be a unicast address"
                )
            }
            Self::MixedFamilies {
                service,
                real_server,
            } => write!(
                f,
                "service {service}: real server {real_server} must be of the service's address \
                 family: only a tunnel leads to the other"
            ),
            Self::OnePacketNotUdp(service) => write!(
                f,
                "service {service}: one-packet scheduling is for UDP and firewall marks only"
            ),
            Self::MaskOfOtherFamily(service) => write!(
                f,
                "service {service}: the client mask must be of the service's address family, \
                 over IPv6 a prefix length of 1 to 128"
            ),
            Self::ThresholdsCrossed {
                real_server,
                thresholds: Thresholds { upper, lower },
            } => write!(
                f,
                "real server {real_server}: lower threshold {lower} must not be above the upper, {upper}"
            ),
            Self::TunnelPortZero(address) => write!(
                f,
                "real server {address}: a GUE tunnel needs a port, 1 to 65535"
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
