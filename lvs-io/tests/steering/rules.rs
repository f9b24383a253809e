//! How rules change, and what happens when they do not fit.

use std::net::{IpAddr, Ipv4Addr};

use lvs_io::program::{End, Error, Steer, Steering, XdpMode};

use crate::bed::in_namespace;
use crate::frames::{TCP, UDP, frame, packet};

fn service(address: [u8; 4], port: Option<u16>) -> Steer {
    Steer {
        protocol: TCP,
        address: IpAddr::V4(Ipv4Addr::from(address)),
        port,
        end: End::Destination,
    }
}

fn takes(steering: &Steering, from: &str, to: &str) -> bool {
    let frame = frame(packet(TCP, from, to));
    steering.trial(0, &frame, 1).unwrap().taken
}

#[test]
fn each_update_replaces_the_one_before() {
    in_namespace(|bed| {
        let (mut steering, _wire) = bed.steer(XdpMode::Generic, &[]);
        let client = "198.51.100.7:40000";
        let web = |steering: &Steering| takes(steering, client, "192.0.2.1:80");
        let tls = |steering: &Steering| takes(steering, client, "192.0.2.1:443");
        let reply = |steering: &Steering| takes(steering, "10.0.0.1:80", client);
        let now = |steering: &Steering| (web(steering), tls(steering), reply(steering));
        let vip = [192, 0, 2, 1];
        let source = Steer {
            end: End::Source,
            ..service([10, 0, 0, 1], Some(80))
        };
        assert_eq!(now(&steering), (false, false, false));
        for (rules, expected) in [
            (vec![service(vip, Some(80))], (true, false, false)),
            (vec![service(vip, None), source], (true, true, true)),
            (vec![service(vip, Some(443)), source], (false, true, true)),
            (vec![source], (false, false, true)),
            (vec![service(vip, None)], (true, true, false)),
            (vec![], (false, false, false)),
        ] {
            steering.update(&rules).unwrap();
            assert_eq!(now(&steering), expected, "{rules:?}");
        }
    });
}

#[test]
fn rules_that_do_not_fit_change_nothing() {
    in_namespace(|bed| {
        let (mut steering, _wire) = bed.steer(XdpMode::Generic, &[service([192, 0, 2, 1], None)]);
        let kept = |steering: &Steering| takes(steering, "198.51.100.7:4", "192.0.2.1:80");
        // With the addresses' records, one more than there is room for.
        let ports = (1..=u16::MAX).map(Some);
        let mut ports: Vec<Steer> = (2..10)
            .flat_map(|last| {
                ports
                    .clone()
                    .map(move |port| service([192, 0, 2, last], port))
            })
            .collect();
        let error = steering.update(&ports).unwrap_err();
        assert!(matches!(
            error,
            Error::Full {
                wanted: 524_289,
                capacity: 524_288
            }
        ));
        assert!(kept(&steering));
        assert!(!takes(&steering, "198.51.100.7:4", "192.0.2.2:80"));
        // All that there is room for, beside the rule in force.
        ports.pop();
        ports.push(service([192, 0, 2, 1], None));
        steering.update(&ports).unwrap();
        assert!(kept(&steering));
        assert!(takes(&steering, "198.51.100.7:4", "192.0.2.2:80"));
        // What replaces it must fit beside it, or there would be a gap.
        let swap = [service([192, 0, 2, 10], Some(80))];
        assert!(matches!(steering.update(&swap), Err(Error::Full { .. })));
        assert!(kept(&steering));
        steering.update(&[]).unwrap();
        steering.update(&swap).unwrap();
        assert!(!kept(&steering));
    });
}

#[test]
fn only_protocols_with_ports_can_be_steered() {
    in_namespace(|bed| {
        let (mut steering, _wire) = bed.steer(XdpMode::Generic, &[service([192, 0, 2, 1], None)]);
        let gre = Steer {
            protocol: 47,
            ..service([192, 0, 2, 1], None)
        };
        let error = steering.update(&[gre]).unwrap_err();
        assert!(error.to_string().contains("IP protocol 47"));
        assert!(takes(&steering, "198.51.100.7:4", "192.0.2.1:80"));
    });
}

#[test]
fn frames_of_a_queue_without_a_socket_pass() {
    in_namespace(|bed| {
        let mut steering = bed.attach(XdpMode::Generic);
        steering.update(&[service([192, 0, 2, 1], None)]).unwrap();
        assert!(!takes(&steering, "198.51.100.7:4", "192.0.2.1:80"));
        let stats = steering.stats().unwrap();
        assert_eq!((stats.no_socket, stats.steered()), (1, 0));
    });
}

#[test]
fn a_rule_holds_on_every_nic() {
    in_namespace(|bed| {
        let nics = [bed.near.clone(), bed.far];
        let mut steering = Steering::attach(&nics, XdpMode::Generic).unwrap();
        let udp = Steer {
            protocol: UDP,
            ..service([192, 0, 2, 1], Some(53))
        };
        steering.update(&[udp]).unwrap();
        let mut frame = frame(packet(UDP, "198.51.100.7:40000", "192.0.2.1:53"));
        for (number, nic) in nics.iter().enumerate() {
            frame[..6].copy_from_slice(&nic.mac);
            steering.trial(number, &frame, 1).unwrap();
        }
        assert!(matches!(
            steering.trial(2, &frame, 1),
            Err(Error::NoSuchNic { nic: 2 })
        ));
        // Claimed on both, though neither has a socket.
        assert_eq!(steering.stats().unwrap().no_socket, 2);
    });
}
