//! The host itself as a real server: what it is given, and what it sends.

use std::net::SocketAddr;

use lvs_core::{Port, Protocol, RealServer};

use crate::common::frame::Frame;
use crate::common::icmp::{port_unreachable, too_big};
use crate::common::packet::{Packet, tcp, udp};
use crate::common::place::{FAMILIES, Family, first, from_client, reply, to_client};
use crate::scenario::{Scenario, owner, scenario};

pub(crate) fn scenarios() -> Vec<Scenario> {
    FAMILIES.into_iter().flat_map(of_family).collect()
}

fn of_family(w: Family) -> Vec<Scenario> {
    let mut all = vec![errors(w), past_the_service(w), any_ttl(w), on_two_shards(w)];
    all.extend([Protocol::Tcp, Protocol::Udp].map(|protocol| masqueraded(w, protocol)));
    all.extend(as_it_is(w));
    all
}

/// Where the host's own server is.
fn own(w: Family) -> SocketAddr {
    SocketAddr::new(w.inside, 8080)
}

fn served(w: Family, protocol: Protocol, name: &str) -> Scenario {
    let service = w.service(protocol);
    scenario(format!("{name}, {} {protocol}", w.name))
        .with(service.real_server(RealServer::masquerade(own(w))))
}

/// A packet that the host itself sends.
fn from_host(packet: &Packet) -> Frame {
    Frame::new(Port::HOST, [0; 6], [0; 6], packet)
}

fn masqueraded(w: Family, protocol: Protocol) -> Scenario {
    served(w, protocol, "masquerading to the host, and back, is no hop")
        .takes(from_client(&first(protocol, w.client, w.web)))
        .delivers(from_client(&first(protocol, w.client, own(w))))
        .takes(from_host(&reply(protocol, own(w), w.client)))
        .sends(to_client(&reply(protocol, w.web, w.client)))
        .remembers(1)
}

/// Neither way is looked at: nothing is routed.
fn any_ttl(w: Family) -> Scenario {
    served(w, Protocol::Udp, "a last hop is none to the host")
        .takes(from_client(&udp(w.client, w.web).ttl(1)))
        .delivers(from_client(&udp(w.client, own(w)).ttl(1)))
        .takes(from_host(&udp(own(w), w.client).ttl(1)))
        .sends(to_client(&udp(w.web, w.client).ttl(1)))
}

/// What is quoted keeps the checksum it had where it was seen.
fn errors(w: Family) -> Scenario {
    let (asked, inside) = (udp(w.client, w.web), udp(w.client, own(w)));
    let (answered, outside) = (udp(w.web, w.client), udp(own(w), w.client));
    let seen_as = |packet: &Packet, seen: &Packet| {
        let (mut packet, seen) = (packet.bytes(), seen.bytes());
        let at = w.header as usize + 6;
        packet[at..at + 2].copy_from_slice(&seen[at..at + 2]);
        packet
    };
    let refused = |from, quoted: &[u8]| port_unreachable(from, w.client.ip(), quoted);
    let narrow = |to, quoted: &[u8]| too_big(w.router, to, 1280, quoted);
    served(w, Protocol::Udp, "ICMP errors about the host's connections")
        .takes(from_client(&asked))
        .delivers(from_client(&inside))
        .takes(from_host(&refused(w.inside, &inside.bytes())))
        .sends(to_client(&refused(w.vip(), &seen_as(&asked, &inside))))
        .takes(from_client(&narrow(w.vip(), &answered.bytes())))
        .delivers(from_client(&narrow(
            w.inside,
            &seen_as(&outside, &answered),
        )))
}

fn past_the_service(w: Family) -> Scenario {
    served(
        w,
        Protocol::Tcp,
        "what the host sends to others goes its way",
    )
    .takes(from_host(&tcp(own(w), w.client).syn().ack()))
    .host()
    .takes(from_host(&tcp(own(w), w.web).syn()))
    .host()
    .remembers(0)
}

fn on_two_shards(w: Family) -> Scenario {
    let at = owner(w.client);
    served(w, Protocol::Tcp, "the host's answer finds its shard")
        .on_two_shards()
        .takes_at(at, from_client(&first(Protocol::Tcp, w.client, w.web)))
        .delivers(from_client(&first(Protocol::Tcp, w.client, own(w))))
        .takes_at(1 - at, from_host(&reply(Protocol::Tcp, own(w), w.client)))
        .hands_to(at)
        .sends(to_client(&reply(Protocol::Tcp, w.web, w.client)))
}

/// With the VIP on the host itself nothing is rewritten.
fn as_it_is(w: Family) -> [Scenario; 2] {
    let by = |what: &str, real_server| {
        scenario(format!(
            "{what} to the host leaves it the packet, {}",
            w.name
        ))
        .with(w.service(Protocol::Tcp).real_server(real_server))
        .takes(from_client(&first(Protocol::Tcp, w.client, w.web)))
        .host()
        .remembers(1)
    };
    [
        by("direct routing", RealServer::direct_route(w.inside)),
        by("a tunnel", RealServer::tunnel(w.inside)),
    ]
}
