//! The recorded director: interfaces, routes and neighbours as they were, the
//! services its commands made, and one shard that serves them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use lvs::control::Table;
use lvs_core::config::Prefix;
use lvs_core::network::{Interface, Neighbour, Resolution, Route, SourceRule, Way};
use lvs_core::{
    Config, Instant, Limits, Line, Loads, Network, PacketBuf, Planner, Port, ServiceKey, Setting,
    Shard, Verdict,
};

use crate::command::Command;
use crate::counters::Counters;
use crate::frame::{Packet, word};
use crate::host::Host;
use crate::listing::TimeLeft;

/// A director that takes commands and frames.
pub(crate) struct Director<'m> {
    /// What the operator's commands so far come to.
    pub(crate) table: Table,
    pub(crate) network: Arc<Network>,
    pub(crate) shard: Shard<'m>,
    /// The host it is on.
    pub(crate) host: Host,
    /// What its counters are shown as.
    pub(crate) counters: Counters,
    /// Names of persistence engines, which the table does not know.
    pub(crate) engines: BTreeMap<ServiceKey, String>,
    /// The moment a listing shows.
    pub(crate) now: Instant,
    /// Which of the times left that a listing may show it shows.
    pub(crate) shown: TimeLeft,
    /// How far off the moments of the recording may be.
    pub(crate) slack: Duration,
    planner: Planner,
    mtus: [u32; 2],
    routes: Vec<Route>,
    /// Those of other tables than the main one.
    tables: Vec<(u32, Route)>,
    rules: Vec<SourceRule>,
}

/// What becomes of a frame, and how it looks then.
pub(crate) type Outcome = (Verdict, Vec<u8>);

impl<'m> Director<'m> {
    /// The director before any command, its connections in `memory`.
    pub(crate) fn new(memory: &'m mut [Line], slack: Duration) -> Self {
        let limits = Limits {
            services: 32,
            real_servers: 2048,
            ..Limits::default()
        };
        let mut planner = Planner::new(limits);
        planner.memory().tell(FREE_PAGES);
        let (mtus, routes) = ([1500; 2], routes());
        let network = network(mtus, &routes, &[]);
        let snapshot = planner.plan(&Config::new([]).unwrap(), &network).unwrap();
        let shard = Shard::new(Default::default(), memory, &limits, snapshot).unwrap();
        Self {
            table: Table::default(),
            network,
            shard,
            host: Host::default(),
            counters: Counters::default(),
            engines: BTreeMap::new(),
            now: Instant::default(),
            shown: TimeLeft::Most,
            slack,
            planner,
            mtus,
            routes,
            tables: Vec::new(),
            rules: Vec::new(),
        }
    }

