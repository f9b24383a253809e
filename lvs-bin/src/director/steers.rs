//! What of the host's traffic belongs to a director, as the steering program is
//! told.

use std::net::IpAddr;

use lvs_core::config::{MarkRule, Prefix};
use lvs_core::{
    Config, ForwardingMethod, Protocol, RealServer, Service, ServiceKey, Snapshot, Tunnel,
};
use lvs_io::OwnEnd;
use lvs_io::program::{End, Steer};

/// The traffic of a director that carries out `config`, having worked by
/// `snapshot`: requests, replies of real servers that are or were masqueraded,
/// and ICMP errors about tunnels; some of it twice.
///
/// The program knows addresses, not prefixes: a rule that marks packets must
/// name the address they are sent to. Those that name none steer nothing, so
/// that in AF_XDP mode their packets stay the host's; see [`unsteered`]. What
/// comes that the rule does not mark is given back to the host.
pub(super) fn steers(config: &Config, snapshot: &Snapshot) -> Vec<Steer> {
    let mut steers: Vec<_> = snapshot
        .masqueraded_ends()
        .flat_map(|(protocol, address, port)| ends(protocol, address, port, End::Source))
        .collect();
    for service in config.services() {
        let protocol = service.key.protocol().map_or(0, |it| it.number());
        match service.key.address() {
            Some(vip) => {
                steers.extend(ends(protocol, vip.ip(), vip.port(), End::Destination));
            }
            None => {
                let rules = rules_of(config, &service.key);
                steers.extend(rules.flat_map(requests));
            }
        }
        for real_server in &service.real_servers {
            if matches!(real_server.forwarding, ForwardingMethod::Masquerade) {
                let port = reply_port(service, real_server.port_in(&service.key));
                steers.extend(ends(protocol, real_server.address, port, End::Source));
            }
        }
        steers.extend(service.real_servers.iter().filter_map(far_end));
    }
    steers
}

/// Where servers of the host itself send from that are or were masqueraded, as
/// the kernel's rules are told.
pub(super) fn own_ends(snapshot: &Snapshot) -> impl Iterator<Item = OwnEnd> {
    let sources = snapshot
        .own_ends()
        .flat_map(|(protocol, address, port)| ends(protocol, address, port, End::Source));
    sources.map(|source| OwnEnd {
        protocol: source.protocol,
        address: source.address,
        port: source.port,
    })
}

/// The far end of a tunnel over UDP: it brings the ICMP errors about the tunnel,
/// as they quote a packet to there. Those about other tunnels come anyway, as the
/// steering program looks into what they quote. Over IPv6 the director has no
/// use for them.
fn far_end(real_server: &RealServer) -> Option<Steer> {
    let ForwardingMethod::Tunnel(Tunnel::Gue { port, .. }) = real_server.forwarding else {
        return None;
    };
    let address = real_server.address;
    address.is_ipv4().then_some(Steer {
        protocol: Protocol::Udp.number(),
        address,
        port: Some(port),
        end: End::Source,
    })
}

/// The services whose packets the program cannot be told of in full.
pub(super) fn unsteered(config: &Config) -> impl Iterator<Item = ServiceKey> {
    let keys = config.services().iter().map(Service::key);
    keys.filter(|key| {
        let mut rules = rules_of(config, key);
        rules.any(|rule| rule.address().is_none())
    })
}

/// The rules that mark the packets of a service; none where it is on an address.
fn rules_of<'c>(config: &'c Config, key: &ServiceKey) -> impl Iterator<Item = &'c MarkRule> {
    let wanted = match key {
        ServiceKey::Mark { mark, family } => Some((*mark, *family)),
        ServiceKey::Address { .. } => None,
    };
    let rules = config.classifier().rules.iter();
    rules.filter(move |rule| {
        wanted.is_some_and(|(mark, family)| {
            let fits = |prefix: Prefix| lvs_core::Family::of(prefix.address) == family;
            rule.mark == Some(mark) && rule.destination.is_none_or(fits)
        })
    })
}

/// The requests that a rule marks.
fn requests(rule: &MarkRule) -> Vec<Steer> {
    let Some(address) = rule.address() else {
        return Vec::new();
    };
    let protocol = rule.protocol.unwrap_or(0);
    let to = |port| ends(protocol, address, port, End::Destination);
    match rule.single_ports() {
        Some(ports) => ports.flat_map(to).collect(),
        None => to(0).collect(),
    }
}

/// The port replies come from, 0 where it may be any.
fn reply_port(service: &Service, port: u16) -> u16 {
    let keeps = service.persistence.is_some() && matches!(service.key.port(), 0 | FTP);
    if keeps { 0 } else { port }
}

