//! ICMP errors about connections, from either side: to whom they go, and what
//! the packet they quote looks like there.

use std::net::IpAddr;

use lvs_core::{DropReason, Protocol, RealServer};

use crate::common::frame::Frame;
use crate::common::icmp::{by_the_director, port_unreachable, time_exceeded, too_big};
use crate::common::packet::{Packet, icmp, other, tcp, udp};
use crate::common::place::{
    FAMILIES, Family, V4, V6, first, from_client, from_server, to_client, to_server,
};
use crate::scenario::{Scenario, scenario};

pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut all = Vec::new();
    for family in FAMILIES {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            all.extend(about_replies(family, protocol));
            all.extend(about_requests(family, protocol));
        }
        all.extend(refused(family));
        all.extend(not_about_us(family));
    }
    all.push(source_quench());
    all.extend(about_tunnels());
    all
}

/// One real server, one connection.
fn begun(w: Family, name: &str, protocol: Protocol, server: RealServer) -> Scenario {
    let name = format!("{name}, {} {protocol}", w.name);
    let request = first(protocol, w.client, w.web);
    let out = match server.forwarding {
        lvs_core::ForwardingMethod::Masquerade => {
            first(protocol, w.client, w.real_at(11, server.port)).ttl(63)
        }
        lvs_core::ForwardingMethod::DirectRoute => request.clone().ttl(63),
        lvs_core::ForwardingMethod::Tunnel(_) => {
            request.clone().ttl(63).in_tunnel(w.inside, w.real(11))
        }
    };
    scenario(name)
        .with(w.service(protocol).real_server(server))
        .takes(from_client(&request))
        .sends(to_server(11, &out))
}

fn masqueraded(w: Family) -> RealServer {
    RealServer::masquerade(w.real_at(11, 8080))
}

/// What the service sent to the client, as a router further out saw it.
fn service_reply(w: Family, protocol: Protocol) -> Packet {
    packet(protocol, w.web, w.client).ttl(50)
}

/// The same as the real server sent it; its transport checksum is that of the
/// packet the router saw, for nobody may touch what may be cut off.
fn server_reply(w: Family, protocol: Protocol) -> Vec<u8> {
    let seen = service_reply(w, protocol).bytes();
    let mut sent = packet(protocol, w.real_at(11, 8080), w.client)
        .ttl(50)
        .bytes();
    keep_checksum(w, protocol, &seen, &mut sent);
    sent
}

fn packet(protocol: Protocol, from: std::net::SocketAddr, to: std::net::SocketAddr) -> Packet {
    match protocol {
        Protocol::Tcp => tcp(from, to).ack().data(b"a page, or a part of it"),
        _ => udp(from, to).data(b"an answer"),
    }
}

fn keep_checksum(w: Family, protocol: Protocol, from: &[u8], to: &mut [u8]) {
    let at = w.header as usize + if protocol == Protocol::Tcp { 16 } else { 6 };
    to[at..at + 2].copy_from_slice(&from[at..at + 2]);
}

/// From outside, about a reply: the real server must hear of it.
fn about_replies(w: Family, protocol: Protocol) -> Vec<Scenario> {
    let seen = service_reply(w, protocol).bytes();
    let sent = server_reply(w, protocol);
    // What routers quote: everything, or the header and eight bytes.
    let lengths = [seen.len(), w.header as usize + 8];
    let error = |to, quoted: &[u8]| too_big(w.router, to, 1300, quoted);
    let direct = RealServer::direct_route(w.real(11));
    let tunnel = RealServer::tunnel(w.real(11));
    let mut all = Vec::new();
    for length in lengths {
        let named = |what: &str| format!("an error about a reply, {length} bytes quoted, {what}");
        let taken = || from_client(&error(w.vip(), &seen[..length]));
        let same = || error(w.vip(), &seen[..length]).ttl(63);
        all.extend([
            begun(
                w,
                &named("reaches a masqueraded real server as its own"),
                protocol,
                masqueraded(w),
            )
            .takes(taken())
            .sends(to_server(11, &error(w.real(11), &sent[..length]).ttl(63)))
            .remembers(1),
            begun(
                w,
                &named("reaches a direct-routed one as it is"),
                protocol,
                direct.clone(),
            )
            .takes(taken())
            .sends(to_server(11, &same())),
            begun(
                w,
                &named("reaches one behind a tunnel through it"),
                protocol,
                tunnel.clone(),
            )
            .takes(taken())
            .sends(to_server(11, &same().in_tunnel(w.inside, w.real(11)))),
        ]);
    }
    all
}

