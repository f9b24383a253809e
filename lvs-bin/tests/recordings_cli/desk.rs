//! The recorded director, as the tool sees it: the table of this crate, one
//! shard that counts what passes, and estimators that look at the counters.
//!
//! The kernel looks every two seconds, but at what moment is its own affair;
//! so there are estimators for every moment there could be.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use lvs::control::{Estimator, PERIOD, Table};
use lvs::ipvsadm::{self, Control, Daemon, DaemonRole, KernelError, ServiceRequest};
use lvs_core::network::{Interface, Neighbour, Route, Way};
use lvs_core::{
    Config, Instant, Limits, Line, Network, PacketBuf, Planner, Port, RealServer, ServiceKey,
    Setting, Shard, Timeouts, Traffic, Verdict,
};

/// A real server of a service, or the service itself.
type Place = (ServiceKey, Option<SocketAddr>);

/// A director that takes commands and frames.
pub(crate) struct Desk<'m> {
    pub(crate) table: Table,
    network: Arc<Network>,
    planner: Planner,
    shard: Shard<'m>,
    /// Names of engines, which the table does not know.
    engines: BTreeMap<ServiceKey, String>,
    /// What each estimator of each moment has seen.
    estimators: Vec<BTreeMap<Place, Estimator>>,
    /// Which moment is looked by.
    pub(crate) phase: usize,
    /// How often each moment has come.
    ticks: Vec<u32>,
    /// The connections there are said to be.
    pub(crate) connections: Vec<ipvsadm::Connection>,
}

impl<'m> Desk<'m> {
    /// The director before any command, its connections in `memory`.
    pub(crate) fn new(memory: &'m mut [Line]) -> Self {
        let limits = Limits {
            services: 32,
            real_servers: 4096,
            ..Limits::default()
        };
        let network = Arc::new(network());
        let mut planner = Planner::new(limits);
        let snapshot = planner.plan(&Config::new([]).unwrap(), &network).unwrap();
        Self {
            table: Table::default(),
            shard: Shard::new(Default::default(), memory, &limits, snapshot).unwrap(),
            network,
            planner,
            engines: BTreeMap::new(),
            estimators: vec![BTreeMap::new(); PHASES],
            phase: 0,
            ticks: vec![0; PHASES],
            connections: Vec::new(),
        }
    }

    /// Takes a frame in.
    pub(crate) fn receive(&mut self, at: f64, side: u8, frame: &[u8]) {
        let mut chunk = vec![0; HEADROOM + frame.len() + HEADROOM];
        let mut range = HEADROOM..HEADROOM + frame.len();
        chunk[range.clone()].copy_from_slice(frame);
        let mut packets = [PacketBuf::new(&mut chunk, &mut range, Port(side))];
        let now = Instant::from_nanoseconds(((1000.0 + at) * 1e9) as u64);
        self.shard.process(now, &mut packets, &mut [Verdict::Host]);
    }

    /// Lets every estimator look whose moment has come by now.
    pub(crate) fn tick_until(&mut self, at: f64) {
        if !self.table.draft().settings.is_on(Setting::RunEstimation) {
            return;
        }
        let counters = self.counters();
        for phase in 0..PHASES {
            let moment =
                |tick| STEP * (phase as f64 + 0.5) + PERIOD.as_secs_f64() * f64::from(tick);
            while moment(self.ticks[phase]) <= at {
                self.ticks[phase] += 1;
                for (place, traffic) in &counters {
                    let estimator = self.estimators[phase].entry(*place).or_default();
                    estimator.tick(*traffic);
                }
            }
        }
    }

    /// What passed, by real servers and services.
    fn counters(&self) -> BTreeMap<Place, Traffic> {
        let mut counters: BTreeMap<Place, Traffic> = BTreeMap::new();
        for (key, address, port, id) in self.shard.snapshot().real_servers() {
            let traffic = self.shard.stats().traffic(id);
            let server = Some(SocketAddr::new(address, port));
            add(counters.entry((key, server)).or_default(), &traffic);
            add(counters.entry((key, None)).or_default(), &traffic);
        }
        counters
    }

