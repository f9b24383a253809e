//! Services on firewall marks: what marks a packet, and what goes by a mark.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use lvs_core::config::{Classifier, Family as Ip, MacMatch, MarkRule, Prefix};
use lvs_core::{
    ChecksumState, Config, Draft, DropReason, Limits, PacketBuf, Persistence, Port, RealServer,
    Scheduler, Service, Setting, Verdict,
};

use crate::common::bed::{self, Bed};
use crate::common::frame::{Frame, Mac};
use crate::common::icmp::port_unreachable;
use crate::common::packet::{Packet, tcp, udp};
use crate::common::place::{FAMILIES, Family, OUTSIDE, Wiring, from_client, to_client, to_server};
use crate::scenario::{Scenario, scenario};

pub(crate) fn scenarios() -> Vec<Scenario> {
    FAMILIES.into_iter().flat_map(by_family).collect()
}

/// The link address of another director.
const OTHER: Mac = [2, 0, 0, 0, 1, 0x0b];
const MARK: NonZeroU32 = NonZeroU32::MIN;

/// A service on the mark, by turns.
pub(crate) fn marked(w: Family) -> Service {
    let family = match w.vip() {
        IpAddr::V4(_) => Ip::V4,
        IpAddr::V6(_) => Ip::V6,
    };
    Service::marked(family, MARK, Scheduler::RoundRobin)
        .real_server(RealServer::direct_route(w.real(11)))
        .real_server(RealServer::direct_route(w.real(12)))
}

/// What is sent to the VIP gets the mark.
pub(crate) fn to_vip(w: Family) -> MarkRule {
    let length = if w.vip().is_ipv4() { 32 } else { 128 };
    let address = w.vip();
    MarkRule {
        mark: Some(MARK),
        destination: Some(Prefix { address, length }),
        ..MarkRule::default()
    }
}

/// What comes from the other director, or from anyone else.
fn from_mac(rule: MarkRule, not: bool) -> MarkRule {
    let source_mac = Some(MacMatch { mac: OTHER, not });
    MarkRule { source_mac, ..rule }
}

fn from_other(packet: &Packet) -> Frame {
    Frame::new(Port(0), OTHER, OUTSIDE, packet)
}

fn by_family(w: Family) -> Vec<Scenario> {
    let shield = from_mac(MarkRule::default(), false);
    let two_rules = vec![shield, to_vip(w)];
    let one_rule = vec![from_mac(to_vip(w), true)];
    let named = |name: &str| scenario(format!("{name}, {}", w.name)).with(marked(w));
    let packet = || tcp(w.client, w.web);
    let told_apart = |name: &str, rules: Vec<MarkRule>| {
        let marked = rules.into_iter().fold(named(name), Scenario::marked);
        marked
            .takes(from_other(&packet().syn()))
            .host()
            .takes(from_client(&packet().syn()))
            .sends(to_server(12, &packet().syn().ttl(63)))
            // What is known needs no mark: so it is with the kernel.
            .takes(from_other(&packet().ack()))
            .sends(to_server(12, &packet().ack().ttl(63)))
            .remembers(1)
    };
    let midstream = |sloppy| {
        named(&format!("what is under way, with sloppy_tcp {sloppy}"))
            .marked(to_vip(w))
            .set(Setting::SloppyTcp, sloppy)
            .takes(from_client(&packet().ack()))
    };
    vec![
        told_apart(
            "what another director sends is shielded from the mark",
            two_rules,
        ),
        told_apart("all but what another director sends is marked", one_rule),
        midstream(0).host().remembers(0),
        midstream(1)
            .sends(to_server(12, &packet().ack().ttl(63)))
            .remembers(1),
        kept_together(w),
        error_on_mark(w),
        error_past_all(w),
    ]
}

/// A client stays with one real server over every port and protocol of a mark.
fn kept_together(w: Family) -> Scenario {
    let service = marked(w).persistent(Persistence::new(Duration::from_secs(100)));
    let dns = SocketAddr::new(w.vip(), 53);
    let (first, second) = (tcp(w.client, w.web).syn(), udp(w.client, dns));
    let (other, again) = (
        tcp(w.client_at(9, 1), w.web).syn(),
        tcp(w.client, dns).syn(),
    );
    let name = format!("a mark keeps a client over ports and protocols, {}", w.name);
    scenario(name)
        .with(service)
        .marked(to_vip(w))
        .takes(from_client(&first))
        .sends(to_server(12, &first.clone().ttl(63)))
        .takes(from_client(&second))
        .sends(to_server(12, &second.clone().ttl(63)))
        .takes(from_client(&other))
        .sends(to_server(11, &other.clone().ttl(63)))
        .takes(from_client(&again))
        .sends(to_server(12, &again.clone().ttl(63)))
}

