//! Several shards: a masqueraded connection lives where the hash of its client
//! says, whichever queue its packets land on; the others live where they land.

use lvs_core::{Protocol, RealServer};

use crate::common::icmp::{port_unreachable, too_big};
use crate::common::packet::{Checksum, tcp, udp};
use crate::common::place::{FAMILIES, Family, from_client, from_server, to_client, to_server};
use crate::scenario::{Scenario, owner, scenario};

pub(crate) fn scenarios() -> Vec<Scenario> {
    FAMILIES.into_iter().flat_map(by_family).collect()
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
