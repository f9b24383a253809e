//! Settings that defend a director or clear up behind connections, and the
//! packets that go by those of others.

use std::time::Duration;

use lvs_core::{DropReason, Persistence, Protocol, RealServer, Service, Setting};

use crate::common::icmp::port_unreachable;
use crate::common::packet::{Packet, icmp, other, tcp, udp};
use crate::common::place::{FAMILIES, Family, from_client, from_server, to_client, to_server};
use crate::scenario::{Scenario, scenario};

pub(crate) fn scenarios() -> Vec<Scenario> {
    let all = FAMILIES.into_iter();
    all.flat_map(|w| {
        [
            defences(w),
            templates(w),
            reuse(w),
            strangers(w),
            one_packets(w),
            ipsec(w),
        ]
        .concat()
    })
    .collect()
}

fn masquerade(w: Family, protocol: Protocol) -> Service {
    w.service(protocol)
        .real_server(RealServer::masquerade(w.real_at(11, 8080)))
}

fn direct(w: Family, number: u8) -> RealServer {
    RealServer::direct_route(w.real(number))
}

fn defences(w: Family) -> Vec<Scenario> {
    let syn = |number| tcp(w.client_at(number, 4000), w.web).syn();
    let service = w.service(Protocol::Tcp).real_server(direct(w, 11));
    let every_second = scenario(format!(
        "every second new connection is dropped, {}",
        w.name
    ))
    .set(Setting::DropPacket, 3)
    .set(Setting::AmDropRate, 2)
    .with(service.clone())
    .takes(from_client(&syn(1)))
    .drops_it(DropReason::Defence)
    .takes(from_client(&syn(2)))
    .sends(to_server(11, &syn(2).ttl(63)))
    .takes(from_client(&syn(3)))
    .drops_it(DropReason::Defence)
    .takes(from_client(&syn(2)))
    .sends(to_server(11, &syn(2).ttl(63)));
    // One entry in 32 is looked at each second.
    let half_open = scenario(format!("drop_entry ends half-open connections, {}", w.name))
        .set(Setting::DropEntry, 3)
        .with(service)
        .takes(from_client(&syn(1)))
        .sends(to_server(11, &syn(1).ttl(63)))
        .repeated(40, |scenario, _| scenario.seconds(1))
        .remembers(0);
    let idle = |number: u8, packets: u16| {
        let udp = udp(w.client, w.web);
        let service = w.service(Protocol::Udp).real_server(direct(w, 11));
        scenario(format!(
            "drop_entry, idle after {packets} packets, {}",
            w.name
        ))
        .set(Setting::DropEntry, 3)
        .with(service)
        .repeated(packets, |scenario, _| {
            let taken = scenario.takes(from_client(&udp));
            taken.sends(to_server(11, &udp.clone().ttl(63)))
        })
        .repeated(59, |scenario, _| scenario.seconds(1))
        .remembers(1)
        .repeated(200, |scenario, _| scenario.seconds(1))
        .remembers(usize::from(number))
    };
    vec![every_second, half_open, idle(0, 1), idle(0, 3), idle(1, 9)]
}

