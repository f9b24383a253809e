//! Checksums: kept right by every rewrite, completed where a device left them
//! half made, never repaired where they are wrong.

use lvs_core::{ChecksumState, Protocol, RealServer};

use crate::common::frame::Frame;
use crate::common::packet::{Checksum, Packet, tcp, udp};
use crate::common::place::{FAMILIES, Family, V4, from_client, from_server, to_client, to_server};
use crate::scenario::{Scenario, scenario};

pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut all = Vec::new();
    for family in FAMILIES {
        all.extend(half_made(family));
        all.extend(in_chunks(family));
        all.extend(odds_and_ends(family));
    }
    all.extend(absent());
    all
}

fn masquerade(w: Family, protocol: Protocol) -> lvs_core::Service {
    w.service(protocol)
        .real_server(RealServer::masquerade(w.real_at(11, 8080)))
}

/// UDP over IPv4 may go without a checksum (RFC 768).
fn absent() -> Vec<Scenario> {
    let w = V4;
    let none = |packet: Packet| packet.checksum(Checksum::Absent);
    let request = || udp(w.client, w.web);
    let direct = w
        .service(Protocol::Udp)
        .real_server(RealServer::direct_route(w.real(11)));
    let tunnel = w
        .service(Protocol::Udp)
        .real_server(RealServer::tunnel(w.real(11)));
    // Whether it was absent before or not.
    let all_ones = |name: &str, before: Checksum| {
        let data = data_that_sums_to_nothing(w);
        scenario(name)
            .with(masquerade(w, Protocol::Udp))
            .takes(from_client(&request().data(&data).checksum(before)))
            .sends(to_server(
                11,
                &udp(w.client, w.real_at(11, 8080)).data(&data).ttl(63),
            ))
    };
    vec![
        scenario("masquerading makes the checksum a UDP datagram lacks, both ways")
            .with(masquerade(w, Protocol::Udp))
            .takes(from_client(&none(request())))
            .sends(to_server(11, &udp(w.client, w.real_at(11, 8080)).ttl(63)))
            .takes(from_server(11, &none(udp(w.real_at(11, 8080), w.client))))
            .sends(to_client(&udp(w.web, w.client).ttl(63))),
        scenario("direct routing leaves a datagram without its checksum")
            .with(direct.clone())
            .takes(from_client(&none(request())))
            .sends(to_server(11, &none(request()).ttl(63))),
        scenario("even from a port that leaves checksums half made")
            .with(direct)
            .takes(from_client(&none(request())).checksum(ChecksumState::MaybePartial))
            .sends(to_server(11, &none(request()).ttl(63))),
        scenario("a tunnel leaves a datagram without its checksum")
            .with(tunnel)
            .takes(from_client(&none(request())))
            .sends(to_server(
                11,
                &none(request()).ttl(63).in_tunnel(w.inside, w.real(11)),
            )),
        all_ones(
            "a UDP checksum that comes out as zero is sent as all ones",
            Checksum::Whole,
        ),
        all_ones("so is one that is made anew", Checksum::Absent),
        scenario("in several chunks of unknown sum, a datagram stays without its checksum")
            .with(masquerade(w, Protocol::Udp))
            .takes(from_client(&none(request().long(1000))).in_chunks(&[500]))
            .sends(to_server(
                11,
                &none(udp(w.client, w.real_at(11, 8080)).long(1000)).ttl(63),
            )),
    ]
}

/// Data whose checksum towards the real server is zero.
fn data_that_sums_to_nothing(w: Family) -> [u8; 2] {
    let is_it = |data: &[u8; 2]| {
        let bytes = udp(w.client, w.real_at(11, 8080)).data(data).bytes();
        bytes[26..28] == [0xff, 0xff]
    };
    let mut all = (0..=u16::MAX).map(u16::to_be_bytes);
    all.find(is_it).expect("one of all sums is zero")
}

