//! A whole director on queues of plain memory: no privileges, no kernel.
//!
//! ```text
//!  peers[lane][0] ── left ──┐            ┌── right ── peers[lane][1]
//!       client              └─ director ─┘        real server
//! ```

mod counters;
mod listing;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use etherparse::{PacketBuilder, SlicedPacket, TransportSlice};
use lvs::{Config, Director, DirectorOptions, Nic, Queues, RealServer, Scheduler, Service};
use lvs_core::Port;
use lvs_core::network::{Interface, Neighbour, Network, Route, Way};
use lvs_io::LoopbackPeer;

const CLIENT: [u8; 4] = [198, 51, 100, 7];
const VIP: [u8; 4] = [192, 0, 2, 10];
const RIP: [u8; 4] = [10, 0, 0, 11];
const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 9, 1];
const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 9, 2];

fn network(nics: &[Nic]) -> Network {
    let own = [Ipv4Addr::new(198, 51, 100, 1), Ipv4Addr::new(10, 0, 0, 1)];
    let interfaces = nics.iter().zip(own).map(|(nic, ipv4)| Interface {
        mac: nic.mac,
        mtu: nic.mtu,
        ipv4: Some(ipv4),
        ipv6: None,
    });
    let on_link = |prefix: [u8; 4], port| Route {
        prefix: prefix.into(),
        length: 24,
        way: Way::Out {
            port: Port(port),
            vlan: None,
            gateway: None,
            source: None,
            mtu: None,
        },
    };
    let neighbour = |address: [u8; 4], port, mac| Neighbour {
        address: address.into(),
        port: Port(port),
        vlan: None,
        mac,
    };
    Network::new(
        interfaces.collect(),
        [
            on_link([198, 51, 100, 0], 0),
            on_link([10, 0, 0, 0], 1),
            Route::local(VIP.into()),
        ],
        [
            neighbour(CLIENT, 0, CLIENT_MAC),
            neighbour(RIP, 1, SERVER_MAC),
        ],
    )
}

fn start(lanes: usize, config: Arc<Config>) -> (Director, Vec<Vec<LoopbackPeer>>) {
    let nics = vec![
        Nic::in_memory("left", 1, 1500),
        Nic::in_memory("right", 2, 1500),
    ];
    let options = DirectorOptions {
        connections: 10_000,
        network: Some(network(&nics)),
        seed: Some(1),
        ..DirectorOptions::default()
    };
    let (queues, peers) = Queues::loopback(nics, lanes, 256).unwrap();
    (
        Director::start_with(queues, config, &options).unwrap(),
        peers,
    )
}

fn service(real_server: RealServer) -> Service {
    Service::udp((IpAddr::from(VIP), 53).into(), Scheduler::RoundRobin).real_server(real_server)
}

fn masquerade() -> RealServer {
    RealServer::masquerade((IpAddr::from(RIP), 5353).into())
}

fn datagram(
    (from, source): ([u8; 4], u16),
    (to, destination): ([u8; 4], u16),
    mac: [u8; 6],
    port_mac: [u8; 6],
    payload: &[u8],
) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(mac, port_mac)
        .ipv4(from, to, 64)
        .udp(source, destination)
        .write(&mut frame, payload)
        .unwrap();
    frame
}

fn question(client_port: u16, payload: &[u8]) -> Vec<u8> {
    datagram(
        (CLIENT, client_port),
        (VIP, 53),
        CLIENT_MAC,
        [2, 0, 0, 0, 0, 1],
        payload,
    )
}

fn answer(client_port: u16, payload: &[u8]) -> Vec<u8> {
    datagram(
        (RIP, 5353),
        (CLIENT, client_port),
        SERVER_MAC,
        [2, 0, 0, 0, 0, 2],
        payload,
    )
}

/// Source, destination and payload of a frame whose checksums are right.
fn read(frame: &[u8]) -> ((IpAddr, u16), (IpAddr, u16), Vec<u8>) {
    let packet = SlicedPacket::from_ethernet(frame).unwrap();
    let Some(etherparse::NetSlice::Ipv4(ip)) = packet.net else {
        panic!("IPv4")
    };
    let header = ip.header().to_header();
    assert_eq!(header.header_checksum, header.calc_header_checksum());
    let Some(TransportSlice::Udp(udp)) = packet.transport else {
        panic!("UDP")
    };
    let whole = udp
        .to_header()
        .calc_checksum_ipv4(&header, udp.payload())
        .unwrap();
    assert_eq!(udp.checksum(), whole);
    let address = |bytes: [u8; 4]| IpAddr::from(bytes);
    (
        (address(header.source), udp.source_port()),
        (address(header.destination), udp.destination_port()),
        udp.payload().to_vec(),
    )
}

fn receive(peer: &LoopbackPeer) -> Vec<u8> {
    let give_up = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(frame) = peer.receive() {
            return frame;
        }
        assert!(Instant::now() < give_up, "nothing came within ten seconds");
        thread::sleep(Duration::from_micros(200));
    }
}

