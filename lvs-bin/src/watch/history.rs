//! What passes, from look to look: [`History`].

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lvs_core::ServiceKey;

use crate::api::shape::{Status, Traffic, key_text};

/// A director as it was at the last look, and what passed in a second before
/// that and earlier ones.
#[derive(Debug, Default)]
pub(super) struct History {
    looked: Option<Instant>,
    status: Status,
    passing: BTreeMap<Of, Series>,
    /// In a second, by reason.
    drops: BTreeMap<String, u64>,
    /// Packets in a second, of each worker.
    workers: Vec<u64>,
}

/// What something passes at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Of {
    /// All services.
    All,
    /// A service, by its name.
    Service(String),
    /// A real server of one.
    RealServer(String, SocketAddr),
}

/// What passed in a second, the latest first.
pub(super) type Series = VecDeque<Traffic>;

impl Of {
    pub(super) fn service(key: &ServiceKey) -> Self {
        Self::Service(key_text(key))
    }

    pub(super) fn real_server(key: &ServiceKey, address: SocketAddr) -> Self {
        Self::RealServer(key_text(key), address)
    }
}

impl History {
    /// Takes a look at a director. One that has begun anew since the last look has
    /// another past, which is forgotten.
    pub(super) fn take(&mut self, now: Instant, status: Status) {
        if status.uptime < self.status.uptime {
            *self = Self::default();
        }
        let passed = self
            .looked
            .map(|looked| now.saturating_duration_since(looked));
        if let Some(passed) = passed.filter(|passed| !passed.is_zero()) {
            self.passed(&status, passed);
        }
        (self.looked, self.status) = (Some(now), status);
    }

    /// How it was at the last look.
    pub(super) const fn status(&self) -> &Status {
        &self.status
    }

    /// Whether there was one.
    pub(super) const fn has_looked(&self) -> bool {
        self.looked.is_some()
    }

    /// What passed in a second before the last look; nothing before the second.
    pub(super) fn now(&self, of: &Of) -> Traffic {
        let series = self.passing.get(of);
        let latest = series.and_then(|series| series.front());
        latest.copied().unwrap_or_default()
    }

    /// The same before each look, the latest first.
    pub(super) fn series(&self, of: &Of) -> impl Iterator<Item = Traffic> {
        self.passing.get(of).into_iter().flatten().copied()
    }

    /// Packets dropped for a reason in a second.
    pub(super) fn dropped(&self, reason: &str) -> u64 {
        self.drops.get(reason).copied().unwrap_or_default()
    }

    /// Packets a worker had a verdict on in a second.
    pub(super) fn worker(&self, number: usize) -> u64 {
        self.workers.get(number).copied().unwrap_or_default()
    }

    fn passed(&mut self, status: &Status, passed: Duration) {
        let mut before = std::mem::take(&mut self.passing);
        for (of, now) in rates(&self.status, status, passed) {
            let mut series = before.remove(&of).unwrap_or_default();
            series.push_front(now);
            series.truncate(KEPT);
            self.passing.insert(of, series);
        }
        let was = &self.status;
        let rate = |now: u64, before: u64| rate(now.saturating_sub(before), passed);
        let dropped = |reason| was.drops.get(reason).copied().unwrap_or_default();
        let drops = status.drops.iter();
        self.drops = drops
            .map(|(reason, count)| (reason.clone(), rate(*count, dropped(reason))))
            .collect();
        let workers = status.workers.iter().zip(&was.workers);
        self.workers = workers
            .map(|(now, was)| rate(now.packets, was.packets))
            .collect();
    }
}

/// What passed in a second between two looks: at each real server, and from that
/// at each service and in all, as those that went take their counters with them.
fn rates(was: &Status, now: &Status, passed: Duration) -> BTreeMap<Of, Traffic> {
    let was: BTreeMap<Of, Traffic> = was
        .services
        .iter()
        .flat_map(|service| {
            let key = &service.service;
            let all = service.real_servers.iter().flatten();
            all.map(move |it| (Of::real_server(key, it.address), it.traffic))
        })
        .collect();
    let mut rates = BTreeMap::from([(Of::All, Traffic::default())]);
    for service in &now.services {
        let mut sum = Traffic::default();
        for it in service.real_servers.iter().flatten() {
            let of = Of::real_server(&service.service, it.address);
            // What was not there has no rate yet.
            let was = was.get(&of).unwrap_or(&it.traffic);
            let rate = difference(&it.traffic, was, passed);
            sum.add(&rate);
            rates.insert(of, rate);
        }
        rates.entry(Of::All).or_default().add(&sum);
        rates.insert(Of::service(&service.service), sum);
    }
    rates
}

fn difference(now: &Traffic, was: &Traffic, passed: Duration) -> Traffic {
    let rate = |now: u64, was: u64| rate(now.saturating_sub(was), passed);
    Traffic {
        connections: rate(now.connections, was.connections),
        packets_in: rate(now.packets_in, was.packets_in),
        bytes_in: rate(now.bytes_in, was.bytes_in),
        packets_out: rate(now.packets_out, was.packets_out),
        bytes_out: rate(now.bytes_out, was.bytes_out),
    }
}

/// So many in `passed`, in a second.
fn rate(count: u64, passed: Duration) -> u64 {
    (count as f64 / passed.as_secs_f64()).round() as u64
}

/// Looks that are remembered: more than any screen is wide.
const KEPT: usize = 400;