/// Half-made checksums, of which a port knows or only suspects.
fn half_made(w: Family) -> Vec<Scenario> {
    let half = |packet: Packet| packet.checksum(Checksum::Half);
    let mut all = Vec::new();
    for state in [ChecksumState::Partial, ChecksumState::MaybePartial] {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            for data in [&b""[..], b"odd", b"even"] {
                let packet = |to| match protocol {
                    Protocol::Tcp => tcp(w.client, to).syn().data(data),
                    _ => udp(w.client, to).data(data),
                };
                let name = format!(
                    "{state:?}, {protocol}, {} bytes of data, {}",
                    data.len(),
                    w.name
                );
                let taken = from_client(&half(packet(w.web))).checksum(state);
                all.push(
                    scenario(format!(
                        "masquerading completes a half-made checksum: {name}"
                    ))
                    .with(masquerade(w, protocol))
                    .takes(taken.clone())
                    .sends(to_server(11, &packet(w.real_at(11, 8080)).ttl(63))),
                );
                all.push(
                    scenario(format!("direct routing does as well: {name}"))
                        .with(
                            w.service(protocol)
                                .real_server(RealServer::direct_route(w.real(11))),
                        )
                        .takes(taken.clone())
                        .sends(to_server(11, &packet(w.web).ttl(63))),
                );
                all.push(
                    scenario(format!("and so does a tunnel: {name}"))
                        .with(
                            w.service(protocol)
                                .real_server(RealServer::tunnel(w.real(11))),
                        )
                        .takes(taken)
                        .sends(to_server(
                            11,
                            &packet(w.web).ttl(63).in_tunnel(w.inside, w.real(11)),
                        )),
                );
            }
        }
    }
    let reply = || tcp(w.real_at(11, 8080), w.client).syn().ack();
    all.push(
        scenario(format!("a half-made reply is completed too, {}", w.name))
            .with(masquerade(w, Protocol::Tcp))
            .takes(from_client(&tcp(w.client, w.web).syn()))
            .sends(to_server(
                11,
                &tcp(w.client, w.real_at(11, 8080)).syn().ttl(63),
            ))
            .takes(from_server(11, &half(reply())).checksum(ChecksumState::MaybePartial))
            .sends(to_client(&tcp(w.web, w.client).syn().ack().ttl(63))),
    );
    all.push(
        scenario(format!(
            "where half-made ones are suspected, a whole one stays, {}",
            w.name
        ))
        .with(masquerade(w, Protocol::Tcp))
        .takes(from_client(&tcp(w.client, w.web).syn()).checksum(ChecksumState::MaybePartial))
        .sends(to_server(
            11,
            &tcp(w.client, w.real_at(11, 8080)).syn().ttl(63),
        )),
    );
    all.push(
        scenario(format!(
            "the host gets half-made ones completed, {}",
            w.name
        ))
        .with(masquerade(w, Protocol::Tcp))
        .takes(from_client(&half(tcp(w.client, w.web).ack())).checksum(ChecksumState::Partial))
        .host_gets(from_client(&tcp(w.client, w.web).ack())),
    );
    all
}

/// Packets longer than a chunk.
fn in_chunks(w: Family) -> Vec<Scenario> {
    let data: Vec<u8> = (0..1301u32).map(|n| (n * 7 + n / 256) as u8).collect();
    let cuts: [&[usize]; 6] = [
        &[1],
        &[2],
        &[700],
        &[701],
        &[3, 400, 301],
        &[255, 1, 1, 500],
    ];
    let mut all = Vec::new();
    for cut in cuts {
        for state in [ChecksumState::Whole, ChecksumState::Partial] {
            let mut request = tcp(w.client, w.web).syn().data(&data);
            if state == ChecksumState::Partial {
                request = request.checksum(Checksum::Half);
            }
            let out = tcp(w.client, w.real_at(11, 8080)).syn().data(&data).ttl(63);
            all.push(
                scenario(format!(
                    "chunks of {cut:?} after the first, {state:?}, {}",
                    w.name
                ))
                .with(masquerade(w, Protocol::Tcp))
                .takes(from_client(&request).in_chunks(cut).checksum(state))
                .sends(to_server(11, &out)),
            );
        }
    }
    let datagram = |to| udp(w.client, to).data(&data);
    all.push(
        scenario(format!(
            "chunks of a known sum give a datagram its checksum, {}",
            w.name
        ))
        .with(masquerade(w, Protocol::Udp))
        .takes(
            from_client(&datagram(w.web).checksum(Checksum::Absent))
                .in_chunks(&[77, 300])
                .checksum(ChecksumState::MaybePartial),
        )
        .sends(to_server(11, &datagram(w.real_at(11, 8080)).ttl(63))),
    );
    all
}

fn odds_and_ends(w: Family) -> Vec<Scenario> {
    let flip = |frame: Frame| {
        frame.spoilt(|bytes| {
            if let Some(last) = bytes.last_mut() {
                *last ^= 0x40;
            }
        })
    };
    let request = || udp(w.client, w.web).data(b"hi");
    vec![
        scenario(format!("a checksum that was wrong stays wrong, {}", w.name))
            .with(masquerade(w, Protocol::Udp))
            .takes(flip(from_client(&request())))
            .sends(flip(to_server(
                11,
                &udp(w.client, w.real_at(11, 8080)).data(b"hi").ttl(63),
            ))),
        scenario(format!(
            "what pads a short frame is left behind, {}",
            w.name
        ))
        .with(masquerade(w, Protocol::Udp))
        .takes(from_client(&request()).padded())
        .sends(to_server(
            11,
            &udp(w.client, w.real_at(11, 8080)).data(b"hi").ttl(63),
        )),
        scenario(format!("even when it fills chunks of its own, {}", w.name))
            .with(masquerade(w, Protocol::Udp))
            .takes(
                from_client(&request().checksum(Checksum::Half))
                    .padded()
                    .checksum(ChecksumState::MaybePartial)
                    .in_chunks(&[2, 1]),
            )
            .sends(to_server(
                11,
                &udp(w.client, w.real_at(11, 8080)).data(b"hi").ttl(63),
            )),
        scenario(format!("padding is not summed, {}", w.name))
            .with(masquerade(w, Protocol::Udp))
            .takes(
                from_client(&request().checksum(Checksum::Half))
                    .padded()
                    .checksum(ChecksumState::Partial),
            )
            .sends(to_server(
                11,
                &udp(w.client, w.real_at(11, 8080)).data(b"hi").ttl(63),
            )),
        scenario(format!(
            "the host gets a short frame without what pads it, {}",
            w.name
        ))
        .takes(from_client(&request()).padded())
        .host_gets(from_client(&request())),
    ]
}
