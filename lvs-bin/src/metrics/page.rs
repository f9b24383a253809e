//! All metrics at one moment, a part for each: [`Page`].

use std::collections::BTreeMap;
use std::sync::Arc;

use lvs_core::{Config, ForwardingMethod, ServiceKey};

use super::exposition::Kind::{Counter, Gauge, Histogram};
use super::exposition::{Labels, Metric};
use super::figures::{DIRECTOR, Figure, REAL_SERVER, SERVICE, ServiceFigures, WORKER};
use crate::api::shape::key_text;
use crate::director::{Director, DirectorStats};

/// The metrics of a director at one moment: an iterator over the text of one
/// after the other.
#[derive(Debug)]
pub struct Page {
    stats: DirectorStats,
    config: Arc<Config>,
    services: Vec<(Labels, ServiceFigures)>,
    /// Of `stats.real_servers`, in their order.
    real_servers: Vec<Labels>,
    workers: Vec<Labels>,
    /// Parts given so far.
    given: usize,
}

/// What one part is about.
enum Part {
    Director(&'static Figure<lvs_core::Stats>),
    Service(&'static Figure<ServiceFigures>),
    RealServer(&'static Figure<crate::director::RealServerStats>),
    Worker(&'static Figure<crate::director::WorkerCounters>),
    Other(fn(&Page, &mut String)),
}

impl Page {
    /// As it is now with a director.
    #[must_use]
    pub fn of(director: &Director) -> Self {
        Self::new(director.stats(), director.config())
    }

    /// Of what a director has done, and the configuration it goes by.
    #[must_use]
    pub fn new(stats: DirectorStats, config: Arc<Config>) -> Self {
        let mut sums: BTreeMap<ServiceKey, ServiceFigures> = BTreeMap::new();
        let mut real_servers = Vec::with_capacity(stats.real_servers.len());
        for server in &stats.real_servers {
            sums.entry(server.service).or_default().add(server);
            real_servers.push(Labels::new([
                ("service", &key_text(&server.service)),
                ("real_server", &server.address.to_string()),
            ]));
        }
        let services = config.services().iter().map(|service| {
            let key = service.key();
            let sum = sums.get(&key).copied().unwrap_or_default();
            (Labels::new([("service", &key_text(&key))]), sum)
        });
        let services = services.collect();
        let workers = 0..stats.per_worker.len();
        let workers = workers.map(|number| Labels::new([("worker", &number.to_string())]));
        Self {
            services,
            real_servers,
            workers: workers.collect(),
            stats,
            config,
            given: 0,
        }
    }

    fn write(&self, part: &Part, out: &mut String) {
        let stats = &self.stats;
        match part {
            Part::Director(figure) => {
                let shards = [(&Labels::default(), &stats.shards)];
                figure.write(out, shards);
            }
            Part::Service(figure) => {
                let services = self.services.iter();
                figure.write(out, services.map(|(labels, of)| (labels, of)));
            }
            Part::RealServer(figure) => {
                figure.write(out, self.real_servers.iter().zip(&stats.real_servers));
            }
            Part::Worker(figure) => {
                figure.write(out, self.workers.iter().zip(&stats.per_worker));
            }
            Part::Other(write) => write(self, out),
        }
    }

    fn build(&self, out: &mut String) {
        let help = "1, with the version of the director.";
        let mut metric = Metric::begin(out, "lvs_build_info", Gauge, help);
        let version = env!("CARGO_PKG_VERSION");
        metric.number(&Labels::new([("version", version)]), 1);
    }

    fn verdicts(&self, out: &mut String) {
        let help = "Packets by what became of them; one that is handed to another worker has a \
                    verdict of each.";
        let mut metric = Metric::begin(out, "lvs_packets_total", Counter, help);
        let shards = &self.stats.shards;
        for (verdict, count) in [
            ("transmitted", shards.transmitted),
            ("host", shards.host),
            ("handed_off", shards.handed_off),
            ("held", shards.held),
            ("dropped", shards.all_dropped()),
        ] {
            metric.number(&Labels::new([("verdict", verdict)]), count);
        }
    }

    fn drops(&self, out: &mut String) {
        let help = "Packets that ended in the director or on its queues, by reason.";
        let mut metric = Metric::begin(out, "lvs_dropped_packets_total", Counter, help);
        for (reason, count) in self.stats.drop_reasons() {
            metric.number(&Labels::new([("reason", reason)]), count);
        }
    }

    fn worker_drops(&self, out: &mut String) {
        let help = "Packets lost on their way into, out of and between workers, by reason; \
                    dropped packets too.";
        let mut metric = Metric::begin(out, "lvs_worker_lost_packets_total", Counter, help);
        for (number, worker) in self.stats.per_worker.iter().enumerate() {
            for (reason, count) in worker.drops() {
                let labels = [("worker", &*number.to_string()), ("reason", reason)];
                metric.number(&Labels::new(labels), count);
            }
        }
    }

    fn turns(&self, out: &mut String) {
        let help = "How long turns of the worker's main loop took that had work.";
        let mut metric = Metric::begin(out, "lvs_worker_turn_seconds", Histogram, help);
        for (labels, taken) in self.workers.iter().zip(&self.stats.per_worker_latency) {
            metric.latency(labels, &taken.turn);
        }
    }

    fn setups(&self, out: &mut String) {
        let help = "How long the turn took that took in a connection's first packet and sent it \
                    on, once a connection.";
        let mut metric = Metric::begin(out, "lvs_connection_setup_seconds", Histogram, help);
        for (labels, taken) in self.workers.iter().zip(&self.stats.per_worker_latency) {
            metric.latency(labels, &taken.connection_setup);
        }
    }

    fn service_info(&self, out: &mut String) {
        let help = "1, with the scheduler of the service.";
        let mut metric = Metric::begin(out, "lvs_service_info", Gauge, help);
        for service in self.config.services() {
            let labels = [
                ("service", &*key_text(&service.key())),
                ("scheduler", service.scheduler.name()),
            ];
            metric.number(&Labels::new(labels), 1);
        }
    }

    fn real_server_info(&self, out: &mut String) {
        let help = "1, with the forwarding method of the real server.";
        let mut metric = Metric::begin(out, "lvs_real_server_info", Gauge, help);
        for server in &self.stats.real_servers {
            let labels = [
                ("service", &*key_text(&server.service)),
                ("real_server", &server.address.to_string()),
                ("forwarding", forwarding(server.forwarding)),
            ];
            metric.number(&Labels::new(labels), 1);
        }
    }
}

/// All parts, in their order.
fn parts() -> impl Iterator<Item = Part> {
    let others: [fn(&Page, &mut String); 3] = [Page::build, Page::verdicts, Page::drops];
    let others = others.into_iter().map(Part::Other);
    others
        .chain(DIRECTOR.iter().map(Part::Director))
        .chain([Part::Other(Page::worker_drops)])
        .chain(WORKER.iter().map(Part::Worker))
        .chain([Part::Other(Page::turns), Part::Other(Page::setups)])
        .chain([Part::Other(Page::service_info)])
        .chain(SERVICE.iter().map(Part::Service))
        .chain([Part::Other(Page::real_server_info)])
        .chain(REAL_SERVER.iter().map(Part::RealServer))
}

impl Iterator for Page {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let part = parts().nth(self.given)?;
        self.given += 1;
        let mut out = String::new();
        self.write(&part, &mut out);
        Some(out)
    }
}

impl<T> Figure<T> {
    fn write<'t>(&self, out: &mut String, all: impl IntoIterator<Item = (&'t Labels, &'t T)>)
    where
        T: 't,
    {
        let mut metric = Metric::begin(out, self.name, self.kind, self.help);
        for (labels, one) in all {
            metric.number(labels, (self.of)(one));
        }
    }
}

/// The forwarding method as the configuration file writes it.
const fn forwarding(method: ForwardingMethod) -> &'static str {
    match method {
        ForwardingMethod::Masquerade => "masquerade",
        ForwardingMethod::DirectRoute => "direct-route",
        ForwardingMethod::Tunnel(_) => "tunnel",
    }
}
