//! A scenario from a seed: services, then packets, waits, edits and listings in
//! any order that makes sense.
//!
//! The kernel's timers are coarse: one of a minute comes at the next multiple of
//! 5.12 s, one of five minutes or more at the next of 40.96 s. So packets come
//! in bursts, each shortly after a multiple of 5.12 s, at which nothing is due
//! but at the multiple itself.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::random::Random;
use crate::services::Service;

/// The scenario of a seed, in the format of the recordings.
///
/// `patient` says whether waiting for minutes costs nothing.
pub(crate) fn scenario(seed: u64, steps: usize, patient: bool) -> Value {
    let mut maker = Maker {
        random: Random::new(seed),
        patient,
        has_long: false,
        services: Vec::new(),
        setup: Vec::new(),
        steps: Vec::new(),
        burst: 0,
        clock: 0.0,
        keeps_templates: false,
        cleared: 0.0,
        bursts: vec![0],
        lets_go: false,
        heard: Vec::new(),
    };
    maker.has_long = maker.random.once_in(2);
    let sysctl = maker.settings();
    maker.lay_out();
    while maker.steps.len() < steps {
        maker.step();
    }
    maker.look();
    maker.pause();
    if patient {
        maker.run("ipvsadm -Ln --stats --exact".into());
    }
    json!({
        "name": format!("found/seed-{seed}"),
        "about": "a random scenario",
        "sysctl": sysctl,
        // Where time is real, a command takes some of it.
        "slack": if patient { 0.05 } else { 1.5 },
        "setup": maker.setup,
        "steps": maker.steps,
    })
}

/// A scenario in the making.
pub(crate) struct Maker {
    pub(crate) random: Random,
    pub(crate) patient: bool,
    /// Whether there are packets about as long as a link takes.
    pub(crate) has_long: bool,
    pub(crate) services: Vec<Service>,
    pub(crate) setup: Vec<String>,
    steps: Vec<Value>,
    /// Steps since the last wait.
    burst: usize,
    /// Seconds since the first step.
    pub(crate) clock: f64,
    /// Whether a service is persistent.
    pub(crate) keeps_templates: bool,
    /// When a wait ended after which nothing was left.
    cleared: f64,
    /// The rounds in which packets came, from the last wait for all on.
    bursts: Vec<u32>,
    /// Whether connections end with their real server (`expire_nodest_conn`).
    lets_go: bool,
    /// When each flow was heard of last.
    heard: Vec<((SocketAddr, SocketAddr), f64)>,
}

impl Maker {
    fn step(&mut self) {
        if self.burst >= BURST {
            self.pause();
        }
        match self.random.below(40) {
            0..=20 => self.ask(),
            21..=28 => self.reply(),
            29..=32 => self.error(),
            33 => self.stray(),
            34..=35 => self.pause(),
            36..=37 => self.edit(),
            38 => self.change_setting(),
            _ => self.look(),
        }
    }

    /// Settings from the beginning.
    fn settings(&mut self) -> Value {
        let mut set = serde_json::Map::new();
        for _ in 0..self.random.below(4) {
            let (name, value) = self.setting();
            set.insert(name, value.into());
        }
        Value::Object(set)
    }

    /// One of the kernel's settings and a value.
    fn setting(&mut self) -> (String, String) {
        let fits = |(name, _): &&(&str, _)| match *name {
            // Nothing is cut into fragments yet, which tunnels do without discovery.
            "pmtu_disc" => !self.has_long,
            // All must have ended before a removal.
            "expire_nodest_conn" => self.patient,
            // The kernel looks at these once a second.
            "am_droprate" | "drop_packet" | "secure_tcp" => self.patient,
            _ => true,
        };
        let all: Vec<_> = SETTINGS.iter().filter(fits).copied().collect();
        let (name, values) = self.random.one_of(&all);
        let value = self.random.one_of(values);
        if name == "expire_nodest_conn" {
            self.lets_go = value == "1";
        }
        (format!("net.ipv4.vs.{name}"), value.to_string())
    }

    fn change_setting(&mut self) {
        let (name, value) = self.setting();
        self.push(json!({"op": "sysctl", "set": {name: value}}));
        self.pause();
    }

    /// Connections and services as they are now.
    fn look(&mut self) {
        self.run("ipvsadm -Lnc".into());
        let view = self.random.one_of(&[
            "ipvsadm -Ln",
            "ipvsadm -Ln",
            "ipvsadm -Ln --persistent-conn",
            "ipvsadm -Ln --thresholds",
            "ipvsadm -Ln --tun-info",
            "ipvsadm -L --timeout",
        ]);
        self.run(view.into());
    }

