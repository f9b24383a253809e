//! Shortcuts against the long way round: what a shard does quickly and in
//! batches must be what the slow and simple thing gives.

#[path = "common/mod.rs"]
#[allow(dead_code, reason = "each test uses its part of it")]
mod common;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use common::bed::{self, Bed, Taken};
use common::frame::Frame;
use common::packet::{Checksum, Packet, tcp, udp};
use common::place::{FAMILIES, Family, Wiring, from_client, from_server, to_client, to_server};
use common::random::Random;
use lvs_core::{ChecksumState, Protocol, RealServer, Scheduler, Service, Verdict};

/// Any unicast address of a family.
fn any_address(w: Family, random: &mut Random) -> IpAddr {
    match w.header {
        // A first octet that is nobody's special range.
        20 => Ipv4Addr::from_bits(random.next() as u32 & 0x00ff_ffff | 0x0b00_0000).into(),
        _ => {
            let bits = u128::from(random.next()) << 64 | u128::from(random.next());
            Ipv6Addr::from_bits(bits >> 3 | 1 << 125).into()
        }
    }
}

fn any_end(w: Family, random: &mut Random) -> SocketAddr {
    // Port 20 is FTP's, port 0 nobody's.
    let port = random.below(65_000) as u16 + 21;
    SocketAddr::new(any_address(w, random), port)
}

/// Rewrites by RFC 1624 of any address and port to any other, both ways: the
/// bytes must be those of the packet summed anew.
#[test]
fn a_rewritten_checksum_is_the_one_summed_anew() {
    let mut random = Random::new(11);
    for round in 0..2000 {
        let w = FAMILIES[round % 2];
        let (client, service) = (any_end(w, &mut random), any_end(w, &mut random));
        let server = SocketAddr::new(w.real(11), random.below(65_535) as u16 + 1);
        let length = random.below(64);
        let data = random.bytes(length);
        let protocol = random.one_of(&[Protocol::Tcp, Protocol::Udp]);
        let packet = |from, to| match protocol {
            Protocol::Tcp => tcp(from, to).syn().data(&data),
            _ => udp(from, to).data(&data),
        };
        let real_server = RealServer::masquerade(server);
        let service_of = Service::new(protocol, service, Scheduler::RoundRobin);
        let mut memory = bed::memory(1, 1);
        let services = [service_of.real_server(real_server)];
        let wiring = Wiring {
            further: vec![service.ip()],
            ..Wiring::default()
        };
        let mut bed = Bed::new(&mut memory, &services, wiring.network());
        let request = bed.take(0, &from_client(&packet(client, service)));
        let wanted = to_server(11, &packet(client, server).ttl(63));
        assert_eq!(request.bytes, wanted.bytes(), "round {round}");
        let reply = bed.take(0, &from_server(11, &packet(server, client)));
        let wanted = to_client(&packet(service, client).ttl(63));
        assert_eq!(reply.bytes, wanted.bytes(), "round {round}");
    }
}

/// Frames of every kind, many of the same flows.
fn any_frame(random: &mut Random) -> Frame {
    let w = random.one_of(&FAMILIES);
    let client = w.client_at(random.below(3) as u8, 40_000 + random.below(4) as u16);
    let server = w.real_at(random.one_of(&[11, 12]), 8080);
    let length = random.below(9);
    let data = random.bytes(length);
    let flags = random.one_of(&[0x02, 0x02, 0x10, 0x11, 0x04, 0x12, 0x00]);
    let (from_outside, packet): (bool, Packet) = match random.below(7) {
        0..3 => (true, tcp(client, w.web).flags(flags).data(&data)),
        3 => (false, tcp(server, client).flags(flags).data(&data)),
        4 => (true, udp(client, w.web).data(&data)),
        5 => (false, udp(server, client).data(&data)),
        _ => {
            let quoted = tcp(client, server).ack().bytes();
            let error = common::icmp::port_unreachable(server.ip(), client.ip(), &quoted);
            (false, error)
        }
    };
    let packet = packet.ttl(random.one_of(&[64, 64, 64, 1, 2]));
    let mut frame = match from_outside {
        true => from_client(&packet),
        false => from_server(server.ip().is_ipv4().into(), &packet),
    };
    match random.below(12) {
        0 => frame = frame.padded(),
        1 => frame.to[5] ^= 4,
        2 => frame.payload.truncate(random.below(40)),
        3 => frame = frame.checksum(ChecksumState::MaybePartial),
        _ => {}
    }
    frame
}

fn services() -> Vec<Service> {
    let mut all = Vec::new();
    for w in FAMILIES {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let service = Service::new(protocol, w.web, Scheduler::LeastConnection);
            all.push(
                service
                    .real_server(RealServer::masquerade(w.real_at(11, 8080)))
                    .real_server(RealServer::tunnel(w.real(12))),
            );
        }
    }
    all
}