#[test]
fn masquerades_there_and_back() {
    let (director, peers) = start(1, Config::new([service(masquerade())]).unwrap());
    let (left, right) = (&peers[0][0], &peers[0][1]);
    assert!(left.send(&question(4000, b"who?")));
    let (from, to, payload) = read(&receive(right));
    assert_eq!(from, (CLIENT.into(), 4000));
    assert_eq!(to, (RIP.into(), 5353));
    assert_eq!(payload, b"who?");
    assert!(right.send(&answer(4000, b"me")));
    let (from, to, payload) = read(&receive(left));
    assert_eq!(from, (VIP.into(), 53));
    assert_eq!(to, (CLIENT.into(), 4000));
    assert_eq!(payload, b"me");
    director.stop();
}

#[test]
fn replies_on_another_workers_queue_are_handed_over() {
    let (director, peers) = start(2, Config::new([service(masquerade())]).unwrap());
    for port in 5000..5040u16 {
        // Requests come on one queue, replies on the other: half of each land
        // with the worker that does not own the connection.
        assert!(peers[0][0].send(&question(port, &port.to_be_bytes())));
        let request = from_any(&peers, 1);
        assert_eq!(read(&request).2, port.to_be_bytes());
        assert!(peers[1][1].send(&answer(port, b"ok")));
        let reply = from_any(&peers, 0);
        assert_eq!(read(&reply).1, (CLIENT.into(), port));
    }
    thread::sleep(Duration::from_millis(300));
    let stats = director.stats();
    assert_eq!(stats.workers.handed_off, stats.workers.taken_over);
    assert_eq!(stats.shards.handed_off, stats.workers.handed_off);
    assert!(
        (10..70).contains(&stats.workers.handed_off),
        "{}",
        stats.workers.handed_off
    );
    assert_eq!(stats.shards.opened, 40, "each connection lives once");
    assert_eq!(stats.drops().count(), 0, "{stats}");
    director.stop();
}

/// The next frame on a port, whichever worker sends it.
fn from_any(peers: &[Vec<LoopbackPeer>], port: usize) -> Vec<u8> {
    let give_up = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(frame) = peers.iter().find_map(|lane| lane[port].receive()) {
            return frame;
        }
        assert!(Instant::now() < give_up, "nothing came within ten seconds");
        thread::sleep(Duration::from_micros(100));
    }
}

/// Has the director begin a connection for each of these ports of the client.
fn begin(peers: &[Vec<LoopbackPeer>], ports: std::ops::Range<u16>) {
    for port in ports {
        let lane = usize::from(port) % peers.len();
        assert!(peers[lane][0].send(&question(port, b"?")));
        from_any(peers, 1);
    }
}

#[test]
fn a_refused_configuration_leaves_the_running_one_in_force() {
    let config = Config::new([service(masquerade())]).unwrap();
    let nics = vec![
        Nic::in_memory("left", 1, 1500),
        Nic::in_memory("right", 2, 1500),
    ];
    let options = DirectorOptions {
        connections: 100,
        services: 1,
        network: Some(network(&nics)),
        ..DirectorOptions::default()
    };
    let (queues, peers) = Queues::loopback(nics, 1, 256).unwrap();
    let director = Director::start_with(queues, config.clone(), &options).unwrap();
    let second = Service::tcp((IpAddr::from(VIP), 80).into(), Scheduler::RoundRobin);
    let refused = director.apply(Config::new([service(masquerade()), second]).unwrap());
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("more than 1 services")
    );
    assert_eq!(director.config(), config);
    assert!(peers[0][0].send(&question(4000, b"still?")));
    assert_eq!(read(&receive(&peers[0][1])).2, b"still?");
}

#[test]
fn weights_change_between_packets() {
    let (director, peers) = start(1, Config::new([service(masquerade())]).unwrap());
    let (left, right) = (&peers[0][0], &peers[0][1]);
    assert!(left.send(&question(4000, b"1")));
    receive(right);
    let drained = service(masquerade()).drain(RIP.into());
    director.apply(Config::new([drained]).unwrap()).unwrap();
    assert!(
        left.send(&question(4000, b"2")),
        "an established connection goes on"
    );
    assert_eq!(read(&receive(right)).2, b"2");
    assert!(
        left.send(&question(4001, b"3")),
        "a new one is told that nobody serves it"
    );
    let told = receive(left);
    assert_eq!(told[34..36], [3, 3], "port unreachable");
    director
        .apply(Config::new([service(masquerade())]).unwrap())
        .unwrap();
    assert!(left.send(&question(4001, b"4")));
    assert_eq!(read(&receive(right)).2, b"4");
    thread::sleep(Duration::from_millis(200));
    let stats = director.stats();
    assert_eq!((stats.shards.opened, stats.shards.answers), (2, 1));
    assert_eq!(stats.real_servers[0].inactive, 2);
}
