//! The page as a whole: what is on it, and that Prometheus' own tool takes it.

mod monitoring;

use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use lvs_core::{
    Config, DropReason, ForwardingMethod, RealServer, Scheduler, Service, Stats, Traffic,
};

use super::Page;
use crate::director::{DirectorStats, RealServerStats, WorkerCounters, WorkerLatency};
use crate::skip;

/// Two services, one of them without real servers, and two workers.
fn page() -> String {
    let web = Service::tcp("192.0.2.10:80".parse().unwrap(), Scheduler::RoundRobin)
        .real_server(RealServer::masquerade("10.0.0.11:8080".parse().unwrap()))
        .real_server(RealServer::direct_route("10.0.0.12".parse().unwrap()).weight(0));
    let bare = Service::udp("[2001:db8::10]:53".parse().unwrap(), Scheduler::None);
    let row = |address: &str, forwarding, weight, active| RealServerStats {
        service: web.key(),
        address: address.parse().unwrap(),
        forwarding,
        weight,
        active,
        inactive: 5,
        persistent: 1,
        traffic: Traffic {
            connections: 40,
            packets_in: 120,
            bytes_in: 4800,
            packets_out: 80,
            bytes_out: 88_000,
        },
    };
    let mut shards = Stats::new(2);
    shards.transmitted = 7;
    shards.opened = 3;
    let workers = [10, 20].map(|packets| WorkerCounters {
        packets,
        receive_ring_full: packets + 1,
        connections: 8,
        capacity: 100,
        ..WorkerCounters::default()
    });
    let mut sum = workers[0];
    sum.add(&workers[1]);
    let stats = DirectorStats {
        shards,
        workers: sum,
        per_worker: workers.to_vec(),
        latency: WorkerLatency::default(),
        per_worker_latency: vec![WorkerLatency::default(); 2],
        real_servers: vec![
            row("10.0.0.11:8080", ForwardingMethod::Masquerade, 1, 2),
            row("10.0.0.12:80", ForwardingMethod::DirectRoute, 0, 3),
        ],
    };
    Page::new(stats, Config::new([web.clone(), bare]).unwrap()).collect()
}

#[test]
fn every_number_is_on_it() {
    let page = page();
    let web = "service=\"tcp:192.0.2.10:80\"";
    let bare = "service=\"udp:[2001:db8::10]:53\"";
    let first = format!("{web},real_server=\"10.0.0.11:8080\"");
    for line in [
        "lvs_packets_total{verdict=\"transmitted\"} 7",
        "lvs_connections_opened_total 3",
        "lvs_dropped_packets_total{reason=\"table_full\"} 0",
        "lvs_dropped_packets_total{reason=\"receive_ring_full\"} 32",
        "lvs_worker_lost_packets_total{worker=\"1\",reason=\"receive_ring_full\"} 21",
        "lvs_worker_packets_total{worker=\"0\"} 10",
        "lvs_connection_table_free{worker=\"0\"} 92",
        "lvs_worker_turn_seconds_bucket{worker=\"1\",le=\"1.073741823\"} 0",
        "lvs_connection_setup_seconds_sum{worker=\"0\"} 0.000000000",
        &format!("lvs_service_info{{{bare},scheduler=\"none\"}} 1"),
        &format!("lvs_service_real_servers{{{web}}} 2"),
        &format!("lvs_service_available_real_servers{{{web}}} 1"),
        &format!("lvs_service_available_real_servers{{{bare}}} 0"),
        &format!("lvs_service_active_connections{{{web}}} 5"),
        &format!("lvs_real_server_weight{{{first}}} 1"),
        &format!("lvs_real_server_persistent_clients{{{first}}} 1"),
        &format!("lvs_real_server_connections_total{{{first}}} 40"),
        &format!("lvs_real_server_incoming_packets_total{{{first}}} 120"),
        &format!("lvs_real_server_outgoing_bytes_total{{{first}}} 88000"),
        &format!("lvs_real_server_info{{{first},forwarding=\"masquerade\"}} 1"),
    ] {
        assert!(page.lines().any(|it| it == line), "{line}: not in\n{page}");
    }
    for reason in DropReason::ALL {
        let label = format!("{{reason=\"{}\"}} 0\n", reason.name());
        assert!(page.contains(&label), "{label}");
    }
}

#[test]
fn no_series_is_there_twice() {
    let page = page();
    let series = page.lines().filter(|line| !line.starts_with('#'));
    let series: Vec<_> = series
        .map(|line| line.rsplit_once(' ').unwrap().0)
        .collect();
    let different: BTreeSet<_> = series.iter().collect();
    assert_eq!(different.len(), series.len());
}

/// Runs Prometheus' own tool with this on its standard input: whether all is
/// well, and what it says. `None` where there is no such tool.
fn promtool(arguments: &[&str], input: &str) -> Option<(bool, String)> {
    let mut promtool = Command::new("promtool");
    promtool.args(arguments).stdin(Stdio::piped());
    let promtool = promtool.stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut promtool) = promtool.spawn() else {
        skip::say("no promtool: apt-get install prometheus");
        return None;
    };
    let mut stdin = promtool.stdin.take().unwrap();
    // It does not always read it.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let ended = promtool.wait_with_output().unwrap();
    let said = [ended.stdout, ended.stderr].map(|text| String::from_utf8(text).unwrap());
    Some((ended.status.success(), said.concat()))
}

/// It reads the page, and gives advice on names and helps.
#[test]
fn promtool_has_nothing_to_say_about_it() {
    let Some((is_well, said)) = promtool(&["check", "metrics"], &page()) else {
        return;
    };
    assert!(is_well && said.is_empty(), "{said}");
}

/// As many series as the folder's first page says.
#[test]
fn ten_thousand_services_of_ten_real_servers_have_so_many_series() {
    let number = |n: u32| std::net::Ipv4Addr::from(0x0a00_0000 + n);
    let service = |n| Service::tcp((number(n), 80).into(), Scheduler::RoundRobin);
    let services: Vec<_> = (0..10_000).map(service).collect();
    let rows = services.iter().flat_map(|service| {
        (0..10).map(|n| RealServerStats {
            service: service.key(),
            address: SocketAddr::new(number(n).into(), 80),
            forwarding: ForwardingMethod::DirectRoute,
            weight: 1,
            active: 1000,
            inactive: 1000,
            persistent: 0,
            traffic: Traffic::default(),
        })
    });
    let stats = DirectorStats {
        shards: Stats::new(1),
        workers: WorkerCounters::default(),
        per_worker: Vec::new(),
        latency: WorkerLatency::default(),
        per_worker_latency: Vec::new(),
        real_servers: rows.collect(),
    };
    let (mut series, mut bytes, mut longest) = (0, 0, 0);
    for part in Page::new(stats, Config::new(services).unwrap()) {
        series += part.lines().filter(|line| !line.starts_with('#')).count();
        bytes += part.len();
        longest = longest.max(part.len());
    }
    assert_eq!(series, 10_000 * 6 + 100_000 * 10 + BESIDES);
    assert!(bytes < 110 * series, "{bytes}");
    assert!(longest < 12_000_000, "{longest}");
}

/// Of the director as a whole.
const BESIDES: usize = 54;
