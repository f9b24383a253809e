//! Plays what was recorded from Linux IPVS against the schedulers: the same
//! commands and packets must end with the same real servers, choice for choice.
//!
//! The recordings are in `tests/recordings/sched_*.txt`; each says how it is
//! written. What little of a director a scheduler needs is here: a list of
//! connections by client, whose states count as active or not.

extern crate std;

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::println;

use crate::config::{RealServerId, Scheduler, Timeouts};
use crate::conn::tcp::{self, Event, TcpState, View};
use crate::conn::udp;
use crate::time::Instant;

use super::roster::tests::{servers, terms};
use super::{Arrival, Counts, Load, Roster, State};

#[test]
fn rr() {
    play(include_str!("../../tests/recordings/sched_rr.txt"), 16, 1);
}

#[test]
fn wrr() {
    play(include_str!("../../tests/recordings/sched_wrr.txt"), 14, 2);
}

#[test]
fn lc() {
    play(include_str!("../../tests/recordings/sched_lc.txt"), 16, 2);
}

#[test]
fn wlc() {
    play(include_str!("../../tests/recordings/sched_wlc.txt"), 12, 0);
}

#[test]
fn sh() {
    play(include_str!("../../tests/recordings/sched_sh.txt"), 19, 21);
}

#[test]
fn dh() {
    play(include_str!("../../tests/recordings/sched_dh.txt"), 20, 2);
}

/// Plays every scenario of a recording twice: with each command as a
/// configuration of its own, and with commands that follow one another as one.
fn play(recording: &'static str, scenarios: usize, skipped: usize) {
    let lines = || recording.lines().filter(|line| !line.starts_with('#'));
    let left_out: Vec<&str> = lines()
        .filter_map(|line| line.strip_prefix("skipped "))
        .collect();
    for name in &left_out {
        println!("skipped {name}");
    }
    for apply in [Apply::EachCommand, Apply::Together] {
        let mut played = 0;
        let mut player = None;
        for line in lines().filter(|line| !line.is_empty() && !line.starts_with("skipped ")) {
            if let Some(name) = line.strip_prefix("scenario ") {
                played += 1;
                player = Some(Player::new(name, apply));
            } else {
                player.as_mut().unwrap().line(line);
            }
        }
        println!("played {played} scenarios, {apply:?}");
        assert_eq!((played, left_out.len()), (scenarios, skipped));
    }
}

/// How commands become configurations.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Apply {
    EachCommand,
    Together,
}

/// One service, its scheduler, and its connections by client and VIP.
struct Player {
    name: &'static str,
    apply: Apply,
    view: View,
    scheduler: Scheduler,
    /// Names and weights in the order of adding; an id is a place in `names`.
    real_servers: Vec<(u32, u32)>,
    names: Vec<&'static str>,
    roster: Option<Roster>,
    state: State,
    /// Whether a command waits to be applied.
    pending: bool,
    vip: IpAddr,
    now: Duration,
    connections: Connections,
}

struct Connection {
    real_server: RealServerId,
    /// `None` for UDP.
    tcp: Option<TcpState>,
    due: Duration,
}

impl Player {
    fn new(name: &'static str, apply: Apply) -> Self {
        Self {
            name,
            apply,
            view: View::InputOnly,
            scheduler: Scheduler::default(),
            real_servers: vec![],
            names: vec![],
            roster: None,
            state: State::new(Scheduler::default(), 0, 0),
            pending: false,
            vip: IpAddr::from([0; 4]),
            now: Duration::ZERO,
            connections: BTreeMap::new(),
        }
    }

