//! What the director does not touch: the host's, and other machines' frames.

use lvs_core::{DropReason, Protocol, RealServer, Scheduler, Service};

use crate::common::frame::Frame;
use crate::common::icmp::{echo_request, neighbour_solicitation};
use crate::common::packet::{Packet, other, tcp, udp};
use crate::common::place::{FAMILIES, Family, V4, V6, from_client, from_server, to_server};
use crate::scenario::{Scenario, scenario};

pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut all = Vec::new();
    for family in FAMILIES {
        all.extend(packets(family));
        all.extend(segments(family));
        all.extend(link(family));
        all.push(passing(family));
    }
    all.push(host("ARP is the host's", arp()));
    let solicitation = neighbour_solicitation(V6.gateway, V6.vip());
    all.push(host(
        "a question for the VIP's link address is the host's",
        from_client(&solicitation),
    ));
    let visiting = tcp(V6.client, V6.web)
        .syn()
        .extension(43, &[2, 1, 0, 0, 0, 0]);
    all.push(host(
        "a source-routed packet not yet at its last stop is the host's",
        from_client(&visiting),
    ));
    all
}

/// One TCP service, masqueraded to 11.
fn served(w: Family, name: impl Into<String>) -> Scenario {
    let service = w.service(Protocol::Tcp);
    scenario(name).with(service.real_server(RealServer::masquerade(w.real_at(11, 8080))))
}

/// A frame that is the host's as it is.
fn host(name: impl Into<String>, frame: Frame) -> Scenario {
    let w = if frame.ether_type == 0x86dd { V6 } else { V4 };
    served(w, name).takes(frame).host().remembers(0)
}

fn packets(w: Family) -> Vec<Scenario> {
    let port = |port| std::net::SocketAddr::new(w.vip(), port);
    let rows: [(&str, Packet); 9] = [
        (
            "a port of the VIP without a service",
            tcp(w.client, port(81)).syn(),
        ),
        ("another protocol than the service's", udp(w.client, w.web)),
        ("a ping to the VIP", echo_request(w.client.ip(), w.vip())),
        (
            "a ping to the director",
            echo_request(w.client.ip(), w.outside),
        ),
        (
            "SSH to the director",
            tcp(w.client, std::net::SocketAddr::new(w.outside, 22)).syn(),
        ),
        (
            "a protocol without ports to the VIP",
            other(w.client.ip(), w.vip(), 50, &[7; 40]),
        ),
        (
            "a protocol nobody knows, with nothing in it",
            other(w.client.ip(), w.vip(), 253, &[]),
        ),
        (
            "a packet between others",
            tcp(w.client, w.real_at(11, 8080)).syn(),
        ),
        (
            "a fragment to another than the VIP",
            udp(w.client, w.real_at(11, 8080)).fragment(0, true),
        ),
    ];
    rows.into_iter()
        .map(|(name, packet)| {
            host(
                format!("{name} is the host's, {}", w.name),
                from_client(&packet),
            )
        })
        .chain([host(
            format!("a real server's own traffic is the host's, {}", w.name),
            from_server(11, &udp(w.real_at(11, 5353), w.client)),
        )])
        .chain([scenario(format!(
            "without services everything is the host's, {}",
            w.name
        ))
        .takes(from_client(&tcp(w.client, w.web).syn()))
        .host()])
        .collect()
}

/// A service on an address that is not the host's: what is sent there is routed,
/// as long as that is so.
fn passing(w: Family) -> Scenario {
    let web = std::net::SocketAddr::new(w.router, 80);
    let service = Service::new(Protocol::Tcp, web, Scheduler::RoundRobin);
    let real_server = RealServer::direct_route(w.real(11));
    scenario(format!("what only passes the host is routed, {}", w.name))
        .with(service.real_server(real_server))
        .takes(from_client(&tcp(w.client, web).syn()))
        .host()
        .remembers(0)
        .rewired(|wiring| wiring.further.push(w.router))
        .takes(from_client(&tcp(w.client, web).syn()))
        .sends(to_server(11, &tcp(w.client, web).syn().ttl(63)))
}

/// Which TCP segments begin a connection.
fn segments(w: Family) -> Vec<Scenario> {
    let segment = || tcp(w.client, w.web);
    let from_20 = |packet: fn(std::net::SocketAddr, std::net::SocketAddr) -> Packet| {
        packet(std::net::SocketAddr::new(w.client.ip(), 20), w.web)
    };
    let refused: [(&str, Packet); 7] = [
        ("an ACK of no connection", segment().ack()),
        ("data of no connection", segment().ack().data(b"GET /")),
        ("a FIN of no connection", segment().fin()),
        ("a RST of no connection", segment().rst()),
        ("a SYN with RST", segment().syn().rst()),
        ("a segment without flags", segment()),
        ("a SYN from port 20, FTP's for data,", from_20(tcp).syn()),
    ];
    let mut all: Vec<Scenario> = refused
        .into_iter()
        .map(|(name, packet)| {
            host(
                format!("{name} is the host's, {}", w.name),
                from_client(&packet),
            )
        })
        .collect();
    let dns = w
        .service(Protocol::Udp)
        .real_server(RealServer::direct_route(w.real(11)));
    all.push(
        scenario(format!(
            "a datagram from port 20 is the host's too, {}",
            w.name
        ))
        .with(dns)
        .takes(from_client(&from_20(udp)))
        .host(),
    );
    let begins = |name: &str, flags: fn(Packet) -> Packet| {
        let out = flags(tcp(w.client, w.real_at(11, 8080))).ttl(63);
        served(w, format!("{name} begins a connection, {}", w.name))
            .takes(from_client(&flags(segment())))
            .sends(to_server(11, &out))
            .remembers(1)
    };
    all.push(begins("a SYN", Packet::syn));
    all.push(begins("a SYN with ACK", |p| p.syn().ack()));
    all.push(begins("a SYN with data", |p| p.syn().data(b"fast open")));
    all
}

/// What the Ethernet header alone decides.
fn link(w: Family) -> Vec<Scenario> {
    let syn = || from_client(&tcp(w.client, w.web).syn());
    let named = |what: &str| format!("{what}, {}", w.name);
    vec![
        served(w, named("a frame for another machine is dropped"))
            .takes(syn().to([2, 0, 0, 0, 9, 9]))
            .drops_it(DropReason::NotOurMac),
        served(w, named("a frame for the director's other port is dropped"))
            .takes(syn().to(crate::common::place::INSIDE))
            .drops_it(DropReason::NotOurMac),
        host(
            named("a broadcast frame is the host's"),
            syn().to([0xff; 6]),
        ),
        host(
            named("a multicast frame is the host's"),
            syn().to([0x33, 0x33, 0, 0, 0, 1]),
        ),
        host(
            named("a frame with two VLAN tags is the host's"),
            syn().ether_type(0x8100).vlan(5),
        ),
        host(
            named("a provider's VLAN tag is the host's"),
            syn().ether_type(0x88a8),
        ),
    ]
}

fn arp() -> Frame {
    let request = [
        &[0, 1, 8, 0, 6, 4, 0, 1][..],
        &crate::common::place::GATEWAY,
        &[192, 0, 2, 254],
        &[0; 6],
        &[192, 0, 2, 10],
    ];
    from_client(&tcp(V4.client, V4.web))
        .ether_type(0x0806)
        .spoilt(|payload| *payload = request.concat())
        .padded()
        .to([0xff; 6])
}