/// Templates are entries of their own: a client that never had a connection may
/// lose its, others keep theirs.
fn templates(w: Family) -> Vec<Scenario> {
    let long = Persistence::new(Duration::from_secs(3000));
    let defended = |name: String, service: Service| {
        scenario(format!("{name}, {}", w.name))
            .set(Setting::DropEntry, 3)
            .with(service.real_server(direct(w, 11)).persistent(long))
    };
    let packet = || tcp(w.client, w.web);
    let sent = |scenario: Scenario, packet: Packet| {
        let taken = scenario.takes(from_client(&packet));
        taken.sends(to_server(11, &packet.ttl(63)))
    };
    let pass = |scenario: Scenario, seconds| scenario.repeated(seconds, |it, _| it.seconds(1));
    let begun = |name: &str| {
        let begun = defended(name.to_owned(), w.service(Protocol::Tcp));
        sent(begun, packet().syn()).remembers(2)
    };
    let never = begun("drop_entry ends the template of one who never had a connection");
    let never = pass(sent(never, packet().rst()), 700).remembers(0);
    let once = begun("drop_entry keeps the template of one who had a connection");
    let once = sent(sent(once, packet().ack()), packet().rst());
    let once = pass(once, 700).remembers(1);
    let by_itself = |packets: u16, left: usize| {
        let mut service = w.service(Protocol::Udp);
        service.one_packet = true;
        let name = format!("drop_entry, a template after {packets} packets by themselves");
        let counted = defended(name, service)
            .repeated(packets, |scenario, _| sent(scenario, udp(w.client, w.web)));
        pass(pass(counted, 58).remembers(1), 700).remembers(left)
    };
    vec![
        never,
        once,
        by_itself(1, 0),
        by_itself(8, 0),
        by_itself(9, 1),
    ]
}

fn reuse(w: Family) -> Vec<Scenario> {
    let packet = || tcp(w.client, w.web);
    let both = || {
        let service = w.service(Protocol::Tcp).real_server(direct(w, 11));
        service.real_server(direct(w, 12))
    };
    let to = |number, packet: Packet| to_server(number, &packet.ttl(63));
    let begun = |name: &str, mode| {
        scenario(format!("{name}, {}", w.name))
            .set(Setting::ConnReuseMode, mode)
            .with(both())
            .takes(from_client(&packet().syn()))
            .sends(to(12, packet().syn()))
            .takes(from_client(&packet().ack()))
            .sends(to(12, packet().ack()))
            .takes(from_client(&packet().fin()))
            .sends(to(12, packet().fin()))
            .takes(from_client(&packet().syn()))
    };
    let quiescent = w
        .service(Protocol::Tcp)
        .real_server(direct(w, 11))
        .real_server(direct(w, 12).weight(0));
    let mut expiring = both();
    let mut quiescent_expiring = quiescent.clone();
    for service in [&mut expiring, &mut quiescent_expiring] {
        service.settings.set(Setting::ExpireNodestConn, 1).unwrap();
    }
    vec![
        begun("in FIN_WAIT a connection goes on", 1).sends(to(12, packet().syn())),
        begun("with conn_reuse_mode 2 another begins in its place", 2)
            .sends(to(11, packet().syn()))
            .remembers(1),
        scenario(format!(
            "a SYN stays with a real server of weight 0, {}",
            w.name
        ))
        .with(both())
        .takes(from_client(&packet().syn()))
        .sends(to(12, packet().syn()))
        .becomes([quiescent])
        .takes(from_client(&packet().syn()))
        .sends(to(12, packet().syn())),
        scenario(format!(
            "with expire_nodest_conn it goes to another, {}",
            w.name
        ))
        .with(expiring)
        .takes(from_client(&packet().syn()))
        .sends(to(12, packet().syn()))
        .becomes([quiescent_expiring])
        .takes(from_client(&packet().ack()))
        .sends(to(12, packet().ack()))
        .takes(from_client(&packet().syn()))
        .sends(to(11, packet().syn())),
        scenario(format!(
            "with expire_nodest_conn connections go at once, {}",
            w.name
        ))
        .set(Setting::ExpireNodestConn, 1)
        .with(both())
        .takes(from_client(&packet().syn()))
        .sends(to(12, packet().syn()))
        .becomes([w.service(Protocol::Tcp).real_server(direct(w, 11))])
        .milliseconds(1)
        .remembers(0),
    ]
}

