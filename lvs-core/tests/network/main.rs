//! Clients, a director and real servers on a network of nothing but memory:
//! whole conversations in no time, by a clock the test turns.

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "each test uses its part of it")]
mod common;

mod client;
mod server;
mod spread;
mod world;

use std::time::Duration;

use client::Step;
use common::bed;
use common::place::{FAMILIES, Family};
use lvs_core::conn::State;
use lvs_core::conn::tcp::TcpState;
use lvs_core::{ForwardingMethod, Protocol, RealServer, Service, Tunnel};
use world::World;

const METHODS: [ForwardingMethod; 3] = [
    ForwardingMethod::Masquerade,
    ForwardingMethod::DirectRoute,
    ForwardingMethod::Tunnel(Tunnel::Ipip),
];

/// Real servers 11, 12 and 13 by one method.
fn service(w: Family, protocol: Protocol, method: ForwardingMethod) -> Service {
    [11, 12, 13]
        .into_iter()
        .fold(w.service(protocol), |service, number| {
            service.real_server(match method {
                ForwardingMethod::Masquerade => RealServer::masquerade(w.real_at(number, 8080)),
                ForwardingMethod::DirectRoute => RealServer::direct_route(w.real(number)),
                ForwardingMethod::Tunnel(_) => RealServer::tunnel(w.real(number)),
            })
        })
}

/// One conversation over each method; the director's state after each step.
fn states(w: Family, method: ForwardingMethod) -> Vec<TcpState> {
    let mut memory = bed::memory(1, 10);
    let mut world = World::new(w, &mut memory, &[service(w, Protocol::Tcp, method)], 1);
    let mut states = Vec::new();
    let look = |world: &World<'_>| {
        let listed = world.bed.shards[0].list(world.bed.now).next();
        listed
            .and_then(|connection| match connection.state {
                State::Tcp(state) => Some(state),
                _ => None,
            })
            .expect("a TCP connection")
    };
    world.begin(Protocol::Tcp, w.client);
    world.run();
    assert_eq!(world.count(Step::Holding), 1);
    states.push(look(&world));
    world.close();
    world.run();
    assert_eq!(world.count(Step::Done), 1);
    states.push(look(&world));
    world.bed.wait(Duration::from_secs(121));
    assert!(world.is_at_rest());
    states
}

#[test]
fn a_conversation_from_its_first_packet_to_its_end() {
    for w in FAMILIES {
        for method in METHODS {
            let closed = match method {
                ForwardingMethod::Masquerade => TcpState::TimeWait,
                // Of the end only the client's half is seen.
                _ => TcpState::FinWait,
            };
            assert_eq!(
                states(w, method),
                [TcpState::Established, closed],
                "{} {method:?}",
                w.name
            );
        }
    }
}

/// Many conversations over wires that lose and reorder; all must come to an
/// end, each at one real server, and nothing may be left.
fn storm(w: Family, protocol: Protocol, method: ForwardingMethod, shards: usize, seed: u64) {
    let mut memory = bed::memory(shards, 400);
    let mut world = World::new(w, &mut memory, &[service(w, protocol, method)], seed);
    world.loss = 8;
    world.jitter = Duration::from_millis(5);
    for number in 0..300u16 {
        world.begin(protocol, w.client_at((number % 7) as u8, 10_000 + number));
    }
    world.run();
    assert_eq!(world.count(Step::Holding), 300);
    let held: u32 = world
        .loads()
        .iter()
        .map(|(active, inactive)| active + inactive)
        .sum();
    assert_eq!(held, 300);
    world.close();
    world.run();
    assert_eq!(world.count(Step::Done), 300);
    assert!(world.dropped.is_empty(), "{:?}", world.dropped);
    let clients: usize = world.servers.values().map(|server| server.clients()).sum();
    assert_eq!(clients, 300, "nobody was at two real servers");
    world.bed.wait(Duration::from_secs(901));
    assert!(world.is_at_rest(), "{:?}", world.loads());
    let closed: u64 = world
        .bed
        .shards
        .iter()
        .map(|shard| shard.stats().closed)
        .sum();
    let opened: u64 = world
        .bed
        .shards
        .iter()
        .map(|shard| shard.stats().opened)
        .sum();
    assert_eq!((opened, closed), (300, 300));
}

#[test]
fn conversations_survive_lost_and_reordered_packets() {
    let mut seed = 100;
    for w in FAMILIES {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            for method in METHODS {
                for shards in [1, 3] {
                    seed += 1;
                    storm(w, protocol, method, shards, seed);
                }
            }
        }
    }
}

#[test]
fn conversations_survive_new_weights_and_real_servers_that_quiesce() {
    for w in FAMILIES {
        for method in METHODS {
            let mut memory = bed::memory(2, 400);
            let all = service(w, Protocol::Tcp, method);
            let mut world = World::new(w, &mut memory, std::slice::from_ref(&all), 7);
            for number in 0..100 {
                world.begin(Protocol::Tcp, w.client_at(7, 10_000 + number));
            }
            world.run();
            let before = world.loads();
            // Twelve takes no more; the others take all that comes.
            let quiesced = all.drain(w.real(12));
            world.bed.configure(std::slice::from_ref(&quiesced));
            for number in 100..200 {
                world.begin(Protocol::Tcp, w.client_at(7, 10_000 + number));
            }
            world.run();
            assert_eq!(world.count(Step::Holding), 200);
            assert_eq!(world.loads()[1], before[1], "12 has what it had");
            let nobody = quiesced.drain(w.real(11)).drain(w.real(13));
            world.bed.configure(&[nobody]);
            world.begin(Protocol::Tcp, w.client_at(7, 9));
            world.close();
            world.run();
            assert_eq!(
                (world.count(Step::Done), world.count(Step::Refused)),
                (200, 1)
            );
        }
    }
}

#[test]
fn a_table_is_whole_again_however_often_it_was_full() {
    let w = FAMILIES[0];
    let mut memory = bed::memory(1, 50);
    let services = [service(w, Protocol::Udp, METHODS[0])];
    let mut world = World::new(w, &mut memory, &services, 3);
    let capacity = world.bed.shards[0].capacity() as u16;
    for round in 0..20 {
        for number in 0..capacity {
            world.begin(Protocol::Udp, w.client_at(round, 1000 + number));
        }
        world.run();
        world.close();
        assert_eq!(world.bed.shards[0].connections(), usize::from(capacity));
        world.bed.wait(Duration::from_secs(301));
        assert!(world.is_at_rest());
    }
    assert!(world.dropped.is_empty());
}
