//! Which real server a packet goes to, and by which way.

use lvs_core::{DropReason, Protocol, RealServer, Service};

use crate::common::icmp::{by_the_director, host_unreachable, port_unreachable};
use crate::common::packet::{Packet, tcp, udp};
use crate::common::place::{FAMILIES, Family, V6, from_client, from_server, to_client, to_server};
use crate::scenario::{Scenario, scenario};

pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut all = Vec::new();
    for family in FAMILIES {
        all.extend(weights(family));
        all.extend(removals(family));
        all.extend(ways(family));
    }
    all.push(full());
    all
}

/// Direct-routed real servers of these numbers and weights.
fn servers(w: Family, protocol: Protocol, servers: &[(u8, u32)]) -> Service {
    servers
        .iter()
        .fold(w.service(protocol), |service, (number, weight)| {
            service.real_server(RealServer::direct_route(w.real(*number)).weight(*weight))
        })
}

/// A client's SYN, from this port.
fn syn(w: Family, port: u16) -> Packet {
    tcp(w.client_at(7, port), w.web).syn()
}

fn ack(w: Family, port: u16) -> Packet {
    tcp(w.client_at(7, port), w.web).ack()
}

/// The director says that nobody is there.
fn refused(w: Family, id: u16, packet: &Packet) -> Packet {
    let quoted = packet.bytes();
    by_the_director(port_unreachable(w.vip(), w.client.ip(), &quoted), id)
}

fn weights(w: Family) -> [Scenario; 4] {
    let named = |what: &str| scenario(format!("{what}, {}", w.name));
    let tcp_servers = |list: &[(u8, u32)]| servers(w, Protocol::Tcp, list);
    [
        named("each connection stays where its first packet went")
            .with(tcp_servers(&[(11, 1), (12, 1)]))
            .takes(from_client(&syn(w, 1001)))
            .sends(to_server(12, &syn(w, 1001).ttl(63)))
            .takes(from_client(&syn(w, 1002)))
            .sends(to_server(11, &syn(w, 1002).ttl(63)))
            .takes(from_client(&ack(w, 1001)))
            .sends(to_server(12, &ack(w, 1001).ttl(63)))
            .takes(from_client(&syn(w, 1002)))
            .sends(to_server(11, &syn(w, 1002).ttl(63)))
            .remembers(2),
        named("weight 0 keeps old connections and takes no new ones")
            .with(tcp_servers(&[(11, 1)]))
            .takes(from_client(&syn(w, 1001)))
            .sends(to_server(11, &syn(w, 1001).ttl(63)))
            .becomes([tcp_servers(&[(11, 0)])])
            .takes(from_client(&ack(w, 1001)))
            .sends(to_server(11, &ack(w, 1001).ttl(63)))
            .takes(from_client(&syn(w, 1002)))
            .sends(to_client(&refused(w, 1, &syn(w, 1002))))
            .remembers(1),
        named("a service without real servers is a closed port, for UDP and TCP alike")
            .with(tcp_servers(&[]))
            .with(servers(w, Protocol::Udp, &[]))
            .takes(from_client(&syn(w, 1001)))
            .sends(to_client(&refused(w, 1, &syn(w, 1001))))
            .takes(from_client(&udp(w.client, w.web)))
            .sends(to_client(&refused(w, 2, &udp(w.client, w.web))))
            .remembers(0),
        named("a new weight moves no connection")
            .with(tcp_servers(&[(11, 1), (12, 1)]))
            .takes(from_client(&syn(w, 1001)))
            .sends(to_server(12, &syn(w, 1001).ttl(63)))
            .becomes([tcp_servers(&[(11, 1000), (12, 1)])])
            .takes(from_client(&ack(w, 1001)))
            .sends(to_server(12, &ack(w, 1001).ttl(63))),
    ]
}