/// What becomes of `frames` handed over `batch` at a time, and the counters after.
fn taken_in(batch: usize, frames: &[Frame]) -> (Vec<Taken>, lvs_core::Stats, usize) {
    // Smaller than the flows there are, so that it fills up as well.
    let mut memory = bed::memory(1, 20);
    let mut bed = Bed::new(&mut memory, &services(), Wiring::default().network());
    let taken = frames
        .chunks(batch)
        .flat_map(|some| bed.take_all(0, some))
        .collect();
    let shard = &bed.shards[0];
    (taken, shard.stats().clone(), shard.connections())
}

#[test]
fn a_batch_of_any_size_is_one_packet_after_the_other() {
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let frames: Vec<Frame> = (0..500).map(|_| any_frame(&mut random)).collect();
        let one_by_one = taken_in(1, &frames);
        for kind in [Verdict::Host, Verdict::Transmit(lvs_core::Port(1))] {
            assert!(
                one_by_one.0.iter().any(|taken| taken.verdict == kind),
                "{kind:?}"
            );
        }
        for batch in [2, 3, 31, 32, 33, 64, 65, 500] {
            assert_eq!(
                taken_in(batch, &frames),
                one_by_one,
                "seed {seed}, batches of {batch}"
            );
        }
    }
}

#[test]
fn the_same_input_gives_the_same_output() {
    let frames = |seed| {
        let mut random = Random::new(seed);
        (0..300).map(|_| any_frame(&mut random)).collect::<Vec<_>>()
    };
    assert_eq!(taken_in(7, &frames(5)), taken_in(7, &frames(5)));
}

/// The same services under any schedulers, with any of four real servers each; some
/// of them are missing where services may be.
fn any_services(random: &mut Random, may_be_missing: bool) -> Vec<Service> {
    let mut all = Vec::new();
    for w in FAMILIES {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let scheduler = random.one_of(&Scheduler::ALL);
            let mut service = Service::new(protocol, w.web, scheduler);
            for number in 11..15 {
                let real_server = match number {
                    12 => RealServer::tunnel(w.real(number)),
                    _ => RealServer::masquerade(w.real_at(number, 8080)),
                };
                let weight = random.below(4) as u32;
                if random.below(4) > 0 {
                    service = service.real_server(real_server.weight(weight));
                }
            }
            if !may_be_missing || random.below(4) > 0 {
                all.push(service);
            }
        }
    }
    all
}

/// What becomes of frames between changes of the configuration, which are adopted at
/// once or bit by bit, and what has been counted in the end.
fn taken_between_changes(
    seed: u64,
    may_be_missing: bool,
    bit_by_bit: bool,
) -> (Vec<Taken>, lvs_core::Stats, usize) {
    let mut random = Random::new(seed);
    let mut memory = bed::memory(1, 500);
    let mut bed = Bed::new(&mut memory, &services(), Wiring::default().network());
    bed.bit_by_bit = bit_by_bit;
    let mut taken = Vec::new();
    for _ in 0..100 {
        bed.configure(&any_services(&mut random, may_be_missing));
        for _ in 0..random.below(8) {
            taken.push(bed.take(0, &any_frame(&mut random)));
        }
        bed.wait(std::time::Duration::from_secs(random.below(40) as u64));
    }
    let shard = &mut bed.shards[0];
    while shard.is_adopting() {
        shard.continue_adoption(1);
    }
    (taken, shard.stats().clone(), shard.connections())
}

#[test]
fn a_change_adopted_bit_by_bit_is_one_adopted_at_once() {
    for seed in 0..40 {
        let taken = |bit_by_bit| taken_between_changes(seed, false, bit_by_bit);
        assert_eq!(taken(true), taken(false), "seed {seed}");
        // Real servers of a service made anew begin to count when it is adopted.
        let taken = |bit_by_bit| taken_between_changes(seed, true, bit_by_bit).0;
        assert_eq!(taken(true), taken(false), "seed {seed}");
    }
}

/// With fewer verdicts than packets, the packets beyond are not looked at.
#[test]
fn packets_without_a_verdict_stay_as_they_are() {
    let w = FAMILIES[0];
    let mut memory = bed::memory(1, 10);
    let mut bed = Bed::new(&mut memory, &services(), Wiring::default().network());
    let frame = from_client(&udp(w.client, w.web).checksum(Checksum::Half)).padded();
    let bytes = frame.bytes();
    let mut chunks = vec![[&[0; 64], &bytes[..]].concat(); 3];
    let mut ranges = vec![64..64 + bytes.len(); 3];
    let mut packets: Vec<_> = chunks
        .iter_mut()
        .zip(&mut ranges)
        .map(|(chunk, range)| {
            let packet = lvs_core::PacketBuf::new(chunk, range, frame.port);
            packet.with_checksum(ChecksumState::Partial)
        })
        .collect();
    let mut verdicts = [Verdict::Host; 2];
    bed.shards[0].process(bed.now, &mut packets, &mut verdicts);
    drop(packets);
    assert!(
        verdicts
            .iter()
            .all(|verdict| matches!(verdict, Verdict::Transmit(_)))
    );
    assert_eq!(
        (&chunks[2][64..], &ranges[2]),
        (&bytes[..], &(64..64 + bytes.len()))
    );
    assert_eq!(bed.shards[0].stats().packets, 2);
}
