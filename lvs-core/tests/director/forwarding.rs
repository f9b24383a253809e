//! How packets reach real servers, and what comes back: each forwarding method,
//! in both families, for both protocols.

use lvs_core::{Protocol, RealServer, Service};

use crate::common::packet::{tcp, udp};
use crate::common::place::{
    FAMILIES, Family, V4, V6, first, from_client, from_server, reply, server_mac, to_client,
    to_server,
};
use crate::scenario::{Scenario, scenario};

pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut all = Vec::new();
    for family in FAMILIES {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            all.extend(by_method(family, protocol));
        }
        all.extend(options_and_tags(family));
    }
    all.extend(outer_headers());
    all
}

/// A service with one real server at `number`.
fn one(family: Family, protocol: Protocol, server: RealServer) -> Service {
    family.service(protocol).real_server(server)
}

fn by_method(w: Family, protocol: Protocol) -> [Scenario; 5] {
    let named = |what: &str| scenario(format!("{what}, {} {protocol}", w.name));
    let request = || first(protocol, w.client, w.web);
    let masquerade = |port| one(w, protocol, RealServer::masquerade(w.real_at(11, port)));
    [
        named("masquerading: the VIP becomes the real server, with its port, and back")
            .with(masquerade(8080))
            .takes(from_client(&request()))
            .sends(to_server(
                11,
                &first(protocol, w.client, w.real_at(11, 8080)).ttl(63),
            ))
            .takes(from_server(
                11,
                &reply(protocol, w.real_at(11, 8080), w.client),
            ))
            .sends(to_client(&reply(protocol, w.web, w.client).ttl(63)))
            .takes(from_client(&later(protocol, w.client, w.web)))
            .sends(to_server(
                11,
                &later(protocol, w.client, w.real_at(11, 8080)).ttl(63),
            ))
            .takes(from_server(
                11,
                &later(protocol, w.real_at(11, 8080), w.client),
            ))
            .sends(to_client(&later(protocol, w.web, w.client).ttl(63)))
            .remembers(1),
        named("masquerading without a port of its own keeps the service's")
            .with(masquerade(0))
            .takes(from_client(&request()))
            .sends(to_server(
                11,
                &first(protocol, w.client, w.real_at(11, 80)).ttl(63),
            ))
            .takes(from_server(
                11,
                &reply(protocol, w.real_at(11, 80), w.client),
            ))
            .sends(to_client(&reply(protocol, w.web, w.client).ttl(63))),
        named("direct routing: another link address, and nothing else but the TTL")
            .with(one(w, protocol, RealServer::direct_route(w.real(11))))
            .takes(from_client(&request()))
            .sends(to_server(11, &request().ttl(63)))
            .takes(from_client(&later(protocol, w.client, w.web)))
            .sends(to_server(11, &later(protocol, w.client, w.web).ttl(63))),
        named("a tunnel: the packet whole inside another, from the director to the real server")
            .with(one(w, protocol, RealServer::tunnel(w.real(11))))
            .takes(from_client(&request()))
            .sends(to_server(
                11,
                &request().ttl(63).in_tunnel(w.inside, w.real(11)),
            ))
            .takes(from_client(&later(protocol, w.client, w.web)))
            .sends(to_server(
                11,
                &later(protocol, w.client, w.web)
                    .ttl(63)
                    .in_tunnel(w.inside, w.real(11)),
            )),
        named(
            "a reply that passes the director on its way from a direct-routed server is the host's",
        )
        .with(one(w, protocol, RealServer::direct_route(w.real(11))))
        .takes(from_client(&request()))
        .sends(to_server(11, &request().ttl(63)))
        .takes(from_server(11, &reply(protocol, w.web, w.client)))
        .host()
        .remembers(1),
    ]
}

/// Any packet of a connection but the first.
fn later(
    protocol: Protocol,
    from: std::net::SocketAddr,
    to: std::net::SocketAddr,
) -> crate::common::packet::Packet {
    match protocol {
        Protocol::Tcp => tcp(from, to).ack().data(b"some more, of an odd length"),
        _ => udp(from, to).data(b"some more, of even length"),
    }
}

