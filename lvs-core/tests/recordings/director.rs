//! The recorded director: interfaces, routes and neighbours as they were, the
//! services its commands made, and one shard that serves them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use lvs_core::network::{Interface, Neighbour, Route, Way};
use lvs_core::{
    Config, Draft, Instant, Limits, Line, Loads, Network, PacketBuf, Planner, Port, RealServer,
    RealServerId, Service, ServiceKey, Setting, Shard, Traffic, Verdict,
};

use crate::command::Command;

/// A director that takes commands and frames.
pub(crate) struct Director<'m> {
    /// What the commands so far come to.
    pub(crate) draft: Draft,
    pub(crate) network: Arc<Network>,
    pub(crate) shard: Shard<'m>,
    /// Addresses at which the host takes packets out of tunnels.
    pub(crate) tunnel_ends: Vec<IpAddr>,
    planner: Planner,
    /// What had passed at real servers when their counters were set to zero.
    zeroes: Vec<(ServiceKey, RealServerId, Traffic)>,
    mtus: [u32; 2],
    routes: Vec<Route>,
}

impl<'m> Director<'m> {
    /// The director before any command, its connections in `memory`.
    pub(crate) fn new(memory: &'m mut [Line]) -> Self {
        let limits = Limits {
            services: 16,
            real_servers: 2048,
            ..Limits::default()
        };
        let mut planner = Planner::new(limits);
        planner.memory().tell(FREE_PAGES);
        let (mtus, routes) = ([1500; 2], routes());
        let network = network(mtus, &routes);
        let snapshot = planner.plan(&Config::new([]).unwrap(), &network).unwrap();
        let shard = Shard::new(Default::default(), memory, &limits, snapshot).unwrap();
        Self {
            draft: Draft::default(),
            network,
            shard,
            tunnel_ends: Vec::new(),
            planner,
            zeroes: Vec::new(),
            mtus,
            routes,
        }
    }

