//! Firewall marks: the rules that set them, and the services on them.

use std::num::NonZeroU32;

use lvs_core::config::{Classifier, Family, MacMatch, MarkRule, Prefix, Scheduler, ServiceKey};
use lvs_core::{Port, RealServer, Service};

use super::{Settings, refused};

fn read(text: &str) -> Settings {
    let text = format!("director.interfaces = ['eth0', 'eth1']\n{text}");
    Settings::parse("lvs.toml", &text).unwrap()
}

fn prefix(address: &str, length: u8) -> Option<Prefix> {
    let address = address.parse().unwrap();
    Some(Prefix { address, length })
}

#[test]
fn rules_say_what_they_say_in_their_order() {
    let read = read(
        "[[mark]]
         set = 4294967295
         interface = 'eth1'
         source_mac = 'not 02:00:00:00:0A:fe'
         source = '198.51.100.0/24'
         destination = '192.0.2.10'
         protocol = 'sctp'
         source_ports = ['1024-65535']
         destination_ports = ['80', ' 8000 - 8999', '0']
         [[mark]]
         set = 0
         source_mac = '02:00:00:00:00:0b'
         [[mark]]
         set = 7
         destination = '2001:db8::/32'",
    );
    let mac = |last: [u8; 2], not| {
        let mac = [2, 0, 0, 0, last[0], last[1]];
        Some(MacMatch { mac, not })
    };
    let rules = vec![
        MarkRule {
            mark: Some(NonZeroU32::MAX),
            interface: Some(Port(1)),
            source_mac: mac([0x0a, 0xfe], true),
            source: prefix("198.51.100.0", 24),
            destination: prefix("192.0.2.10", 32),
            protocol: Some(132),
            source_ports: vec![1024..=65535],
            destination_ports: vec![80..=80, 8000..=8999, 0..=0],
        },
        MarkRule {
            source_mac: mac([0, 0x0b], false),
            ..MarkRule::default()
        },
        MarkRule {
            mark: NonZeroU32::new(7),
            destination: prefix("2001:db8::", 32),
            ..MarkRule::default()
        },
    ];
    assert_eq!(*read.config.classifier(), Classifier { rules });
}

#[test]
fn a_file_without_rules_marks_nothing() {
    assert_eq!(*read("").config.classifier(), Classifier::default());
}

#[test]
fn a_service_is_on_a_mark_and_a_family() {
    let read = read(
        "[[service]]
         name = 'one'
         mark = 1
         family = 'ipv4'
         scheduler = 'rr'
         real_server = [{ address = '10.0.0.11', forwarding = 'g' }]
         [[service]]
         mark = 1
         family = 'ipv6'
         real_server = [{ address = '[2001:db8::11]:80', forwarding = 'm' }]",
    );
    let mark = NonZeroU32::MIN;
    let four = Service::marked(Family::V4, mark, Scheduler::RoundRobin)
        .real_server(RealServer::direct_route("10.0.0.11".parse().unwrap()));
    let six = Service::marked(Family::V6, mark, Scheduler::WeightedLeastConnection)
        .real_server(RealServer::masquerade("[2001:db8::11]:80".parse().unwrap()));
    assert_eq!(read.config.services(), [four, six]);
    let family = Family::V4;
    let key = ServiceKey::Mark { family, mark };
    assert_eq!(read.names.get(&key).map(String::as_str), Some("one"));
}

#[test]
fn rules_are_refused_for_each_part() {
    for (rule, told) in RULES {
        assert_eq!(refused(&format!("[[mark]]\n{rule}")), [told], "{rule}");
    }
    let told = refused("[mark]\nset = 1");
    assert_eq!(
        told,
        ["mark: mark must be a list of tables; write [[mark]], with two brackets"]
    );
}

