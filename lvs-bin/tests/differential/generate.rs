//! A scenario from a seed: services, then packets, waits, edits and listings in
//! any order that makes sense.

use std::net::{IpAddr, SocketAddr};

use lvs_core::Scheduler;
use serde_json::{Value, json};

use crate::frames::{self, Side};
use crate::random::Random;

/// The scenario of a seed, in the format of the recordings.
pub(crate) fn scenario(seed: u64, steps: usize, patient: bool) -> Value {
    let mut maker = Maker {
        random: Random::new(seed),
        patient,
        services: Vec::new(),
        steps: Vec::new(),
        idle: Vec::new(),
    };
    let setup = maker.setup();
    while maker.steps.len() < steps {
        maker.step();
    }
    maker.look();
    maker.wait(4.5);
    maker.run("ipvsadm -Ln --stats --exact".into());
    json!({
        "name": format!("found/seed-{seed}"),
        "about": "a random scenario",
        "setup": setup,
        "steps": maker.steps,
    })
}

/// A service, as far as packets and commands need it.
struct Service {
    /// `-t 203.0.113.80:80`
    name: String,
    is_tcp: bool,
    address: SocketAddr,
    real_servers: Vec<RealServer>,
}

#[derive(Clone, Copy)]
struct RealServer {
    number: u8,
    port: u16,
    method: char,
}

struct Maker {
    random: Random,
    patient: bool,
    services: Vec<Service>,
    steps: Vec<Value>,
    /// Seconds since each flow was heard of last.
    idle: Vec<((SocketAddr, SocketAddr), f64)>,
}

impl Maker {
    fn setup(&mut self) -> Vec<String> {
        let mut commands = Vec::new();
        for number in 0..=self.random.below(2) {
            let is_tcp = !self.random.once_in(3);
            let is_v6 = self.random.once_in(3);
            let port = [80, 53, 443][number];
            let address = vip(is_v6, number, port);
            let name = format!("{} {address}", if is_tcp { "-t" } else { "-u" });
            let scheduler = self.scheduler();
            commands.push(format!("ipvsadm -A {name} -s {scheduler}"));
            self.services.push(Service {
                name,
                is_tcp,
                address,
                real_servers: Vec::new(),
            });
            for _ in 0..self.random.below(5) {
                commands.extend(self.add(number));
            }
        }
        commands
    }