/// Packets of no connection, to whom a setting gives another fate.
fn strangers(w: Family) -> Vec<Scenario> {
    let real = w.real_at(11, 8080);
    let unreachable = if w.vip().is_ipv4() {
        (3, 3, 0)
    } else {
        (1, 4, 0)
    };
    let to_host = udp(real, w.client).ttl(1);
    let quoted = udp(w.web, w.client).ttl(60).bytes();
    let error = || icmp(w.client.ip(), w.vip(), unreachable, &quoted);
    let direct = w.service(Protocol::Udp).real_server(direct(w, 11));
    vec![
        scenario(format!(
            "a reply that expires here is the host's to refuse, {}",
            w.name
        ))
        .set(Setting::NatIcmpSend, 1)
        .with(masquerade(w, Protocol::Udp))
        .takes(from_server(11, &to_host))
        .host(),
        scenario(format!(
            "an error of no connection is the host's, {}",
            w.name
        ))
        .with(direct.clone())
        .takes(from_client(&error()))
        .host()
        .remembers(0),
        scenario(format!(
            "with schedule_icmp it goes to a real server, {}",
            w.name
        ))
        .set(Setting::ScheduleIcmp, 1)
        .with(direct)
        .takes(from_client(&error()))
        .sends(to_server(11, &error().ttl(63)))
        .remembers(1)
        .seconds(4)
        .remembers(0),
    ]
}

/// With `schedule_icmp`, errors to a service that schedules each packet by itself.
fn one_packets(w: Family) -> Vec<Scenario> {
    let quoted = |from| udp(from, w.client).ttl(60).bytes();
    let error = || port_unreachable(w.client.ip(), w.vip(), &quoted(w.web));
    // The checksum of what is quoted stays as it was.
    let mut inside = quoted(w.real_at(11, 80));
    let checksum = w.header as usize + 6..w.header as usize + 8;
    inside[checksum.clone()].copy_from_slice(&quoted(w.web)[checksum]);
    let rows = [
        (RealServer::direct_route as fn(_) -> _, error()),
        (
            |rip| RealServer::masquerade((rip, 80).into()),
            port_unreachable(w.client.ip(), w.real(11), &inside),
        ),
    ];
    let each = rows
        .into_iter()
        .enumerate()
        .flat_map(|(row, (real_server, out))| {
            let mut service = w
                .service(Protocol::Udp)
                .real_server(real_server(w.real(11)));
            service.one_packet = true;
            let kept = service
                .clone()
                .persistent(Persistence::new(Duration::from_secs(100)));
            [(service, 0), (kept, 1)].map(|(service, remembered)| {
                scenario(format!(
                    "an error scheduled by itself, row {row}, {remembered} templates, {}",
                    w.name
                ))
                .set(Setting::ScheduleIcmp, 1)
                .with(service)
                .takes(from_client(&error()))
                .sends(to_server(11, &out.clone().ttl(63)))
                .takes(from_client(&error()))
                .sends(to_server(11, &out.clone().ttl(63)))
                .remembers(remembered)
            })
        });
    each.collect()
}

fn ipsec(w: Family) -> Vec<Scenario> {
    let (client, vip) = (
        std::net::SocketAddr::new(w.client.ip(), 500),
        std::net::SocketAddr::new(w.vip(), 500),
    );
    let service = Service::new(Protocol::Udp, vip, lvs_core::Scheduler::RoundRobin)
        .real_server(RealServer::masquerade(w.real_at(11, 500)));
    let exchange = || udp(client, vip);
    let rows = [50, 51].into_iter().map(|number| {
        let packet = |from, to| other(from, to, number, &[7; 40]);
        let there = packet(w.client.ip(), w.vip());
        scenario(format!(
            "protocol {number} goes by its key exchange, {}",
            w.name
        ))
        .with(service.clone())
        .takes(from_client(&there))
        .host()
        .takes(from_client(&exchange()))
        .sends(to_server(11, &udp(client, w.real_at(11, 500)).ttl(63)))
        .takes(from_client(&there))
        .sends(to_server(11, &packet(w.client.ip(), w.real(11)).ttl(63)))
        .takes(from_server(11, &packet(w.real(11), w.client.ip())))
        .sends(to_client(&packet(w.vip(), w.client.ip()).ttl(63)))
        .remembers(1)
    });
    rows.collect()
}
