//! A worker's turns allocate and log nothing, whatever comes in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

use allocation_counter::measure;
use etherparse::PacketBuilder;
use lvs_core::network::{Interface, Neighbour, Network, Route, Way};
use lvs_core::{
    Config, Instant, Limits, Line, Planner, Port, RealServer, Scheduler, Service, Shard, ShardId,
    Stats,
};
use lvs_io::{LoopbackPeer, Nic, Queues};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

use super::board::Board;
use super::burst::Burst;
use super::counters::WorkerCounters;
use super::doorbell::Doorbell;
use super::idle::{Idle, Waiting};
use super::latency::Stopwatch;
use super::mailbox::Publisher;
use super::outlets::Sink;
use super::pieces::Blank;
use super::worker::Worker;
use super::{handoff, listing, mailbox};

const CLIENT: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
const CLIENT6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x51, 0, 0, 0, 0, 7);
const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
const VIP6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 0x10);
const RIP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 11);
const RIP6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x11);
const OUTSIDE: [u8; 6] = [2, 0, 0, 0, 9, 1];
const INSIDE: [u8; 6] = [2, 0, 0, 0, 9, 2];

/// Two NICs with a client and a real server on them, in both families.
fn network(nics: &[Nic]) -> Network {
    let own = [Ipv4Addr::new(198, 51, 100, 1), Ipv4Addr::new(10, 0, 0, 1)];
    let own6 = [CLIENT6.to_bits() - 6, RIP6.to_bits() - 16].map(Ipv6Addr::from_bits);
    let interfaces = nics.iter().zip(own.into_iter().zip(own6));
    let interfaces = interfaces.map(|(nic, (ipv4, ipv6))| Interface {
        mac: nic.mac,
        mtu: nic.mtu,
        ipv4: Some(ipv4),
        ipv6: Some(ipv6),
    });
    let route = |prefix: IpAddr, length, port, source| Route {
        prefix,
        length,
        way: Way::Out {
            port: Port(port),
            vlan: None,
            gateway: None,
            source,
            mtu: None,
        },
    };
    let neighbour = |address: IpAddr, port, mac| Neighbour {
        address,
        port: Port(port),
        vlan: None,
        mac,
    };
    Network::new(
        interfaces.collect(),
        [
            route(CLIENT.into(), 24, 0, Some(own[0].into())),
            route(RIP.into(), 24, 1, Some(own[1].into())),
            route(CLIENT6.into(), 64, 0, Some(own6[0].into())),
            route(RIP6.into(), 64, 1, Some(own6[1].into())),
            Route::local(VIP.into()),
            Route::local(VIP6.into()),
        ],
        [
            neighbour(CLIENT.into(), 0, OUTSIDE),
            neighbour(RIP.into(), 1, INSIDE),
            neighbour(CLIENT6.into(), 0, OUTSIDE),
            neighbour(RIP6.into(), 1, INSIDE),
        ],
    )
}

/// A service of each protocol, family and forwarding method; ports 1 to 3.
fn config(weight: u32) -> Arc<Config> {
    let both = [(IpAddr::from(VIP), RIP.into()), (VIP6.into(), RIP6.into())];
    let services = both.into_iter().flat_map(|(vip, rip): (IpAddr, IpAddr)| {
        [
            (1, RealServer::masquerade((rip, 8080).into())),
            (2, RealServer::direct_route(rip)),
            (3, RealServer::tunnel(rip)),
        ]
        .into_iter()
        .flat_map(move |(port, by)| {
            let by = by.weight(weight);
            let (at, scheduler) = ((vip, port).into(), Scheduler::WeightedLeastConnection);
            [
                Service::tcp(at, scheduler).real_server(by.clone()),
                Service::udp(at, scheduler).real_server(by),
            ]
        })
    });
    Config::new(services).unwrap()
}

