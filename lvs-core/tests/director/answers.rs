//! The director's own ICMP answers: when a packet runs out of hops, does not
//! fit, or finds nobody; and when there is none.

use std::net::{IpAddr, SocketAddr};

use lvs_core::{DropReason, ForwardingMethod, Protocol, RealServer, Tunnel};

use crate::common::frame::Frame;
use crate::common::icmp::{by_the_director, port_unreachable, time_exceeded, too_big};
use crate::common::packet::{Packet, tcp, udp};
use crate::common::place::{
    FAMILIES, Family, V4, V6, from_client, from_server, to_client, to_server,
};
use crate::scenario::{Scenario, scenario};

pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut all = Vec::new();
    for family in FAMILIES {
        for method in methods() {
            all.extend(hops(family, method));
            all.extend(sizes(family, method));
        }
        all.extend(replies(family));
        all.extend(unanswered(family));
        all.extend(how_much_is_quoted(family));
    }
    all.extend(free_to_be_fragmented());
    all.push(narrow_tunnel());
    all.push(longest_packet());
    all
}

fn methods() -> [ForwardingMethod; 3] {
    [
        ForwardingMethod::Masquerade,
        ForwardingMethod::DirectRoute,
        ForwardingMethod::Tunnel(Tunnel::Ipip),
    ]
}

/// A service with one real server.
fn served(w: Family, name: &str, protocol: Protocol, method: ForwardingMethod) -> Scenario {
    let server = match method {
        ForwardingMethod::Masquerade => RealServer::masquerade(w.real_at(11, 8080)),
        ForwardingMethod::DirectRoute => RealServer::direct_route(w.real(11)),
        ForwardingMethod::Tunnel(_) => RealServer::tunnel(w.real(11)),
    };
    let name = format!("{name}, {} {protocol}, {method:?}", w.name);
    scenario(name).with(w.service(protocol).real_server(server))
}

/// How a packet with a hop less leaves by a method.
fn forwarded(
    w: Family,
    method: ForwardingMethod,
    packet: impl Fn(SocketAddr, SocketAddr) -> Packet,
) -> Frame {
    forwarded_with(w, method, packet, 63)
}

/// How a packet leaves by a method, with this TTL.
fn forwarded_with(
    w: Family,
    method: ForwardingMethod,
    packet: impl Fn(SocketAddr, SocketAddr) -> Packet,
    ttl: u8,
) -> Frame {
    let (client, web) = (w.client, w.web);
    let packet = match method {
        ForwardingMethod::Masquerade => packet(client, w.real_at(11, 8080)).ttl(ttl),
        ForwardingMethod::DirectRoute => packet(client, web).ttl(ttl),
        ForwardingMethod::Tunnel(_) => packet(client, web).ttl(ttl).in_tunnel(w.inside, w.real(11)),
    };
    to_server(11, &packet)
}

/// Time to live runs out (RFC 1812 5.3.1).
fn hops(w: Family, method: ForwardingMethod) -> Vec<Scenario> {
    let mut all = Vec::new();
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        let packet = |from, to| match protocol {
            Protocol::Tcp => tcp(from, to).syn(),
            _ => udp(from, to),
        };
        for ttl in [1, 0] {
            let dying = packet(w.client, w.web).ttl(ttl);
            let told = time_exceeded(w.vip(), w.client.ip(), &dying.bytes());
            all.push(
                served(
                    w,
                    &format!("TTL {ttl}: the VIP says that time is exceeded"),
                    protocol,
                    method,
                )
                .takes(from_client(&dying))
                .sends(to_client(&by_the_director(told, 1)))
                .remembers(1)
                .takes(from_client(&packet(w.client, w.web)))
                .sends(forwarded(w, method, packet)),
            );
        }
        all.push(
            served(w, "TTL 2 is enough", protocol, method)
                .takes(from_client(&packet(w.client, w.web).ttl(2)))
                .sends(forwarded_with(w, method, packet, 1)),
        );
    }
    all
}

/// Longer than the way ahead takes (RFC 1191, RFC 8201). A tunnel's own header
/// counts off.
fn sizes(w: Family, method: ForwardingMethod) -> Vec<Scenario> {
    let limit = match method {
        ForwardingMethod::Tunnel(_) => 1400 - w.header,
        _ => 1400,
    };
    let long = |length: u32| move |from, to| tcp(from, to).ack().data(b"").long(length as usize);
    let most = long(limit);
    let more = long(limit + 1)(w.client, w.web);
    // The quoted packet has lost a hop already.
    let quoted = more.clone().ttl(63).bytes();
    let quoted = &quoted[..quoted.len().min(most_quoted(w))];
    let told = too_big(w.vip(), w.client.ip(), limit, quoted);
    vec![
        served(w, &format!("{limit} bytes fit"), Protocol::Tcp, method)
            .wired(|wiring| wiring.inside_mtu = 1400)
            .takes(from_client(&tcp(w.client, w.web).syn()))
            .sends(forwarded(w, method, |from, to| tcp(from, to).syn()))
            .takes(from_client(&most(w.client, w.web)))
            .sends(forwarded(w, method, most))
            .takes(from_client(&more))
            .sends(to_client(&by_the_director(told, 1))),
    ]
}