/// From the real server's side, about a request: the client must hear of it,
/// from the service.
fn about_requests(w: Family, protocol: Protocol) -> Vec<Scenario> {
    let request = |to| packet(protocol, w.client, to).ttl(63);
    let seen = request(w.real_at(11, 8080)).bytes();
    let mut sent = request(w.web).bytes();
    keep_checksum(w, protocol, &seen, &mut sent);
    let lengths = [seen.len(), w.header as usize + 8];
    let mut all = Vec::new();
    for length in lengths {
        let row = |who: &str, from: IpAddr| {
            let name = format!("an error about a request, {length} bytes quoted, from {who}");
            begun(w, &name, protocol, masqueraded(w))
                .takes(from_server(
                    11,
                    &port_unreachable(from, w.client.ip(), &seen[..length]),
                ))
                .sends(to_client(
                    &port_unreachable(w.vip(), w.client.ip(), &sent[..length]).ttl(63),
                ))
        };
        all.push(row("the real server", w.real(11)));
        all.push(row("a router before it", w.real(99)));
    }
    // Where the real server has the VIP the error is right as it is.
    let at_vip = port_unreachable(w.real(11), w.client.ip(), &request(w.web).bytes());
    let direct = RealServer::direct_route(w.real(11));
    for server in [direct, RealServer::tunnel(w.real(11))] {
        let name = format!(
            "an error about a request, {:?}, is the host's",
            server.forwarding
        );
        all.push(
            begun(w, &name, protocol, server)
                .takes(from_server(11, &at_vip))
                .host(),
        );
    }
    all
}

/// Errors about connections that go no further.
fn refused(w: Family) -> Vec<Scenario> {
    let tcp_server = |name: &str, server| begun(w, name, Protocol::Tcp, server);
    let quoted = || service_reply(w, Protocol::Tcp).bytes();
    let error = || too_big(w.router, w.vip(), 1300, &quoted());
    let about_request = || {
        let seen = packet(Protocol::Tcp, w.client, w.real_at(11, 8080)).bytes();
        port_unreachable(w.real(11), w.client.ip(), &seen)
    };
    let spoilt = |frame: Frame| {
        frame.spoilt(|bytes| {
            if let Some(last) = bytes.last_mut() {
                *last ^= 1;
            }
        })
    };
    let direct = || RealServer::direct_route(w.real(11));
    let long = too_big(
        w.router,
        w.vip(),
        1300,
        &tcp(w.web, w.client).ack().long(1301).bytes(),
    );
    let too_long = tcp_server(
        "no ICMP about ICMP: an error too long for the way ahead",
        direct(),
    )
    .rewired(|wiring| wiring.inside_mtu = 1300)
    .takes(from_client(&long));
    // IPv4 cuts it, whatever its DF says.
    let too_long = if w.vip().is_ipv4() {
        too_long.cuts(to_server(11, &long.ttl(63)), 1300)
    } else {
        too_long.drops_it(DropReason::TooBig)
    };
    vec![
        tcp_server(
            "no ICMP about ICMP: an error without a hop left",
            masqueraded(w),
        )
        .takes(from_client(&error().ttl(1)))
        .drops_it(DropReason::TtlExpired)
        .takes(from_server(11, &about_request().ttl(1)))
        .drops_it(DropReason::TtlExpired),
        too_long,
        tcp_server(
            "an error with a wrong checksum is not rewritten",
            masqueraded(w),
        )
        .takes(spoilt(from_client(&error())))
        .drops_it(DropReason::BadIcmpChecksum)
        .takes(spoilt(from_server(11, &about_request())))
        .drops_it(DropReason::BadIcmpChecksum),
        tcp_server(
            "an error that need not be rewritten is not checked",
            direct(),
        )
        .takes(spoilt(from_client(&error())))
        .sends(spoilt(to_server(11, &error().ttl(63)))),
        tcp_server("an error for a removed real server", direct())
            .becomes([w.service(Protocol::Tcp)])
            .takes(from_client(&error()))
            .sends(to_server(11, &error().ttl(63))),
        tcp_server(
            "an error for a real server whose link address is lost",
            masqueraded(w),
        )
        .rewired(|wiring| wiring.silent = vec![11])
        .takes(from_client(&error()))
        .drops_it(DropReason::NextHopUnresolved),
        tcp_server(
            "an error for a real server whose route is lost",
            masqueraded(w),
        )
        .rewired(|wiring| wiring.server_route = false)
        .takes(from_client(&error()))
        .drops_it(DropReason::Unreachable),
        scenario(format!(
            "an error for the director as real server is the host's, {}",
            w.name
        ))
        .with(
            w.service(Protocol::Tcp)
                .real_server(RealServer::direct_route(w.inside)),
        )
        .takes(from_client(&tcp(w.client, w.web).syn()))
        .host()
        .takes(from_client(&error()))
        .host(),
        tcp_server("an error keeps no connection", masqueraded(w))
            .seconds(59)
            .takes(from_client(&error()))
            .sends(to_server(
                11,
                &too_big(w.router, w.real(11), 1300, &server_reply(w, Protocol::Tcp)).ttl(63),
            ))
            .seconds(2)
            .remembers(0)
            .takes(from_client(&error()))
            .host(),
    ]
}

