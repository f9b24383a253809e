//! What the operator wants: services and their real servers, as checked data.
//!
//! A [`Config`] is a value. Starting, editing and stopping a director are the
//! same act with another value; two of them can be compared. It knows addresses
//! and weights, and nothing of packets, connections or time.

mod classifier;
mod cpus;
mod error;
mod persistence;
mod real_server;
mod scheduler;
mod service;
mod settings;
mod sysctl;
mod timeouts;

use alloc::sync::Arc;
use alloc::vec::Vec;

pub use classifier::{Classifier, MacMatch, MarkRule, Prefix};
pub use cpus::CpuList;
pub use error::ConfigError;
pub use persistence::{ClientMask, Persistence};
pub use real_server::{
    ForwardingMethod, GueChecksum, RealServer, RealServerId, Thresholds, Tunnel, Weight,
};
pub use scheduler::{Scheduler, SchedulerFlags};
pub use service::{Family, Protocol, Service, ServiceKey};
pub use settings::{Overrides, Setting, SettingError, Settings};
pub use sysctl::SysctlError;
pub use timeouts::Timeouts;

/// Everything an operator decides, not checked yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// The services.
    pub services: Vec<Service>,
    /// How long idle connections are kept.
    pub timeouts: Timeouts,
    /// The director's switches.
    pub settings: Settings,
    /// Where rates are worked out (`est_cpulist`).
    pub estimation_cpus: CpuList,
    /// Which packets carry which firewall mark.
    pub classifier: Classifier,
    /// Whether another director tells this one of its connections
    /// (`ipvsadm --start-daemon backup`). With `backup_only` such a director
    /// directs nothing.
    pub is_backup: bool,
}

/// A checked, immutable configuration.
///
/// *Errors:* see [`Config::new`]. *Cost:* built once per change, never per packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    draft: Draft,
    /// The place of each service, sorted by what identifies it.
    places: Vec<(ServiceKey, usize)>,
}

impl Config {
    /// Checks `services` and makes them a configuration, everything else as
    /// the kernel has it by default.
    ///
    /// *Errors:* the first rule broken, as a [`ConfigError`].
    pub fn new(services: impl IntoIterator<Item = Service>) -> Result<Arc<Self>, ConfigError> {
        Self::checked(Draft {
            services: services.into_iter().collect(),
            ..Draft::default()
        })
    }

    /// Checks a draft and makes it a configuration.
    ///
    /// *Errors:* the first rule broken, as a [`ConfigError`].
    pub fn checked(draft: Draft) -> Result<Arc<Self>, ConfigError> {
        let services = &draft.services;
        let mut places: Vec<_> = services.iter().map(Service::key).zip(0..).collect();
        places.sort_unstable();
        if let Some(twice) = places.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(ConfigError::DuplicateService(twice[0].0));
        }
        services.iter().try_for_each(Service::check)?;
        Ok(Arc::new(Self { draft, places }))
    }

    /// The services, in the order given.
    #[must_use]
    pub fn services(&self) -> &[Service] {
        &self.draft.services
    }

    /// The service with this identity.
    ///
    /// *Cost:* a binary search.
    #[must_use]
    pub fn service(&self, key: ServiceKey) -> Option<&Service> {
        let found = self.places.binary_search_by_key(&key, |(key, _)| *key);
        self.draft.services.get(self.places[found.ok()?].1)
    }

    /// How long idle connections are kept.
    #[must_use]
    pub fn timeouts(&self) -> Timeouts {
        self.draft.timeouts
    }

    /// The director's switches.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.draft.settings
    }

    /// Which packets carry which firewall mark.
    #[must_use]
    pub const fn classifier(&self) -> &Classifier {
        &self.draft.classifier
    }

    /// Whether it directs nothing for now, as a backup of another (`backup_only`).
    #[must_use]
    pub fn stands_by(&self) -> bool {
        self.draft.is_backup && self.draft.settings.is_on(Setting::BackupOnly)
    }

    /// What it was made of, to make another from.
    #[must_use]
    pub const fn draft(&self) -> &Draft {
        &self.draft
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
