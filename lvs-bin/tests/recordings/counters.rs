//! Counters and rates as they are shown: looked at every two seconds.
//!
//! At what moment of those two seconds the kernel looks is its own affair, and
//! not the same in every boot. So counters are looked at in every moment there
//! could be, and the moments that do not explain what was recorded are ruled
//! out: one must be left at the end of a scenario.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use lvs::control::{Estimator, PERIOD};
use lvs_core::{RealServerId, ServiceKey, Shard, Traffic};

/// What counters are kept of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Counted {
    All,
    Service(ServiceKey),
    RealServer(ServiceKey, SocketAddr),
}

/// The counters of everything, as seen from every moment.
pub(crate) struct Counters {
    moments: BTreeMap<usize, Seen>,
    /// The moment that listings go by.
    moment: usize,
    /// What passed at real servers that are not a service's any more, less what
    /// had passed at those it got back.
    carried: BTreeMap<ServiceKey, Traffic>,
    /// What passed at services that are no more.
    gone: Traffic,
}

/// What was seen from one moment.
#[derive(Default)]
struct Seen {
    /// How often the moment has come.
    ticks: u32,
    estimators: BTreeMap<Counted, Estimator>,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            moments: (0..MOMENTS).map(|at| (at, Seen::default())).collect(),
            moment: 0,
            carried: BTreeMap::new(),
            gone: Traffic::default(),
        }
    }
}

impl Counters {
    /// Has every estimator look whose moment has come by `at`, in seconds since
    /// the first step; none does while estimation is off.
    pub(crate) fn look_until(&mut self, at: f64, shard: &Shard<'_>, is_on: bool) {
        let mut counted = None;
        for (place, seen) in &mut self.moments {
            let offset = PERIOD.as_secs_f64() * (*place as f64 + 0.5) / MOMENTS as f64;
            while offset + PERIOD.as_secs_f64() * f64::from(seen.ticks) <= at {
                seen.ticks += 1;
                if is_on {
                    let counted =
                        counted.get_or_insert_with(|| count(shard, &self.carried, &self.gone));
                    for (of, traffic) in counted {
                        seen.estimators.entry(*of).or_default().tick(*traffic);
                    }
                }
            }
        }
    }

    /// What has passed at everything by now.
    pub(crate) fn total(&self, shard: &Shard<'_>) -> Traffic {
        let counted = count(shard, &self.carried, &self.gone);
        counted.get(&Counted::All).copied().unwrap_or_default()
    }

    /// What is shown of something, by the moment listings go by.
    pub(crate) fn shown(&self, of: Counted) -> Estimator {
        let seen = self.moments.get(&self.moment);
        let estimator = seen.and_then(|seen| seen.estimators.get(&of));
        estimator.copied().unwrap_or_default()
    }

    /// Has the counters of a service and its real servers show as zero; all
    /// counters if none is named.
    pub(crate) fn zero(&mut self, key: Option<ServiceKey>) {
        let seen = self.moments.values_mut();
        for (of, estimator) in seen.flat_map(|seen| &mut seen.estimators) {
            if key.is_none() || key == of.service() {
                estimator.zero();
            }
        }
    }

    /// A real server is no longer its service's; what passed there remains the
    /// service's.
    pub(crate) fn keep(&mut self, key: ServiceKey, passed: &Traffic) {
        add(self.carried.entry(key).or_default(), passed);
    }

    /// A real server is a service's again; what passed there has been kept.
    pub(crate) fn give_back(&mut self, key: ServiceKey, passed: &Traffic) {
        subtract(self.carried.entry(key).or_default(), passed);
    }

    /// A service is to be no more, by the shard's next snapshot.
    pub(crate) fn forget(&mut self, key: ServiceKey, shard: &Shard<'_>) {
        let counted = count(shard, &self.carried, &self.gone);
        if let Some(passed) = counted.get(&Counted::Service(key)) {
            add(&mut self.gone, passed);
        }
        self.carried.remove(&key);
        for seen in self.moments.values_mut() {
            seen.estimators.retain(|of, _| of.service() != Some(key));
        }
    }

    /// The moments not ruled out.
    pub(crate) fn moments(&self) -> Vec<usize> {
        self.moments.keys().copied().collect()
    }

    /// Has listings go by a moment.
    pub(crate) const fn go_by(&mut self, moment: usize) {
        self.moment = moment;
    }

    /// Leaves only these moments.
    pub(crate) fn leave(&mut self, moments: &[usize]) {
        self.moments.retain(|moment, _| moments.contains(moment));
        self.moment = moments.first().copied().unwrap_or_default();
    }
}

impl Counted {
    const fn service(&self) -> Option<ServiceKey> {
        match self {
            Self::All => None,
            Self::Service(key) | Self::RealServer(key, _) => Some(*key),
        }
    }
}

/// What passed at everything there is.
fn count(
    shard: &Shard<'_>,
    carried: &BTreeMap<ServiceKey, Traffic>,
    gone: &Traffic,
) -> BTreeMap<Counted, Traffic> {
    let mut counted = BTreeMap::from([(Counted::All, *gone)]);
    for (key, traffic) in carried {
        add(counted.entry(Counted::Service(*key)).or_default(), traffic);
        add(counted.entry(Counted::All).or_default(), traffic);
    }
    for (key, address, port, id) in shard.snapshot().real_servers() {
        let traffic = passed(shard, id);
        let real_server = Counted::RealServer(key, SocketAddr::new(address, port));
        for of in [Counted::All, Counted::Service(key), real_server] {
            add(counted.entry(of).or_default(), &traffic);
        }
    }
    counted
}

/// What passed at a real server.
pub(crate) fn passed(shard: &Shard<'_>, id: RealServerId) -> Traffic {
    shard.stats().traffic(id)
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

/// How many moments there could be: the kernel spreads its work over so many
/// parts of a period.
const MOMENTS: usize = 50;
