//! The tests' own builder and reader of packets against those of another hand.
//!
//! Whatever the builder makes, `etherparse` must parse to the same meaning and
//! give the same checksums; whatever `etherparse` makes, the reader must find
//! without a fault.

#[path = "common/mod.rs"]
#[allow(dead_code, reason = "each test uses its part of it")]
mod common;

use std::net::{IpAddr, SocketAddr};

use common::icmp::{echo_request, port_unreachable, time_exceeded, too_big};
use common::packet::{Packet, tcp, udp};
use common::place::{FAMILIES, Family, from_client};
use common::random::Random;
use common::read::{SeenBody, read, read_packet};
use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};

/// The builder's packets of every kind.
fn built(w: Family, random: &mut Random) -> Vec<Packet> {
    let length = random.below(100);
    let data = random.bytes(length);
    let options = if w.header == 20 {
        tcp(w.client, w.web).options(&[1, 1, 1, 1, 148, 4, 0, 0])
    } else {
        tcp(w.client, w.web).extension(0, &[5, 2, 0, 0, 1, 0])
    };
    let quoted = tcp(w.web, w.client).ack().data(&data).bytes();
    vec![
        tcp(w.client, w.web)
            .syn()
            .tcp_options(&[2, 4, 5, 0xb4])
            .data(&data),
        tcp(w.web, w.client).fin().ttl(3).class(0xb8).data(&data),
        udp(w.client, w.web).data(&data),
        udp(w.client, w.web).data(&[]),
        options.ack().data(&data),
        echo_request(w.client.ip(), w.vip()),
        time_exceeded(w.router, w.vip(), &quoted),
        port_unreachable(w.router, w.vip(), &quoted),
        too_big(w.router, w.vip(), 1400, &quoted),
    ]
}

#[test]
fn what_the_builder_makes_another_parser_reads_the_same() {
    let mut random = Random::new(1);
    for _ in 0..200 {
        for w in FAMILIES {
            for packet in built(w, &mut random) {
                let frame = from_client(&packet).bytes();
                let sliced = SlicedPacket::from_ethernet(&frame).expect("well-formed");
                check_net(&sliced);
                check_transport(&sliced);
                let seen = read(&frame).expect("no fault");
                assert_eq!(seen.padding, 0);
            }
        }
    }
}

fn check_net(sliced: &SlicedPacket<'_>) {
    match sliced.net.as_ref().expect("an IP packet") {
        NetSlice::Ipv4(ip) => {
            let header = ip.header().to_header();
            assert_eq!(header.header_checksum, header.calc_header_checksum());
        }
        NetSlice::Ipv6(ip) => assert_eq!(ip.header().version(), 6),
        NetSlice::Arp(_) => panic!("no ARP was built"),
    }
}

fn check_transport(sliced: &SlicedPacket<'_>) {
    let NetSlice::Ipv4(v4) = sliced.net.as_ref().expect("an IP packet") else {
        return check_transport_v6(sliced);
    };
    let (from, to) = (v4.header().source(), v4.header().destination());
    let (written, computed) = match sliced.transport.as_ref().expect("a transport") {
        TransportSlice::Tcp(tcp) => (tcp.checksum(), tcp.calc_checksum_ipv4(from, to)),
        TransportSlice::Udp(udp) => {
            let header = udp.to_header();
            let computed = header.calc_checksum_ipv4_raw(from, to, udp.payload());
            (udp.checksum(), computed)
        }
        TransportSlice::Icmpv4(icmp) => {
            let computed = icmp.header().icmp_type.calc_checksum(icmp.payload());
            return assert_eq!(icmp.checksum(), computed);
        }
        _ => panic!("no such transport was built"),
    };
    assert_eq!(written, computed.expect("not too long"));
}

fn check_transport_v6(sliced: &SlicedPacket<'_>) {
    let Some(NetSlice::Ipv6(v6)) = sliced.net.as_ref() else {
        panic!("an IPv6 packet");
    };
    let (from, to) = (v6.header().source(), v6.header().destination());
    let (written, computed) = match sliced.transport.as_ref().expect("a transport") {
        TransportSlice::Tcp(tcp) => (tcp.checksum(), tcp.calc_checksum_ipv6(from, to)),
        TransportSlice::Udp(udp) => {
            let header = udp.to_header();
            let computed = header.calc_checksum_ipv6_raw(from, to, udp.payload());
            (udp.checksum(), computed)
        }
        TransportSlice::Icmpv6(icmp) => {
            return assert!(icmp.is_checksum_valid(from, to));
        }
        _ => panic!("no such transport was built"),
    };
    assert_eq!(written, computed.expect("not too long"));
}

#[test]
fn what_another_builder_makes_the_reader_finds_no_fault_with() {
    let mut random = Random::new(2);
    for _ in 0..200 {
        for w in FAMILIES {
            let length = random.below(300);
            let data = random.bytes(length);
            let tcp = ip(w.client, w.web).tcp(w.client.port(), 80, 1, 1024).syn();
            let mut bytes = Vec::new();
            tcp.write(&mut bytes, &data).expect("enough room");
            let seen = read_packet(&bytes).expect("no fault");
            let wanted = SeenBody::Tcp {
                ports: (w.client.port(), 80),
                flags: 2,
                data: data.clone(),
            };
            assert_eq!((seen.body, seen.from, seen.ttl), (wanted, w.client.ip(), 9));
            bytes.clear();
            let udp = ip(w.client, w.web).udp(w.client.port(), 80);
            udp.write(&mut bytes, &data).expect("enough room");
            assert_eq!(
                read_packet(&bytes).expect("no fault").ends(),
                (w.client, w.web)
            );
        }
    }
}

fn ip(from: SocketAddr, to: SocketAddr) -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), 9),
        (IpAddr::V6(from), IpAddr::V6(to)) => PacketBuilder::ipv6(from.octets(), to.octets(), 9),
        _ => panic!("two families"),
    }
}

#[test]
fn the_reader_sees_every_spoilt_byte_that_a_checksum_covers() {
    for w in FAMILIES {
        let packet = tcp(w.client, w.web).syn().data(b"every byte of it").bytes();
        // IPv6 has no sum over its class, flow label, length and hop limit.
        let covered = match w.header {
            20 => 0..packet.len(),
            _ => 8..packet.len(),
        };
        for at in covered {
            let mut spoilt = packet.clone();
            spoilt[at] ^= 0x01;
            assert!(read_packet(&spoilt).is_err(), "byte {at}, {}", w.name);
        }
    }
}