/// A worker with a client on its first NIC and a real server on its second.
pub(super) fn worker<'m>(
    memory: &'m mut [Line],
    planner: &mut Planner,
) -> (Worker<'m>, Publisher, Vec<LoopbackPeer>) {
    let nics = vec![
        Nic::in_memory("left", 1, 1500),
        Nic::in_memory("right", 2, 1500),
    ];
    let network = Arc::new(network(&nics));
    let snapshot = planner.plan(&config(1), &network).unwrap();
    let limits = planner.limits();
    let (mut queues, mut peers) = Queues::loopback(nics, 1, 256).unwrap();
    let bell = Arc::new(Doorbell::new().unwrap());
    let exchange = handoff::exchange(std::slice::from_ref(&bell), 1514).remove(0);
    let (publisher, inbox) = mailbox::mailbox();
    let worker = Worker {
        lane: queues.lanes.remove(0),
        shard: Shard::new(ShardId(0), memory, &limits, snapshot).unwrap(),
        inbox,
        exchange,
        lister: listing::listing(bell.clone()).1,
        bell,
        punt: None,
        host_port: None,
        board: Arc::new(Board::new(&Stats::new(limits.real_servers))),
        counters: WorkerCounters::default(),
        stopwatch: Stopwatch::default(),
        burst: Burst::new(false, 1),
        blank: Blank::new(),
        sink: Sink::new(2),
        idle: Idle::new(Waiting::Adaptive, 2),
        began: Clock::now(),
        housekeeping_due: Instant::default(),
        published: Instant::default(),
        publication: None,
        has_news: false,
    };
    (worker, publisher, peers.remove(0))
}

/// A frame of every class for the turn of this number: first packets, later
/// ones, replies, those that are answered, refused or the host's, those that are
/// cut, and fragments, of which some lack the rest.
fn frames(number: u16) -> Vec<(usize, Vec<u8>)> {
    let mut frames = Vec::new();
    let client = 1024 + number % 50_000;
    for ttl in [64, 1] {
        for port in 1..=4 {
            for length in [0, 400] {
                frames.push((0, tcp(client, port, ttl, length, false)));
                frames.push((0, tcp(client, port, ttl, length, true)));
                frames.push((0, udp(client, port, ttl, length)));
            }
        }
    }
    frames.push((1, reply(client)));
    let cut = frames[0].1[..40].to_vec();
    frames.push((0, cut));
    for port in 1..=3 {
        frames.push((0, udp(client, port, 64, 1470)));
        let mut parts = fragments(client, port, 3000);
        if port == 3 && number.is_multiple_of(2) {
            parts.rotate_left(1);
        }
        if number.is_multiple_of(10) {
            parts.pop();
        }
        frames.extend(parts.into_iter().map(|part| (0, part)));
    }
    frames.push((0, vec![0xff; 60]));
    frames
}

fn tcp(source: u16, port: u16, ttl: u8, length: usize, six: bool) -> Vec<u8> {
    let to = PacketBuilder::ethernet2(OUTSIDE, [2, 0, 0, 0, 0, 1]);
    let to = if six {
        to.ipv6(CLIENT6.octets(), VIP6.octets(), ttl)
    } else {
        to.ipv4(CLIENT.octets(), VIP.octets(), ttl)
    };
    written(to.tcp(source, port, 1, 1000).syn(), length)
}

/// A datagram to a port of the VIP that may be fragmented.
pub(super) fn udp(source: u16, port: u16, ttl: u8, length: usize) -> Vec<u8> {
    let to = PacketBuilder::ethernet2(OUTSIDE, [2, 0, 0, 0, 0, 1]);
    let to = to
        .ipv4(CLIENT.octets(), VIP.octets(), ttl)
        .udp(source, port);
    let mut frame = Vec::new();
    to.write(&mut frame, &vec![7; length]).unwrap();
    allow_fragments(&mut frame);
    frame
}

/// A datagram of so many bytes in fragments of 1000 bytes, numbered by its source.
pub(super) fn fragments(source: u16, port: u16, length: usize) -> Vec<Vec<u8>> {
    let whole = udp(source, port, 64, length);
    let (headers, data) = whole.split_at(34);
    let parts = data.chunks(1000).enumerate();
    parts
        .map(|(at, part)| {
            let more = (at + 1) * 1000 < data.len();
            let offset = (u16::from(more) << 13) | (at * 125) as u16;
            let mut frame = [headers, part].concat();
            frame[16..18].copy_from_slice(&(20 + part.len() as u16).to_be_bytes());
            frame[18..20].copy_from_slice(&source.to_be_bytes());
            frame[20..22].copy_from_slice(&offset.to_be_bytes());
            write_header_checksum(&mut frame);
            frame
        })
        .collect()
}

