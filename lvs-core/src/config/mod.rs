//! What the operator wants: services and their real servers, as checked data.
//!
//! A [`Config`] is a value. Starting, editing and stopping a director are the
//! same act with another value; two of them can be compared. It knows addresses
//! and weights, and nothing of packets, connections or time.

mod error;
mod real_server;
mod service;
mod timeouts;

use alloc::sync::Arc;
use alloc::vec::Vec;

pub use error::ConfigError;
pub use real_server::{ForwardingMethod, RealServer, RealServerId, Weight};
pub use service::{Protocol, Scheduler, Service, ServiceKey};
pub use timeouts::Timeouts;

/// A checked, immutable configuration.
///
/// *Errors:* see [`Config::new`]. *Cost:* built once per change, never per packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    services: Vec<Service>,
    timeouts: Timeouts,
}

impl Config {
    /// Checks `services` and makes them a configuration with the default
    /// [`Timeouts`].
    ///
    /// *Errors:* the first rule broken, as a [`ConfigError`].
    pub fn new(services: impl IntoIterator<Item = Service>) -> Result<Arc<Self>, ConfigError> {
        Self::with_timeouts(services, Timeouts::default())
    }

    /// Checks `services` and makes them a configuration.
    ///
    /// *Errors:* the first rule broken, as a [`ConfigError`].
    pub fn with_timeouts(
        services: impl IntoIterator<Item = Service>,
        timeouts: Timeouts,
    ) -> Result<Arc<Self>, ConfigError> {
        let services: Vec<Service> = services.into_iter().collect();
        for (index, service) in services.iter().enumerate() {
            service.check()?;
            if services[..index]
                .iter()
                .any(|earlier| earlier.key() == service.key())
            {
                return Err(ConfigError::DuplicateService(service.key()));
            }
        }
        Ok(Arc::new(Self { services, timeouts }))
    }

    /// The services, in the order given.
    #[must_use]
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// The service with this identity.
    #[must_use]
    pub fn service(&self, key: ServiceKey) -> Option<&Service> {
        self.services.iter().find(|service| service.key() == key)
    }

    /// How long idle connections are kept.
    #[must_use]
    pub fn timeouts(&self) -> Timeouts {
        self.timeouts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web() -> Service {
        Service::tcp("192.0.2.10:80".parse().unwrap(), Scheduler::RoundRobin)
    }

    #[test]
    fn one_address_may_have_a_service_per_protocol_and_port() {
        let dns = Service::udp("192.0.2.10:80".parse().unwrap(), Scheduler::RoundRobin);
        let tls = Service::tcp("192.0.2.10:443".parse().unwrap(), Scheduler::RoundRobin);
        assert_eq!(Config::new([web(), dns, tls]).unwrap().services().len(), 3);
    }

    #[test]
    fn a_service_given_twice_is_refused() {
        assert_eq!(
            Config::new([web(), web()]),
            Err(ConfigError::DuplicateService(web().key()))
        );
    }

    #[test]
    fn equal_configs_compare_equal() {
        assert_eq!(Config::new([web()]), Config::new([web()]));
    }
}
