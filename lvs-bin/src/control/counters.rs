//! What everything is shown to have passed: an [`Estimator`] for each real
//! server and each service.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use lvs_core::{ServiceKey, Traffic};

use super::Estimator;

/// The estimators of a director.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters {
    services: BTreeMap<ServiceKey, Estimator>,
    real_servers: BTreeMap<(ServiceKey, SocketAddr), Estimator>,
}

impl Counters {
    /// Looks at what passed at each real server so far, once every
    /// [`PERIOD`](super::PERIOD); what is not among them any more is forgotten.
    pub(super) fn tick(&mut self, passed: &[(ServiceKey, SocketAddr, Traffic)]) {
        let mut services: BTreeMap<ServiceKey, Traffic> = BTreeMap::new();
        let mut before = std::mem::take(self);
        for (key, at, traffic) in passed {
            add(services.entry(*key).or_default(), traffic);
            let place = (*key, *at);
            let mut estimator = before.real_servers.remove(&place).unwrap_or_default();
            estimator.tick(*traffic);
            self.real_servers.insert(place, estimator);
        }
        for (key, traffic) in services {
            let mut estimator = before.services.remove(&key).unwrap_or_default();
            estimator.tick(traffic);
            self.services.insert(key, estimator);
        }
    }

    /// Has the counters of a service and its real servers show as zero; all
    /// counters if none is named.
    pub(super) fn zero(&mut self, key: Option<ServiceKey>) {
        let is_meant = |of: ServiceKey| key.is_none_or(|key| key == of);
        for (of, estimator) in &mut self.services {
            if is_meant(*of) {
                estimator.zero();
            }
        }
        for ((of, _), estimator) in &mut self.real_servers {
            if is_meant(*of) {
                estimator.zero();
            }
        }
    }

    /// What is shown of a service.
    pub(super) fn service(&self, key: ServiceKey) -> Estimator {
        self.services.get(&key).copied().unwrap_or_default()
    }

    /// What is shown of a real server.
    pub(super) fn real_server(&self, key: ServiceKey, at: SocketAddr) -> Estimator {
        let estimator = self.real_servers.get(&(key, at));
        estimator.copied().unwrap_or_default()
    }
}

const fn add(sum: &mut Traffic, more: &Traffic) {
    sum.connections = sum.connections.wrapping_add(more.connections);
    sum.packets_in = sum.packets_in.wrapping_add(more.packets_in);
    sum.bytes_in = sum.bytes_in.wrapping_add(more.bytes_in);
    sum.packets_out = sum.packets_out.wrapping_add(more.packets_out);
    sum.bytes_out = sum.bytes_out.wrapping_add(more.bytes_out);
}