/// An error has the mark that its own packet gets: its quote has none.
fn error_on_mark(w: Family) -> Scenario {
    let quoted = udp(w.web, w.client).ttl(60).bytes();
    let error = || port_unreachable(w.client.ip(), w.vip(), &quoted);
    scenario(format!(
        "with schedule_icmp an error goes by its own mark, {}",
        w.name
    ))
    .set(Setting::ScheduleIcmp, 1)
    .with(marked(w))
    .marked(to_vip(w))
    .takes(from_client(&error()))
    .sends(to_server(12, &error().ttl(63)))
    .remembers(1)
}

/// Errors find no real server: they do not go on to where they were sent.
fn error_past_all(w: Family) -> Scenario {
    let elsewhere = SocketAddr::new(w.router, 80);
    let quoted = udp(elsewhere, w.client).ttl(60).bytes();
    let mut service = marked(w);
    service.real_servers.clear();
    let mut rule = to_vip(w);
    rule.destination = None;
    scenario(format!("cache_bypass is not for errors, {}", w.name))
        .set(Setting::ScheduleIcmp, 1)
        .set(Setting::CacheBypass, 1)
        .with(service)
        .marked(rule)
        .takes(from_client(&udp(w.client, elsewhere)))
        .sends(to_client(&udp(w.client, elsewhere).ttl(63)))
        .remembers(1)
        .seconds(400)
        .takes(from_client(&port_unreachable(
            w.client.ip(),
            w.router,
            &quoted,
        )))
        .drops_it(DropReason::NoRealServer)
        .remembers(0)
}

/// Whoever steers packets by addresses and ports alone has taken these from the
/// host, whether they got the mark or not.
#[test]
fn what_may_be_marked_is_asked_for() {
    for w in FAMILIES {
        let mut ports = from_mac(to_vip(w), true);
        ports.protocol = Some(6);
        ports.destination_ports = vec![80..=80, 443..=443];
        let mut memory = bed::memory(1, 16);
        let draft = Draft {
            services: vec![marked(w)],
            classifier: Classifier { rules: vec![ports] },
            ..Draft::default()
        };
        let config = Config::checked(draft).unwrap();
        let network = Wiring::default().network();
        let bed = Bed::with(&mut memory, config, network, Limits::default());
        let asked = |frame: &Frame| {
            let mut bytes = frame.bytes();
            let mut range = 0..bytes.len();
            let buf = PacketBuf::new(&mut bytes, &mut range, Port(0));
            let mut buf = buf.with_checksum(ChecksumState::Whole);
            bed.shards[0].claims(&mut buf)
        };
        let at = |port| SocketAddr::new(w.vip(), port);
        assert!(asked(&from_client(&tcp(w.client, at(80)).syn())));
        assert!(asked(&from_other(&tcp(w.client, at(443)).syn())));
        assert!(!asked(&from_client(&tcp(w.client, at(81)).syn())));
        assert!(!asked(&from_client(&udp(w.client, at(80)))));
        let elsewhere = SocketAddr::new(w.outside, 80);
        assert!(!asked(&from_client(&tcp(w.client, elsewhere).syn())));
        let later = |packet: Packet| from_client(&packet.fragment(1480, false));
        assert!(asked(&later(tcp(w.client, at(81)))), "its port is not seen");
        assert!(!asked(&later(udp(w.client, at(80)))));
        let reply = tcp(at(80), w.client).ack().bytes();
        let error = port_unreachable(w.router, w.vip(), &reply);
        assert!(asked(&from_client(&error)), "an error about a reply");
    }
}

/// A rule that no address can be steered by asks for nothing: the host has
/// those packets already.
#[test]
fn a_rule_without_one_address_asks_for_nothing() {
    let w = FAMILIES[0];
    let mut wide = to_vip(w);
    wide.destination = None;
    let mut memory = bed::memory(1, 16);
    let draft = Draft {
        services: vec![marked(w)],
        classifier: Classifier { rules: vec![wide] },
        ..Draft::default()
    };
    let config = Config::checked(draft).unwrap();
    let network = Wiring::default().network();
    let mut bed = Bed::with(&mut memory, config, network, Limits::default());
    let frame = from_client(&tcp(w.client, w.web).syn());
    let mut bytes = frame.bytes();
    let mut range = 0..bytes.len();
    let mut buf = PacketBuf::new(&mut bytes, &mut range, Port(0));
    assert!(!bed.shards[0].claims(&mut buf));
    assert!(matches!(bed.take(0, &frame).verdict, Verdict::Transmit(_)));
}
