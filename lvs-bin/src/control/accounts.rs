//! The counters of a running director, over the changes of its configuration:
//! [`Accounts`].

use std::collections::HashMap;
use std::net::SocketAddr;

use lvs_core::{Config, Service, ServiceKey, Traffic};

use super::{Counted, Counts, Estimator, Estimators, Ledger};

/// What passed at each real server there is.
pub(super) type Passed = HashMap<(ServiceKey, SocketAddr), Traffic>;

/// What is counted and what is shown of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Accounts {
    ledger: Ledger,
    estimators: Estimators,
}

/// What a change of the configuration takes away and brings. Real servers of
/// services that come or go as a whole are not among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    services_gone: Vec<ServiceKey>,
    gone: Vec<(ServiceKey, SocketAddr)>,
    come: Vec<(ServiceKey, SocketAddr)>,
}

impl Change {
    /// *Cost:* a look-up a service; what is as before is only compared.
    pub(super) fn between(old: &Config, new: &Config) -> Self {
        let mut change = Self::default();
        let mut before: HashMap<ServiceKey, &Service> =
            old.services().iter().map(|it| (it.key, it)).collect();
        for service in new.services() {
            let Some(before) = before.remove(&service.key) else {
                continue;
            };
            if before.real_servers != service.real_servers {
                let (was, is) = (places(before), places(service));
                let differ = |these: &[SocketAddr], those: &[SocketAddr]| -> Vec<_> {
                    let only = these.iter().filter(|at| those.binary_search(at).is_err());
                    only.map(|at| (service.key, *at)).collect()
                };
                change.gone.extend(differ(&was, &is));
                change.come.extend(differ(&is, &was));
            }
        }
        change.services_gone = before.into_keys().collect();
        change
    }

    /// Whether it takes something away that has counted.
    pub(super) const fn takes_away(&self) -> bool {
        !self.services_gone.is_empty() || !self.gone.is_empty()
    }

    /// Whether it brings real servers to services that were there before.
    pub(super) const fn brings(&self) -> bool {
        !self.come.is_empty()
    }
}

/// Where a service's real servers are, sorted.
fn places(service: &Service) -> Vec<SocketAddr> {
    let real_servers = service.real_servers.iter();
    let mut places: Vec<_> = real_servers
        .map(|it| SocketAddr::new(it.address, it.port_in(&service.key)))
        .collect();
    places.sort_unstable();
    places
}

impl Accounts {
    /// Looks at the counters, once every [`PERIOD`](super::PERIOD).
    pub(super) fn tick(&mut self, passed: Passed) {
        self.estimators.tick(&self.count(passed));
    }

    /// Books what a change has taken away; `passed` are the last counters of it.
    pub(super) fn take_away(&mut self, change: &Change, mut passed: Passed) {
        for (key, at) in &change.gone {
            // From here on it counts as kept, and no more besides.
            if let Some(passed) = passed.remove(&(*key, *at)) {
                self.ledger.keep(*key, &passed);
            }
        }
        if !change.services_gone.is_empty() {
            let counts = self.count(passed);
            for key in &change.services_gone {
                self.ledger.forget(*key, &counts);
            }
            self.estimators.forget(&change.services_gone);
        }
    }

    /// Books what a change has brought; `passed` are the first counters of it.
    pub(super) fn bring(&mut self, change: &Change, passed: &Passed) {
        for (key, at) in &change.come {
            let passed = passed.get(&(*key, *at)).copied().unwrap_or_default();
            self.ledger.give_back(*key, &passed);
            self.estimators.begin(*key, *at, passed);
        }
    }

    /// Has the counters of a service and its real servers show as zero; all
    /// counters if none is named.
    pub(super) fn zero(&mut self, key: Option<ServiceKey>) {
        self.estimators.zero(key);
    }

    fn count(&self, passed: Passed) -> Counts {
        let each = passed.into_iter();
        self.ledger.count(each.map(|((key, at), it)| (key, at, it)))
    }

    /// What is shown of something.
    pub(super) fn shown(&self, of: Counted) -> Estimator {
        self.estimators.shown(of)
    }
}

#[cfg(test)]
mod tests {
    use lvs_core::{RealServer, Scheduler};

    use super::*;

    fn service(port: u16, real_servers: &[u8]) -> Service {
        let address = ([192, 0, 2, 10], port).into();
        let service = Service::tcp(address, Scheduler::RoundRobin);
        real_servers.iter().fold(service, |service, last| {
            service.real_server(RealServer::direct_route([10, 0, 0, *last].into()))
        })
    }

    fn at(last: u8) -> SocketAddr {
        ([10, 0, 0, last], 80).into()
    }

    fn key() -> ServiceKey {
        service(80, &[]).key
    }

