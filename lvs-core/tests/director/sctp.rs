//! SCTP: what begins an association, and the checksum of what is rewritten.

use lvs_core::{ChecksumState, DropReason, Protocol, RealServer, Service, Setting};

use crate::common::packet::{Checksum, Packet, other, sctp};
use crate::common::place::{FAMILIES, Family, from_client, from_server, to_client, to_server};
use crate::scenario::{Scenario, scenario};

pub(crate) fn scenarios() -> Vec<Scenario> {
    let all = FAMILIES.into_iter();
    all.flat_map(|w| [beginnings(w), checksums(w), left_to_hardware(w)].concat())
        .collect()
}

fn masquerade(w: Family) -> Service {
    w.service(Protocol::Sctp)
        .real_server(RealServer::masquerade(w.real_at(11, 8080)))
}

fn direct(w: Family) -> Service {
    w.service(Protocol::Sctp)
        .real_server(RealServer::direct_route(w.real(11)))
}

fn beginnings(w: Family) -> Vec<Scenario> {
    let from = |chunk| from_client(&sctp(w.client, w.web, chunk));
    let to = |chunk| to_server(11, &sctp(w.client, w.web, chunk).ttl(63));
    let ports = [w.client.port().to_be_bytes(), w.web.port().to_be_bytes()].concat();
    let cut = other(
        w.client.ip(),
        w.vip(),
        132,
        &[&ports[..], &[0; 11]].concat(),
    );
    vec![
        scenario(format!("an INIT begins an association, {}", w.name))
            .with(direct(w))
            .takes(from(DATA))
            .host()
            .takes(from(ABORT))
            .host()
            .remembers(0)
            .takes(from(INIT))
            .sends(to(INIT))
            .takes(from(DATA))
            .sends(to(DATA))
            .remembers(1),
        scenario(format!("with sloppy_sctp any chunk but ABORT, {}", w.name))
            .set(Setting::SloppySctp, 1)
            .with(direct(w))
            .takes(from(ABORT))
            .host()
            .takes(from(DATA))
            .sends(to(DATA)),
        scenario(format!("a closed association begins again, {}", w.name))
            .with(direct(w).real_server(RealServer::direct_route(w.real(12))))
            .takes(from(INIT))
            .sends(to_server(12, &sctp(w.client, w.web, INIT).ttl(63)))
            .takes(from(ABORT))
            .sends(to_server(12, &sctp(w.client, w.web, ABORT).ttl(63)))
            .takes(from(INIT))
            .sends(to(INIT))
            .remembers(1),
        scenario(format!(
            "a packet that ends before its first chunk, {}",
            w.name
        ))
        .with(direct(w))
        .takes(from_client(&cut))
        .drops_it(DropReason::BadTransportHeader)
        .takes(from(INIT))
        .sends(to(INIT))
        .takes(from_client(&cut))
        .sends(to_server(11, &cut.clone().ttl(63))),
        scenario(format!("a packet that ends within its header, {}", w.name))
            .with(direct(w))
            .takes(from_client(&other(w.client.ip(), w.vip(), 132, &[0; 11])))
            .drops_it(DropReason::BadTransportHeader),
    ]
}

fn checksums(w: Family) -> Vec<Scenario> {
    let rows: [Change; 4] = [
        ("whole", |packet| packet, &[]),
        ("wrong", |packet| packet.checksum(Checksum::Wrong), &[]),
        ("over odd bytes", |packet| packet.data(&[5; 333]), &[]),
        (
            "over several chunks",
            |packet| packet.data(&[5; 1001]),
            &[300, 401],
        ),
    ];
    let masqueraded = rows.into_iter().map(|(name, change, tails)| {
        let packet = |from, to, chunk| change(sctp(from, to, chunk));
        let real = w.real_at(11, 8080);
        scenario(format!(
            "a checksum goes with its ports: {name}, {}",
            w.name
        ))
        .with(masquerade(w))
        .takes(from_client(&packet(w.client, w.web, INIT)).in_chunks(tails))
        .sends(to_server(11, &packet(w.client, real, INIT).ttl(63)))
        .takes(from_server(11, &packet(real, w.client, INIT_ACK)).in_chunks(tails))
        .sends(to_client(&packet(w.web, w.client, INIT_ACK).ttl(63)))
    });
    masqueraded.collect()
}

/// A name, what is done to a packet, and the chunks it comes in.
type Change = (&'static str, fn(Packet) -> Packet, &'static [usize]);

/// Checksums that are zero, of a port that leaves them to hardware or may.
fn left_to_hardware(w: Family) -> Vec<Scenario> {
    let half = || sctp(w.client, w.web, INIT).checksum(Checksum::Half);
    let mut all = Vec::new();
    for state in [ChecksumState::Partial, ChecksumState::MaybePartial] {
        let name = format!("{state:?}, {}", w.name);
        let taken = from_client(&half()).checksum(state);
        all.extend([
            scenario(format!("masquerading makes SCTP's checksum: {name}"))
                .with(masquerade(w))
                .takes(taken.clone())
                .sends(to_server(
                    11,
                    &sctp(w.client, w.real_at(11, 8080), INIT).ttl(63),
                )),
            scenario(format!("direct routing makes SCTP's checksum: {name}"))
                .with(direct(w))
                .takes(taken.clone())
                .sends(to_server(11, &sctp(w.client, w.web, INIT).ttl(63))),
            scenario(format!(
                "of SCTP in several chunks it cannot be made: {name}"
            ))
            .with(direct(w))
            .takes(
                from_client(&half().data(&[1; 900]))
                    .checksum(state)
                    .in_chunks(&[500]),
            )
            .drops_it(DropReason::ChecksumNotMade),
        ]);
    }
    all.push(
        scenario(format!(
            "a whole checksum of SCTP stays as it is, {}",
            w.name
        ))
        .with(direct(w))
        .takes(from_client(&sctp(w.client, w.web, INIT)).checksum(ChecksumState::MaybePartial))
        .sends(to_server(11, &sctp(w.client, w.web, INIT).ttl(63))),
    );
    all
}

const DATA: u8 = 0;
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const ABORT: u8 = 6;
