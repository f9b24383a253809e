//! Screens as people see them, and what keys do, with nobody at a terminal.

use std::time::{Duration, Instant};

use lvs_core::{Protocol, ServiceKey};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::history::{History, Of};
use super::rows::rows;
use super::screen;
use super::state::State;
use crate::api::shape::{
    Forwarding, Headroom, Latency, RealServer, Service, Status, Traffic, Worker, key_text,
};

/// Traffic that is so many times what passes in a second.
fn traffic(times: u64, packets: u64) -> Traffic {
    let packets = packets * times;
    Traffic {
        connections: packets / 10,
        packets_in: packets,
        bytes_in: packets * 100,
        packets_out: packets * 9 / 10,
        bytes_out: packets * 900,
    }
}

fn real_server(last: u8, times: u64) -> RealServer {
    let address = format!("10.0.0.{last}:8080").parse().unwrap();
    RealServer {
        address,
        forwarding: Forwarding::Masquerade,
        tunnel: None,
        tunnel_port: None,
        tunnel_checksum: None,
        weight: last.into(),
        upper_threshold: 0,
        lower_threshold: 0,
        active: u32::from(last) * 10,
        inactive: u32::from(last),
        persistent: 0,
        traffic: traffic(times, u64::from(last) * 1000),
        rates: Traffic::default(),
    }
}

fn service(address: &str, real_servers: &[u8], times: u64) -> Service {
    let sum: u64 = real_servers
        .iter()
        .map(|last| u64::from(*last) * 1000)
        .sum();
    let address = address.parse().unwrap();
    Service {
        service: ServiceKey::Address {
            protocol: Protocol::Tcp,
            address,
        },
        scheduler: "wlc".to_owned(),
        flags: Vec::new(),
        one_packet: false,
        persistent: None,
        mask: None,
        engine: None,
        traffic: traffic(times, sum),
        rates: Traffic::default(),
        real_servers: Some(
            real_servers
                .iter()
                .map(|it| real_server(*it, times))
                .collect(),
        ),
    }
}

/// A director after so many times what passes in a second.
fn look(times: u64) -> Status {
    let latency = Latency {
        count: times,
        median: 800,
        p99: 1_200,
        longest: 35_000,
    };
    let worker = |load| Worker {
        load,
        packets: 42_000 * times,
        handed_off: 0,
        lost: 0,
        connections: 6_000,
        capacity: 500_000,
        turn: latency,
        connection_setup: latency,
    };
    Status {
        version: "0.1.0".to_owned(),
        uptime: 11_520 + times,
        nics: vec!["eth0: native zero copy (the driver has it)".to_owned()],
        traffic: traffic(times, 84_000),
        drops: [("no_route", 40), ("bad_checksum", 3)]
            .map(|(reason, count)| (reason.to_owned(), count * times))
            .into(),
        connections: Headroom {
            held: 12_000,
            capacity: 1_000_000,
            opened: 90_000,
            closed: 78_000,
        },
        workers: vec![worker(0.12), worker(0.95)],
        services: vec![
            service("192.0.2.10:80", &[11, 12, 13], times),
            service("192.0.2.10:443", &[14, 15], times),
            service("[2001:db8::10]:80", &[19], times),
        ],
        ..Status::default()
    }
}

/// Looks a second apart, in the second of which twice as much passed, and so on.
fn history() -> History {
    let (mut history, began) = (History::default(), Instant::now());
    let mut times = 0;
    for second in 0..6 {
        times += second;
        history.take(began + Duration::from_secs(second), look(times));
    }
    history
}

fn drawn(
    width: u16,
    height: u16,
    history: &History,
    state: &State,
    trouble: Option<&str>,
) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal
        .draw(|frame| screen::draw(frame, history, state, trouble))
        .unwrap();
    let buffer = terminal.backend().buffer();
    let lines = buffer.content().chunks(width.into()).map(|cells| {
        let line: String = cells.iter().map(|cell| cell.symbol()).collect();
        line.trim_end().to_owned() + "\n"
    });
    lines.collect()
}

fn compare(drawn: &str, kept: &str, name: &str) {
    if std::env::var_os("LVS_WRITE_SCREENS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/watch/screens/");
        std::fs::write(format!("{path}{name}"), drawn).unwrap();
        return;
    }
    assert_eq!(drawn, kept, "{name}: now it is\n{drawn}");
}

fn press(state: &mut State, history: &History, code: KeyCode) {
    state.press(KeyEvent::new(code, KeyModifiers::NONE), history);
}

