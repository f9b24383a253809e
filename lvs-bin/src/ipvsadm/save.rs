//! `-S`: the commands that would make what there is. Thresholds, timeouts and
//! daemons are not among them.

use std::fmt::Write;

use lvs_core::config::{ClientMask, GueChecksum};
use lvs_core::{Family, ForwardingMethod, Protocol, ServiceKey, Tunnel};

use super::address::Shown;
use super::listing::{ADDRESS, REAL_SERVER, mark, sorted};
use super::table::{RealServer, Service};
use super::{Tool, flags};

impl Tool<'_> {
    /// Prints the commands.
    pub(super) fn save(&mut self, numeric: bool) {
        let shown = Shown {
            names: (!numeric).then_some(self.names),
        };
        for service in sorted(self.control.services()) {
            let option = option(&service.key, &shown);
            self.output.stdout.push_str(&saved(&service, &option));
            for real_server in &service.real_servers {
                let protocol = service.key.protocol();
                let line = saved_server(real_server, protocol, &option, &shown);
                self.output.stdout.push_str(&line);
            }
        }
    }
}

/// The option that names a service.
fn option(key: &ServiceKey, shown: &Shown<'_>) -> String {
    match key {
        ServiceKey::Address { protocol, address } => {
            let option = match protocol {
                Protocol::Tcp => "-t",
                Protocol::Udp => "-u",
                _ => "--sctp-service",
            };
            let address = shown.end_within(*address, Some(*protocol), ADDRESS);
            format!("{option} {address}")
        }
        ServiceKey::Mark { family, mark: of } => {
            let ipv6 = match family {
                Family::V4 => "",
                Family::V6 => " -6",
            };
            format!("-f {}{ipv6}", mark(*of))
        }
    }
}

fn saved(service: &Service, option: &str) -> String {
    let mut line = format!("-A {option} -s {}", service.scheduler);
    // Writing to a text cannot fail.
    if let Some(persistence) = service.persistence {
        let _ = write!(line, " -p {}", persistence.timeout.as_secs());
        match persistence.mask {
            None => {}
            Some(ClientMask::V4(mask)) => {
                let _ = write!(line, " -M {mask}");
            }
            Some(ClientMask::V6(length)) => {
                let _ = write!(line, " -M {length}");
            }
        }
    }
    if let Some(engine) = &service.engine {
        let _ = write!(line, " --pe {engine}");
    }
    if service.one_packet {
        line.push_str(" -o");
    }
    if let Some(flags) = flags::shown(service.flags, &service.scheduler) {
        let _ = write!(line, " -b {flags}");
    }
    line.push('\n');
    line
}

fn saved_server(
    real_server: &RealServer,
    protocol: Option<Protocol>,
    option: &str,
    shown: &Shown<'_>,
) -> String {
    let (method, tunnel) = match real_server.forwarding {
        ForwardingMethod::Masquerade => ("-m", String::new()),
        ForwardingMethod::DirectRoute => ("-g", String::new()),
        ForwardingMethod::Tunnel(tunnel) => ("-i", saved_tunnel(tunnel)),
    };
    let address = shown.end_within(real_server.address, protocol, REAL_SERVER);
    let weight = real_server.weight;
    format!("-a {option} -r {address} {method} -w {weight}{tunnel}\n")
}

fn saved_tunnel(tunnel: Tunnel) -> String {
    match tunnel {
        Tunnel::Ipip => " --tun-type ipip".to_owned(),
        Tunnel::Gre { checksum: false } => " --tun-type gre --tun-nocsum".to_owned(),
        Tunnel::Gre { checksum: true } => " --tun-type gre --tun-csum".to_owned(),
        Tunnel::Gue { port, checksum } => {
            let checksum = match checksum {
                GueChecksum::None => "nocsum",
                GueChecksum::Full => "csum",
                GueChecksum::Remote => "remcsum",
            };
            format!(" --tun-type gue --tun-port {port} --tun-{checksum}")
        }
    }
}