/// Bytes of a packet that fit into an answer about it.
fn most_quoted(w: Family) -> usize {
    match w.header {
        20 => 576 - 28,
        _ => 1280 - 48,
    }
}

/// A real server is told by the director's own address: it does not know the VIP.
fn replies(w: Family) -> Vec<Scenario> {
    let masquerade = ForwardingMethod::Masquerade;
    let begun = |name: &str| {
        served(w, name, Protocol::Tcp, masquerade)
            .wired(|wiring| wiring.outside_mtu = 1400)
            .takes(from_client(&tcp(w.client, w.web).syn()))
            .sends(forwarded(w, masquerade, |from, to| tcp(from, to).syn()))
    };
    let reply = || tcp(w.real_at(11, 8080), w.client).syn().ack();
    let long = reply().long(1401);
    // As it came: the router in the director looks before the director does.
    let quoted = long.bytes();
    let quoted = &quoted[..quoted.len().min(most_quoted(w))];
    let expired = time_exceeded(w.inside, w.real(11), &reply().ttl(1).bytes());
    let big = too_big(w.inside, w.real(11), 1400, quoted);
    vec![
        begun("a reply without a hop left: the real server is told, by the director itself")
            .takes(from_server(11, &reply().ttl(1)))
            .sends(to_server(11, &by_the_director(expired, 1))),
        begun("a reply too long for the clients' side")
            .takes(from_server(11, &long))
            .sends(to_server(11, &by_the_director(big, 1))),
        scenario(format!(
            "a director without an address cannot answer a real server, {}",
            w.name
        ))
        .wired(|wiring| wiring.own_addresses = false)
        .with(
            w.service(Protocol::Tcp)
                .real_server(RealServer::masquerade(w.real_at(11, 8080))),
        )
        .takes(from_client(&tcp(w.client, w.web).syn()))
        .sends(forwarded(w, masquerade, |from, to| tcp(from, to).syn()))
        .takes(from_server(11, &reply().ttl(1)))
        .drops_it(DropReason::TtlExpired),
    ]
}

/// Packets that end without a word.
fn unanswered(w: Family) -> Vec<Scenario> {
    let empty = |name: &str| scenario(format!("{name}, {}", w.name)).with(w.service(Protocol::Udp));
    let from = |address: &str| {
        let address: IpAddr = address.parse().expect("an address");
        udp(SocketAddr::new(address, 5), w.web)
    };
    let nobodies = match w.header {
        // The last is the director's own.
        20 => [
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "255.255.255.255",
            "127.0.0.1",
            "192.0.2.1",
        ],
        _ => [
            "::",
            "ff02::1",
            "ff05::2",
            "ff0e::3",
            "::1",
            "::ffff:10.0.0.1",
        ],
    };
    let mut all: Vec<Scenario> = nobodies
        .into_iter()
        .map(|nobody| {
            empty(&format!("nobody is served, or told, at {nobody}"))
                .takes(from_client(&from(nobody)))
                .drops_it(DropReason::BadSource)
        })
        .collect();
    let datagram = || udp(w.client, w.web);
    let told = |id| {
        let told = port_unreachable(w.vip(), w.client.ip(), &datagram().bytes());
        to_client(&by_the_director(told, id))
    };
    all.push(
        empty("a thousand answers at once, then one a millisecond")
            .repeated(1000, |all, n| {
                all.takes(from_client(&datagram())).sends(told(n + 1))
            })
            .takes(from_client(&datagram()))
            .drops_it(DropReason::AnswerLimited)
            .milliseconds(1)
            .takes(from_client(&datagram()))
            .sends(told(1001))
            .takes(from_client(&datagram()))
            .drops_it(DropReason::AnswerLimited),
    );
    all.push(
        empty("no room in front for an answer")
            .takes(from_client(&datagram()).headroom(w.header as usize + 7))
            .drops_it(DropReason::NoHeadroom)
            .takes(from_client(&datagram()).headroom(w.header as usize + 8))
            .sends(told(2)),
    );
    all.push(
        scenario(format!(
            "no room in front for a tunnel's header, {}",
            w.name
        ))
        .with(
            w.service(Protocol::Udp)
                .real_server(RealServer::tunnel(w.real(11))),
        )
        .takes(from_client(&datagram()).headroom(w.header as usize - 1))
        .drops_it(DropReason::NoHeadroom)
        .takes(from_client(&datagram()).headroom(w.header as usize))
        .sends(to_server(
            11,
            &datagram().ttl(63).in_tunnel(w.inside, w.real(11)),
        )),
    );
    all
}

