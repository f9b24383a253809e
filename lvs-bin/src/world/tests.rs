//! Worlds without a director: what it will rely on works before it comes.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use etherparse::PacketBuilder;
use socket2::{Domain, Protocol, Socket, Type};

use super::traffic::{Held, Request, http, http_many, udp};
use super::{Family, Layout, Method, Plan, World, ping};

const DEADLINE: Duration = Duration::from_secs(20);
/// For what is expected not to answer.
const SILENCE: Duration = Duration::from_millis(300);

/// The world of a plan; none, with a word, where the privileges are missing.
fn world(plan: Plan) -> Option<World> {
    match World::build(plan) {
        Ok(world) => Some(world),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            crate::skip::say("worlds need CAP_SYS_ADMIN, CAP_NET_ADMIN and CAP_NET_RAW");
            None
        }
        Err(error) => panic!("{plan:?}: {error}"),
    }
}

/// Every plan that can work: the usual, and with two queues and jumbo frames.
fn plans() -> impl Iterator<Item = Plan> {
    Method::ALL.into_iter().flat_map(|method| {
        [Layout::OneArmed, Layout::TwoArmed]
            .into_iter()
            .flat_map(move |layout| {
                [(true, 1, 1500), (false, 2, 9000)].map(|(router, queues, mtu)| Plan {
                    layout,
                    router,
                    queues,
                    mtu,
                    ..Plan::new(method)
                })
            })
            .filter(|plan| plan.check().is_ok())
    })
}

/// Has everybody outside take real server `index` for the owner of the VIP: a
/// direct-routing director in one line.
fn direct_to(world: &World, index: usize) {
    let real_server = world.real_servers()[index].namespace();
    let mac = real_server.network().unwrap().link("lan0").unwrap().mac;
    let outside = world.router().unwrap_or(world.client());
    let mut network = outside.network().unwrap();
    for family in Family::BOTH {
        network
            .add_neighbour("front0", Plan::vip(family), mac.unwrap())
            .unwrap();
    }
}

#[test]
fn in_every_world_everybody_reaches_the_next() {
    for plan in plans() {
        let Some(world) = world(plan) else { return };
        for family in Family::BOTH {
            let vip = Plan::vip(family);
            let reached = world.client().run(|| ping(vip, DEADLINE));
            assert!(reached.is_ok(), "{plan:?} {family} client: {reached:?}");
            for real_server in world.real_servers() {
                let rip = real_server.rip(family);
                let reached = world.director().run(|| ping(rip, DEADLINE));
                assert!(reached.is_ok(), "{plan:?} {family} {rip}: {reached:?}");
            }
        }
    }
}

#[test]
fn masqueraded_real_servers_serve_the_director() {
    let Some(world) = world(Plan::new(Method::Masquerade)) else {
        return;
    };
    for family in Family::BOTH {
        for real_server in world.real_servers() {
            let web = SocketAddr::new(real_server.rip(family), 8080);
            let echo = SocketAddr::new(real_server.rip(family), 7007);
            world
                .director()
                .run(|| {
                    let request = Request::Download(100_000);
                    assert_eq!(http(web, request, DEADLINE)?, real_server.name());
                    assert_eq!(udp(echo, 1000, DEADLINE)?, real_server.name());
                    Ok(())
                })
                .unwrap();
        }
    }
}

#[test]
fn a_frame_with_the_real_servers_mac_is_served_and_answered_directly() {
    let Some(world) = world(Plan::new(Method::DirectRoute)) else {
        return;
    };
    direct_to(&world, 1);
    for family in Family::BOTH {
        let (web, echo) = (Plan::web(family), Plan::echo(family));
        world
            .client()
            .run(|| {
                for request in [Request::Download(3_000_000), Request::Upload(3_000_000)] {
                    assert_eq!(http(web, request, DEADLINE)?, "rs2");
                }
                assert_eq!(udp(echo, 1400, DEADLINE)?, "rs2");
                for name in http_many(web, Request::Name, 200, DEADLINE) {
                    assert_eq!(name?, "rs2");
                }
                Ok(())
            })
            .unwrap();
        let held =
            Held::open(world.client(), echo, 10, Duration::from_millis(1), DEADLINE).unwrap();
        held.round(DEADLINE).unwrap();
        for end in held.stop() {
            assert!(end.error.is_none(), "{end:?}");
            assert_eq!(end.server, "rs2");
        }
    }
}

