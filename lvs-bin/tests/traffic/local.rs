//! The director's own machine as a real server.
//!
//! ```text
//!  client ──> VIP:80 ──> rs1:8080, or the director itself, at DIP:8081
//!  client <── VIP:80 <──────────── what that server sends
//! ```

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use lvs::lvs_io::WantedMode;
use lvs::lvs_io::netlink::Rule;
use lvs::world::traffic::{Offer, Request, Server, http, http_many, udp_many};
use lvs::world::{Family, Method, Plan, World};
use lvs::{RealServer, Scheduler, Service};

use crate::setup::Setup;

/// Where the director's own servers are.
fn own(family: Family, port: u16) -> SocketAddr {
    SocketAddr::new(Plan::dip(family), port)
}

fn servers(world: &World) -> Server {
    let offers: Vec<Offer> = Family::BOTH
        .into_iter()
        .flat_map(|family| {
            [
                Offer::Http(own(family, HTTP)),
                Offer::UdpEcho(own(family, ECHO)),
                // Has the VIP, for direct routing.
                Offer::Http(SocketAddr::new(Plan::vip(family), DIRECT)),
            ]
        })
        .collect();
    Server::start(world.director(), "host", &offers).unwrap()
}

fn services(plan: &Plan) -> Vec<Service> {
    let of = |family: Family| {
        let at = |port| SocketAddr::new(Plan::vip(family), port);
        let tcp = |port| Service::tcp(at(port), Scheduler::RoundRobin);
        let udp = |port| Service::udp(at(port), Scheduler::RoundRobin);
        let masquerade = |port| RealServer::masquerade(own(family, port));
        let rs1 = SocketAddr::new(plan.rip(0, family), 8080);
        [
            tcp(80)
                .real_server(RealServer::masquerade(rs1))
                .real_server(masquerade(HTTP)),
            tcp(LARGE).real_server(masquerade(HTTP)),
            udp(7).real_server(masquerade(ECHO)),
            udp(REFUSED).real_server(masquerade(NOBODY)),
            tcp(DIRECT).real_server(RealServer::direct_route(Plan::dip(family))),
        ]
    };
    Family::BOTH.into_iter().flat_map(of).collect()
}

fn rules(world: &World) -> Vec<Rule> {
    world.director().network().unwrap().rules().unwrap()
}

fn serve_from_the_director(mode: WantedMode, workers: usize) {
    let plan = Plan::new(Method::Masquerade);
    let Some(setup) = Setup::new(plan, mode, workers) else {
        return;
    };
    let _servers = servers(&setup.world);
    setup.apply(services(&plan));
    for family in Family::BOTH {
        setup.world.client().run(|| as_client(family)).unwrap();
        let inside = || http(own(family, HTTP), Request::Name, DEADLINE);
        let inside = setup.world.director().run(inside);
        assert_eq!(inside.unwrap(), "host", "{family}: from inside");
    }
    let stats = setup.stats();
    let heard = stats.workers.heard - stats.workers.sent_on;
    assert!(heard > 1000, "{stats}");
    assert!(stats.workers.sent_on > 0, "{stats}");
    setup.check_nothing_dropped();

    assert!(!rules(&setup.world).is_empty());
    setup.apply(plan.services(Scheduler::RoundRobin));
    setup.director.stop();
    assert_eq!(rules(&setup.world), [], "nothing is left");
}

/// What a client gets of one family.
fn as_client(family: Family) -> io::Result<()> {
    let at = |port| SocketAddr::new(Plan::vip(family), port);
    let shares = shares(http_many(at(80), Request::Name, PARALLEL, DEADLINE));
    let half = PARALLEL / 2;
    let both = [("host".to_owned(), half), ("rs1".to_owned(), half)];
    assert_eq!(shares, both.into(), "{family}");
    for request in [Request::Download(BODY), Request::Upload(BODY)] {
        let served = http(at(LARGE), request, DEADLINE);
        assert!(served.is_ok(), "{family} {request:?}: {served:?}");
    }
    let shares = self::shares(udp_many(at(7), 1000, AT_ONCE, DEADLINE));
    assert_eq!(shares, [("host".to_owned(), AT_ONCE)].into(), "{family}");
    for (what, to) in [
        ("direct routing", at(DIRECT)),
        ("past the service", own(family, HTTP)),
    ] {
        let named = http(to, Request::Name, DEADLINE);
        assert_eq!(named.unwrap(), "host", "{family}: {what}");
    }
    refused(at(REFUSED))
}

/// Where nobody listens the host says so, as if the service did.
fn refused(service: SocketAddr) -> io::Result<()> {
    let any = match service {
        SocketAddr::V4(_) => "0.0.0.0:0",
        SocketAddr::V6(_) => "[::]:0",
    };
    let socket = UdpSocket::bind(any)?;
    socket.set_read_timeout(Some(DEADLINE))?;
    socket.connect(service)?;
    socket.send(b"anybody?")?;
    let heard = socket.recv(&mut [0; 100]).unwrap_err();
    assert_eq!(heard.kind(), ErrorKind::ConnectionRefused, "{service}");
    Ok(())
}

fn shares(results: Vec<io::Result<String>>) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    for result in results {
        *shares.entry(result.unwrap()).or_default() += 1;
    }
    shares
}

macro_rules! cells {
    ($($name:ident: $mode:ident $workers:literal,)+) => {
        $(#[test]
        fn $name() {
            serve_from_the_director(WantedMode::$mode, $workers);
        })+
    };
}

cells! {
    native_serves_from_the_director: Native 1,
    generic_serves_from_the_director: Generic 1,
    packet_serves_from_the_director: Packet 1,
    packet_serves_from_the_director_with_two_workers: Packet 2,
}

/// Ports of the director's own servers; at the last one nobody listens.
const HTTP: u16 = 8081;
const ECHO: u16 = 7008;
const NOBODY: u16 = 7009;
/// Ports of services.
const LARGE: u16 = 81;
const DIRECT: u16 = 82;
const REFUSED: u16 = 9;
const BODY: u64 = 4 << 20;
const PARALLEL: usize = 40;
const AT_ONCE: usize = 40;
const DEADLINE: Duration = Duration::from_secs(20);