/// As much as fits into 576 bytes, in IPv6 into 1280.
fn how_much_is_quoted(w: Family) -> Vec<Scenario> {
    let told = |packet: &Packet| {
        let quoted = packet.bytes();
        let quoted = &quoted[..quoted.len().min(most_quoted(w))];
        by_the_director(port_unreachable(w.vip(), w.client.ip(), quoted), 1)
    };
    let empty = |name: &str| scenario(format!("{name}, {}", w.name)).with(w.service(Protocol::Udp));
    let datagram = |length| udp(w.client, w.web).data(b"").long(length);
    let row = |length| {
        empty(&format!(
            "a packet of {length} bytes is quoted as far as it fits"
        ))
        .takes(from_client(&datagram(length)))
        .sends(to_client(&told(&datagram(length))))
    };
    let most = most_quoted(w);
    vec![
        row(most - 1),
        row(most),
        row(most + 1),
        row(1500),
        empty("what lies in further chunks is not quoted")
            .takes(from_client(&datagram(1500)).in_chunks(&[700, 400]))
            .sends(to_client(&{
                let quoted = &datagram(1500).bytes()[..400];
                let quoted = &quoted[..quoted.len().min(most)];
                by_the_director(port_unreachable(w.vip(), w.client.ip(), quoted), 1)
            })),
        empty("an answer has the tag of what it answers, a priority tag as well")
            .takes(from_client(&datagram(100)).vlan(0x0064))
            .sends(to_client(&told(&datagram(100))).vlan(0x0064))
            .takes(from_client(&datagram(100)).vlan(0xa000))
            .sends({
                let quoted = datagram(100).bytes();
                let told = port_unreachable(w.vip(), w.client.ip(), &quoted);
                to_client(&by_the_director(told, 2)).vlan(0)
            }),
        empty("an answer goes back to where the packet came from, not where routes lead")
            .takes(from_client(&datagram(100)).from([2, 0, 0, 0, 7, 7]))
            .sends(to_client(&told(&datagram(100))).to([2, 0, 0, 0, 7, 7])),
    ]
}

/// What its sender lets be fragmented leaves in pieces; through a tunnel it is
/// the outer packet that is cut.
fn free_to_be_fragmented() -> Vec<Scenario> {
    let w = V4;
    let long = udp(w.client, w.web)
        .data(b"")
        .long(1401)
        .may_be_fragmented();
    let row = |method| {
        let out = forwarded(w, method, |from, to| {
            let packet = udp(from, to).data(b"").long(1401);
            packet.may_be_fragmented()
        });
        // The first packet through a tunnel that may be fragmented is number 1.
        let out = match method {
            ForwardingMethod::Tunnel(_) => {
                let outer = udp(w.client, w.web).data(b"").long(1401);
                let outer = outer.may_be_fragmented().ttl(63);
                to_server(11, &outer.in_tunnel(w.inside, w.real(11)).id(1))
            }
            _ => out,
        };
        served(
            w,
            "too long, and free to be fragmented",
            Protocol::Udp,
            method,
        )
        .wired(|wiring| wiring.inside_mtu = 1400)
        .takes(from_client(&long))
        .cuts(out, 1400)
    };
    methods().into_iter().map(row).collect()
}

/// No sender of IPv6 can be asked for packets below 1280 bytes (RFC 8200 5).
fn narrow_tunnel() -> Scenario {
    let w = V6;
    served(
        w,
        "a tunnel too narrow for IPv6",
        Protocol::Udp,
        ForwardingMethod::Tunnel(Tunnel::Ipip),
    )
    .wired(|wiring| wiring.inside_mtu = 1319)
    .takes(from_client(&udp(w.client, w.web).data(b"").long(1280)))
    .drops_it(DropReason::TunnelTooNarrow)
}

/// Some devices take more than IP can say the length of.
fn longest_packet() -> Scenario {
    let w = V4;
    let method = ForwardingMethod::Tunnel(Tunnel::Ipip);
    let long = |length: usize| move |from, to| udp(from, to).data(b"").long(length);
    let quoted = long(65_516)(w.client, w.web).ttl(63).bytes();
    let told = too_big(w.vip(), w.client.ip(), 65_515, &quoted[..most_quoted(w)]);
    served(
        w,
        "no tunnel makes a packet of more than 65535 bytes",
        Protocol::Udp,
        method,
    )
    .wired(|wiring| wiring.inside_mtu = 70_000)
    .takes(from_client(&long(65_515)(w.client, w.web)))
    .sends(forwarded(w, method, long(65_515)))
    .takes(from_client(&long(65_516)(w.client, w.web)))
    .sends(to_client(&by_the_director(told, 1)))
}