    /// Gives one of the kernel's settings another value.
    ///
    /// *Errors:* what is wrong with it, in the words of the kernel's error.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let name = name.rsplit('.').next().unwrap();
        if name == "ip_forward" {
            self.host.forwards = value == "1";
            return Ok(());
        }
        let draft = self.table.draft_mut();
        let set = draft.set_sysctl(name, value, PROCESSORS);
        set.map_err(|why| why.to_string())?;
        self.publish()
    }

    /// The value of a setting as the kernel shows it.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let set = self.table.draft().sysctl(name)?;
        let shown = |setting| self.shard.snapshot().shown(setting).to_string();
        match Setting::named(name) {
            Some(setting) if set.parse::<i32>().is_ok() => Some(shown(setting)),
            _ => Some(set),
        }
    }

    /// Carries out a command of the host's.
    ///
    /// *Errors:* what is wrong with it.
    pub(crate) fn carry_out(&mut self, command: Command) -> Result<(), String> {
        match command {
            Command::Mtu { interface, mtu } => self.mtus[port(&interface).index()] = mtu,
            Command::AddRoute {
                prefix,
                length,
                gateway,
                interface,
            } => self
                .routes
                .push(out(prefix, length, port(&interface), Some(gateway))),
            Command::AddDefaultRoute { gateway, table } => {
                let Resolution::Hop(hop) = self.network.resolve(gateway) else {
                    return Err(format!("no way to {gateway}"));
                };
                let anywhere = out([0, 0, 0, 0].into(), 0, hop.port, Some(gateway));
                self.tables.push((table, anywhere));
            }
            Command::AddRule { source, table } => {
                let routes = self.tables.iter().filter(|(of, _)| *of == table);
                self.rules.push(SourceRule {
                    prefix: source,
                    length: 32,
                    routes: routes.map(|(_, route)| route.clone()).collect(),
                });
            }
            Command::AddTunnelEnd(address) => self.host.tunnel_ends.push(address),
            Command::AddLocal { prefix, length } => self.routes.push(Route {
                prefix,
                length,
                way: Way::Local,
            }),
            Command::RemoveDefaultRoute { ipv6 } => self
                .routes
                .retain(|route| route.length > 0 || route.prefix.is_ipv6() != ipv6),
            Command::Mark(rule) => self.table.draft_mut().classifier.rules.push(rule),
            Command::TakeMarked => self.host.takes_marked = true,
            Command::Nothing => return Ok(()),
        }
        self.publish()
    }

    /// Has the shard decide on a frame: what becomes of it, and of frames that
    /// leave with it.
    pub(crate) fn receive(&mut self, now: Instant, port: Port, frame: &[u8]) -> Vec<Outcome> {
        // Room on both sides, filled with what must not show.
        let mut chunk = vec![0xa5; HEADROOM + frame.len() + HEADROOM];
        let mut range: Range<usize> = HEADROOM..HEADROOM + frame.len();
        chunk[range.clone()].copy_from_slice(frame);
        let mut verdicts = [Verdict::Host];
        let mut packets = [PacketBuf::new(&mut chunk, &mut range, port)];
        self.shard.process(now, &mut packets, &mut verdicts);
        let bytes = chunk[range].to_vec();
        let mut outcomes = match verdicts[0] {
            Verdict::Cut(port, mtu) => {
                let mut pieces = self.shard.cut(&bytes, mtu).unwrap();
                let mut into = vec![0; Shard::LONGEST_FRAME];
                let piece = || {
                    let length = pieces.write_next(&[&bytes], &mut into)?;
                    Some((Verdict::Transmit(port), into[..length].to_vec()))
                };
                std::iter::from_fn(piece).collect()
            }
            Verdict::Fragment => vec![(self.shard.hold(now, port, false, &[&bytes]), bytes)],
            verdict => vec![(verdict, bytes)],
        };
        outcomes.extend(self.released(now));
        outcomes
    }

    /// What leaves in the stead of fragments that were held.
    pub(crate) fn released(&mut self, now: Instant) -> Vec<Outcome> {
        let mut into = vec![0; Shard::LONGEST_FRAME];
        let release = || {
            let released = self.shard.release(now, &mut into)?;
            Some((released.verdict, into[..released.length].to_vec()))
        };
        std::iter::from_fn(release).collect()
    }

    /// Whether the host marks a frame.
    pub(crate) fn marks(&self, frame: &[u8]) -> bool {
        let Some(packet) = Packet::read(frame) else {
            return false;
        };
        let port = packet.transport().get(2..4).map(|port| word(port, 0));
        self.table.draft().classifier.rules.iter().any(|rule| {
            let ports = &rule.destination_ports;
            let is_to = |to: Prefix| to.length == 0 || to.address == packet.destination;
            rule.protocol.is_none_or(|wanted| wanted == packet.protocol)
                && rule.destination.is_none_or(is_to)
                && (ports.is_empty()
                    || ports
                        .iter()
                        .any(|of| port.is_some_and(|it| of.contains(&it))))
        })
    }

    /// The connections of each real server.
    pub(crate) fn loads(&self) -> &Loads {
        self.planner.loads()
    }

    /// Has its counters looked at until `at`, in seconds since the first step.
    pub(crate) fn look_until(&mut self, at: f64) {
        let settings = &self.table.draft().settings;
        let is_on = settings.is_on(Setting::RunEstimation);
        self.counters.look_until(at, &self.shard, is_on);
    }

    /// How long packets may be on an interface, if there is such a one.
    pub(crate) fn mtu(&self, interface: &str) -> Option<u32> {
        let place = INTERFACES.iter().position(|name| *name == interface)?;
        self.mtus.get(place).copied()
    }

    /// Has the shard work by what the commands so far come to.
    ///
    /// *Errors:* what is wrong with it.
    pub(crate) fn publish(&mut self) -> Result<(), String> {
        self.network = network(self.mtus, &self.routes, &self.rules);
        let config =
            Config::checked(self.table.draft().clone()).map_err(|error| error.to_string())?;
        let snapshot = self.planner.plan(&config, &self.network).unwrap();
        self.shard.adopt(snapshot);
        Ok(())
    }
}

fn network(mtus: [u32; 2], routes: &[Route], rules: &[SourceRule]) -> Arc<Network> {
    let interface = |mtu: u32, net: u8| Interface {
        mac: [2, 0, 0, 0, net, 1],
        mtu,
        ipv4: Some(Ipv4Addr::new(10, net / 16 * 10, 0, 1)),
        ipv6: Some(Ipv6Addr::new(0x2001, 0xdb8, u16::from(net), 0, 0, 0, 0, 1)),
    };
    let interfaces = vec![interface(mtus[0], 0x10), interface(mtus[1], 0x20)];
    let network = Network::new(interfaces, routes.to_vec(), neighbours());
    Arc::new(network.with_rules(rules.iter().cloned()))
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
    let place = INTERFACES.iter().position(|name| *name == interface);
    Port(place.unwrap_or_else(|| panic!("interface {interface}")) as u8)
}

/// The interfaces, in the order of their ports.
const INTERFACES: [&str; 2] = ["cli0", "rs0"];
/// Processors the recorded machine had.
const PROCESSORS: u16 = 1;
/// Its free memory, about 480 MiB, in pages.
const FREE_PAGES: u64 = 123_000;
/// Bytes around a frame.
const HEADROOM: usize = 128;
