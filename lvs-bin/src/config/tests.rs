//! Literal files, and what is read from them.

use std::collections::BTreeMap;
use std::time::Duration;

use lvs_core::FragmentLimits;
use lvs_core::config::{
    Config, ForwardingMethod, GueChecksum, Protocol, RealServer, Scheduler, Service, Timeouts,
    Tunnel,
};
use lvs_io::{Options, WantedMode};

use super::{DirectorSettings, Settings};

mod faults;
mod marks;
mod options;

/// What is wrong with a file whose `[director]` is right, each as "place: what;
/// help".
fn refused(services: &str) -> Vec<String> {
    let text = format!("director.interfaces = [\"eth0\"]\n{services}");
    let faults = Settings::parse("lvs.toml", &text).err();
    let told = faults.iter().flat_map(|faults| faults.faults());
    told.map(|it| format!("{}: {}; {}", it.place, it.what, it.help))
        .collect()
}

#[test]
fn the_example_says_what_it_looks_like() {
    let read = Settings::parse("lvs.example.toml", include_str!("../../lvs.example.toml"));
    let web = Service::tcp(
        "192.0.2.10:80".parse().unwrap(),
        Scheduler::WeightedLeastConnection,
    )
    .real_server(RealServer::direct_route("10.0.0.11".parse().unwrap()).weight(3))
    .real_server(RealServer::tunnel("10.9.0.12".parse().unwrap()))
    .real_server(RealServer::new(
        "[2001:db8:9::14]:0".parse().unwrap(),
        ForwardingMethod::Tunnel(Tunnel::Gue {
            port: 6080,
            checksum: GueChecksum::Full,
        }),
    ))
    .real_server(RealServer::masquerade("10.0.0.13:8080".parse().unwrap()).weight(0));
    let dns = Service::udp(
        "[2001:db8::10]:53".parse().unwrap(),
        Scheduler::SourceHashing,
    )
    .real_server(RealServer::masquerade(
        "[2001:db8:1::11]:0".parse().unwrap(),
    ));
    let names = [
        (web.key(), "web".to_owned()),
        (dns.key(), "dns6".to_owned()),
    ];
    let expected = Settings {
        control: crate::config::ControlSettings::default(),
        metrics: Some(crate::config::MetricsSettings {
            listen: "127.0.0.1:9108".parse().unwrap(),
        }),
        director: DirectorSettings {
            interfaces: vec!["eth0".to_owned()],
            mode: WantedMode::Auto,
            workers: None,
            connections: 1_000_000,
            services: 16_384,
            real_servers: 131_072,
            fragments: FragmentLimits::LINUX,
        },
        config: Config::new([web, dns]).unwrap(),
        names: BTreeMap::from(names),
    };
    assert_eq!(read, Ok(expected));
}

#[test]
fn every_protocol_has_a_name() {
    for (name, protocol) in [
        ("tcp", Protocol::Tcp),
        ("udp", Protocol::Udp),
        ("sctp", Protocol::Sctp),
    ] {
        let text = format!(
            "director.interfaces = ['a']\n[[service]]\n\
             address = '192.0.2.10:2905'\nprotocol = '{name}'\n"
        );
        let read = Settings::parse("lvs.toml", &text).unwrap();
        let key = read.config.services()[0].key();
        assert_eq!(key.protocol(), Some(protocol));
    }
}

#[test]
fn what_is_left_out_has_a_default() {
    let read = Settings::parse(
        "lvs.toml",
        "director.interfaces = ['a', 'b']\n\
         timeouts.udp = 30\n\
         [[service]]\n\
         address = '192.0.2.10:80'\n\
         protocol = 'tcp'\n",
    )
    .unwrap();
    assert_eq!(read.director.workers, None);
    assert_eq!(read.director.connections, 1_000_000);
    assert_eq!(read.director.options(), Options::new(["a", "b"]));
    assert_eq!(
        read.config.timeouts(),
        Timeouts {
            udp: Duration::from_secs(30),
            ..Timeouts::default()
        }
    );
    let service = &read.config.services()[0];
    assert_eq!(service.scheduler, Scheduler::WeightedLeastConnection);
    assert!(read.names.is_empty());
}

#[test]
fn fragments_have_limits() {
    let read = |fragments: &str| {
        let text = format!("director.interfaces = ['a']\n[fragments]\n{fragments}\n");
        Settings::parse("lvs.toml", &text).map(|read| read.director.fragments)
    };
    assert_eq!(read(""), Ok(FragmentLimits::LINUX));
    assert_eq!(
        read("memory = 16_777_216\nipv4_time = 10\nipv6_time = 20"),
        Ok(FragmentLimits {
            memory: 16 << 20,
            ipv4_time: Duration::from_secs(10),
            ipv6_time: Duration::from_secs(20),
        })
    );
    for wrong in ["memory = 1000", "ipv4_time = 0", "ipv6_time = 256"] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}