    /// So many connections of real servers of the service on port 80.
    fn passed(all: &[(u8, u64)]) -> Passed {
        let one = |(last, connections): &(u8, u64)| {
            let traffic = Traffic {
                connections: *connections,
                ..Traffic::default()
            };
            ((key(), at(*last)), traffic)
        };
        all.iter().map(one).collect()
    }

    /// Connections that are shown of all services, the one, and a real server.
    fn shown(accounts: &Accounts, last: u8) -> [u64; 3] {
        [
            Counted::All,
            Counted::Service(key()),
            Counted::RealServer(key(), at(last)),
        ]
        .map(|of| accounts.shown(of).traffic().connections)
    }

    fn change(old: &[Service], new: &[Service]) -> Change {
        let config = |services: &[Service]| Config::new(services.to_vec()).unwrap();
        Change::between(&config(old), &config(new))
    }

    #[test]
    fn a_change_is_what_comes_and_goes() {
        let changed = change(
            &[service(80, &[1, 2]), service(81, &[1]), service(82, &[1])],
            &[service(80, &[2, 3]), service(82, &[1]), service(83, &[1])],
        );
        let expected = Change {
            services_gone: vec![service(81, &[]).key],
            gone: vec![(key(), at(1))],
            come: vec![(key(), at(3))],
        };
        assert_eq!(changed, expected);
        assert!(changed.takes_away() && changed.brings());
        let same = change(&[service(80, &[1])], &[service(80, &[1])]);
        assert!(!same.takes_away() && !same.brings());
    }

    #[test]
    fn a_service_keeps_what_passed_at_real_servers_it_had() {
        let mut accounts = Accounts::default();
        accounts.tick(passed(&[(1, 10), (2, 5)]));
        assert_eq!(shown(&accounts, 1), [15, 15, 10]);
        let (both, one) = ([service(80, &[1, 2])], [service(80, &[2])]);
        accounts.take_away(&change(&both, &one), passed(&[(1, 12), (2, 5)]));
        accounts.tick(passed(&[(2, 6)]));
        assert_eq!(shown(&accounts, 2), [18, 18, 6]);
        // It comes back, and counts on.
        accounts.bring(&change(&one, &both), &passed(&[(1, 12), (2, 6)]));
        accounts.tick(passed(&[(1, 13), (2, 6)]));
        assert_eq!(shown(&accounts, 1), [19, 19, 13]);
        // It comes back, and counts anew.
        accounts.take_away(&change(&both, &one), passed(&[(1, 13), (2, 6)]));
        accounts.bring(&change(&one, &both), &passed(&[(1, 0), (2, 6)]));
        accounts.tick(passed(&[(1, 1), (2, 6)]));
        assert_eq!(shown(&accounts, 1), [20, 20, 1]);
    }

    #[test]
    fn rates_and_zeroes_outlast_an_absence() {
        let mut accounts = Accounts::default();
        let (both, one) = ([service(80, &[1, 2])], [service(80, &[2])]);
        accounts.tick(passed(&[(1, 1000), (2, 0)]));
        accounts.zero(None);
        accounts.take_away(&change(&both, &one), passed(&[(1, 1000), (2, 0)]));
        accounts.tick(passed(&[(2, 0)]));
        accounts.bring(&change(&one, &both), &passed(&[(1, 1000), (2, 0)]));
        accounts.tick(passed(&[(1, 1003), (2, 0)]));
        assert_eq!(shown(&accounts, 1), [3, 3, 3]);
        // It is no more remembered, and what passed before is not shown as new.
        accounts.take_away(&change(&both, &one), passed(&[(1, 1003), (2, 0)]));
        for _ in 0..100 {
            accounts.tick(passed(&[(2, 0)]));
        }
        accounts.bring(&change(&one, &both), &passed(&[(1, 1003), (2, 0)]));
        accounts.tick(passed(&[(1, 1005), (2, 0)]));
        assert_eq!(shown(&accounts, 1), [5, 5, 2]);
        let rates = accounts.shown(Counted::RealServer(key(), at(1))).rates();
        assert!(rates.connections <= 1, "{rates:?}");
    }

    #[test]
    fn all_keeps_what_passed_at_services_that_were() {
        let mut accounts = Accounts::default();
        let (both, one) = ([service(80, &[1, 2])], [service(80, &[2])]);
        accounts.tick(passed(&[(1, 10), (2, 5)]));
        accounts.take_away(&change(&both, &one), passed(&[(1, 10), (2, 5)]));
        accounts.take_away(&change(&one, &[]), passed(&[(2, 7)]));
        accounts.tick(Passed::new());
        assert_eq!(shown(&accounts, 2), [17, 0, 0]);
        // Made anew, it begins with nothing.
        accounts.tick(passed(&[(2, 1)]));
        assert_eq!(shown(&accounts, 2), [18, 1, 1]);
    }
}