    fn line(&mut self, line: &'static str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["service", _, scheduler, via] => {
                self.scheduler = Scheduler::named(scheduler).unwrap();
                self.state = State::new(self.scheduler, 0, 0);
                if via == "masquerade" {
                    self.view = View::Input;
                }
                self.command();
            }
            ["scheduler", scheduler] => {
                self.scheduler = Scheduler::named(scheduler).unwrap();
                self.command();
            }
            ["add", name, number] => {
                let id = self.id(name);
                self.real_servers.push((id, number.parse().unwrap()));
                self.command();
            }
            ["weight", name, number] => {
                let id = self.id(name);
                let edited = self.real_servers.iter_mut().find(|rs| rs.0 == id);
                edited.unwrap().1 = number.parse().unwrap();
                self.command();
            }
            ["remove", name] => {
                let id = self.id(name);
                self.real_servers.retain(|rs| rs.0 != id);
                self.command();
            }
            ["vip", address] => self.vip = address.parse().unwrap(),
            ["wait", seconds] => self.wait(seconds.parse().unwrap()),
            ["counts", ref listed @ ..] => self.compare_counts(listed),
            [client, flags, recorded] => {
                let got = self.packet(client.parse().unwrap(), flags);
                let same = recorded == "?" || recorded == got;
                assert!(same, "{}: {line}, but got {got}", self.name);
            }
            _ => panic!("{line}"),
        }
    }

    /// The id of a real server, the same each time it comes.
    fn id(&mut self, name: &'static str) -> u32 {
        let known = self.names.iter().position(|known| *known == name);
        let place = known.unwrap_or_else(|| {
            self.names.push(name);
            self.names.len() - 1
        });
        place as u32
    }

    fn command(&mut self) {
        self.pending = true;
        if self.apply == Apply::EachCommand {
            self.settle();
        }
    }

    fn settle(&mut self) {
        if self.pending {
            let real_servers = servers(&self.real_servers);
            let new = Roster::new(terms(self.scheduler), self.roster.as_ref(), &real_servers);
            self.state.adopt(self.roster.as_ref(), &new);
            self.roster = Some(new);
            self.pending = false;
        }
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.connections.retain(|_, kept| kept.due > self.now);
    }

    /// Handles a packet; the name of the real server that gets it, or "-".
    fn packet(&mut self, client: SocketAddr, flags: &str) -> String {
        self.settle();
        let key = (client, self.vip);
        let event = match flags {
            "U" => None,
            flags => Some(Event::of(flags.chars().map(bit).sum())),
        };
        if !self.connections.contains_key(&key) {
            let opens = matches!(event, None | Some(Event::Syn));
            let picked = if opens { self.pick(client) } else { None };
            let Some(real_server) = picked else {
                return "-".to_string();
            };
            let fresh = Connection {
                real_server,
                tcp: event.map(|_| TcpState::None),
                due: self.now,
            };
            self.connections.insert(key, fresh);
        }
        let connection = self.connections.get_mut(&key).unwrap();
        let serves = |rs: &(u32, u32)| rs.0 == connection.real_server.0;
        if !self.real_servers.iter().any(serves) {
            return "-".to_string();
        }
        let timeouts = Timeouts::default();
        let timeout = match (connection.tcp, event) {
            (Some(state), Some(event)) => {
                let state = tcp::next(state, event, self.view);
                connection.tcp = Some(state);
                tcp::timeout(state, &timeouts)
            }
            _ => udp::timeout(&timeouts),
        };
        connection.due = self.now + timeout;
        self.names[connection.real_server.index()].to_string()
    }

    fn pick(&mut self, client: SocketAddr) -> Option<RealServerId> {
        let arrival = Arrival {
            client: client.ip(),
            client_port: client.port(),
            vip: self.vip,
            now: Instant::default() + self.now,
        };
        let roster = self.roster.as_ref()?;
        self.state.pick(roster, &arrival, &self.connections)
    }

    fn compare_counts(&self, listed: &[&str]) {
        let mut shown: Vec<String> = listed.chunks(3).map(|row| row.join(" ")).collect();
        shown.sort();
        let counted = self.real_servers.iter().map(|&(id, _)| {
            let Load { active, inactive } = self.connections.load(RealServerId(id));
            format!("{} {active} {inactive}", self.names[id as usize])
        });
        let mut counted: Vec<String> = counted.collect();
        counted.sort();
        assert_eq!(counted, shown, "{}", self.name);
    }
}

/// Connections by client and VIP.
type Connections = BTreeMap<(SocketAddr, IpAddr), Connection>;

impl Counts for Connections {
    fn load(&self, id: RealServerId) -> Load {
        let mut load = Load::default();
        for connection in self.values().filter(|c| c.real_server == id) {
            match connection.tcp {
                Some(state) if state.is_active() => load.active += 1,
                _ => load.inactive += 1,
            }
        }
        load
    }

    fn is_overloaded(&self, _id: RealServerId) -> bool {
        false
    }
}

fn bit(flag: char) -> u8 {
    match flag {
        'F' => 0x01,
        'S' => 0x02,
        'R' => 0x04,
        'A' => 0x10,
        _ => 0,
    }
}