    fn estimator(&self, key: ServiceKey, server: Option<SocketAddr>) -> Estimator {
        let seen = self.estimators[self.phase].get(&(key, server));
        seen.copied().unwrap_or_default()
    }

    /// What passed at all services, and what passes in a second.
    pub(crate) fn total(&self) -> (Traffic, Traffic) {
        let mut total = (Traffic::default(), Traffic::default());
        for service in self.services() {
            add(&mut total.0, &service.traffic);
            add(&mut total.1, &service.rates);
        }
        total
    }

    fn publish(&mut self) -> Result<(), KernelError> {
        let config = Config::checked(self.table.draft().clone()).unwrap();
        let snapshot = self.planner.plan(&config, &self.network).unwrap();
        self.shard.adopt(snapshot);
        Ok(())
    }

    /// A real server with the connections it has.
    fn listed(&self, key: ServiceKey, real_server: &RealServer) -> ipvsadm::RealServer {
        let address = SocketAddr::new(real_server.address, real_server.port);
        let mine = self
            .connections
            .iter()
            .filter(|it| it.destination == address && Some(it.service) == key.address());
        let (templates, mine): (Vec<_>, Vec<_>) = mine.partition(|it| it.client.port() == 0);
        let active = mine.iter().filter(|it| ACTIVE.contains(&it.state)).count();
        let estimator = self.estimator(key, Some(address));
        ipvsadm::RealServer {
            address,
            forwarding: real_server.forwarding,
            weight: real_server.share().get(),
            thresholds: real_server.thresholds,
            active: active as u32,
            inactive: (mine.len() - active) as u32,
            persistent: templates.len() as u32,
            traffic: estimator.traffic(),
            rates: estimator.rates(),
        }
    }
}

impl Control for Desk<'_> {
    fn add_service(&mut self, mut service: ServiceRequest) -> Result<(), KernelError> {
        let (key, engine) = (service.key, service.engine.take_if(|name| name == "sip"));
        self.table.add_service(&service)?;
        self.engines.extend(engine.map(|name| (key, name)));
        self.publish()
    }

    fn edit_service(&mut self, mut service: ServiceRequest) -> Result<(), KernelError> {
        let (key, engine) = (service.key, service.engine.take_if(|name| name == "sip"));
        self.table.edit_service(&service)?;
        self.engines.remove(&key);
        self.engines.extend(engine.map(|name| (key, name)));
        self.publish()
    }

    fn delete_service(&mut self, key: ServiceKey) -> Result<(), KernelError> {
        self.table.delete_service(key)?;
        self.engines.remove(&key);
        self.publish()
    }

    fn flush(&mut self) -> Result<(), KernelError> {
        self.table.flush();
        self.engines.clear();
        self.publish()
    }

    fn zero(&mut self, key: Option<ServiceKey>) -> Result<(), KernelError> {
        let mut services = self.table.draft().services.iter();
        if key.is_some_and(|key| !services.any(|service| service.key == key)) {
            return Err(KernelError::NoSuch);
        }
        let seen = self.estimators.iter_mut().flatten();
        for (_, estimator) in seen.filter(|((of, _), _)| key.is_none_or(|key| key == *of)) {
            estimator.zero();
        }
        Ok(())
    }

    fn add_server(&mut self, key: ServiceKey, real_server: RealServer) -> Result<(), KernelError> {
        let network = self.network.clone();
        self.table.add_server(key, real_server, &network)?;
        self.publish()
    }

    fn edit_server(&mut self, key: ServiceKey, real_server: RealServer) -> Result<(), KernelError> {
        self.table.edit_server(key, real_server)?;
        self.publish()
    }

    fn delete_server(&mut self, key: ServiceKey, at: SocketAddr) -> Result<(), KernelError> {
        self.table.delete_server(key, at)?;
        self.publish()
    }

    fn set_timeouts(&mut self, seconds: [u32; 3]) -> Result<(), KernelError> {
        self.table.set_timeouts(seconds);
        self.publish()
    }

    fn start_daemon(&mut self, daemon: Daemon) -> Result<(), KernelError> {
        let there = ["cli0", "rs0"].contains(&daemon.interface.as_str());
        self.table.start_daemon(daemon, there.then_some(1500))
    }

    fn stop_daemon(&mut self, role: DaemonRole) -> Result<(), KernelError> {
        self.table.stop_daemon(role)
    }

    fn services(&self) -> Vec<ipvsadm::Service> {
        let services = self.table.draft().services.iter();
        services
            .map(|service| {
                let key = service.key;
                let estimator = self.estimator(key, None);
                let real_servers = service.real_servers.iter().rev();
                ipvsadm::Service {
                    key,
                    scheduler: service.scheduler.name().to_owned(),
                    flags: service.flags,
                    one_packet: service.one_packet,
                    persistence: service.persistence,
                    engine: self.engines.get(&key).cloned(),
                    traffic: estimator.traffic(),
                    rates: estimator.rates(),
                    real_servers: real_servers.map(|it| self.listed(key, it)).collect(),
                }
            })
            .collect()
    }

    fn connections(&self) -> Vec<ipvsadm::Connection> {
        self.connections.clone()
    }

    fn timeouts(&self) -> Timeouts {
        self.table.draft().timeouts
    }

    fn daemons(&self) -> Vec<Daemon> {
        self.table.daemons().iter().cloned().collect()
    }

    fn table_size(&self) -> u32 {
        4096
    }
}

