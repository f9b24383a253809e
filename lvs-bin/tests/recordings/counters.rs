//! Counters and rates as they are shown: looked at every two seconds.
//!
//! At what moment of those two seconds the kernel looks is its own affair, and
//! not the same in every boot. So counters are looked at in every moment there
//! could be, and the moments that do not explain what was recorded are ruled
//! out: one must be left at the end of a scenario.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use lvs::control::{Counted, Estimator, Estimators, Ledger, PERIOD};
use lvs_core::{RealServerId, ServiceKey, Shard, Traffic};

/// The counters of everything, as seen from every moment.
pub(crate) struct Counters {
    ledger: Ledger,
    moments: BTreeMap<usize, Seen>,
    /// The moment that listings go by.
    moment: usize,
}

/// What was seen from one moment.
#[derive(Default)]
struct Seen {
    /// How often the moment has come.
    ticks: u32,
    estimators: Estimators,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            ledger: Ledger::default(),
            moments: (0..MOMENTS).map(|at| (at, Seen::default())).collect(),
            moment: 0,
        }
    }
}

impl Counters {
    /// Has every estimator look whose moment has come by `at`, in seconds since
    /// the first step; none does while estimation is off.
    pub(crate) fn look_until(&mut self, at: f64, shard: &Shard<'_>, is_on: bool) {
        let mut counts = None;
        for (place, seen) in &mut self.moments {
            let offset = PERIOD.as_secs_f64() * (*place as f64 + 0.5) / MOMENTS as f64;
            while offset + PERIOD.as_secs_f64() * f64::from(seen.ticks) <= at {
                seen.ticks += 1;
                if is_on {
                    let counts = counts.get_or_insert_with(|| self.ledger.count(all(shard)));
                    seen.estimators.tick(counts);
                }
            }
        }
    }

    /// What has passed at everything by now.
    pub(crate) fn total(&self, shard: &Shard<'_>) -> Traffic {
        self.ledger.count(all(shard))[&Counted::All]
    }

    /// What is shown of something, by the moment listings go by.
    pub(crate) fn shown(&self, of: Counted) -> Estimator {
        let seen = self.moments.get(&self.moment);
        seen.map_or_else(Estimator::new, |seen| seen.estimators.shown(of))
    }

    /// Has the counters of a service and its real servers show as zero; all
    /// counters if none is named.
    pub(crate) fn zero(&mut self, key: Option<ServiceKey>) {
        self.estimators().for_each(|it| it.zero(key));
    }

    /// A real server is no longer its service's.
    pub(crate) fn keep(&mut self, key: ServiceKey, passed: &Traffic) {
        self.ledger.keep(key, passed);
    }

    /// A real server is a service's, perhaps again.
    pub(crate) fn begin(&mut self, key: ServiceKey, at: SocketAddr, passed: Traffic) {
        self.ledger.give_back(key, &passed);
        self.estimators().for_each(|it| it.begin(key, at, passed));
    }

    /// Services are to be no more, by the shard's next snapshot.
    pub(crate) fn forget(&mut self, services: &[ServiceKey], shard: &Shard<'_>) {
        let counts = self.ledger.count(all(shard));
        for key in services {
            self.ledger.forget(*key, &counts);
        }
        self.estimators().for_each(|it| it.forget(services));
    }

    fn estimators(&mut self) -> impl Iterator<Item = &mut Estimators> {
        self.moments.values_mut().map(|seen| &mut seen.estimators)
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

/// What passed at each real server there is.
fn all(shard: &Shard<'_>) -> impl Iterator<Item = (ServiceKey, SocketAddr, Traffic)> {
    let all = shard.snapshot().real_servers();
    all.map(|(key, address, port, id)| (key, (address, port).into(), passed(shard, id)))
}

/// What passed at a real server.
pub(crate) fn passed(shard: &Shard<'_>, id: RealServerId) -> Traffic {
    shard.stats().traffic(id)
}

/// How many moments there could be: the kernel spreads its work over so many
/// parts of a period.
const MOMENTS: usize = 50;