    /// Gives one of the kernel's settings another value.
    ///
    /// *Errors:* what is wrong with it, in the words of the kernel's error.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let name = name.rsplit('.').next().unwrap();
        if (name, value) == ("ip_forward", "1") {
            return Ok(());
        }
        let set = self.draft.set_sysctl(name, value, PROCESSORS);
        set.map_err(|why| why.to_string())?;
        self.publish()
    }

    /// The value of a setting as the kernel shows it.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let set = self.draft.sysctl(name)?;
        let shown = |setting| self.shard.snapshot().shown(setting).to_string();
        match Setting::named(name) {
            Some(setting) if set.parse::<i32>().is_ok() => Some(shown(setting)),
            _ => Some(set),
        }
    }

    /// Carries out a command that changes something.
    ///
    /// *Errors:* what is wrong with it.
    pub(crate) fn carry_out(&mut self, command: Command) -> Result<(), String> {
        match command {
            Command::AddService(service) => self.draft.services.push(service),
            Command::EditService(edited) => {
                let service = self.service(edited.key);
                let real_servers = std::mem::take(&mut service.real_servers);
                *service = Service {
                    real_servers,
                    ..edited
                };
            }
            Command::RemoveService(key) => {
                self.zeroes.retain(|(of, ..)| *of != key);
                self.draft.services.retain(|service| service.key != key);
            }
            Command::AddRealServer(key, real_server) => {
                self.service(key).real_servers.push(real_server);
            }
            Command::EditRealServer(key, edited) => {
                let at = SocketAddr::new(edited.address, edited.port_in(&key));
                *self.real_server(key, at) = edited;
            }
            Command::RemoveRealServer(key, address) => {
                let gone = |rs: &RealServer| (rs.address, rs.port_in(&key)) == end(address);
                self.service(key).real_servers.retain(|rs| !gone(rs));
            }
            Command::Clear => {
                self.zeroes.clear();
                self.draft.services.clear();
            }
            Command::Timeouts([tcp, fin, udp]) => {
                let timeouts = &mut self.draft.timeouts;
                let kept = [
                    (&mut timeouts.tcp, tcp),
                    (&mut timeouts.tcp_fin, fin),
                    (&mut timeouts.udp, udp),
                ];
                for (timeout, seconds) in kept.into_iter().filter(|(_, seconds)| *seconds > 0) {
                    *timeout = Duration::from_secs(seconds);
                }
            }
            Command::Mtu { interface, mtu } => self.mtus[port(&interface).index()] = mtu,
            Command::AddRoute {
                prefix,
                length,
                gateway,
                interface,
            } => self
                .routes
                .push(out(prefix, length, port(&interface), Some(gateway))),
            Command::AddTunnelEnd(address) => self.tunnel_ends.push(address),
            Command::AddLocal { prefix, length } => self.routes.push(Route {
                prefix,
                length,
                way: Way::Local,
            }),
            Command::RemoveDefaultRoute { ipv6 } => self
                .routes
                .retain(|route| route.length > 0 || route.prefix.is_ipv6() != ipv6),
            Command::Mark(rule) => self.draft.classifier.rules.push(rule),
            Command::Zero(key) => {
                self.zero(key);
                return Ok(());
            }
            Command::ListConnections
            | Command::ListTunnels
            | Command::ListServices
            | Command::ListTemplates
            | Command::ListThresholds
            | Command::ListTimeouts
            | Command::ListTraffic
            | Command::ListOther => return Ok(()),
        }
        self.publish()
    }

    /// Has the shard decide on a frame; what it sends, if it does.
    pub(crate) fn receive(&mut self, now: Instant, port: Port, frame: &[u8]) -> (Verdict, Vec<u8>) {
        // Room on both sides, filled with what must not show.
        let mut chunk = vec![0xa5; HEADROOM + frame.len() + HEADROOM];
        let mut range: Range<usize> = HEADROOM..HEADROOM + frame.len();
        chunk[range.clone()].copy_from_slice(frame);
        let mut verdicts = [Verdict::Host];
        let mut packets = [PacketBuf::new(&mut chunk, &mut range, port)];
        self.shard.process(now, &mut packets, &mut verdicts);
        (verdicts[0], chunk[range].to_vec())
    }

    /// What passed at a real server since its counters were set to zero.
    pub(crate) fn traffic(&self, id: RealServerId) -> Traffic {
        let all = self.shard.stats().traffic(id);
        let zero = self.zeroes.iter().find(|(_, zeroed, _)| *zeroed == id);
        let zero = zero.map_or_else(Traffic::default, |(.., zero)| *zero);
        Traffic {
            connections: all.connections - zero.connections,
            packets_in: all.packets_in - zero.packets_in,
            bytes_in: all.bytes_in - zero.bytes_in,
            packets_out: all.packets_out - zero.packets_out,
            bytes_out: all.bytes_out - zero.bytes_out,
        }
    }

    /// Sets the counters of a service's real servers to zero, or of all.
    fn zero(&mut self, key: Option<ServiceKey>) {
        let snapshot = self.shard.snapshot();
        for (of, _, _, id) in snapshot.real_servers() {
            if key.is_none_or(|key| key == of) {
                let traffic = self.shard.stats().traffic(id);
                self.zeroes.retain(|(_, zeroed, _)| *zeroed != id);
                self.zeroes.push((of, id, traffic));
            }
        }
    }

    /// The connections of each real server.
    pub(crate) fn loads(&self) -> &Loads {
        self.planner.loads()
    }

    fn service(&mut self, key: ServiceKey) -> &mut Service {
        let mut services = self.draft.services.iter_mut();
        services.find(|service| service.key == key).unwrap()
    }

    fn real_server(&mut self, key: ServiceKey, at: SocketAddr) -> &mut RealServer {
        let mut real_servers = self.service(key).real_servers.iter_mut();
        let same = |rs: &&mut RealServer| (rs.address, rs.port_in(&key)) == end(at);
        real_servers.find(same).unwrap()
    }

    fn publish(&mut self) -> Result<(), String> {
        self.network = network(self.mtus, &self.routes);
        let config = Config::checked(self.draft.clone()).map_err(|error| error.to_string())?;
        let snapshot = self.planner.plan(&config, &self.network).unwrap();
        self.shard.adopt(snapshot);
        Ok(())
    }
}