fn allow_fragments(frame: &mut [u8]) {
    frame[20..22].fill(0);
    write_header_checksum(frame);
}

fn write_header_checksum(frame: &mut [u8]) {
    let header = etherparse::Ipv4Header::from_slice(&frame[14..]).unwrap().0;
    let checksum = header.calc_header_checksum();
    frame[24..26].copy_from_slice(&checksum.to_be_bytes());
}

fn reply(client: u16) -> Vec<u8> {
    let to = PacketBuilder::ethernet2(INSIDE, [2, 0, 0, 0, 0, 2]);
    let to = to.ipv4(RIP.octets(), CLIENT.octets(), 64);
    written(to.tcp(8080, client, 1, 1000).syn().ack(2), 0)
}

fn written(
    builder: etherparse::PacketBuilderStep<etherparse::TcpHeader>,
    length: usize,
) -> Vec<u8> {
    let mut frame = Vec::new();
    builder.write(&mut frame, &vec![7; length]).unwrap();
    frame
}

#[test]
fn what_was_counted_is_published_before_a_rest() {
    let mut planner = Planner::new(Limits {
        services: 16,
        real_servers: 32,
        ..Limits::default()
    });
    let mut memory: Vec<Line> = vec![[0; 8]; Shard::memory_for(2000)];
    let (mut worker, _publisher, peers) = worker(&mut memory, &mut planner);
    let published = |worker: &Worker<'_>| {
        let mut stats = Stats::new(32);
        worker.board.read(&mut stats, worker.shard.snapshot());
        stats.packets
    };
    let now = |milliseconds| Instant::default() + Duration::from_millis(milliseconds);
    while worker.turn(now(0)) {}
    for (at, packets, shown) in [(5, 1, 1), (5, 2, 1), (7, 3, 3)] {
        assert!(peers[0].send(&tcp(packets, 1, 64, 0, false)));
        while worker.turn(now(at)) {}
        worker.rest(now(at));
        assert_eq!(published(&worker), shown, "at {at} ms");
    }
}

/// Nothing may be told to it.
struct Unheard;

impl<S: tracing::Subscriber> Layer<S> for Unheard {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        panic!("a worker logs: {event:?}");
    }
}

#[test]
fn a_thousand_turns_allocate_and_log_nothing() {
    let limits = Limits {
        services: 16,
        real_servers: 32,
        seed: 5,
        ..Limits::default()
    };
    let mut planner = Planner::new(limits);
    // So few connections that the table is full most of the time.
    let mut memory: Vec<Line> = vec![[0; 8]; Shard::memory_for(2000)];
    let (mut worker, mut publisher, peers) = worker(&mut memory, &mut planner);
    let network = worker.shard.snapshot().network().clone();
    while worker.turn(Instant::default()) {}
    let free = worker.lane.umem.free();
    for number in 0..1000u16 {
        for (queue, frame) in frames(number) {
            assert!(peers[queue].send(&frame));
        }
        if number % 100 == 99 {
            let weight = u32::from(number / 100 % 3);
            let snapshot = planner.plan(&config(weight), &network).unwrap();
            assert!(publisher.await_room());
            publisher.publish(&snapshot);
        }
        let now = Instant::default() + Duration::from_millis(100) * u32::from(number);
        let counted =
            tracing::subscriber::with_default(tracing_subscriber::registry().with(Unheard), || {
                measure(|| while worker.turn(now) {})
            });
        let (allocated, freed) = (counted.count_total, counted.count_current < 0);
        assert_eq!((allocated, freed), (0, false), "turn {number}");
        while peers.iter().any(|peer| peer.receive().is_some()) {}
        worker.turn(now);
        assert_eq!(worker.lane.umem.free(), free, "turn {number}: chunks");
    }
    let stats = worker.shard.stats();
    let done = [
        stats.transmitted,
        stats.host,
        stats.answers,
        stats.opened,
        stats.closed,
        stats.all_dropped(),
        stats.cut,
        stats.held,
        stats.joined,
        worker.counters.pieces,
    ];
    assert!(done.iter().all(|count| *count > 100), "{stats:?}");
}
