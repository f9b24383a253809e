//! Configurations change under load; connections do not notice.

use std::time::Duration;

use lvs::lvs_io::WantedMode;
use lvs::world::traffic::{Held, Request, http, http_many};
use lvs::world::{Family, Method, Plan};
use lvs::{Scheduler, Service};

use crate::setup::Setup;

/// The plan's services with other weights, by real server.
fn weighted(plan: &Plan, weights: [u32; 2]) -> Vec<Service> {
    let mut services = plan.services(Scheduler::RoundRobin);
    for service in &mut services {
        for (real_server, weight) in service.real_servers.iter_mut().zip(weights) {
            *real_server = real_server.clone().weight(weight);
        }
    }
    services
}

fn change_under_load(mode: WantedMode, method: Method) {
    let plan = Plan::new(method);
    let Some(setup) = Setup::new(plan, mode, 1) else {
        return;
    };
    for family in Family::BOTH {
        let (web, echo) = (Plan::web(family), Plan::echo(family));
        let held = Held::open(setup.world.client(), echo, HELD, PAUSE, DEADLINE).unwrap();
        let request = |count| {
            let names = setup.world.client().run(|| {
                http_many(web, Request::Name, count, DEADLINE)
                    .into_iter()
                    .collect()
            });
            let mut names: Vec<String> = names.unwrap();
            names.dedup();
            names
        };
        held.round(DEADLINE).unwrap();
        setup.apply(weighted(&plan, [0, 1]));
        assert_eq!(request(10), ["rs2"], "weight 0 takes no new connections");
        held.round(DEADLINE).unwrap();
        for round in 0..RELOADS {
            // A service more every other time, and other weights each time.
            let mut services = weighted(&plan, [round % 3, 1 + round % 2]);
            if round % 2 == 0 {
                let spare = (Plan::vip(family), 8000 + round as u16).into();
                services.push(Service::tcp(spare, Scheduler::SourceHashing));
            }
            setup.apply(services);
            assert!(!request(4).is_empty());
        }
        held.round(DEADLINE).unwrap();
        setup.apply(plan.services(Scheduler::RoundRobin));
        let held = held.stop();
        assert_eq!(held.len(), HELD);
        for connection in &held {
            assert!(connection.error.is_none(), "{family}: {connection:?}");
            assert!(connection.exchanges > 3, "{family}: {connection:?}");
        }
        let on_first = held
            .iter()
            .filter(|connection| connection.server == "rs1")
            .count();
        assert_eq!(
            on_first,
            HELD / 2,
            "half of them were on the one set to weight 0"
        );
    }
    setup.check_nothing_dropped();
}

#[test]
fn native_masquerade_loses_no_connection() {
    change_under_load(WantedMode::Native, Method::Masquerade);
}

#[test]
fn native_direct_route_loses_no_connection() {
    change_under_load(WantedMode::Native, Method::DirectRoute);
}

#[test]
fn native_tunnel_loses_no_connection() {
    change_under_load(WantedMode::Native, Method::Tunnel);
}

#[test]
fn generic_masquerade_loses_no_connection() {
    change_under_load(WantedMode::Generic, Method::Masquerade);
}

#[test]
fn generic_direct_route_loses_no_connection() {
    change_under_load(WantedMode::Generic, Method::DirectRoute);
}

#[test]
fn generic_tunnel_loses_no_connection() {
    change_under_load(WantedMode::Generic, Method::Tunnel);
}

#[test]
fn packet_masquerade_loses_no_connection() {
    change_under_load(WantedMode::Packet, Method::Masquerade);
}

#[test]
fn packet_direct_route_loses_no_connection() {
    change_under_load(WantedMode::Packet, Method::DirectRoute);
}

#[test]
fn packet_tunnel_loses_no_connection() {
    change_under_load(WantedMode::Packet, Method::Tunnel);
}

/// The kernel's IPVS drops what comes for a connection whose real server was
/// removed, and takes it up again when the real server comes back.
#[test]
fn a_removed_real_server_keeps_its_connections_for_its_return() {
    let plan = Plan::new(Method::DirectRoute);
    let Some(setup) = Setup::new(plan, WantedMode::Native, 1) else {
        return;
    };
    let echo = Plan::echo(Family::V4);
    let held = Held::open(setup.world.client(), echo, 2, PAUSE, DEADLINE).unwrap();
    held.round(DEADLINE).unwrap();
    let mut services = plan.services(Scheduler::RoundRobin);
    for service in &mut services {
        service.real_servers.remove(0);
    }
    setup.apply(services);
    std::thread::sleep(Duration::from_millis(500));
    let stats = setup.stats();
    let gone = stats
        .drops()
        .find(|(reason, _)| *reason == "real_server_gone");
    assert!(gone.is_some_and(|(_, count)| count > 0), "{stats}");
    let web = Plan::web(Family::V4);
    let name = setup
        .world
        .client()
        .run(|| http(web, Request::Name, DEADLINE));
    assert_eq!(name.unwrap(), "rs2");
    setup.apply(plan.services(Scheduler::RoundRobin));
    held.round(DEADLINE).unwrap();
    for connection in held.stop() {
        assert!(connection.error.is_none(), "{connection:?}");
    }
}

const HELD: usize = 20;
const RELOADS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(20);
const DEADLINE: Duration = Duration::from_secs(30);