/// What lies between Ethernet and transport travels along.
fn options_and_tags(w: Family) -> [Scenario; 5] {
    let named = |what: &str| scenario(format!("{what}, {}", w.name));
    let masquerade = || {
        one(
            w,
            Protocol::Tcp,
            RealServer::masquerade(w.real_at(11, 8080)),
        )
    };
    let tunnel = || one(w, Protocol::Tcp, RealServer::tunnel(w.real(11)));
    let request = || tcp(w.client, w.web).syn();
    // Four NOPs and a router alert; a hop-by-hop header with the same, then
    // destination options.
    let optioned = |packet: crate::common::packet::Packet| match w.header {
        20 => packet.options(&[1, 1, 1, 1, 148, 4, 0, 0]),
        _ => packet
            .extension(0, &[5, 2, 0, 0, 1, 0])
            .extension(60, &[1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    };
    [
        named("header options stay, masquerading both ways")
            .with(masquerade())
            .takes(from_client(&optioned(request())))
            .sends(to_server(
                11,
                &optioned(tcp(w.client, w.real_at(11, 8080)).syn()).ttl(63),
            ))
            .takes(from_server(
                11,
                &optioned(tcp(w.real_at(11, 8080), w.client).syn().ack()),
            ))
            .sends(to_client(
                &optioned(tcp(w.web, w.client).syn().ack()).ttl(63),
            )),
        named("header options stay inside a tunnel, not outside")
            .with(tunnel())
            .takes(from_client(&optioned(request())))
            .sends(to_server(
                11,
                &optioned(request()).ttl(63).in_tunnel(w.inside, w.real(11)),
            )),
        named("a VLAN tag comes off, goes on, and changes, as routes and neighbours say")
            .wired(|wiring| (wiring.outside_vlan, wiring.inside_vlan) = (Some(100), Some(200)))
            .with(masquerade())
            .takes(from_client(&request()).vlan(100))
            .sends(to_server(11, &tcp(w.client, w.real_at(11, 8080)).syn().ttl(63)).vlan(200))
            .takes(from_server(11, &tcp(w.real_at(11, 8080), w.client).syn().ack()).vlan(200))
            .sends(to_client(&tcp(w.web, w.client).syn().ack().ttl(63)).vlan(100)),
        named("from a VLAN to none, through a tunnel, and a priority tag means no VLAN")
            .with(tunnel())
            .takes(from_client(&request()).vlan(100))
            .sends(to_server(
                11,
                &request().ttl(63).in_tunnel(w.inside, w.real(11)),
            ))
            .takes(from_client(&request()).vlan(0xa000))
            .sends(to_server(
                11,
                &request().ttl(63).in_tunnel(w.inside, w.real(11)),
            )),
        named("a client behind the real servers' own port is answered there")
            .with(masquerade())
            .takes(from_server(12, &tcp(w.real_at(12, 5000), w.web).syn()))
            .sends(to_server(
                11,
                &tcp(w.real_at(12, 5000), w.real_at(11, 8080)).syn().ttl(63),
            ))
            .takes(from_server(
                11,
                &tcp(w.real_at(11, 8080), w.real_at(12, 5000)).syn().ack(),
            ))
            .sends(to_server(
                12,
                &tcp(w.web, w.real_at(12, 5000)).syn().ack().ttl(63),
            )),
    ]
}

/// Which fields of the outer header follow the inner one.
fn outer_headers() -> Vec<Scenario> {
    let tunnel = |w: Family| one(w, Protocol::Udp, RealServer::tunnel(w.real(11)));
    let wrapped = |w: Family, class, outer| {
        let packet = || udp(w.client, w.web).class(class);
        scenario(format!(
            "a tunnel copies the class, but not congestion: {class:#x}, {}",
            w.name
        ))
        .with(tunnel(w))
        .takes(from_client(&packet()))
        .sends(to_server(
            11,
            &packet()
                .ttl(63)
                .in_tunnel(w.inside, w.real(11))
                .class(outer),
        ))
    };
    let mut all = Vec::new();
    for w in FAMILIES {
        all.push(wrapped(w, 0xb8, 0xb8));
        all.push(wrapped(w, 0xb9, 0xb9));
        all.push(wrapped(w, 0xbb, 0xba));
    }
    let free = || udp(V4.client, V4.web).may_be_fragmented().id(77);
    all.push(
        scenario("a tunnel copies DF, and numbers the packets where there is none")
            .with(tunnel(V4))
            .takes(from_client(&free()))
            .sends(to_server(
                11,
                &free().ttl(63).in_tunnel(V4.inside, V4.real(11)).id(1),
            )),
    );
    all.push(
        scenario("without an address of its own the director cannot be a tunnel's end")
            .wired(|wiring| wiring.own_addresses = false)
            .with(tunnel(V6))
            .takes(from_client(&udp(V6.client, V6.web)))
            .drops_it(lvs_core::DropReason::Unreachable),
    );
    all.push(
        scenario("the director records itself in a route that is to be recorded, both ways")
            .with(one(
                V4,
                Protocol::Tcp,
                RealServer::masquerade(V4.real_at(11, 80)),
            ))
            .takes(from_client(
                &tcp(V4.client, V4.web).syn().options(&RECORD_ROUTE),
            ))
            .sends(to_server(
                11,
                &tcp(V4.client, V4.real_at(11, 80))
                    .syn()
                    .ttl(63)
                    .options(&recorded([192, 0, 2, 10])),
            ))
            .takes(from_server(
                11,
                &tcp(V4.real_at(11, 80), V4.client)
                    .syn()
                    .ack()
                    .options(&RECORD_ROUTE),
            ))
            .sends(to_client(
                &tcp(V4.web, V4.client)
                    .syn()
                    .ack()
                    .ttl(63)
                    .options(&recorded([192, 0, 2, 1])),
            )),
    );
    all.push(
        scenario("a real server whose link address changes is met at the new one")
            .with(one(
                V4,
                Protocol::Udp,
                RealServer::direct_route(V4.real(11)),
            ))
            .takes(from_client(&udp(V4.client, V4.web)))
            .sends(to_server(11, &udp(V4.client, V4.web).ttl(63)))
            .rewired(|wiring| wiring.server_mac_shift = 100)
            .takes(from_client(&udp(V4.client, V4.web)))
            .sends(to_server(11, &udp(V4.client, V4.web).ttl(63)).to(server_mac(111))),
    );
    all
}

/// A recorded route with room for two addresses, none there yet (RFC 791 3.1).
const RECORD_ROUTE: [u8; 12] = [7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// The same with the first address.
fn recorded([a, b, c, d]: [u8; 4]) -> [u8; 12] {
    [7, 11, 8, a, b, c, d, 0, 0, 0, 0, 0]
}
