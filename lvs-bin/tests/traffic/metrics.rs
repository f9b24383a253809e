//! Metrics of a running director, scraped as Prometheus does.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use lvs::world::traffic::{Request, http};
use lvs::world::{Family, Method, Plan};

use crate::running::{Running, text};

impl Running {
    /// What it answers to the request `line`, head and all.
    fn scrape(&self, line: &str) -> String {
        let scraped = self.world.director().run(|| -> io::Result<String> {
            let mut stream = TcpStream::connect("127.0.0.1:9108")?;
            stream.set_read_timeout(Some(DEADLINE))?;
            // In HTTP/1.0 the page comes in one piece.
            write!(stream, "{line} HTTP/1.0\r\nHost: lvs\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        });
        scraped.unwrap()
    }
}

/// The sum of a metric's numbers where the labels contain `label`.
fn sum(page: &str, name: &str, label: &str) -> u64 {
    let lines = page.lines().filter_map(|line| line.rsplit_once(' '));
    let is_it = |series: &str| {
        let is_named = series.strip_prefix(name);
        is_named.is_some_and(|labels| labels.starts_with(['{']) || labels.is_empty())
    };
    let numbers = lines.filter(|(series, _)| is_it(series) && series.contains(label));
    numbers
        .map(|(_, number)| number.parse::<u64>().unwrap())
        .sum()
}

#[test]
fn what_passes_is_on_the_page() {
    let plan = Plan::new(Method::Masquerade);
    let with_metrics = text(&plan, "native", 1) + "[metrics]\nlisten = \"127.0.0.1:9108\"\n";
    let Some(running) = Running::start_with(plan, &with_metrics) else {
        return;
    };
    let web = Plan::web(Family::V4);
    let service = format!("service=\"tcp:{web}\"");
    let before = running.scrape("GET /metrics");
    assert!(before.starts_with("HTTP/1.0 200 OK\r\n"), "{before}");
    let kind = "content-type: text/plain; version=0.0.4; charset=utf-8\r\n";
    assert!(before.contains(kind), "{before}");
    let begun = "lvs_real_server_connections_total";
    assert_eq!(sum(&before, begun, &service), 0);

    for _ in 0..ASKED {
        let client = running.world.client();
        client.run(|| http(web, Request::Name, DEADLINE)).unwrap();
    }
    let give_up = Instant::now() + DEADLINE;
    let page = loop {
        let page = running.scrape("GET /metrics");
        let setups = sum(&page, "lvs_connection_setup_seconds_count", "");
        if sum(&page, begun, &service) == ASKED && setups == ASKED {
            break page;
        }
        assert!(Instant::now() < give_up, "{page}");
        thread::sleep(Duration::from_millis(20));
    };
    for name in [
        "lvs_real_server_incoming_packets_total",
        "lvs_real_server_outgoing_packets_total",
    ] {
        // SYN, ACK, request, and FIN at least; SYN-ACK, answer, FIN.
        assert!(sum(&page, name, &service) >= 3 * ASKED, "{name}: {page}");
    }
    for (name, label) in [
        ("lvs_packets_total", "verdict=\"transmitted\""),
        ("lvs_worker_packets_total", "worker=\"0\""),
    ] {
        assert!(sum(&page, name, label) >= 6 * ASKED, "{name}: {page}");
    }
    let turns = sum(&page, "lvs_worker_turn_seconds_count", "");
    let all = sum(&page, "lvs_worker_turns_total", "");
    assert!((1..all).contains(&turns), "{turns} of {all} turns had work");
    // Far from a second each, and not nothing.
    let within = |bound| {
        let label = format!("le=\"{bound}\"");
        sum(&page, "lvs_connection_setup_seconds_bucket", &label)
    };
    assert_eq!([within("0.000000511"), within("1.073741823")], [0, ASKED]);
    let connections = sum(&page, "lvs_service_active_connections", &service)
        + sum(&page, "lvs_service_inactive_connections", &service);
    assert_eq!(connections, ASKED);
    assert!(sum(&page, "lvs_connection_table_entries", "") >= ASKED);
    assert_eq!(
        sum(&page, "lvs_connection_table_free", "")
            + sum(&page, "lvs_connection_table_entries", ""),
        sum(&page, "lvs_connection_table_capacity", "")
    );
    let servers = u64::from(plan.real_servers);
    assert_eq!(sum(&page, "lvs_service_real_servers", &service), servers);

    // One that says nothing holds up nobody.
    let _silent = running
        .world
        .director()
        .run(|| TcpStream::connect("127.0.0.1:9108"));
    for (line, status) in [
        ("HEAD /metrics", "200 OK"),
        ("GET /", "404 Not Found"),
        ("POST /metrics", "405 Method Not Allowed"),
        ("GET /metrics", "200 OK"),
    ] {
        let answer = running.scrape(line);
        assert!(
            answer.starts_with(&format!("HTTP/1.0 {status}")),
            "{line}: {answer}"
        );
    }
}

const ASKED: u64 = 9;
const DEADLINE: Duration = Duration::from_secs(20);