/// A UDP packet for the VIP's echo service, IP header and all.
fn datagram(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let builder = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), 64),
        (IpAddr::V6(from), IpAddr::V6(to)) => PacketBuilder::ipv6(from.octets(), to.octets(), 64),
        _ => panic!("{from} and {to} are of two families"),
    }
    .udp(from.port(), to.port());
    let mut packet = Vec::new();
    builder.write(&mut packet, payload).unwrap();
    packet
}

/// Sends `packet` to `rip` as the payload of an IP packet.
fn tunnel(rip: IpAddr, packet: &[u8]) -> io::Result<usize> {
    let (domain, protocol) = match rip {
        IpAddr::V4(_) => (Domain::IPV4, 4),
        IpAddr::V6(_) => (Domain::IPV6, 41),
    };
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(protocol)))?;
    socket.send_to(packet, &SocketAddr::new(rip, 0).into())
}

#[test]
fn a_packet_in_a_tunnel_is_unpacked_and_answered_directly() {
    for layout in [Layout::OneArmed, Layout::TwoArmed] {
        let plan = Plan {
            layout,
            ..Plan::new(Method::Tunnel)
        };
        let Some(world) = world(plan) else { return };
        for family in Family::BOTH {
            let socket = world
                .client()
                .run(|| {
                    let link = match family {
                        Family::V4 => "198.51.100.9:0",
                        Family::V6 => "[2001:db8:51::9]:0",
                    };
                    let socket = UdpSocket::bind(link)?;
                    // Only an answer that comes from the VIP is taken.
                    socket.connect(Plan::echo(family))?;
                    socket.set_read_timeout(Some(DEADLINE))?;
                    Ok(socket)
                })
                .unwrap();
            let from = socket.local_addr().unwrap();
            let packet = datagram(from, Plan::echo(family), b"hello");
            let rip = plan.rip(1, family);
            world.director().run(|| tunnel(rip, &packet)).unwrap();
            let mut answer = [0; 100];
            let length = socket.recv(&mut answer).unwrap();
            assert_eq!(&answer[..length], b"rs2 hello");
        }
    }
}

#[test]
fn only_real_servers_that_are_not_quiet_answer_for_the_vip() {
    for quiet in [true, false] {
        let plan = Plan {
            quiet,
            ..Plan::new(Method::DirectRoute)
        };
        let Some(world) = world(plan) else { return };
        let mut director = world.director().network().unwrap();
        director.set_down("front0").unwrap();
        let asked = world
            .client()
            .run(|| http(Plan::web(Family::V4), Request::Name, SILENCE));
        match asked {
            Ok(name) => assert!(!quiet, "{name} took the client past the director"),
            Err(error) => assert!(quiet, "nobody answered for the VIP: {error}"),
        }
    }
}

/// Whom the router takes for the owner of the VIP after asking anew: whoever
/// answers first, or with a lock time of zero whoever answers last.
fn believed_owner(world: &World, lock_time: &str) -> Option<[u8; 6]> {
    let router = world.router().unwrap();
    let vip = Plan::vip(Family::V4);
    router.set("ipv4/neigh/front0/locktime", lock_time).unwrap();
    let mut network = router.network().unwrap();
    // There is none before the first question.
    let _ = network.delete_neighbour("front0", vip);
    router.run(|| ping(vip, DEADLINE)).unwrap();
    let neighbours = network.neighbours().unwrap();
    let known = neighbours.iter().find(|known| known.address == vip);
    known.and_then(|known| known.mac)
}

#[test]
fn with_real_servers_that_are_not_quiet_the_vip_has_several_owners() {
    for quiet in [true, false] {
        let plan = Plan {
            quiet,
            ..Plan::new(Method::DirectRoute)
        };
        let Some(world) = world(plan) else { return };
        let mut director = world.director().network().unwrap();
        let owner = director.link("front0").unwrap().mac;
        let believed = [believed_owner(&world, "0"), believed_owner(&world, "100")];
        assert_eq!(believed == [owner; 2], quiet, "{believed:?}, {owner:?}");
    }
}

#[test]
fn a_stopped_real_server_refuses_until_it_is_started() {
    let Some(mut world) = world(Plan::new(Method::DirectRoute)) else {
        return;
    };
    direct_to(&world, 0);
    let ask = |world: &World| {
        let web = Plan::web(Family::V6);
        world.client().run(|| http(web, Request::Name, DEADLINE))
    };
    assert_eq!(ask(&world).unwrap(), "rs1");
    world.real_servers_mut()[0].stop();
    assert_eq!(
        ask(&world).unwrap_err().kind(),
        ErrorKind::ConnectionRefused
    );
    world.real_servers_mut()[0].start().unwrap();
    assert_eq!(ask(&world).unwrap(), "rs1");
}