const fn add(sum: &mut Traffic, more: &Traffic) {
    sum.connections += more.connections;
    sum.packets_in += more.packets_in;
    sum.bytes_in += more.bytes_in;
    sum.packets_out += more.packets_out;
    sum.bytes_out += more.bytes_out;
}

/// The interfaces, and as many routes and neighbours as packets here need.
fn network() -> Network {
    let interface = |net: u8| Interface {
        mac: [2, 0, 0, 0, net, 1],
        mtu: 1500,
        ipv4: Some(Ipv4Addr::new(10, net / 16 * 10, 0, 1)),
        ipv6: Some(Ipv6Addr::new(0x2001, 0xdb8, net.into(), 0, 0, 0, 0, 1)),
    };
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    let local = [
        "127.0.0.0/8",
        "203.0.113.80/30",
        "10.10.0.1/32",
        "10.20.0.1/32",
    ];
    let local = local.map(|prefix| {
        let (prefix, length) = prefix.split_once('/').unwrap();
        route(address(prefix), length.parse().unwrap(), Way::Local)
    });
    let gateway = Some(address("10.10.0.254"));
    let ways = [
        ("10.10.0.0", 24, 0, None),
        ("10.20.0.0", 24, 1, None),
        ("0.0.0.0", 0, 0, gateway),
    ];
    let ways = ways.map(|(prefix, length, port, gateway)| {
        let way = Way::Out {
            port: Port(port),
            vlan: None,
            gateway,
            source: None,
            mtu: None,
        };
        route(address(prefix), length, way)
    });
    let neighbour = |to: IpAddr, port: u8, last: u8| Neighbour {
        address: to,
        port: Port(port),
        vlan: None,
        mac: [2, 0, 0, 0, port * 16 + 16, last],
    };
    let servers = (11..=42).map(|n| neighbour(IpAddr::from([10, 20, 0, n]), 1, n));
    let neighbours = servers.chain([neighbour(address("10.10.0.254"), 0, 0xfe)]);
    Network::new(
        vec![interface(0x10), interface(0x20)],
        local.into_iter().chain(ways),
        neighbours,
    )
}

const fn route(prefix: IpAddr, length: u8, way: Way) -> Route {
    Route {
        prefix,
        length,
        way,
    }
}

/// How many moments there could be in a period.
pub(crate) const PHASES: usize = 50;
/// From one to the next, in seconds.
const STEP: f64 = 0.04;
/// Bytes around a frame.
const HEADROOM: usize = 128;
/// States in which a connection counts as active.
const ACTIVE: [&str; 2] = ["SYN_RECV", "ESTABLISHED"];
