//! Two machines that direct and serve, and a client, on one network.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::MutexGuard;
use std::time::Duration;

use lvs::config::Settings;
use lvs::director::DirectorStats;
use lvs::lvs_io::netlink::{Network, Prefix, Route, VethEnd};
use lvs::lvs_io::{Mode, WantedMode};
use lvs::world::traffic::{Offer, Server};
use lvs::world::{Family, Namespace};
use lvs::{Director, DirectorOptions, Queues};
use socket2::SockRef;

use crate::setup::alone;

/// The place that `lvs.two-directors.toml` is written for.
///
/// ```text
///            switch
///    ┌─────────┼─────────┐
///  client      a         b     each by a link eth0 of its own
/// ```
///
/// `a` and `b` have the VIP on `lo` and keep silent about it; who owns it has
/// it on `eth0` as well.
pub(super) struct Place {
    pub(super) client: Namespace,
    pub(super) machines: [Machine; 2],
    pub(super) switch: Namespace,
    _alone: MutexGuard<'static, ()>,
}

/// A machine that directs and serves.
pub(super) struct Machine {
    // Dropped before the namespace they are in.
    director: Director,
    _server: Server,
    namespace: Namespace,
}

/// The text of the sample configuration, which is A's.
pub(super) const SAMPLE: &str = include_str!("../../../lvs.two-directors.toml");
/// What the servers of the two are called.
pub(super) const NAMES: [&str; 2] = ["a", "b"];
/// Their link addresses.
pub(super) const MACS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 0x0a], [2, 0, 0, 0, 0, 0x0b]];

impl Place {
    /// Builds it, with `a` as the owner of the VIP, and starts a director on
    /// both machines by the configuration `text`, which names B's link address
    /// and in B's file A's. `None`, with the reason printed, where that needs
    /// more privileges.
    pub(super) fn new(text: &str, mode: WantedMode) -> Option<Self> {
        let alone = alone()?;
        let switch = Namespace::new("switch").unwrap();
        switch.set("ipv6/conf/default/disable_ipv6", "1").unwrap();
        let mut network = switch.network().unwrap();
        network.add_bridge(BRIDGE).unwrap();
        network.set_up(BRIDGE).unwrap();
        let client = Namespace::new("client").unwrap();
        let mut network = plug(&client, &switch, CLIENT_MAC);
        for family in Family::BOTH {
            network.add_address(LINK, on_lan(family, 2)).unwrap();
        }
        let index = network.link(LINK).unwrap().index;
        let vips = Prefix::host(vip(Family::V6));
        network.add_route(&Route::on_link(vips, index)).unwrap();
        let namespaces = [0, 1].map(|at| serving_namespace(at, &switch));
        own_vip(&namespaces[0], true);
        let [a, b] = namespaces;
        let other = text.replace(&mac_text(MACS[1]), &mac_text(MACS[0]));
        Some(Self {
            machines: [
                Machine::start(a, 0, text, mode),
                Machine::start(b, 1, &other, mode),
            ],
            client,
            switch,
            _alone: alone,
        })
    }

    /// Moves the VIP from one machine to the other, and has the client notice, as
    /// by a gratuitous ARP.
    pub(super) fn move_vip(&self, from: usize, to: usize) {
        own_vip(&self.machines[from].namespace, false);
        own_vip(&self.machines[to].namespace, true);
        self.ask_anew();
    }

    /// Has the client ask again who has the VIP.
    fn ask_anew(&self) {
        let mut network = self.client.network().unwrap();
        for family in Family::BOTH {
            network.delete_neighbour(LINK, vip(family)).unwrap();
        }
    }

    /// Lets machine `a` die, and `b` take over: it gets the VIP, and by its
    /// configuration `text` it is alone.
    pub(super) fn bury_a(&self, text: &str) {
        let [a, b] = &self.machines;
        a.namespace.network().unwrap().set_down(LINK).unwrap();
        own_vip(&b.namespace, true);
        self.ask_anew();
        let settings = Settings::parse(NAMES[1], text).unwrap();
        b.director.apply(settings.config).unwrap();
    }

    /// Sends a datagram with this TTL from `port`, 0 for any; the port, and the
    /// name of who answered, if anyone did.
    pub(super) fn ask(&self, to: SocketAddr, port: u16, ttl: u8) -> (u16, Option<String>) {
        let any = SocketAddr::new(unspecified(to.ip()), port);
        let socket = self.client.run(|| UdpSocket::bind(any)).unwrap();
        let options = SockRef::from(&socket);
        match to.ip() {
            IpAddr::V4(_) => options.set_ttl_v4(ttl.into()).unwrap(),
            IpAddr::V6(_) => options.set_unicast_hops_v6(ttl.into()).unwrap(),
        }
        socket.set_read_timeout(Some(A_MOMENT)).unwrap();
        socket.connect(to).unwrap();
        socket.send(b"who?").unwrap();
        let mut answer = [0; 64];
        let name = socket.recv(&mut answer).ok().and_then(|length| {
            let text = std::str::from_utf8(&answer[..length]).ok()?;
            Some(text.split_once(' ')?.0.to_owned())
        });
        (socket.local_addr().unwrap().port(), name)
    }
}

