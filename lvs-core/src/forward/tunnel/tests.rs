//! Checksums that cover a packet of several chunks.

use core::net::Ipv4Addr;

use super::*;
use crate::packet::Tail;
use crate::snapshot::Port;

/// Headers of a UDP datagram of 32 + 11 bytes of payload, as a frame, and what
/// lies in its further chunk. The UDP checksum is `checksum`.
fn frame(checksum: u16) -> ([u8; 74], [u8; 11]) {
    let mut frame = [0x5a; 74];
    frame[12..14].copy_from_slice(&[0x08, 0x00]);
    ipv4::Ipv4 {
        source: Ipv4Addr::new(198, 51, 100, 7),
        destination: Ipv4Addr::new(192, 0, 2, 10),
        protocol: UDP,
        ttl: 64,
        tos: 0,
        dont_fragment: true,
        fragment: false,
        header_length: ipv4::HEADER,
        total_length: 71,
    }
    .write(frame[14..34].first_chunk_mut().unwrap(), 0);
    frame[34..40].copy_from_slice(&[0x9c, 0x40, 0, 80, 0, 51]);
    frame[40..42].copy_from_slice(&checksum.to_be_bytes());
    (frame, *b"the rest is")
}

/// The sum of the packet inside, by a tail that is summed or not.
fn sum(checksum: u16, tail: impl Fn(&[u8]) -> Tail) -> Option<u16> {
    let (mut chunk, rest) = frame(checksum);
    let mut range = 0..chunk.len();
    let mut buf = PacketBuf::new(&mut chunk, &mut range, Port(0)).with_tail(tail(&rest));
    let mut packet = Packet::NONE;
    packet.read(&mut buf, None).unwrap();
    Some(sum_inner(&buf, &packet)?.folded())
}

fn summed(rest: &[u8]) -> Tail {
    Tail::NONE.followed_by(rest)
}

fn unsummed(rest: &[u8]) -> Tail {
    Tail::NONE.followed_by_unsummed(rest.len())
}

/// The checksum that makes the datagram of [`frame`] right.
fn right() -> u16 {
    let (frame, rest) = frame(0);
    let addresses = Sum::of(&frame[26..34]);
    pseudo_header(addresses, UDP, 51)
        .and(Sum::of(&frame[34..]))
        .and(Sum::of(&rest))
        .checksum()
}

#[test]
fn further_chunks_are_part_of_the_sum() {
    let (frame, rest) = frame(right());
    let whole = Sum::of(&frame[14..]).and(Sum::of(&rest)).folded();
    assert_eq!(sum(right(), summed), Some(whole));
    assert_ne!(sum(right(), |_| summed(b"another end")), Some(whole));
}

#[test]
fn what_nobody_summed_follows_from_the_checksum_inside() {
    assert_eq!(sum(right(), unsummed), sum(right(), summed));
    assert_eq!(sum(0, unsummed), None, "there is none");
}

#[test]
fn a_tunnel_adds_its_headers() {
    let (v4, v6) = (
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        "::1".parse::<IpAddr>().unwrap(),
    );
    let gue = Tunnel::Gue {
        port: 6080,
        checksum: GueChecksum::None,
    };
    let gre = |checksum| Tunnel::Gre { checksum };
    let rows = [
        (Tunnel::Ipip, 20),
        (gue, 32),
        (gre(false), 24),
        (gre(true), 28),
    ];
    for (tunnel, bytes) in rows {
        assert_eq!(overhead(tunnel, v4), bytes);
        assert_eq!(overhead(tunnel, v6), bytes + 20);
    }
}
