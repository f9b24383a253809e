//! The services of a scenario, their real servers, and the commands that make,
//! edit and remove them.

use std::net::{IpAddr, SocketAddr};

use lvs_core::Scheduler;

use crate::frame::{SCTP, TCP, UDP};
use crate::frames::{GUE_PORT, Side};
use crate::generate::Maker;

/// A service, as far as packets and commands need it.
pub(crate) struct Service {
    /// `-t 203.0.113.80:80`
    pub(crate) name: String,
    /// Whether it is configured just now.
    pub(crate) is_there: bool,
    pub(crate) is_v6: bool,
    /// What its packets are of.
    pub(crate) protocols: Vec<u8>,
    /// Where they are sent.
    pub(crate) vips: Vec<IpAddr>,
    pub(crate) ports: Vec<u16>,
    /// Its own port; 0 for any.
    port: u16,
    is_marked: bool,
    is_persistent: bool,
    pub(crate) real_servers: Vec<RealServer>,
    /// Those that were removed, and when; never, where the service was too, as
    /// nothing of theirs is counted any more.
    former: Vec<(RealServer, f64)>,
}

impl Service {
    /// Removes it.
    fn end(&mut self) {
        self.is_there = false;
        let removed = self.real_servers.drain(..).map(|server| (server, 0.0));
        self.former.extend(removed);
        for (_, gone) in &mut self.former {
            *gone = f64::INFINITY;
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) struct RealServer {
    pub(crate) address: SocketAddr,
    pub(crate) method: char,
}

impl RealServer {
    /// Where its packets come from.
    pub(crate) fn side(&self) -> Side {
        let last = match self.address.ip() {
            IpAddr::V4(v4) => v4.octets()[3],
            IpAddr::V6(v6) => v6.octets()[15] / 16 * 10 + v6.octets()[15] % 16,
        };
        match last {
            11..=42 => Side::RealServer(last),
            _ => Side::RealServer(254),
        }
    }
}

impl Maker {
    /// Services with real servers.
    pub(crate) fn lay_out(&mut self) {
        for number in 0..=self.random.below(3) as u8 {
            let service = match self.random.below(6) {
                0 if number == 2 && self.patient => self.marked(),
                1 => self.every_port(number),
                _ => self.on_port(number),
            };
            self.services.push(service);
            let number = usize::from(number);
            let command = self.add_service(number);
            self.setup.push(command);
            for _ in 0..self.random.below(5) {
                let command = self.add(number);
                self.setup.extend(command);
            }
        }
        self.keeps_templates = self.services.iter().any(|service| service.is_persistent);
    }

    fn on_port(&mut self, number: u8) -> Service {
        let protocol = match self.random.one_of(&[TCP, TCP, TCP, UDP, UDP, SCTP]) {
            SCTP if !self.patient => TCP,
            protocol => protocol,
        };
        let port = [80, 53, 443][usize::from(number)];
        let is_v6 = self.random.once_in(3);
        self.of_address(number, protocol, is_v6, port)
    }

    /// A service on every port of an address, which is persistent always.
    fn every_port(&mut self, number: u8) -> Service {
        let protocol = self.random.one_of(&[TCP, UDP]);
        let is_v6 = self.random.once_in(3);
        self.of_address(number, protocol, is_v6, 0)
    }

    fn of_address(&mut self, number: u8, protocol: u8, is_v6: bool, port: u16) -> Service {
        let vip = vip(is_v6, number);
        let option = match protocol {
            TCP => "-t",
            UDP => "-u",
            _ => "--sctp-service",
        };
        Service {
            name: format!("{option} {}", SocketAddr::new(vip, port)),
            is_there: false,
            is_v6,
            protocols: vec![protocol],
            vips: vec![vip],
            ports: if port == 0 {
                vec![7, 80, 1000]
            } else {
                vec![port]
            },
            port,
            is_marked: false,
            is_persistent: port == 0 || self.random.once_in(4),
            real_servers: Vec::new(),
            former: Vec::new(),
        }
    }

    /// A service on a mark, with the rule that marks its packets.
    fn marked(&mut self) -> Service {
        let is_v6 = self.random.once_in(3);
        let protocol = self.random.one_of(&[TCP, UDP]);
        let (rule, protocols, ports) = match self.random.below(3) {
            0 if is_v6 => ("ip6 daddr 2001:db8:ff::82/127", vec![TCP, UDP], vec![7, 80]),
            0 => ("ip daddr 203.0.113.82/31", vec![TCP, UDP], vec![7, 80]),
            _ if protocol == TCP => ("tcp dport 8000", vec![TCP], vec![8000]),
            _ => ("udp dport 8000", vec![UDP], vec![8000]),
        };
        self.setup.push(format!(
            "nft \"add table inet m; \
             add chain inet m p {{ type filter hook prerouting priority mangle ; }}; \
             add rule inet m p {rule} meta mark set 5\""
        ));
        Service {
            name: format!("-f 5{}", if is_v6 { " -6" } else { "" }),
            is_there: false,
            is_v6,
            protocols,
            vips: vec![vip(is_v6, 2), vip(is_v6, 3)],
            ports,
            port: 0,
            is_marked: true,
            is_persistent: self.random.once_in(2),
            real_servers: Vec::new(),
            former: Vec::new(),
        }
    }

    /// The command that makes a service.
    fn add_service(&mut self, number: usize) -> String {
        let options = self.service_options(number);
        let service = &mut self.services[number];
        service.is_there = true;
        format!("ipvsadm -A {} {options}", service.name)
    }

    fn service_options(&mut self, number: usize) -> String {
        // That which draws lots is not the same twice.
        let names = Scheduler::ALL.iter().map(|rule| rule.name());
        let by_weight = ["lc", "wlc", "lblc", "lblcr"];
        let is_same = |name: &&str| *name != "twos" && (self.patient || !by_weight.contains(name));
        let names: Vec<&str> = names.filter(is_same).collect();
        let scheduler = self.random.one_of(&names);
        let service = &self.services[number];
        let (is_v6, is_udp) = (service.is_v6, service.protocols.contains(&UDP));
        let is_persistent = service.is_persistent;
        let mut options = format!("-s {scheduler}");
        let fallback = self.random.once_in(2);
        match (scheduler, self.random.below(3)) {
            ("sh" | "mh", 0) => options += &format!(" -b {scheduler}-port"),
            ("sh" | "mh", 1) => {
                let port = if fallback {
                    format!(",{scheduler}-port")
                } else {
                    String::new()
                };
                options += &format!(" -b {scheduler}-fallback{port}");
            }
            _ => {}
        }
        if is_persistent {
            options += self.random.one_of(&[" -p", " -p 300", " -p 600"]);
            let masks = match is_v6 {
                true => ["126", "64"],
                false => ["255.255.255.254", "255.255.255.0"],
            };
            if self.random.once_in(2) {
                options += &format!(" -M {}", self.random.one_of(&masks));
            }
        }
        if is_udp && self.random.once_in(5) {
            options += " -o";
        }
        options
    }

    /// The command that adds a real server to a service, unless it has it.
    pub(crate) fn add(&mut self, number: usize) -> Option<String> {
        let method = self.random.one_of(&['m', 'm', 'g', 'i', 'i']);
        let last = 11 + self.random.below(9) as u8;
        let is_far = self.random.once_in(12);
        let crosses = self.random.once_in(5);
        let keeps_port = self.random.once_in(4);
        let service = &self.services[number];
        let is_v6 = service.is_v6 != (method == 'i' && crosses);
        let port = match method {
            'm' if service.port == 0 && !service.is_marked => 0,
            'm' if keeps_port => service.port,
            'm' => 8080,
            _ if service.is_marked => 0,
            _ => service.port,
        };
        let address = match (is_far, is_v6) {
            (false, _) => rip(is_v6, last),
            (true, false) => [172, 16, 0, 5].into(),
            (true, true) => [0x2001, 0xdb8, 0x172, 0, 0, 0, 0, 5].into(),
        };
        let address = SocketAddr::new(address, port);
        let same = |known: &&RealServer| known.address == address;
        let has = service.real_servers.iter().any(|known| same(&known));
        // One that comes back finds its connections, and the kernel forwards those
        // of direct routing amiss along with others.
        let before = service.former.iter().find(|(known, _)| same(&known));
        let is_other = before.is_some_and(|(known, gone)| {
            let was_direct = known.method == 'g';
            // The kernel forgets what passed at one that is gone for long.
            was_direct != (method == 'g') || self.clock - gone > 50.0
        });
        if has || is_other {
            return None;
        }
        let server = RealServer { address, method };
        let options = self.real_server_options(method);
        let service = &mut self.services[number];
        service.real_servers.push(server);
        Some(format!(
            "ipvsadm -a {} -r {address} {options}",
            service.name
        ))
    }

    fn real_server_options(&mut self, method: char) -> String {
        let mut options = format!("-{method} -w {}", self.random.below(5));
        if self.random.once_in(5) && self.patient {
            let upper = 1 + self.random.below(4);
            options += &format!(" -x {upper} -y {}", self.random.below(upper + 1));
        }
        if method == 'i' {
            let tunnel = self.random.one_of(&[
                "",
                "",
                " --tun-type gre --tun-nocsum",
                " --tun-type gre --tun-csum",
                " --tun-type gue --tun-port 6080 --tun-nocsum",
                " --tun-type gue --tun-port 6080 --tun-csum",
                " --tun-type gue --tun-port 6080 --tun-remcsum",
            ]);
            debug_assert!(!tunnel.contains("gue") || tunnel.contains(&GUE_PORT.to_string()));
            options += tunnel;
        }
        options
    }

    /// A change of the configuration.
    pub(crate) fn edit(&mut self) {
        let number = self.random.below(self.services.len());
        if !self.services[number].is_there {
            let command = self.add_service(number);
            self.run(command);
            return;
        }
        match self.random.below(16) {
            0 => self.edit_service(number),
            1 if self.random.once_in(3) => self.remove_all(number),
            2 if self.random.once_in(2) => self.set_timeouts(),
            1..=5 => {
                if let Some(command) = self.add(number) {
                    self.run(command);
                }
            }
            6..=8 => self.remove(number),
            _ => self.edit_real_server(number),
        }
    }

    fn edit_service(&mut self, number: usize) {
        let options = self.service_options(number);
        let command = format!("ipvsadm -E {} {options}", self.services[number].name);
        self.run(command);
    }

    /// Removes a service, or all of them.
    fn remove_all(&mut self, number: usize) {
        self.before_removal();
        if self.random.once_in(3) {
            for service in &mut self.services {
                service.end();
            }
            return self.run("ipvsadm -C".into());
        }
        let service = &mut self.services[number];
        service.end();
        let command = format!("ipvsadm -D {}", service.name);
        self.run(command);
    }

    fn set_timeouts(&mut self) {
        // Such as end well apart from the bursts.
        let mut seconds = || self.random.one_of(&[0, 20, 50, 100, 200, 300]);
        let (tcp, fin, udp) = (seconds(), seconds(), seconds());
        self.run(format!("ipvsadm --set {tcp} {fin} {udp}"));
    }

    fn remove(&mut self, number: usize) {
        let servers = &mut self.services[number].real_servers;
        if servers.is_empty() {
            return;
        }
        let gone = servers.remove(self.random.below(servers.len()));
        self.before_removal();
        let clock = self.clock;
        let service = &mut self.services[number];
        service
            .former
            .retain(|(known, _)| known.address != gone.address);
        service.former.push((gone, clock));
        let command = format!(
            "ipvsadm -d {} -r {}",
            self.services[number].name, gone.address
        );
        self.run(command);
    }

    fn edit_real_server(&mut self, number: usize) {
        let service = &self.services[number];
        if service.real_servers.is_empty() {
            return;
        }
        let place = self.random.below(service.real_servers.len());
        let server = service.real_servers[place];
        let same_family = server.address.is_ipv6() == service.is_v6;
        // Only masquerading may change the port.
        let free = server.address.port() == service.port && same_family;
        let method = match server.method {
            'm' | 'i' if free => self.random.one_of(&['m', 'i']),
            method => method,
        };
        let options = self.real_server_options(method);
        let service = &mut self.services[number];
        service.real_servers[place].method = method;
        let command = format!(
            "ipvsadm -e {} -r {} {options}",
            service.name, server.address
        );
        self.run(command);
    }
}

/// The virtual addresses, 0 to 3.
pub(crate) fn vip(is_v6: bool, number: u8) -> IpAddr {
    match is_v6 {
        true => [0x2001, 0xdb8, 0xff, 0, 0, 0, 0, 0x80 + u16::from(number)].into(),
        false => [203, 0, 113, 80 + number].into(),
    }
}

fn rip(is_v6: bool, number: u8) -> IpAddr {
    // Decimal digits in both.
    let digits = u16::from(number / 10) << 4 | u16::from(number % 10);
    match is_v6 {
        true => [0x2001, 0xdb8, 0x20, 0, 0, 0, 0, digits].into(),
        false => [10, 20, 0, number].into(),
    }
}
