//! Packets given back reach the sockets of the kernel's own stack.
//!
//! ```text
//! Punt ──tun──> kernel ──> UDP socket on 198.51.100.2 / 2001:db8:1::2 (lo)
//! ```

#[path = "netlink/namespace.rs"]
mod namespace;
// The packets of the unit tests; not all are needed here.
#[allow(dead_code)]
#[path = "../src/sample.rs"]
mod sample;

use std::fs;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use lvs_io::Punt;
use lvs_io::netlink::{Network, VethEnd};

use crate::namespace::Namespace;

/// Runs `test` where both destinations of the sample packets are local.
fn with_addresses(test: impl FnOnce(&mut Network) + Send) {
    let Some(namespace) = Namespace::new() else {
        return;
    };
    namespace.run(|| {
        let mut network = Network::open().unwrap();
        network.set_up("lo").unwrap();
        for address in ["198.51.100.2/32", "2001:db8:1::2/128"] {
            network.add_address("lo", address.parse().unwrap()).unwrap();
        }
        wait_for_route("2001:db8:1::2");
        test(&mut network);
    });
}

/// The kernel adds the route to an IPv6 address of its own a little later; what
/// is sent to it before is lost.
fn wait_for_route(address: &str) {
    let socket = UdpSocket::bind((address, 0)).unwrap();
    let pause = Duration::from_millis(5);
    socket.set_read_timeout(Some(pause)).unwrap();
    let itself = socket.local_addr().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while socket.send_to(b"here", itself).is_err() || socket.recv(&mut [0; 4]).is_err() {
        assert!(Instant::now() < deadline, "no route to {address}");
    }
}

fn socket(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind((address, 2000)).unwrap();
    let deadline = Duration::from_secs(10);
    socket.set_read_timeout(Some(deadline)).unwrap();
    socket
}

#[track_caller]
fn expect(socket: &UdpSocket, payload: &[u8]) {
    let mut buffer = vec![0; 65536];
    let (len, from) = socket.recv_from(&mut buffer).unwrap();
    assert!(&buffer[..len] == payload);
    assert_eq!(from.port(), 1000);
}

#[test]
fn a_packet_given_back_reaches_its_socket() {
    with_addresses(|network| {
        let punt = Punt::open("back%d").unwrap();
        assert_eq!(punt.name(), "back0");
        let link = network.link("back0").unwrap();
        assert!(link.up);
        assert_eq!(link.mtu, 65535);

        let (v4, v6) = (socket("198.51.100.2"), socket("2001:db8:1::2"));
        assert!(punt.give_back(&sample::udp4(b"over version 4")[14..]));
        expect(&v4, b"over version 4");
        assert!(punt.give_back(&sample::udp6(b"over version 6")[14..]));
        expect(&v6, b"over version 6");
        assert_eq!(punt.counters().given, 2);
    });
}

#[test]
fn a_long_packet_may_lie_in_pieces() {
    with_addresses(|_| {
        let punt = Punt::open("back").unwrap();
        let socket = socket("198.51.100.2");
        let payload: Vec<u8> = (0..65_507u32).map(|byte| byte as u8).collect();
        let packet = sample::udp4(&payload);
        let pieces: Vec<&[u8]> = packet[14..].chunks(1792).collect();
        assert!(punt.give_back_pieces(&pieces, false));
        expect(&socket, &payload);
    });
}

#[test]
fn a_checksum_yet_to_be_made_is_declared() {
    with_addresses(|_| {
        let punt = Punt::open("back").unwrap();
        let socket = socket("198.51.100.2");
        let mut unready = sample::udp4(b"unready");
        unready[40] ^= 0x5a;
        assert!(punt.give_back(&unready[14..]), "dropped behind the device");
        assert!(punt.give_back_pieces(&[&unready[14..44], &unready[44..]], true));
        expect(&socket, b"unready");
        let another = sample::udp4(b"another");
        assert!(punt.give_back(&another[14..]));
        expect(&socket, b"another");
    });
}

#[test]
fn sources_are_let_in_even_where_the_machine_checks_them() {
    with_addresses(|network| {
        fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "1").unwrap();
        network
            .add_veth(&VethEnd::new("nic"), &VethEnd::new("wire"))
            .unwrap();
        network.set_up("nic").unwrap();
        network.set_up("wire").unwrap();
        // The source is behind the NIC, as the strict check would have it.
        network
            .add_address("nic", "192.0.2.254/24".parse().unwrap())
            .unwrap();
        let punt = Punt::open("back").unwrap();
        let socket = socket("198.51.100.2");
        assert!(punt.give_back(&sample::udp4(b"from afar")[14..]));
        expect(&socket, b"from afar");
        let all = fs::read_to_string("/proc/sys/net/ipv4/conf/all/rp_filter").unwrap();
        assert_eq!(all.trim(), "1", "the machine's own setting stays");
    });
}

#[test]
fn what_is_no_packet_is_refused_and_counted() {
    with_addresses(|_| {
        let punt = Punt::open("back").unwrap();
        assert!(!punt.give_back(&[]));
        assert!(!punt.give_back(&[0xff; 40]));
        assert!(!punt.give_back_pieces(&[&[0x45][..]; 65], false));
        assert_eq!(punt.counters().refused, 3);
    });
}

#[test]
fn the_device_is_taken_by_nobody_else_and_gone_when_dropped() {
    with_addresses(|network| {
        let punt = Punt::open("back").unwrap();
        let error = Punt::open("back").unwrap_err();
        assert_eq!(error.nic(), Some("back"));
        assert_eq!(error.os().raw_os_error(), Some(libc::EBUSY));
        drop(punt);
        assert!(network.link("back").is_err());
        assert!(Punt::open("a-name-that-is-too-long").is_err());
    });
}