const fn end(address: SocketAddr) -> (IpAddr, u16) {
    (address.ip(), address.port())
}

fn network(mtus: [u32; 2], routes: &[Route]) -> Arc<Network> {
    let interface = |mtu: u32, net: u8| Interface {
        mac: [2, 0, 0, 0, net, 1],
        mtu,
        ipv4: Some(Ipv4Addr::new(10, net / 16 * 10, 0, 1)),
        ipv6: Some(Ipv6Addr::new(0x2001, 0xdb8, u16::from(net), 0, 0, 0, 0, 1)),
    };
    let interfaces = vec![interface(mtus[0], 0x10), interface(mtus[1], 0x20)];
    Arc::new(Network::new(interfaces, routes.to_vec(), neighbours()))
}

/// The routes before any command.
fn routes() -> Vec<Route> {
    let (client, server) = (Port(0), Port(1));
    let own = [
        ("127.0.0.0", 8),
        ("10.10.0.1", 32),
        ("10.20.0.1", 32),
        ("::1", 128),
        ("2001:db8:10::1", 128),
        ("2001:db8:20::1", 128),
    ];
    let vips = (80..=83).flat_map(|last| {
        [
            (format!("203.0.113.{last}"), 32),
            (format!("2001:db8:ff::{last}"), 128),
        ]
    });
    let local = |(prefix, length): (String, u8)| Route {
        prefix: prefix.parse().unwrap(),
        length,
        way: Way::Local,
    };
    let ways = [
        ("10.10.0.0", 24, client, None),
        ("10.20.0.0", 24, server, None),
        ("2001:db8:10::", 64, client, None),
        ("2001:db8:20::", 64, server, None),
        ("0.0.0.0", 0, client, Some("10.10.0.254")),
        ("::", 0, client, Some("2001:db8:10::fe")),
        ("172.16.0.0", 16, server, Some("10.20.0.254")),
        ("2001:db8:172::", 48, server, Some("2001:db8:20::fe")),
    ];
    let ways = ways.map(|(prefix, length, port, gateway)| {
        let gateway = gateway.map(|gateway| gateway.parse().unwrap());
        out(prefix.parse().unwrap(), length, port, gateway)
    });
    let own = own.map(|(prefix, length)| (prefix.to_string(), length));
    own.into_iter().chain(vips).map(local).chain(ways).collect()
}

fn out(prefix: IpAddr, length: u8, port: Port, gateway: Option<IpAddr>) -> Route {
    let way = Way::Out {
        port,
        vlan: None,
        gateway,
        source: None,
        mtu: None,
    };
    Route {
        prefix,
        length,
        way,
    }
}

/// The gateways and real servers 11 to 42.
fn neighbours() -> Vec<Neighbour> {
    let neighbour = |address: String, port: u8, mac: [u8; 2]| Neighbour {
        address: address.parse().unwrap(),
        port: Port(port),
        vlan: None,
        mac: [2, 0, 0, 0, mac[0], mac[1]],
    };
    let gateways = [
        neighbour("10.10.0.254".into(), 0, [0x10, 0xfe]),
        neighbour("2001:db8:10::fe".into(), 0, [0x10, 0xfe]),
        neighbour("10.20.0.254".into(), 1, [0x20, 0xfe]),
        neighbour("2001:db8:20::fe".into(), 1, [0x20, 0xfe]),
    ];
    let real_servers = (11..=42).flat_map(|number| {
        [
            neighbour(format!("10.20.0.{number}"), 1, [0x20, number]),
            neighbour(format!("2001:db8:20::{number}"), 1, [0x20, number]),
        ]
    });
    gateways.into_iter().chain(real_servers).collect()
}

fn port(interface: &str) -> Port {
    match interface {
        "cli0" => Port(0),
        "rs0" => Port(1),
        other => panic!("interface {other}"),
    }
}

/// Processors the recorded machine had.
const PROCESSORS: u16 = 1;
/// Its free memory, about 480 MiB, in pages.
const FREE_PAGES: u64 = 123_000;
/// Bytes around a frame.
const HEADROOM: usize = 128;