/// An end of packets; protocol 0 is each that has ports, port 0 every port.
fn ends(protocol: u8, address: IpAddr, port: u16, end: End) -> impl Iterator<Item = Steer> {
    let fits = move |known: &u8| protocol == 0 || *known == protocol;
    PROTOCOLS
        .into_iter()
        .filter(fits)
        .map(move |protocol| Steer {
            protocol,
            address,
            port: (port != 0).then_some(port),
            end,
        })
}

/// TCP, UDP and SCTP.
const PROTOCOLS: [u8; 3] = [6, 17, 132];
/// Persistence on FTP's port covers its data, on any.
const FTP: u16 = 21;

#[cfg(test)]
mod tests {
    use super::*;
    use lvs_core::config::GueChecksum;
    use lvs_core::{Draft, Limits, Network, Persistence, Planner, RealServer, Scheduler};
    use std::num::NonZeroU32;
    use std::sync::Arc;
    use std::time::Duration;

    fn steered(services: Vec<Service>, rules: Vec<MarkRule>) -> (Vec<Steer>, usize) {
        let mut draft = Draft {
            services,
            ..Draft::default()
        };
        draft.classifier.rules = rules;
        let config = Config::checked(draft).unwrap();
        let network = Arc::new(Network::default());
        let snapshot = Planner::new(Limits::default()).plan(&config, &network);
        let mut steers = steers(&config, &snapshot.unwrap());
        steers.sort_unstable();
        steers.dedup();
        (steers, unsteered(&config).count())
    }

    fn steer(protocol: u8, address: &str, port: Option<u16>, end: End) -> Steer {
        Steer {
            protocol,
            address: address.parse().unwrap(),
            port,
            end,
        }
    }

    #[test]
    fn every_port_of_a_service_and_of_its_replies() {
        let minute = Persistence::new(Duration::from_secs(60));
        let every = Service::tcp("192.0.2.10:0".parse().unwrap(), Scheduler::RoundRobin)
            .persistent(minute)
            .real_server(RealServer::masquerade("10.0.0.1:80".parse().unwrap()));
        let (steers, _) = steered(vec![every], vec![]);
        assert!(steers.contains(&steer(6, "192.0.2.10", None, End::Destination)));
        assert!(steers.contains(&steer(6, "10.0.0.1", None, End::Source)));
        assert!(steers.iter().all(|steer| steer.protocol == 6));
    }

    #[test]
    fn a_mark_is_steered_by_the_addresses_its_rules_name() {
        let mark = NonZeroU32::new(7);
        let marked = Service::marked(lvs_core::Family::V4, mark.unwrap(), Scheduler::RoundRobin)
            .real_server(RealServer::masquerade("10.0.0.1:0".parse().unwrap()));
        let rule = |destination: Option<(&str, u8)>, ports: &[u16]| MarkRule {
            mark,
            destination: destination.map(|(address, length)| Prefix {
                address: address.parse().unwrap(),
                length,
            }),
            protocol: Some(6),
            destination_ports: ports.iter().map(|port| *port..=*port).collect(),
            ..MarkRule::default()
        };
        let ports = rule(Some(("192.0.2.10", 32)), &[80, 443]);
        let (steers, unsteered) = steered(vec![marked.clone()], vec![ports]);
        let expected = [
            steer(6, "10.0.0.1", None, End::Source),
            steer(17, "10.0.0.1", None, End::Source),
            steer(132, "10.0.0.1", None, End::Source),
            steer(6, "192.0.2.10", Some(80), End::Destination),
            steer(6, "192.0.2.10", Some(443), End::Destination),
        ];
        assert_eq!((steers.len(), unsteered), (5, 0), "{steers:?}");
        assert!(expected.iter().all(|steer| steers.contains(steer)));
        for net in [None, Some(("192.0.2.0", 24))] {
            let (steers, unsteered) = steered(vec![marked.clone()], vec![rule(net, &[])]);
            assert_eq!((steers.len(), unsteered), (3, 1), "{steers:?}");
        }
    }

    #[test]
    fn only_tunnels_over_udp_have_a_far_end_to_steer() {
        let gue = ForwardingMethod::Tunnel(Tunnel::Gue {
            port: 6080,
            checksum: GueChecksum::None,
        });
        let at = |address: &str, forwarding| {
            far_end(&RealServer::new(address.parse().unwrap(), forwarding))
        };
        let steer = at("10.0.0.11:80", gue).unwrap();
        assert_eq!((steer.protocol, steer.port), (17, Some(6080)));
        assert_eq!(steer.end, End::Source);
        assert_eq!(at("[2001:db8::11]:80", gue), None);
        let ipip = ForwardingMethod::Tunnel(Tunnel::Ipip);
        assert_eq!(at("10.0.0.11:80", ipip), None);
        assert_eq!(at("10.0.0.11:80", ForwardingMethod::Masquerade), None);
    }
}