    fn scheduler(&mut self) -> &'static str {
        // That which draws lots is not the same twice.
        let names: Vec<&str> = Scheduler::ALL.iter().map(|rule| rule.name()).collect();
        let names: Vec<&str> = names.into_iter().filter(|name| *name != "twos").collect();
        self.random.one_of(&names)
    }

    /// A command that adds a real server to a service.
    fn add(&mut self, service: usize) -> Option<String> {
        let number = 11 + self.random.below(6) as u8;
        let method = self.random.one_of(&['m', 'g', 'i']);
        let weight = self.random.below(5);
        let service = &mut self.services[service];
        if service
            .real_servers
            .iter()
            .any(|known| known.number == number)
        {
            return None;
        }
        let port = match method {
            'm' => 8080,
            _ => service.address.port(),
        };
        service.real_servers.push(RealServer {
            number,
            port,
            method,
        });
        let rip = SocketAddr::new(rip(service.address.is_ipv6(), number), port);
        Some(format!(
            "ipvsadm -a {} -r {rip} -{method} -w {weight}",
            service.name
        ))
    }

    fn step(&mut self) {
        match self.random.below(20) {
            0..=10 => self.ask(),
            11..=14 => self.reply(),
            15 => self.error(),
            16 => self.pause(),
            17 => self.edit(),
            _ => self.look(),
        }
    }

    fn flow(&mut self) -> (usize, SocketAddr, SocketAddr) {
        let number = self.random.below(self.services.len());
        let address = self.services[number].address;
        let client = client(
            address.is_ipv6(),
            self.random.below(4) as u8,
            4000 + self.random.below(3) as u16,
        );
        (number, client, address)
    }

    fn ask(&mut self) {
        let (number, client, address) = self.flow();
        let ttl = if self.random.once_in(25) { 1 } else { 64 };
        let length = self.random.below(40);
        let payload = self.random.bytes(length);
        let flow = (client, address);
        let step = if self.services[number].is_tcp {
            let flags = self.random.one_of(&[
                "S", "S", "S", "A", "A", "PA", "FA", "FA", "R", "RA", "SA", "",
            ]);
            frames::tcp(Side::Client, flow, flags, ttl, &payload)
        } else {
            frames::udp(Side::Client, flow, ttl, &payload)
        };
        self.heard(flow);
        self.steps.push(step);
    }

    fn reply(&mut self) {
        let (number, client, address) = self.flow();
        let service = &self.services[number];
        if service.real_servers.is_empty() {
            return;
        }
        let is_tcp = service.is_tcp;
        let servers = service.real_servers.clone();
        let server = self.random.one_of(&servers);
        let from = match server.method {
            'm' => SocketAddr::new(rip(address.is_ipv6(), server.number), server.port),
            _ => return,
        };
        let side = Side::RealServer(server.number);
        let length = self.random.below(40);
        let payload = self.random.bytes(length);
        let step = if is_tcp {
            let flags = self
                .random
                .one_of(&["SA", "SA", "A", "PA", "FA", "R", "RA"]);
            frames::tcp(side, (from, client), flags, 64, &payload)
        } else {
            frames::udp(side, (from, client), 64, &payload)
        };
        self.heard((client, address));
        self.steps.push(step);
    }

    /// An error about what a real server should have got, or about its answer.
    fn error(&mut self) {
        let (number, client, address) = self.flow();
        let service = &self.services[number];
        let servers: Vec<_> = service.real_servers.clone();
        if servers.is_empty() {
            return;
        }
        let is_tcp = service.is_tcp;
        let server = self.random.one_of(&servers);
        let far = SocketAddr::new(rip(address.is_ipv6(), server.number), server.port);
        let quote = |flow| match is_tcp {
            true => frames::tcp(Side::Client, flow, "A", 60, b"quoted"),
            false => frames::udp(Side::Client, flow, 60, b"quoted"),
        };
        let step = if self.random.once_in(2) {
            let quoted = quote((address, client));
            frames::unreachable(Side::Client, (client.ip(), address.ip()), &quoted)
        } else {
            let quoted = quote((client, far));
            let side = Side::RealServer(server.number);
            frames::unreachable(side, (far.ip(), client.ip()), &quoted)
        };
        self.steps.push(step);
    }

    fn edit(&mut self) {
        let number = self.random.below(self.services.len());
        let (name, servers) = {
            let service = &self.services[number];
            (service.name.clone(), service.real_servers.clone())
        };
        match self.random.below(5) {
            0 => {
                let scheduler = self.scheduler();
                self.run(format!("ipvsadm -E {name} -s {scheduler}"));
            }
            1 => {
                if let Some(command) = self.add(number) {
                    self.run(command);
                }
            }
            2 if !servers.is_empty() => {
                let gone = self.random.below(servers.len());
                let server = self.services[number].real_servers.remove(gone);
                let rip = self.rip(number, server);
                self.run(format!("ipvsadm -d {name} -r {rip}"));
            }
            _ if !servers.is_empty() => {
                let server = self.random.one_of(&servers);
                let rip = self.rip(number, server);
                let (method, weight) = (server.method, self.random.below(4));
                self.run(format!("ipvsadm -e {name} -r {rip} -{method} -w {weight}"));
            }
            _ => {}
        }
    }

    fn rip(&self, service: usize, server: RealServer) -> SocketAddr {
        let is_v6 = self.services[service].address.is_ipv6();
        SocketAddr::new(rip(is_v6, server.number), server.port)
    }

    /// Connections and services as they are now.
    fn look(&mut self) {
        self.wait(0.5);
        self.run("ipvsadm -Lnc".into());
        self.run("ipvsadm -Ln".into());
    }

    /// A wait that leaves no flow at an age at which the kernel may or may not
    /// have ended its connection yet: its timers come late by up to an eighth.
    fn pause(&mut self) {
        let all = [0.3, 2.0, 12.0, 35.0, 75.0, 145.0, 400.0, 1100.0];
        let some = &all[..if self.patient { all.len() } else { 2 }];
        let seconds = self.random.one_of(some);
        let unsure = |age: f64| {
            TIMEOUTS
                .iter()
                .any(|timeout| (timeout - 1.0..timeout * 1.13 + 0.7).contains(&age))
        };
        if !self.idle.iter().any(|(_, idle)| unsure(idle + seconds)) {
            self.wait(seconds);
        }
    }

    fn wait(&mut self, seconds: f64) {
        for (_, idle) in &mut self.idle {
            *idle += seconds;
        }
        self.steps.push(json!({"op": "wait", "s": seconds}));
    }

    fn run(&mut self, command: String) {
        self.steps.push(json!({"op": "run", "cmd": command}));
    }

    fn heard(&mut self, flow: (SocketAddr, SocketAddr)) {
        self.idle.retain(|(known, _)| *known != flow);
        self.idle.push((flow, 0.0));
    }
}

fn vip(is_v6: bool, number: usize, port: u16) -> SocketAddr {
    let address: IpAddr = match is_v6 {
        true => [0x2001, 0xdb8, 0xff, 0, 0, 0, 0, 0x80 + number as u16].into(),
        false => [203, 0, 113, 80 + number as u8].into(),
    };
    SocketAddr::new(address, port)
}

fn rip(is_v6: bool, number: u8) -> IpAddr {
    // Decimal digits in both.
    let digits = u16::from(number / 10) << 4 | u16::from(number % 10);
    match is_v6 {
        true => [0x2001, 0xdb8, 0x20, 0, 0, 0, 0, digits].into(),
        false => [10, 20, 0, number].into(),
    }
}

fn client(is_v6: bool, number: u8, port: u16) -> SocketAddr {
    let address: IpAddr = match is_v6 {
        true => [0x2001, 0xdb8, 0xc, 0, 0, 0, 0, 1 + u16::from(number)].into(),
        false => [198, 51, 100, 1 + number].into(),
    };
    SocketAddr::new(address, port)
}

/// Timeouts of all states, seconds.
const TIMEOUTS: [f64; 7] = [2.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0];