impl Machine {
    fn start(namespace: Namespace, at: usize, text: &str, mode: WantedMode) -> Self {
        let mut settings = Settings::parse(NAMES[at], text).unwrap();
        settings.director.mode = mode;
        settings.director.workers = Some(1);
        let director = namespace
            .run(|| direct(&settings).map_err(io::Error::other))
            .unwrap();
        let wanted = match mode {
            WantedMode::Packet => Mode::Packet,
            _ => Mode::XdpCopy,
        };
        for capabilities in director.capabilities() {
            assert_eq!(capabilities.mode, wanted, "{}", capabilities.reason);
        }
        Self {
            director,
            _server: serve(&namespace, at),
            namespace,
        }
    }

    /// Its director's counters, after they have been published.
    pub(super) fn stats(&self) -> DirectorStats {
        std::thread::sleep(Duration::from_millis(250));
        self.director.stats()
    }
}

fn direct(settings: &Settings) -> Result<Director, Box<dyn std::error::Error + Send + Sync>> {
    let small = DirectorOptions {
        connections: 1 << 12,
        ..DirectorOptions::default()
    };
    let queues = Queues::open(&settings.director.options())?;
    Ok(Director::start_with(
        queues,
        settings.config.clone(),
        &small,
    )?)
}

/// Everything a machine has but its programs.
fn serving_namespace(at: usize, switch: &Namespace) -> Namespace {
    let namespace = Namespace::new(NAMES[at]).unwrap();
    // Neither answer for the VIP on `lo` nor ask in its name.
    namespace.set("ipv4/conf/all/arp_ignore", "1").unwrap();
    namespace.set("ipv4/conf/all/arp_announce", "2").unwrap();
    let mut network = plug(&namespace, switch, MACS[at]);
    for family in Family::BOTH {
        let own = on_lan(family, 11 + at as u16);
        network.add_address(LINK, own).unwrap();
        network
            .add_address("lo", Prefix::host(vip(family)))
            .unwrap();
    }
    namespace
}

fn serve(namespace: &Namespace, at: usize) -> Server {
    let offers: Vec<_> = Family::BOTH
        .into_iter()
        .flat_map(|family| {
            [
                Offer::Http(web(family)),
                Offer::TcpEcho(echo(family)),
                Offer::UdpEcho(dns(family)),
            ]
        })
        .collect();
    Server::start(namespace, NAMES[at], &offers).unwrap()
}

/// Connects a machine to the switch.
fn plug(machine: &Namespace, switch: &Namespace, mac: [u8; 6]) -> Network {
    use std::os::fd::AsFd;

    let port = format!("to-{}", machine.name());
    let mut network = machine.network().unwrap();
    let here = VethEnd::new(LINK).mac(mac);
    let there = VethEnd::new(&port).namespace(switch.as_fd());
    network.add_veth(&here, &there).unwrap();
    network.set_up(LINK).unwrap();
    let mut ports = switch.network().unwrap();
    ports.set_up(&port).unwrap();
    ports.add_to_bridge(&port, BRIDGE).unwrap();
    network
}

/// Whether a machine owns the VIP: answers who asks for it.
fn own_vip(machine: &Namespace, owns: bool) {
    let mut network = machine.network().unwrap();
    for family in Family::BOTH {
        let vip = Prefix::host(vip(family));
        match owns {
            true => network.add_address(LINK, vip).unwrap(),
            false => network.remove_address(LINK, vip).unwrap(),
        }
    }
}

fn on_lan(family: Family, host: u16) -> Prefix {
    match family {
        Family::V4 => Prefix::new([192, 0, 2, host as u8].into(), 24),
        Family::V6 => Prefix::new(format!("2001:db8:2::{host}").parse().unwrap(), 64),
    }
    .unwrap()
}

/// The VIP. That of IPv6 is on a network of its own: on that of the machines,
/// IPv6 would prefer it to their own addresses (RFC 6724 section 5, rule 8).
fn vip(family: Family) -> IpAddr {
    match family {
        Family::V4 => [192, 0, 2, 100].into(),
        Family::V6 => "2001:db8:100::100".parse().unwrap(),
    }
}

fn unspecified(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => [0; 4].into(),
        IpAddr::V6(_) => [0; 16].into(),
    }
}

/// A link address as the file has it.
fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// HTTP.
pub(super) fn web(family: Family) -> SocketAddr {
    SocketAddr::new(vip(family), 80)
}

/// Lines over TCP.
pub(super) fn echo(family: Family) -> SocketAddr {
    SocketAddr::new(vip(family), 443)
}

/// Datagrams.
pub(super) fn dns(family: Family) -> SocketAddr {
    SocketAddr::new(vip(family), 53)
}

const LINK: &str = "eth0";
const BRIDGE: &str = "lan";
const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x02];
/// In which an answer comes, if one does.
const A_MOMENT: Duration = Duration::from_millis(400);
