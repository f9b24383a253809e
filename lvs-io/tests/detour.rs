//! What some ends of the machine send comes by a device of its own, and nothing
//! else does; nothing is left behind.
//!
//! ```text
//! UDP socket on 198.51.100.2:2000 ──> rule ──> table ──tun──> Punt ──> send_on
//! UDP socket on 198.51.100.2:2001 ──> main table ──> nic
//! ```

#[path = "netlink/namespace.rs"]
mod namespace;
// The packets of the unit tests; not all are needed here.
#[allow(dead_code)]
#[path = "../src/sample.rs"]
mod sample;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use lvs_io::netlink::{Network, Prefix, Route, VethEnd};
use lvs_io::{Detour, OwnEnd, Punt};

use crate::namespace::Namespace;

const OWN: [&str; 2] = ["198.51.100.2", "2001:db8:1::2"];
const FAR: [&str; 2] = ["203.0.113.7", "2001:db8:99::7"];

/// Runs `test` where both own addresses are local and everything else is behind
/// a NIC.
fn on_a_host(test: impl FnOnce(&mut Network) + Send) {
    let Some(namespace) = Namespace::new() else {
        return;
    };
    namespace.run(|| {
        let mut network = Network::open().unwrap();
        network
            .add_veth(&VethEnd::new("nic"), &VethEnd::new("wire"))
            .unwrap();
        for link in ["lo", "nic", "wire"] {
            network.set_up(link).unwrap();
        }
        for address in ["198.51.100.2/32", "2001:db8:1::2/128"] {
            network.add_address("lo", address.parse().unwrap()).unwrap();
        }
        let nic = network.link("nic").unwrap().index;
        for prefix in [Prefix::ALL_V4, Prefix::ALL_V6] {
            network.add_route(&Route::on_link(prefix, nic)).unwrap();
        }
        wait_for_route(OWN[1]);
        test(&mut network);
    });
}

/// The kernel adds the route to an IPv6 address of its own a little later.
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

fn ends() -> [OwnEnd; 2] {
    OWN.map(|address| OwnEnd {
        protocol: 17,
        address: address.parse().unwrap(),
        port: Some(2000),
    })
}

/// Has a socket on that port of an own address say something to `to`.
fn say(from: &str, port: u16, to: &str) {
    let socket = UdpSocket::bind((from, port)).unwrap();
    let to: IpAddr = to.parse().unwrap();
    // Whether there is anybody does not matter.
    let _ = socket.send_to(b"hello", SocketAddr::new(to, 1000));
}

fn taken(punt: &Punt) -> Vec<Vec<u8>> {
    let mut packet = [0; 2000];
    let packets = std::iter::from_fn(|| {
        let length = punt.take(&mut packet)?;
        Some(packet[..length].to_vec())
    });
    // The kernel itself says a word or two to groups.
    packets
        .filter(|packet| packet.ends_with(b"hello"))
        .collect()
}

#[test]
fn exactly_the_ends_named_take_it() {
    on_a_host(|_| {
        let punt = Punt::open("tap%d").unwrap();
        let mut detour = Detour::open(&punt, 1400).unwrap();
        detour.set(ends()).unwrap();
        for (own, far) in OWN.into_iter().zip(FAR) {
            say(own, 2001, far);
            say(own, 2000, own);
            assert_eq!(taken(&punt).len(), 0, "{own}: another port, or inside");
            say(own, 2000, far);
            let packets = taken(&punt);
            assert_eq!(packets.len(), 1, "{own}");
            let header = if own == OWN[0] { 20 } else { 40 };
            assert_eq!(packets[0].len(), header + 8 + 5);
            assert_eq!(packets[0][header..header + 4], [0x07, 0xd0, 0x03, 0xe8]);
        }
        detour.set([ends()[1]]).unwrap();
        say(OWN[0], 2000, FAR[0]);
        assert_eq!(taken(&punt).len(), 0, "named no more");
        say(OWN[1], 2000, FAR[1]);
        assert_eq!(taken(&punt).len(), 1, "named still");
    });
}

#[test]
fn what_is_sent_on_does_not_come_again() {
    on_a_host(|_| {
        let punt = Punt::open("tap%d").unwrap();
        let mut detour = Detour::open(&punt, 1400).unwrap();
        detour.set(ends()).unwrap();
        say(OWN[0], 2000, FAR[0]);
        let packet = taken(&punt).pop().unwrap();
        assert!(punt.send_on(&[&packet]));
        assert_eq!(taken(&punt).len(), 0);
        // That it goes its way shows where it is to this machine.
        for (socket, packet) in OWN.into_iter().zip([
            sample::udp4(b"over version 4"),
            sample::udp6(b"over version 6"),
        ]) {
            let socket = UdpSocket::bind((socket, 2000)).unwrap();
            let deadline = Duration::from_secs(10);
            socket.set_read_timeout(Some(deadline)).unwrap();
            assert!(punt.send_on(&[&packet[14..56], &packet[56..]]));
            let mut buffer = [0; 100];
            let length = socket.recv(&mut buffer).unwrap();
            assert!(buffer[..length].starts_with(b"over version"));
        }
        assert!(!punt.send_on(&[]) && !punt.send_on(&[&[]]));
    });
}

#[test]
fn nothing_is_left_of_it() {
    on_a_host(|network| {
        let detour = |punt: &Punt| {
            let mut detour = Detour::open(punt, 1400).unwrap();
            detour.set(ends()).unwrap();
            detour
        };
        let punt = Punt::open("tap%d").unwrap();
        drop(detour(&punt));
        assert_eq!(network.rules().unwrap(), []);

        // As if the process were killed.
        std::mem::forget(detour(&punt));
        drop(punt);
        assert_eq!(network.rules().unwrap().len(), 4);
        let punt = Punt::open("tap%d").unwrap();
        let first = detour(&punt);
        assert_eq!(network.rules().unwrap().len(), 4, "its own alone");

        // Another on the same machine leaves what works alone.
        let other = Punt::open("tap%d").unwrap();
        let second = Detour::open(&other, 1400).unwrap();
        assert_eq!(network.rules().unwrap().len(), 4);
        drop((first, second));
        assert_eq!(network.rules().unwrap(), []);
    });
}