fn removals(w: Family) -> [Scenario; 5] {
    let named = |what: &str| scenario(format!("{what}, {}", w.name));
    let tcp_servers = |list: &[(u8, u32)]| servers(w, Protocol::Tcp, list);
    let masquerade = || {
        w.service(Protocol::Tcp)
            .real_server(RealServer::masquerade(w.real_at(11, 80)))
    };
    let begun = |name: &str| {
        named(name)
            .with(tcp_servers(&[(11, 1)]))
            .takes(from_client(&syn(w, 1001)))
            .sends(to_server(11, &syn(w, 1001).ttl(63)))
    };
    [
        begun("a removed real server's connections are dropped, and live again when it is back")
            .becomes([tcp_servers(&[(12, 1)])])
            .takes(from_client(&ack(w, 1001)))
            .drops_it(DropReason::RealServerGone)
            .becomes([tcp_servers(&[(12, 1), (11, 1)])])
            .takes(from_client(&ack(w, 1001)))
            .sends(to_server(11, &ack(w, 1001).ttl(63)))
            .remembers(1),
        begun("dropped packets do not keep a connection: it ends when its time comes")
            .becomes([tcp_servers(&[(12, 1)])])
            .seconds(40)
            .takes(from_client(&ack(w, 1001)))
            .drops_it(DropReason::RealServerGone)
            .seconds(21)
            .remembers(0)
            .takes(from_client(&syn(w, 1001)))
            .sends(to_server(12, &syn(w, 1001).ttl(63))),
        begun("a removed service's connections are dropped, what is new is the host's")
            .becomes([servers(w, Protocol::Udp, &[(11, 1)])])
            .takes(from_client(&ack(w, 1001)))
            .drops_it(DropReason::RealServerGone)
            .takes(from_client(&syn(w, 1002)))
            .host(),
        begun("with the last service of a family gone, all of it is the host's")
            .becomes([])
            .takes(from_client(&ack(w, 1001)))
            .host()
            .takes(from_client(&syn(w, 1002)))
            .host()
            .remembers(1),
        named("replies of a removed real server still leave as the service's")
            .with(masquerade())
            .takes(from_client(&syn(w, 1001)))
            .sends(to_server(
                11,
                &tcp(w.client_at(7, 1001), w.real_at(11, 80)).syn().ttl(63),
            ))
            .becomes([tcp_servers(&[(12, 1)])])
            .takes(from_server(
                11,
                &tcp(w.real_at(11, 80), w.client_at(7, 1001)).fin(),
            ))
            .sends(to_client(&tcp(w.web, w.client_at(7, 1001)).fin().ttl(63))),
    ]
}

/// Where the next machine is, and what if that is not known.
fn ways(w: Family) -> [Scenario; 6] {
    let named = |what: &str| scenario(format!("{what}, {}", w.name));
    let masquerade = || {
        w.service(Protocol::Tcp)
            .real_server(RealServer::masquerade(w.real_at(11, 80)))
    };
    let request = || from_client(&tcp(w.client, w.web).syn());
    let forwarded = || to_server(11, &tcp(w.client, w.real_at(11, 80)).syn().ttl(63));
    let answer = || from_server(11, &tcp(w.real_at(11, 80), w.client).syn().ack());
    let answered = || to_client(&tcp(w.web, w.client).syn().ack().ttl(63));
    let elsewhere = [2, 0, 0, 0, 1, 7];
    [
        named("a connection finds the client's new gateway after the network changed")
            .with(masquerade())
            .takes(request())
            .sends(forwarded())
            .takes(answer())
            .sends(answered())
            .rewired(|wiring| wiring.gateway = Some(elsewhere))
            .takes(answer())
            .sends(answered().to(elsewhere)),
        named("without a route to the client, or by one that refuses, replies are dropped")
            .wired(|wiring| wiring.default_route = false)
            .with(masquerade())
            .takes(request().from(elsewhere))
            .sends(forwarded())
            .takes(answer())
            .drops_it(DropReason::Unreachable)
            .rewired(|wiring| wiring.default_route = true)
            .takes(answer())
            .sends(answered()),
        named("while the gateway's link address is not known, they go back the way requests came")
            .wired(|wiring| wiring.gateway = None)
            .with(masquerade())
            .takes(request().from(elsewhere).vlan(7))
            .sends(forwarded())
            .takes(answer())
            .sends(answered().to(elsewhere).vlan(7)),
        named("a real server whose link address is not known costs the packet, not the connection")
            .wired(|wiring| wiring.silent = vec![11])
            .with(masquerade())
            .takes(request())
            .drops_it(DropReason::NextHopUnresolved)
            .rewired(|wiring| wiring.silent.clear())
            .takes(request())
            .sends(forwarded())
            .remembers(1),
        named("a real server no route leads to")
            .wired(|wiring| wiring.server_route = false)
            .with(masquerade())
            .takes(request())
            .sends(to_client(&by_the_director(
                host_unreachable(w.vip(), w.client.ip(), &tcp(w.client, w.web).syn().bytes()),
                1,
            )))
            .remembers(1),
        named("a client that was elsewhere and is the director now has no way back")
            .with(masquerade())
            .takes(request())
            .sends(forwarded())
            .rewired(|wiring| wiring.own_client = true)
            .takes(answer())
            .drops_it(DropReason::Unreachable),
    ]
}

fn full() -> Scenario {
    let w = V6;
    let datagram = |port: u16| udp(w.client_at(7, port), w.web);
    let forwarded = |port| to_server(11, &datagram(port).ttl(63));
    let fill = |scenario: Scenario, port: u16| {
        scenario
            .takes(from_client(&datagram(1000 + port)))
            .sends(forwarded(1000 + port))
    };
    scenario("a full table refuses new connections, serves the old, and is whole again later")
        .remembering(8)
        .with(servers(w, Protocol::Udp, &[(11, 1)]))
        .repeated(8, fill)
        .takes(from_client(&datagram(2000)))
        .drops_it(DropReason::TableFull)
        .repeated(8, fill)
        .remembers(8)
        .seconds(301)
        .remembers(0)
        .repeated(8, fill)
        .takes(from_client(&datagram(2000)))
        .drops_it(DropReason::TableFull)
}
