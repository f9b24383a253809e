//! Counters as an operator sees them: of real servers, of services, of all.
//!
//! A director counts at its real servers. A service has what passed at those it
//! has and at those it had, as in the kernel: the [`Ledger`] keeps the latter. What
//! is shown of that is a matter of time: [`Estimators`] are shown the counters every
//! [`PERIOD`](super::PERIOD).

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use lvs_core::{ServiceKey, Traffic};

use super::Estimator;

/// What counters are kept of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Counted {
    /// All services there are and were.
    All,
    /// A service.
    Service(ServiceKey),
    /// A real server of a service, with its port.
    RealServer(ServiceKey, SocketAddr),
}

impl Counted {
    /// The service that it is or belongs to.
    #[must_use]
    pub const fn service(&self) -> Option<ServiceKey> {
        match self {
            Self::All => None,
            Self::Service(key) | Self::RealServer(key, _) => Some(*key),
        }
    }
}

/// What has passed at everything, by what it is.
pub type Counts = HashMap<Counted, Traffic>;

/// What passed at real servers and services that are no more.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// What passed at real servers that are not a service's any more, less what
    /// had passed at those it got back. It may be less than nothing, and is kept
    /// wrapped: the sum with what passed at those it has is not.
    carried: HashMap<ServiceKey, Traffic>,
    /// What passed at services that are no more.
    gone: Traffic,
}

impl Ledger {
    /// A real server is no longer its service's; what passed there remains the
    /// service's.
    pub fn keep(&mut self, key: ServiceKey, passed: &Traffic) {
        add(self.carried.entry(key).or_default(), passed);
    }

    /// A real server is a service's again, and counts on from what had passed
    /// there, which was kept.
    pub fn give_back(&mut self, key: ServiceKey, passed: &Traffic) {
        subtract(self.carried.entry(key).or_default(), passed);
    }

    /// A service is no more; `counts` are the last with it.
    pub fn forget(&mut self, key: ServiceKey, counts: &Counts) {
        if let Some(passed) = counts.get(&Counted::Service(key)) {
            add(&mut self.gone, passed);
        }
        self.carried.remove(&key);
    }

    /// What has passed at everything, by what has at the real servers there are.
    #[must_use]
    pub fn count(
        &self,
        passed: impl IntoIterator<Item = (ServiceKey, SocketAddr, Traffic)>,
    ) -> Counts {
        let mut all = self.gone;
        let mut counts = Counts::new();
        for (key, traffic) in &self.carried {
            add(counts.entry(Counted::Service(*key)).or_default(), traffic);
            add(&mut all, traffic);
        }
        for (key, at, traffic) in passed {
            counts.insert(Counted::RealServer(key, at), traffic);
            add(counts.entry(Counted::Service(key)).or_default(), &traffic);
            add(&mut all, &traffic);
        }
        counts.insert(Counted::All, all);
        counts
    }
}

/// An [`Estimator`] for everything that is counted.
///
/// Those of real servers that were removed are remembered for two minutes, as the
/// kernel remembers a real server without connections: one that comes back goes
/// on where it was.
#[derive(Clone, Debug, Default)]
pub struct Estimators(HashMap<Counted, Remembered>);

#[derive(Clone, Copy, Debug, Default)]
struct Remembered {
    estimator: Estimator,
    /// Looks since it was counted.
    missed: u32,
}

impl Estimators {
    /// Looks at the counters, once every [`PERIOD`](super::PERIOD).
    pub fn tick(&mut self, counts: &Counts) {
        for (of, traffic) in counts {
            let remembered = self.0.entry(*of).or_default();
            remembered.estimator.tick(*traffic);
            remembered.missed = 0;
        }
        if self.0.len() > counts.len() {
            self.0.retain(|of, remembered| {
                remembered.missed += u32::from(!counts.contains_key(of));
                remembered.missed <= MOST_MISSED
            });
        }
    }

    /// A real server is a service's from now on, with so much counted there by
    /// now: from before, if it has been the service's, which shows if that is
    /// remembered.
    pub fn begin(&mut self, key: ServiceKey, at: SocketAddr, passed: Traffic) {
        let begun = Remembered {
            estimator: Estimator::beginning_at(passed),
            missed: 0,
        };
        let of = Counted::RealServer(key, at);
        let remembered = self.0.entry(of).or_insert(begun);
        if remembered.estimator.has_seen_more_than(&passed) {
            // It counts anew.
            *remembered = Remembered::default();
        }
    }

    /// Services are no more.
    ///
    /// *Cost:* a look at each estimator there is, for all of the services together.
    pub fn forget(&mut self, services: &[ServiceKey]) {
        let gone: HashSet<_> = services.iter().collect();
        self.0
            .retain(|of, _| of.service().is_none_or(|key| !gone.contains(&key)));
    }

    /// Has the counters of a service and its real servers show as zero; all
    /// counters if none is named.
    pub fn zero(&mut self, key: Option<ServiceKey>) {
        for (of, remembered) in &mut self.0 {
            if key.is_none() || key == of.service() {
                remembered.estimator.zero();
            }
        }
    }

    /// What is shown of something.
    #[must_use]
    pub fn shown(&self, of: Counted) -> Estimator {
        let remembered = self.0.get(&of);
        remembered.map_or_else(Estimator::new, |it| it.estimator)
    }
}

const fn add(sum: &mut Traffic, more: &Traffic) {
    sum.connections = sum.connections.wrapping_add(more.connections);
    sum.packets_in = sum.packets_in.wrapping_add(more.packets_in);
    sum.bytes_in = sum.bytes_in.wrapping_add(more.bytes_in);
    sum.packets_out = sum.packets_out.wrapping_add(more.packets_out);
    sum.bytes_out = sum.bytes_out.wrapping_add(more.bytes_out);
}

const fn subtract(sum: &mut Traffic, less: &Traffic) {
    sum.connections = sum.connections.wrapping_sub(less.connections);
    sum.packets_in = sum.packets_in.wrapping_sub(less.packets_in);
    sum.bytes_in = sum.bytes_in.wrapping_sub(less.bytes_in);
    sum.packets_out = sum.packets_out.wrapping_sub(less.packets_out);
    sum.bytes_out = sum.bytes_out.wrapping_sub(less.bytes_out);
}

/// Looks that a real server is remembered for: two minutes, the kernel's
/// `IP_VS_DEST_TRASH_PERIOD`.
const MOST_MISSED: u32 = 60;