    /// A wait, and sometimes a look at the counters, or zeroes for them: what is
    /// shown of them is two seconds old.
    pub(crate) fn pause(&mut self) {
        self.burst = 0;
        if !self.patient {
            let seconds = self.random.one_of(&[0.1, 0.3]);
            return self.wait(seconds);
        }
        let rounds = self
            .random
            .one_of(&[1, 2, 3, 4, 7, 12, 15, 24, 30, 60, 190]);
        self.wait_rounds(rounds);
        match self.random.below(6) {
            0 => self.run("ipvsadm -Ln --stats --exact".into()),
            1 => self.zero(),
            _ => {}
        }
    }

    /// Waits until shortly after a multiple of the round, at most so many on if
    /// nothing is unsure then.
    fn wait_rounds(&mut self, most: u32) {
        let now = (self.clock / ROUND) as u32;
        let until = |rounds: u32| f64::from(now + rounds) * ROUND + 0.02;
        let fits = |rounds: &u32| {
            let end = until(*rounds);
            let unsure = |age: f64| (899.0..943.0).contains(&age);
            let templates_end = self.keeps_templates && end - self.cleared > SHORTEST_KEPT;
            let burst = (now + rounds).checked_sub(SHORT);
            let short_ends = burst.is_some_and(|round| self.bursts.contains(&round));
            !(templates_end || short_ends || self.heard.iter().any(|(_, at)| unsure(end - at)))
        };
        let sooner = (1..=most).rev().find(fits);
        let rounds = sooner.or_else(|| (most..most + 3).find(fits));
        match rounds {
            Some(rounds) => {
                self.wait(until(rounds) - self.clock);
                self.bursts.push(now + rounds);
            }
            None => self.wait_for_all(),
        }
    }

    /// Waits until nothing is left.
    fn wait_for_all(&mut self) {
        let now = (self.clock / ROUND) as u32;
        self.wait(f64::from(now + FOR_ALL) * ROUND + 0.02 - self.clock);
        self.cleared = self.clock;
        self.bursts = vec![now + FOR_ALL];
    }

    /// Before a real server is removed. The kernel then ends its connections with
    /// it, in the order of its table, and a template that both ends made use of
    /// stays or not by whether it comes before its last connection there.
    pub(crate) fn before_removal(&mut self) {
        if self.lets_go && self.keeps_templates {
            self.burst = 0;
            self.wait_for_all();
        }
    }

    fn zero(&mut self) {
        let number = self.random.below(self.services.len());
        let service = &self.services[number];
        match service.is_there && self.random.once_in(2) {
            true => self.run(format!("ipvsadm -Z {}", service.name)),
            false => self.run("ipvsadm -Z".into()),
        }
    }

    fn wait(&mut self, seconds: f64) {
        self.clock += seconds;
        self.steps.push(json!({"op": "wait", "s": seconds}));
    }

    pub(crate) fn run(&mut self, command: String) {
        self.push(json!({"op": "run", "cmd": command}));
    }

    /// A step that takes as long as the guest looks for what comes out.
    pub(crate) fn push(&mut self, step: Value) {
        self.clock += 0.022;
        self.burst += 1;
        self.steps.push(step);
    }

    /// Notes that a packet of a flow came in, either way.
    pub(crate) fn hear(&mut self, flow: (SocketAddr, SocketAddr)) {
        self.heard.retain(|(known, _)| *known != flow);
        self.heard.push((flow, self.clock));
    }
}

/// Settings whose effect is the same in every boot, with values.
const SETTINGS: &[(&str, &[&str])] = &[
    ("am_droprate", &["1", "2", "3"]),
    ("cache_bypass", &["0", "1"]),
    ("conn_reuse_mode", &["0", "1", "2", "3"]),
    ("drop_packet", &["0", "1", "3"]),
    ("expire_nodest_conn", &["0", "1"]),
    ("expire_quiescent_template", &["0", "1"]),
    ("nat_icmp_send", &["0", "1"]),
    ("pmtu_disc", &["0", "1"]),
    ("schedule_icmp", &["0", "1"]),
    ("secure_tcp", &["0", "1", "3"]),
    ("sloppy_sctp", &["0", "1"]),
    ("sloppy_tcp", &["0", "1"]),
];

/// How long the kernel keeps a template at least, seconds. What becomes of one at
/// its end depends on which of its connections' timers the kernel looks at first,
/// of all that it looks at together; so between waits in which all end, none does.
const SHORTEST_KEPT: f64 = 290.0;
/// Rounds after which those end whose packet came late in its burst, if they last
/// ten seconds: the kernel then ends some at the round and some 0.64 s later, the
/// director when its own timers come.
const SHORT: u32 = 2;
/// A wait in which everything ends, in rounds.
const FOR_ALL: u32 = 400;
/// Steps that follow each other without a wait.
const BURST: usize = 10;
/// Seconds between the moments at which timers of about a minute are looked at.
const ROUND: f64 = 5.12;
