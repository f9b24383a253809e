//! Several shards: a masqueraded connection lives where the hash of its client
//! says, whichever queue its packets land on; the others live where they land.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use lvs_core::config::ClientMask;
use lvs_core::{Persistence, Protocol, RealServer, Service};

use crate::common::icmp::{port_unreachable, too_big};
use crate::common::packet::{Checksum, Packet, tcp, udp};
use crate::common::place::{FAMILIES, Family, from_client, from_server, to_client, to_server};
use crate::marks::{marked, to_vip};
use crate::scenario::{Scenario, owner, scenario};

pub(crate) fn scenarios() -> Vec<Scenario> {
    let all = FAMILIES.into_iter();
    all.flat_map(|w| [by_family(w), persistent(w)].concat())
        .collect()
}

/// A persistent client's connections, which its template keeps together, are
/// one shard's, wherever they land and however its server is reached.
fn persistent(w: Family) -> Vec<Scenario> {
    let minutes = Persistence::new(Duration::from_secs(360));
    let masked = match w.vip() {
        IpAddr::V4(_) => minutes.mask(ClientMask::V4([255, 255, 255, 0].into())),
        IpAddr::V6(_) => minutes.mask(ClientMask::V6(64)),
    };
    let home_of = |kept: &Persistence| owner(SocketAddr::new(kept.masked(w.client.ip()), 0));
    // Their turns begin apart.
    let server_of = |home| [12, 11][home];
    let direct = |number| RealServer::direct_route(w.real(number));
    let service = w.service(Protocol::Tcp);
    let service = service.real_server(direct(11)).real_server(direct(12));
    let dns = SocketAddr::new(w.vip(), 53);
    let again = |port| SocketAddr::new(w.client.ip(), port);
    let syn = |from, to| tcp(from, to).syn();
    let run = |name: &str, kept: Persistence, service: Service, packets: [Packet; 3]| {
        let home = home_of(&kept);
        let [first, second, third] = packets;
        let out = |packet: &Packet| to_server(server_of(home), &packet.clone().ttl(63));
        scenario(format!("{name}, {}", w.name))
            .on_two_shards()
            .with(service.persistent(kept))
            .takes_at(home, from_client(&first))
            .sends(out(&first))
            .takes_at(1 - home, from_client(&second))
            .hands_to(home)
            .sends(out(&second))
            .takes_at(1 - home, from_client(&third))
            .hands_to(home)
            .sends(out(&third))
            // A template and three connections.
            .remembers(4)
            .takes_at(1 - home, from_client(&first))
            .hands_to(home)
            .sends(out(&first))
            .remembers(4)
    };
    let web = [1, 2, 3].map(|port| syn(again(port), w.web));
    let net = [7, 8, 9].map(|number| syn(w.client_at(number, 1), w.web));
    let every = [syn(again(1), w.web), udp(again(2), dns), syn(again(3), dns)];
    vec![
        run(
            "a persistent client is one shard's",
            minutes,
            service.clone(),
            web,
        ),
        run("so are clients that count as one", masked, service, net),
        run("so is a client of a mark", minutes, marked(w), every).marked(to_vip(w)),
    ]
}