/// A rule, and what is said about it.
const RULES: [(&str, &str); 23] = [
    (
        "",
        "mark 1: set is missing; the mark a packet gets, as in set = 1; 0 leaves it without \
         one",
    ),
    (
        "set = -1",
        "mark 1, set: set is -1, but must be a whole number from 0 to 4294967295; the mark a \
         packet gets, as in set = 1; 0 leaves it without one",
    ),
    (
        "set = 4294967296",
        "mark 1, set: set is 4294967296, but must be a whole number from 0 to 4294967295; the \
         mark a packet gets, as in set = 1; 0 leaves it without one",
    ),
    (
        "set = '1'",
        "mark 1, set: set is '1', but must be a whole number from 0 to 4294967295; the mark a \
         packet gets, as in set = 1; 0 leaves it without one",
    ),
    (
        "set = 1\ninterface = 'eth9'",
        "mark 1, interface: interface is \"eth9\", but must be one the director serves; write \
         one of eth0",
    ),
    (
        "set = 1\ninterface = 0",
        "mark 1, interface: interface is 0 (integer), but must be a text; put it in quotes, \
         as in \"0\"",
    ),
    (
        "set = 1\nsource_mac = '02:00:00:00:00'",
        "mark 1, source_mac: source_mac is \"02:00:00:00:00\", but must be a link address, or \
         \"not\" and one; write it as in \"02:00:00:00:00:01\" or \"not \
         02:00:00:00:00:01\"",
    ),
    (
        "set = 1\nsource_mac = 'no 02:00:00:00:00:0b'",
        "mark 1, source_mac: source_mac is \"no 02:00:00:00:00:0b\", but must be a link \
         address, or \"not\" and one; write it as in \"02:00:00:00:00:01\" or \"not \
         02:00:00:00:00:01\"",
    ),
    (
        "set = 1\nsource_mac = '2:0:0:0:0:b'",
        "mark 1, source_mac: source_mac is \"2:0:0:0:0:b\", but must be a link address, or \
         \"not\" and one; write it as in \"02:00:00:00:00:01\" or \"not \
         02:00:00:00:00:01\"",
    ),
    (
        "set = 1\nsource_mac = '02:00:00:00:00:0g'",
        "mark 1, source_mac: source_mac is \"02:00:00:00:00:0g\", but must be a link address, \
         or \"not\" and one; write it as in \"02:00:00:00:00:01\" or \"not \
         02:00:00:00:00:01\"",
    ),
    (
        "set = 1\nsource_mac = '+2:00:00:00:00:0b'",
        "mark 1, source_mac: source_mac is \"+2:00:00:00:00:0b\", but must be a link address, \
         or \"not\" and one; write it as in \"02:00:00:00:00:01\" or \"not \
         02:00:00:00:00:01\"",
    ),
    (
        "set = 1\nsource = '192.0.2.0/33'",
        "mark 1, source: source is \"192.0.2.0/33\", but must be an IP address, or one with a \
         prefix length; write it as in \"192.0.2.10\", \"192.0.2.0/24\" or \
         \"2001:db8::/32\"",
    ),
    (
        "set = 1\ndestination = 'web'",
        "mark 1, destination: destination is \"web\", but must be an IP address, or one with \
         a prefix length; write it as in \"192.0.2.10\", \"192.0.2.0/24\" or \
         \"2001:db8::/32\"",
    ),
    (
        "set = 1\ndestination = '2001:db8::/129'",
        "mark 1, destination: destination is \"2001:db8::/129\", but must be an IP address, \
         or one with a prefix length; write it as in \"192.0.2.10\", \"192.0.2.0/24\" \
         or \"2001:db8::/32\"",
    ),
    (
        "set = 1\nsource = '198.51.100.0/24'\ndestination = '2001:db8::1'",
        "mark 1, destination: source and destination are of two address families: nothing \
         fits both; write both as IPv4, or both as IPv6",
    ),
    (
        "set = 1\nprotocol = 'icmp'",
        "mark 1, protocol: protocol is \"icmp\", but must be one of tcp, udp, sctp; write one \
         of them, as in protocol = \"tcp\"",
    ),
    (
        "set = 1\nsource_ports = '80'",
        "mark 1, source_ports: source_ports is '80' (string), but must be a list of texts; \
         put it in brackets, as in ['80']",
    ),
    (
        "set = 1\nsource_ports = ['80-']",
        "mark 1, source_ports: source_ports has \"80-\", but must hold ports and ranges of \
         them; write them as in [\"80\", \"8000-8999\"]",
    ),
    (
        "set = 1\ndestination_ports = ['81-80']",
        "mark 1, destination_ports: destination_ports has \"81-80\", but must hold ports and \
         ranges of them; write them as in [\"80\", \"8000-8999\"]",
    ),
    (
        "set = 1\ndestination_ports = ['65536']",
        "mark 1, destination_ports: destination_ports has \"65536\", but must hold ports and \
         ranges of them; write them as in [\"80\", \"8000-8999\"]",
    ),
    (
        "set = 1\nsource_port = ['80']",
        "mark 1, source_port: source_port is not a known field; did you mean source_ports?",
    ),
    (
        "set = 1\ndestination_ports = [80]",
        "mark 1, destination_ports: destination_ports is 80 (integer), but must be a text; \
         put it in quotes, as in \"80\"",
    ),
    (
        "set = 1\nsource_ports = ['+80']",
        "mark 1, source_ports: source_ports has \"+80\", but must hold ports and ranges of \
         them; write them as in [\"80\", \"8000-8999\"]",
    ),
];

