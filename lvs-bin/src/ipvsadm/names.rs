//! Names of hosts and ports, for what is written and read without `-n`.

use std::net::{IpAddr, Ipv4Addr};

use lvs_core::Protocol;

/// Who knows names.
pub trait Names {
    /// The IPv4 address of a host.
    fn address(&self, host: &str) -> Option<Ipv4Addr>;
    /// The name of the host at an address.
    fn host(&self, address: IpAddr) -> Option<String>;
    /// The port of a service by its name, such as `http`.
    fn port(&self, service: &str, protocol: Protocol) -> Option<u16>;
    /// The name of the service at a port.
    fn service(&self, port: u16, protocol: Protocol) -> Option<String>;
}

/// The names in two texts: `/etc/hosts` and `/etc/services` (hosts(5),
/// services(5)).
#[derive(Clone, Debug, Default)]
pub struct NameFiles {
    /// Addresses with their names, the true one first.
    hosts: Vec<(IpAddr, Vec<String>)>,
    /// Ports with their protocols and names, the true one first.
    services: Vec<(u16, String, Vec<String>)>,
}

impl NameFiles {
    /// Reads the texts; lines that make no sense are left out, as the C
    /// library does.
    #[must_use]
    pub fn new(hosts: &str, services: &str) -> Self {
        let hosts = lines(hosts).filter_map(|mut words| {
            let address = words.next()?.parse().ok()?;
            Some((address, words.map(str::to_owned).collect()))
        });
        let services = lines(services).filter_map(|mut words| {
            let name = words.next()?;
            let (port, protocol) = words.next()?.split_once('/')?;
            let names = std::iter::once(name).chain(words);
            let names = names.map(str::to_owned).collect();
            Some((port.parse().ok()?, protocol.to_owned(), names))
        });
        Self {
            hosts: hosts.collect(),
            services: services.collect(),
        }
    }
}

/// The words of each line, comments left out.
fn lines(text: &str) -> impl Iterator<Item = std::str::SplitWhitespace<'_>> {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .map(str::split_whitespace)
}

impl Names for NameFiles {
    fn address(&self, host: &str) -> Option<Ipv4Addr> {
        self.hosts
            .iter()
            .find_map(|(address, names)| match address {
                IpAddr::V4(v4) if names.iter().any(|name| name.eq_ignore_ascii_case(host)) => {
                    Some(*v4)
                }
                _ => None,
            })
    }

    fn host(&self, address: IpAddr) -> Option<String> {
        let row = self.hosts.iter().find(|(known, _)| *known == address)?;
        row.1.first().cloned()
    }

    fn port(&self, service: &str, protocol: Protocol) -> Option<u16> {
        let protocol = protocol_name(protocol);
        let mut rows = self.services.iter();
        rows.find(|(_, known, names)| known == protocol && names.iter().any(|name| name == service))
            .map(|(port, ..)| *port)
    }

    fn service(&self, port: u16, protocol: Protocol) -> Option<String> {
        let protocol = protocol_name(protocol);
        let mut rows = self.services.iter();
        let row = rows.find(|(known, of, _)| *known == port && of == protocol)?;
        row.2.first().cloned()
    }
}

const fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
        _ => "tcp",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_both_ways() {
        let hosts = "127.0.0.1\tlocalhost lo # here\n::1 localhost\nnonsense\n";
        let services = "http 80/tcp www\ndomain 53/udp\n# x 1/tcp\n";
        let names = NameFiles::new(hosts, services);
        assert_eq!(names.address("LO"), Some(Ipv4Addr::LOCALHOST));
        assert_eq!(
            names.host("::1".parse().unwrap()).as_deref(),
            Some("localhost")
        );
        assert_eq!(names.port("www", Protocol::Tcp), Some(80));
        assert_eq!(names.port("www", Protocol::Udp), None);
        assert_eq!(names.service(53, Protocol::Udp).as_deref(), Some("domain"));
        assert_eq!(names.service(1, Protocol::Tcp), None);
    }
}