fn by_family(w: Family) -> Vec<Scenario> {
    let named = |what: &str| scenario(format!("{what}, {}", w.name)).on_two_shards();
    let home = owner(w.client);
    let away = 1 - home;
    let masquerade = || {
        w.service(Protocol::Tcp)
            .real_server(RealServer::masquerade(w.real_at(11, 80)))
    };
    let request = || from_client(&tcp(w.client, w.web).syn());
    let forwarded = || to_server(11, &tcp(w.client, w.real_at(11, 80)).syn().ttl(63));
    let reply = || from_server(11, &tcp(w.real_at(11, 80), w.client).syn().ack());
    let replied = || to_client(&tcp(w.web, w.client).syn().ack().ttl(63));
    let begun = |name: &str| {
        named(name)
            .with(masquerade())
            .takes_at(home, request())
            .sends(forwarded())
    };
    let direct = |server| {
        w.service(Protocol::Udp)
            .real_server(RealServer::direct_route(w.real(server)))
    };
    let late = tcp(w.web, w.client).ack().data(b"some of a page");
    let late_inside = tcp(w.real_at(11, 80), w.client)
        .ack()
        .data(b"some of a page");
    let early = tcp(w.client, w.real_at(11, 80)).ack();
    let early_outside = tcp(w.client, w.web).ack();
    let keep_checksum = |seen: &[u8], mut sent: Vec<u8>| {
        let at = w.header as usize + 16;
        sent[at..at + 2].copy_from_slice(&seen[at..at + 2]);
        sent
    };
    vec![
        named("a request that lands elsewhere is handed to the client's shard")
            .with(masquerade())
            .takes_at(away, request())
            .hands_to(home)
            .sends(forwarded())
            .remembers(1),
        begun("so is a reply")
            .takes_at(away, reply())
            .hands_to(home)
            .sends(replied())
            .takes_at(home, reply())
            .sends(replied()),
        begun("so is the reply of a real server that was removed meanwhile")
            .becomes([w
                .service(Protocol::Tcp)
                .real_server(RealServer::masquerade(w.real_at(12, 80)))])
            .takes_at(away, reply())
            .hands_to(home)
            .sends(replied()),
        begun("and both ways of one that is reached directly by now")
            .becomes([w
                .service(Protocol::Tcp)
                .real_server(RealServer::direct_route(w.real(11)))])
            .takes_at(away, reply())
            .hands_to(home)
            .sends(replied())
            .takes_at(away, from_client(&tcp(w.client, w.web).ack()))
            .hands_to(home)
            .sends(to_server(
                11,
                &tcp(w.client, w.real_at(11, 80)).ack().ttl(63),
            )),
        begun("so is an error about a reply")
            .takes_at(
                away,
                from_client(&too_big(w.router, w.vip(), 1300, &late.bytes())),
            )
            .hands_to(home)
            .sends(to_server(
                11,
                &too_big(
                    w.router,
                    w.real(11),
                    1300,
                    &keep_checksum(&late.bytes(), late_inside.bytes()),
                )
                .ttl(63),
            )),
        begun("and an error about a request")
            .takes_at(
                away,
                from_server(
                    11,
                    &port_unreachable(w.real(11), w.client.ip(), &early.bytes()),
                ),
            )
            .hands_to(home)
            .sends(to_client(
                &port_unreachable(
                    w.vip(),
                    w.client.ip(),
                    &keep_checksum(&early.bytes(), early_outside.bytes()),
                )
                .ttl(63),
            )),
        named("what begins no connection is the host's, but only its shard can know")
            .with(masquerade())
            .takes_at(away, from_client(&tcp(w.client, w.web).ack()))
            .hands_to(home)
            .host(),
        named("a service without masquerading is served where its packets land")
            .with(direct(11))
            .takes_at(away, from_client(&udp(w.client, w.web)))
            .sends(to_server(11, &udp(w.client, w.web).ttl(63)))
            .takes_at(home, from_client(&udp(w.client_at(9, 9), w.web)))
            .sends(to_server(11, &udp(w.client_at(9, 9), w.web).ttl(63)))
            .remembers(2),
        named("a shard's turns begin where no other's do")
            .with(direct(11).real_server(RealServer::direct_route(w.real(12))))
            .takes_at(0, from_client(&udp(w.client, w.web)))
            .sends(to_server(12, &udp(w.client, w.web).ttl(63)))
            .takes_at(1, from_client(&udp(w.client_at(9, 9), w.web)))
            .sends(to_server(11, &udp(w.client_at(9, 9), w.web).ttl(63))),
        named("a half-made checksum is completed before the packet is handed over")
            .with(masquerade())
            .takes_at(
                away,
                from_client(&tcp(w.client, w.web).syn().checksum(Checksum::Half))
                    .checksum(lvs_core::ChecksumState::Partial),
            )
            .hands_completed(home, request())
            .sends(forwarded()),
    ]
}