#[test]
fn screens_are_as_kept() {
    let (history, mut state) = (history(), State::default());
    let small = drawn(80, 24, &history, &state, None);
    compare(&small, include_str!("screens/80x24.txt"), "80x24.txt");
    let large = drawn(200, 50, &history, &state, None);
    compare(&large, include_str!("screens/200x50.txt"), "200x50.txt");
    press(&mut state, &history, KeyCode::Enter);
    let inside = drawn(80, 24, &history, &state, None);
    compare(&inside, include_str!("screens/service.txt"), "service.txt");
    press(&mut state, &history, KeyCode::Char('?'));
    let help = drawn(80, 24, &history, &state, None);
    compare(&help, include_str!("screens/help.txt"), "help.txt");
}

#[test]
fn no_screen_is_too_small() {
    let history = history();
    for (width, height) in [(1, 1), (10, 3), (40, 12), (79, 15), (500, 200)] {
        let state = State {
            help: width % 2 == 0,
            ..State::default()
        };
        drawn(width, height, &history, &state, Some("no director"));
        drawn(width, height, &History::default(), &state, None);
    }
}

#[test]
fn what_is_amiss_is_in_the_first_line() {
    let (mut history, state) = (history(), State::default());
    let first = |history: &History, trouble| {
        let drawn = drawn(120, 24, history, &state, trouble);
        drawn.lines().next().unwrap().to_owned()
    };
    assert!(first(&history, Some("no director")).ends_with("no director"));
    let mut look = look(15);
    look.unreachable = vec!["10.0.0.11: no route".to_owned(), "10.0.0.12: ".to_owned()];
    history.take(Instant::now() + Duration::from_secs(60), look);
    let line = first(&history, None);
    assert!(
        line.ends_with("unreachable 10.0.0.11: no route and 1 more"),
        "{line}"
    );
}

#[test]
fn rates_are_what_passed_in_a_second() {
    let mut history = History::default();
    let began = Instant::now();
    let service = look(0).services[0].service;
    let of = Of::service(&service);
    history.take(began, look(1));
    assert_eq!(history.now(&of), Traffic::default());
    history.take(began + Duration::from_secs(2), look(5));
    assert_eq!(history.now(&of), traffic(2, 36_000));
    assert_eq!(
        (history.dropped("no_route"), history.worker(1)),
        (80, 84_000)
    );
    // Zeroed counters are no negative rates.
    let mut zeroed = look(0);
    zeroed.uptime = u64::MAX / 2;
    history.take(began + Duration::from_secs(3), zeroed);
    assert_eq!(history.now(&of), Traffic::default());
    assert_eq!(history.series(&of).count(), 2);
    // Another director has no past.
    history.take(began + Duration::from_secs(4), look(1));
    assert_eq!(history.series(&of).count(), 0);
}

#[test]
fn keys_sort_mark_and_go_in_and_out() {
    let (history, mut state) = (history(), State::default());
    let names = |state: &State| {
        let rows = rows(&history, state).into_iter();
        rows.map(|row| row.name).collect::<Vec<_>>()
    };
    let all = look(0)
        .services
        .iter()
        .map(|it| key_text(&it.service))
        .collect::<Vec<_>>();
    assert_eq!(names(&state), all);
    let mut press = |code| press(&mut state, &history, code);
    press(KeyCode::Down);
    press(KeyCode::Down);
    press(KeyCode::Down);
    // By name; the mark goes with what is marked.
    press(KeyCode::Char('s'));
    assert_eq!(state.marked, Some(Of::Service(all[2].clone())));
    assert_eq!(names(&state), [&*all[1], &*all[0], &*all[2]]);
    assert_eq!(state.place(&rows(&history, &state)), 2);
    let mut press = |code| super::tests::press(&mut state, &history, code);
    press(KeyCode::Char('r'));
    press(KeyCode::End);
    press(KeyCode::Enter);
    assert_eq!(state.service, Some(all[1].clone()));
    assert_eq!(names(&state), ["10.0.0.15:8080", "10.0.0.14:8080"]);
    let mut press = |code| super::tests::press(&mut state, &history, code);
    press(KeyCode::Char('S'));
    press(KeyCode::Esc);
    press(KeyCode::Char(' '));
    assert_eq!(state.marked, Some(Of::Service(all[1].clone())));
    assert!(state.paused && state.service.is_none() && !state.done);
    state.press(
        KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL),
        &history,
    );
    assert!(state.done);
}