#[test]
fn services_on_marks_are_refused_for_each_part() {
    for (service, told) in SERVICES {
        assert_eq!(
            refused(&format!("[[service]]\n{service}")),
            [told],
            "{service}"
        );
    }
}

/// A service, and what is said about it.
const SERVICES: [(&str, &str); 11] = [
    (
        "mark = 0\nfamily = 'ipv4'",
        "service 1, mark: mark is 0, but must be a whole number from 1 to 4294967295; the \
         mark that rules [[mark]] give",
    ),
    (
        "mark = 4294967296\nfamily = 'ipv4'",
        "service 1, mark: mark is 4294967296, but must be a whole number from 1 to \
         4294967295; the mark that rules [[mark]] give",
    ),
    (
        "mark = 1",
        "service 1: family is missing; say of which packets, as in family = \"ipv4\"",
    ),
    (
        "mark = 1\nfamily = 'ip'",
        "service 1, family: family is \"ip\", but must be one of ipv4, ipv6; write one of \
         them, as in family = \"ipv4\"",
    ),
    (
        "mark = 1\nfamily = 'ipv4'\naddress = '192.0.2.10:80'",
        "service 1, address: address is given, but the mark alone says what is served; remove \
         it; rules [[mark]] say which packets carry the mark",
    ),
    (
        "mark = 1\nfamily = 'ipv4'\nprotocol = 'tcp'",
        "service 1, protocol: protocol is given, but the mark alone says what is served; \
         remove it; rules [[mark]] say which packets carry the mark",
    ),
    (
        "mark = 1\nfamily = 'ipv4'\n[[service]]\nmark = 1\nfamily = 'ipv4'",
        "service 2, mark: service FWM 1 is given twice: join the two or change one's mark; \
         the first is in line 3",
    ),
    (
        "mark = 1\nfamily = 'ipv4'\nreal_server = [{ address = '2001:db8::11', forwarding = \
         'g' }]",
        "service 1, real_server 1, address: service FWM 1: real server 2001:db8::11 must be \
         of the service's address family: only a tunnel leads to the other; write its \
         IPv4 address, move it to a service with an IPv6 address, or reach it by a \
         tunnel",
    ),
    (
        "mark = 1\nfamily = 'ipv4'\nreal_server = [{ address = '10.0.0.11:80', forwarding = \
         'g' }]",
        "service 1, real_server 1, address: address has port 80, but only masquerading can \
         change the port: the packet keeps its own; write address = \"10.0.0.11\", or \
         forwarding = \"masquerade\"",
    ),
    (
        "mark = 1\nfamily = 'ipv4'\nreal_server = [{ address = '10.0.0.11', forwarding = 'g' \
         }, { address = '10.0.0.11', forwarding = 'g' }]",
        "service 1, real_server 2, address: service FWM 1: real server 10.0.0.11:0 is given \
         twice: remove one; the first is in line 5",
    ),
    (
        "address = '192.0.2.10:80'\nprotocol = 'tcp'\nfamily = 'ipv6'",
        "service 1, family: family is given, but the address says which it is; remove it, or \
         write mark = 1 in place of address and protocol",
    ),
];

#[test]
fn the_sample_of_two_directors_is_right() {
    let text = include_str!("../../../lvs.two-directors.toml");
    let read = Settings::parse("lvs.two-directors.toml", text).unwrap();
    let rules = &read.config.classifier().rules;
    assert_eq!(rules[0].mark, None, "the shield is before the others");
    assert!(rules[1..].iter().all(|rule| rule.address().is_some()));
    for service in read.config.services() {
        let ServiceKey::Mark { mark, family } = service.key else {
            panic!("{} is on an address", service.key);
        };
        let marking = rules.iter().filter(|rule| {
            let fits = |prefix: Prefix| Family::of(prefix.address) == family;
            rule.mark == Some(mark) && rule.destination.is_some_and(fits)
        });
        assert_eq!(marking.count(), 1, "{}", service.key);
        assert_eq!(service.real_servers.len(), 2, "{}", service.key);
    }
}