/// Errors that are the host's, as they came.
fn not_about_us(w: Family) -> Vec<Scenario> {
    let row = |name: &str, frame: Frame| {
        begun(
            w,
            &format!("{name}: the host's"),
            Protocol::Tcp,
            masqueraded(w),
        )
        .takes(frame)
        .host()
    };
    let error = |quoted: &[u8]| from_client(&time_exceeded(w.router, w.vip(), quoted));
    let reply = || tcp(w.web, w.client).ack();
    // The payload of a later fragment may look like the ports of a connection.
    let later = other(
        w.vip(),
        w.client.ip(),
        6,
        &reply().bytes()[w.header as usize..],
    );
    let behind = match w.header {
        20 => later.fragment(1480, false),
        _ => later.fragment(1448, false),
    };
    let echo = icmp(w.vip(), w.client.ip(), (0, 0, 1), b"");
    vec![
        row(
            "an error about an unknown connection",
            error(&tcp(w.web, w.client_at(8, 1)).ack().bytes()),
        ),
        row("an error about another protocol", error(&echo.bytes())),
        row("an error about a later fragment", error(&behind.bytes())),
        row(
            "an error that quotes half a header",
            error(&reply().bytes()[..w.header as usize - 4]),
        ),
        row(
            "an error that quotes half the ports",
            error(&reply().bytes()[..w.header as usize + 3]),
        ),
        row("an error that quotes nothing", error(&[])),
        row(
            "an error that quotes the other family",
            error(&match w.header {
                20 => tcp(V6.web, V6.client).ack().bytes(),
                _ => tcp(V4.web, V4.client).ack().bytes(),
            }),
        ),
    ]
}

fn source_quench() -> Scenario {
    let w = V4;
    let quench = |to, quoted: &[u8]| icmp(w.router, to, (4, 0, 0), quoted);
    begun(
        w,
        "source quench is an error too",
        Protocol::Udp,
        masqueraded(w),
    )
    .takes(from_client(&quench(
        w.vip(),
        &service_reply(w, Protocol::Udp).bytes(),
    )))
    .sends(to_server(
        11,
        &quench(w.real(11), &server_reply(w, Protocol::Udp)).ttl(63),
    ))
}

/// Errors to the director itself, about its own tunnels (RFC 2003 section 4).
fn about_tunnels() -> Vec<Scenario> {
    let w = V4;
    let tunnel = |name: &str| begun(w, name, Protocol::Udp, RealServer::tunnel(w.real(11)));
    let long = || udp(w.client, w.web).data(b"").long(1400);
    let outer = |packet: &Packet| packet.clone().ttl(63).in_tunnel(w.inside, w.real(11));
    let inner = |packet: &Packet| {
        let mut quoted = packet.clone().ttl(63).bytes();
        quoted.truncate(576 - 28);
        quoted
    };
    let short = udp(w.client, w.web);
    let unreachable = |to, quoted: &[u8]| icmp(w.router, to, (3, 2, 0), quoted);
    let from_vip = |kind, quoted: &[u8], id| {
        to_client(&by_the_director(
            icmp(w.vip(), w.client.ip(), kind, quoted),
            id,
        ))
    };
    let narrow = |packet: &Packet| {
        from_server(
            99,
            &too_big(w.router, w.inside, 1300, &outer(packet).bytes()),
        )
    };
    vec![
        tunnel("a tunnel's end that takes none: the client hears it from the service")
            .takes(from_server(
                99,
                &unreachable(w.inside, &outer(&short).bytes()),
            ))
            .sends(from_vip((3, 2, 0), &inner(&short), 1)),
        tunnel("a tunnel's path that grew narrow: the next packet is told how narrow")
            .takes(narrow(&long()))
            .sends(from_vip((3, 4, 1480), &inner(&long()), 1))
            .takes(from_client(&long()))
            .sends(from_vip((3, 4, 1280), &inner(&long()), 2))
            .seconds(601)
            .takes(from_client(&long()))
            .sends(to_server(11, &outer(&long()))),
        tunnel("a client who let its packet be fragmented is told nothing")
            .takes(narrow(&long().may_be_fragmented()))
            .drops_it(DropReason::TunnelError),
        tunnel("an error about a tunnel with a wrong checksum teaches nothing")
            .takes(narrow(&long()).spoilt(|bytes| bytes[22] ^= 1))
            .drops_it(DropReason::BadIcmpChecksum)
            .takes(from_client(&long()))
            .sends(to_server(11, &outer(&long()))),
        tunnel("an error about a tunnel to nobody we know is the host's")
            .takes(from_server(
                99,
                &unreachable(
                    w.inside,
                    &short.clone().in_tunnel(w.inside, w.real(77)).bytes(),
                ),
            ))
            .host(),
    ]
}
