//! When a connection ends, and when it begins again.

use lvs_core::{Protocol, RealServer};

use crate::common::packet::{Packet, tcp, udp};
use crate::common::place::{V4, from_client, from_server, to_client, to_server};
use crate::scenario::{Scenario, scenario};

pub(crate) fn scenarios() -> Vec<Scenario> {
    [beginning_again(), endings()].concat()
}

/// When a SYN of a remembered flow is a new connection.
fn beginning_again() -> Vec<Scenario> {
    let w = V4;
    let at = |number| w.real_at(number, 80);
    let service = w
        .service(Protocol::Tcp)
        .real_server(RealServer::masquerade(at(11)))
        .real_server(RealServer::masquerade(at(12)));
    let to = |number, packet: fn(Packet) -> Packet| {
        to_server(number, &packet(tcp(w.client, at(number))).ttl(63))
    };
    let asked = |packet: fn(Packet) -> Packet| from_client(&packet(tcp(w.client, w.web)));
    let said = |number, packet: fn(Packet) -> Packet| {
        from_server(number, &packet(tcp(at(number), w.client)))
    };
    let told = |packet: fn(Packet) -> Packet| to_client(&packet(tcp(w.web, w.client)).ttl(63));
    let open = |name: &str| {
        scenario(name)
            .with(service.clone())
            .takes(asked(Packet::syn))
            .sends(to(12, Packet::syn))
            .takes(said(12, |p| p.syn().ack()))
            .sends(told(|p| p.syn().ack()))
            .takes(asked(Packet::ack))
            .sends(to(12, Packet::ack))
    };
    vec![
        open("a SYN after both sides closed (TIME_WAIT) is a new connection")
            .takes(asked(Packet::fin))
            .sends(to(12, Packet::fin))
            .takes(said(12, Packet::fin))
            .sends(told(Packet::fin))
            .takes(asked(Packet::syn))
            .sends(to(11, Packet::syn))
            .remembers(1),
        open("a SYN after a reset (CLOSE) is a new connection")
            .takes(asked(Packet::rst))
            .sends(to(12, Packet::rst))
            .takes(asked(Packet::syn))
            .sends(to(11, Packet::syn))
            .remembers(1),
        open("a SYN while one side has closed stays with its real server")
            .takes(said(12, Packet::fin))
            .sends(told(Packet::fin))
            .takes(asked(Packet::syn))
            .sends(to(12, Packet::syn)),
        open("a SYN in the midst of an open connection stays with its real server")
            .takes(asked(Packet::syn))
            .sends(to(12, Packet::syn)),
        open("what claims to come from the VIP itself ends no masqueraded connection")
            .takes(from_server(99, &tcp(w.web, w.client).rst()))
            .host()
            .takes(asked(Packet::syn))
            .sends(to(12, Packet::syn)),
        open("a SYN with RST begins nothing anew")
            .takes(asked(Packet::rst))
            .sends(to(12, Packet::rst))
            .takes(asked(|p| p.syn().rst()))
            .sends(to(12, |p| p.syn().rst())),
        scenario("a SYN of a closed connection whose service is gone is the host's")
            .with(service.clone())
            .takes(asked(Packet::syn))
            .sends(to(12, Packet::syn))
            .takes(said(12, Packet::rst))
            .sends(told(Packet::rst))
            .becomes([w.service(Protocol::Udp)])
            .takes(asked(Packet::syn))
            .host()
            .remembers(0),
    ]
}

/// When connections end, to the second.
fn endings() -> Vec<Scenario> {
    let w = V4;
    let masquerade = |protocol| {
        w.service(protocol)
            .real_server(RealServer::masquerade(w.real_at(11, 80)))
    };
    let sent = |packet: fn(Packet) -> Packet| {
        let forwarded = to_server(11, &packet(tcp(w.client, w.real_at(11, 80))).ttl(63));
        (from_client(&packet(tcp(w.client, w.web))), forwarded)
    };
    let client = |scenario: Scenario, packet| {
        let (takes, sends) = sent(packet);
        scenario.takes(takes).sends(sends)
    };
    let server = |scenario: Scenario, packet: fn(Packet) -> Packet| {
        scenario
            .takes(from_server(11, &packet(tcp(w.real_at(11, 80), w.client))))
            .sends(to_client(&packet(tcp(w.web, w.client)).ttl(63)))
    };
    let lasts = |scenario: Scenario, seconds: u64| {
        scenario
            .milliseconds(seconds * 1000 - 1)
            .remembers(1)
            .milliseconds(250)
            .remembers(0)
    };
    let opened = |name: &str| {
        let scenario = client(scenario(name).with(masquerade(Protocol::Tcp)), Packet::syn);
        server(scenario, |p| p.syn().ack())
    };
    let established = |name: &str| client(opened(name), Packet::ack);
    let closing = |name: &str| client(established(name), Packet::fin);
    vec![
        lasts(
            opened("a connection nobody completes (SYN_RECV) ends after 60 seconds"),
            60,
        ),
        lasts(
            established("an idle connection (ESTABLISHED) ends after 900 seconds"),
            900,
        ),
        lasts(
            closing("a half-closed connection (CLOSE_WAIT) ends after 60 seconds"),
            60,
        ),
        lasts(
            server(
                closing("a closed connection (TIME_WAIT) ends after 120 seconds"),
                Packet::fin,
            ),
            120,
        ),
        lasts(
            server(
                established("a connection its server closed (FIN_WAIT) ends after 120 seconds"),
                Packet::fin,
            ),
            120,
        ),
        lasts(
            client(
                established("a reset connection (CLOSE) ends after 10 seconds"),
                Packet::rst,
            ),
            10,
        ),
        lasts(
            server(
                established("a reply keeps a connection as a request does").seconds(899),
                Packet::ack,
            ),
            900,
        ),
        lasts(
            scenario("a UDP flow ends 300 seconds after its last packet, whoever sent it")
                .with(masquerade(Protocol::Udp))
                .takes(from_client(&udp(w.client, w.web)))
                .sends(to_server(11, &udp(w.client, w.real_at(11, 80)).ttl(63)))
                .seconds(299)
                .takes(from_server(11, &udp(w.real_at(11, 80), w.client)))
                .sends(to_client(&udp(w.web, w.client).ttl(63))),
            300,
        ),
        lasts(seen_both_ways(), 60),
        opened("what comes after the end is the host's, who resets it")
            .seconds(61)
            .takes(from_client(&tcp(w.client, w.web).ack()))
            .host(),
    ]
}

/// Without the reply only the client's half of the end would be seen, and the
/// connection kept for 120 seconds (FIN_WAIT).
fn seen_both_ways() -> Scenario {
    let w = V4;
    let sent = |packet: fn(Packet) -> Packet| packet(tcp(w.client, w.web));
    let service = w.service(Protocol::Tcp);
    scenario("a direct-routed connection whose replies pass the director half closes (CLOSE_WAIT)")
        .with(service.real_server(RealServer::direct_route(w.real(11))))
        .takes(from_client(&sent(Packet::syn)))
        .sends(to_server(11, &sent(Packet::syn).ttl(63)))
        .takes(from_server(11, &tcp(w.web, w.client).syn().ack()))
        .host()
        .takes(from_client(&sent(Packet::ack)))
        .sends(to_server(11, &sent(Packet::ack).ttl(63)))
        .takes(from_client(&sent(Packet::fin)))
        .sends(to_server(11, &sent(Packet::fin).ttl(63)))
}
