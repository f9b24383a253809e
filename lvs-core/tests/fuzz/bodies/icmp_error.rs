//! ICMP errors about a connection, from both sides, quoting what they like: to
//! whom they may go, and what may be changed in them.

use std::net::{IpAddr, SocketAddr};

use lvs_core::{DropReason, Port, Protocol, Verdict};

use super::input::Input;
use super::{GUE_PORT, WAYS, director, memory};
use crate::common::bed::Bed;
use crate::common::frame::Frame;
use crate::common::packet::{Packet, icmp, tcp, udp};
use crate::common::place::{FAMILIES, Family, Wiring, first, from_client, from_server};
use crate::common::read::{Seen, SeenBody, SeenPacket, read};

/// Begins a connection, then takes errors until the input is used up.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let w = input.one_of(&FAMILIES);
    let way = input.one_of(&WAYS);
    let protocol = input.one_of(&[Protocol::Tcp, Protocol::Udp]);
    let mut memory = memory();
    let mut bed = director(&mut memory, way, &Wiring::default());
    let request = from_client(&first(protocol, w.client, w.web));
    let begun = bed.take(0, &request);
    assert_eq!(begun.verdict, Verdict::Transmit(Port(1)));
    while !input.is_empty() {
        let frame = any_error(&mut input, w, protocol);
        check(&mut bed, w, &frame);
        assert_eq!(
            bed.shards[0].connections(),
            1,
            "an error begins and ends nothing"
        );
    }
}

/// An error of any type, from either side, about anything.
fn any_error(input: &mut Input<'_>, w: Family, protocol: Protocol) -> Frame {
    let from_outside = input.once_in(2);
    let servers = [w.real_at(11, 8080), w.real_at(11, 80), w.web];
    let server = input.one_of(&servers);
    let packet = |from, to| match protocol {
        Protocol::Tcp => tcp(from, to).ack().data(b"something"),
        _ => udp(from, to),
    };
    let about = if from_outside {
        packet(w.web, w.client)
    } else {
        packet(w.client, server)
    };
    let about = input.varied(about, w.client.is_ipv4());
    let about = if input.once_in(4) {
        about.fragment(input.word() & 0xfff8, true)
    } else {
        about
    };
    let about = if input.once_in(4) {
        let (from, to) = (w.inside, w.real(11));
        let gue = SocketAddr::new(from, 40_000);
        match input.below(3) {
            0 => about.in_tunnel(from, to),
            1 => about.in_gre(from, to, input.once_in(2)),
            _ => about.in_gue(gue, SocketAddr::new(to, GUE_PORT), false),
        }
    } else {
        about
    };
    let mut quoted = about.bytes();
    if input.once_in(2) {
        quoted.truncate(input.below(quoted.len() + 1));
    }
    for _ in 0..input.below(4) {
        let at = input.below(quoted.len() + 1);
        if let Some(byte) = quoted.get_mut(at) {
            *byte ^= input.byte();
        }
    }
    let kind = input.one_of(&if w.client.is_ipv4() {
        [3, 11, 4, 3, 3, 12]
    } else {
        [1, 2, 3, 4, 100, 127]
    });
    let message = (kind, input.below(6) as u8, u32::from(input.word()));
    let to = input.one_of(&[w.vip(), w.client.ip(), w.inside, w.outside]);
    let from = input.one_of(&[w.router, w.real(11), w.real(99)]);
    let error = varied_ttl(input, icmp(from, to, message, &quoted));
    let mut frame = if from_outside {
        from_client(&error)
    } else {
        from_server(11, &error)
    };
    if input.once_in(6) {
        let at = input.below(frame.payload.len());
        frame.payload[at] ^= input.byte();
    }
    frame
}

fn varied_ttl(input: &mut Input<'_>, packet: Packet) -> Packet {
    packet.ttl(input.one_of(&[64, 1, 2]))
}

fn check(bed: &mut Bed<'_>, w: Family, frame: &Frame) {
    let before = read(&frame.bytes());
    let taken = bed.take(0, frame);
    match taken.verdict {
        // A spoilt length may make padding of the end.
        Verdict::Host => assert_eq!(taken.bytes, frame.bytes()[..taken.bytes.len()]),
        Verdict::Drop(_) => {}
        Verdict::Transmit(_) => {
            // What arrived broken and was not rewritten is broken still.
            let Ok(before) = before else { return };
            match read(&taken.bytes) {
                Ok(after) => check_sent(w, &before, &after),
                // What a tunnel held may have been broken in there.
                Err(fault) => assert!(quotes_tunnel(&before), "{fault}: {before}"),
            }
        }
        other => panic!("{other:?} of an ICMP error on one shard"),
    }
    if frame.payload.len() < 60 {
        assert_ne!(taken.verdict, Verdict::Drop(DropReason::TooBig));
    }
}

fn quotes_tunnel(seen: &Seen) -> bool {
    let (_, _, quoted) = message(&seen.packet);
    quoted[0] >> 4 == 4 && matches!(quoted[9], 4 | 17 | 47)
}

/// An error that is sent on says the same, to one who was party to the connection.
fn check_sent(w: Family, before: &Seen, after: &Seen) {
    let inner = match &after.packet.body {
        SeenBody::Inner(inner) => inner,
        _ => &after.packet,
    };
    let parties: [IpAddr; 3] = [w.client.ip(), w.real(11), w.vip()];
    let to_party = parties.contains(&inner.to) || inner.to == before.packet.to;
    assert!(to_party, "{before} became {after}");
    let (kind, code, rest) = message(&before.packet);
    let (kind_after, code_after, rest_after) = message(inner);
    assert_eq!(
        (kind, code),
        (kind_after, code_after),
        "{before} became {after}"
    );
    // Of what it quotes, one address, one port and a header checksum may change.
    if rest.len() == rest_after.len() {
        let changed = rest.iter().zip(rest_after).filter(|(a, b)| a != b).count();
        assert!(
            changed <= 4 + 2 + 2 || w.client.is_ipv6() && changed <= 16 + 2,
            "{after}"
        );
    }
}

fn message(packet: &SeenPacket) -> (u8, u8, &[u8]) {
    match &packet.body {
        SeenBody::Icmp {
            kind, code, rest, ..
        } => (*kind, *code, rest),
        other => panic!("an ICMP error became {other:?}"),
    }
}
