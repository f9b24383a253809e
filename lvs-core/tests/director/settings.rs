//! Settings that one service has of its own, beside another that goes by the
//! director's.

use lvs_core::{DropReason, Protocol, RealServer, Service, Setting};

use crate::common::icmp::{by_the_director, port_unreachable};
use crate::common::packet::{Packet, tcp, udp};
use crate::common::place::{FAMILIES, Family, from_client, from_server, to_server};
use crate::scenario::{Scenario, scenario};

pub(crate) fn scenarios() -> Vec<Scenario> {
    let all = FAMILIES.into_iter();
    all.flat_map(|w| [refusals(w), removals(w), ends_of_half_open(w)].concat())
        .collect()
}

/// The service with a setting of its own.
fn own(mut service: Service, setting: Setting, value: i32) -> Service {
    let set = service.settings.set(setting, value);
    set.expect("a value it takes");
    service
}

/// `nat_icmp_send`: packets of no connection, from a real server of either service.
fn refusals(w: Family) -> Vec<Scenario> {
    let stray = |number, port| udp(w.real_at(number, port), w.client);
    let refused = |packet: Packet, number, id| {
        let quoted = packet.ttl(63).bytes();
        let refused = port_unreachable(w.inside, w.real(number), &quoted);
        to_server(number, &by_the_director(refused, id))
    };
    let named = |name: &str| scenario(format!("{name}, {}", w.name));
    let of = |number, port| RealServer::masquerade(w.real_at(number, port));
    let web = w.service(Protocol::Udp).real_server(of(11, 80));
    let other = Service::udp((w.vip(), 81).into(), lvs_core::Scheduler::RoundRobin);
    let other = other.real_server(of(12, 8081));
    let refuses = |service| own(service, Setting::NatIcmpSend, 1);
    let emptied = w.service(Protocol::Udp);
    let gone = |name: &str, left: Vec<Service>| {
        named(name)
            .set(Setting::NatIcmpSend, 1)
            .with(web.clone())
            .with(other.clone())
            .takes(from_client(&udp(w.client_at(1, 4000), w.web)))
            .sends(to_server(
                11,
                &udp(w.client_at(1, 4000), w.real_at(11, 80)).ttl(63),
            ))
            .takes(from_server(11, &stray(11, 80)))
            .sends(refused(stray(11, 80), 11, 1))
            .becomes(left)
            .takes(from_server(11, &stray(11, 80)))
            .host()
            .takes(from_server(12, &stray(12, 8081)))
            .sends(refused(stray(12, 8081), 12, 2))
    };
    vec![
        named("nat_icmp_send of one service refuses for it alone")
            .with(refuses(web.clone()))
            .with(other.clone())
            .takes(from_server(11, &stray(11, 80)))
            .sends(refused(stray(11, 80), 11, 1))
            .takes(from_server(12, &stray(12, 8081)))
            .host(),
        gone(
            "a removed real server is refused nothing",
            vec![emptied, other.clone()],
        ),
        gone("nor is one of a removed service", vec![other.clone()]),
        gone(
            "nor is one that is masqueraded no more",
            vec![
                w.service(Protocol::Udp)
                    .real_server(RealServer::direct_route(w.real(11))),
                other.clone(),
            ],
        ),
    ]
}

/// `expire_nodest_conn`: connections of a real server that is removed.
fn removals(w: Family) -> Vec<Scenario> {
    let packet = || tcp(w.client, w.web);
    let direct = |number| RealServer::direct_route(w.real(number));
    let service = w.service(Protocol::Tcp).real_server(direct(11));
    let both = service.clone().real_server(direct(12));
    let to = |number, packet: Packet| to_server(number, &packet.ttl(63));
    let begun = |name: &str, director, one| {
        let of = |service: &Service| own(service.clone(), Setting::ExpireNodestConn, one);
        scenario(format!("{name}, {}", w.name))
            .set(Setting::ExpireNodestConn, director)
            .with(of(&both))
            .takes(from_client(&packet().syn()))
            .sends(to(12, packet().syn()))
            .becomes([of(&service)])
    };
    vec![
        begun(
            "with expire_nodest_conn of its own a service forgets at once",
            0,
            1,
        )
        .milliseconds(1)
        .remembers(0),
        begun("with expire_nodest_conn of its own a SYN begins anew", 0, 1)
            .takes(from_client(&packet().syn()))
            .sends(to(11, packet().syn())),
        begun("without expire_nodest_conn of its own nothing ends", 1, 0)
            .takes(from_client(&packet().syn()))
            .drops_it(DropReason::RealServerGone)
            .milliseconds(1)
            .remembers(1),
    ]
}

/// `drop_entry`: half-open connections.
fn ends_of_half_open(w: Family) -> Vec<Scenario> {
    let syn = |number| tcp(w.client_at(number, 4000), w.web).syn();
    let service = w.service(Protocol::Tcp);
    let service = service.real_server(RealServer::direct_route(w.real(11)));
    let (name, to) = (w.name, |number| to_server(11, &syn(number).ttl(63)));
    let begun = |name: String, director, one| {
        scenario(name)
            .set(Setting::DropEntry, director)
            .with(own(service.clone(), Setting::DropEntry, one))
            .takes(from_client(&syn(1)))
            .sends(to(1))
            .repeated(40, |scenario, _| scenario.seconds(1))
    };
    vec![
        begun(format!("drop_entry of its own ends them, {name}"), 0, 3).remembers(0),
        begun(format!("without, none is ended, {name}"), 3, 0).remembers(1),
    ]
}
