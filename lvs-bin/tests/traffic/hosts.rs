//! What is the host's stays the host's while a director is at work.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use lvs::lvs_io::WantedMode;
use lvs::world::traffic::{Held, Offer, Request, Server, http};
use lvs::world::{Family, Method, Namespace, Plan, ping};

use crate::setup::Setup;

/// The client's questions to the host itself, while the director carries the
/// service's traffic as well.
fn leave_the_host_alone(mode: WantedMode, method: Method) {
    let Some(setup) = Setup::new(Plan::new(method), mode, 1) else {
        return;
    };
    let world = &setup.world;
    let talk = |service| {
        let pause = Duration::from_millis(2);
        Held::open(world.client(), service, 10, pause, DEADLINE).unwrap()
    };
    let served: Vec<Held> = Family::BOTH.map(Plan::echo).map(talk).into();
    // A shell's daemon: on the director's own address, and on a port of the VIP
    // that no service has.
    let doors: Vec<SocketAddr> = Family::BOTH
        .into_iter()
        .flat_map(|family| [Plan::dip(family), Plan::vip(family)])
        .map(|address| SocketAddr::new(address, SHELL))
        .collect();
    let offers: Vec<Offer> = doors.iter().copied().map(Offer::TcpEcho).collect();
    let _shell = Server::start(world.director(), "host", &offers).unwrap();
    let sessions: Vec<Held> = doors.iter().copied().map(talk).collect();
    let outside = world.router().unwrap();
    for family in Family::BOTH {
        for address in [Plan::vip(family), Plan::dip(family)] {
            // Asks the link again who has the address, before the ping can go.
            forget(outside, address);
            let answered = world.client().run(|| ping(address, DEADLINE));
            assert!(answered.is_ok(), "{address}: {answered:?}");
            assert!(owner(outside, address).is_some(), "{address}");
        }
    }
    for session in sessions {
        session.round(DEADLINE).unwrap();
        for end in session.stop() {
            assert!(end.error.is_none() && end.server == "host", "{end:?}");
        }
    }
    for connections in served {
        connections.round(DEADLINE).unwrap();
        for end in connections.stop() {
            assert!(end.error.is_none() && end.server != "host", "{end:?}");
        }
    }
    for family in Family::BOTH {
        let web = Plan::web(family);
        let named = world.client().run(|| http(web, Request::Name, DEADLINE));
        assert!(named.is_ok(), "{web}: {named:?}");
    }
    setup.check_nothing_dropped();
}

fn forget(outside: &Namespace, address: IpAddr) {
    // There may be none yet.
    let _ = outside
        .network()
        .unwrap()
        .delete_neighbour("front0", address);
}

fn owner(outside: &Namespace, address: IpAddr) -> Option<[u8; 6]> {
    let neighbours = outside.network().unwrap().neighbours().unwrap();
    let known = neighbours.iter().find(|known| known.address == address);
    known.and_then(|known| known.mac)
}

macro_rules! cells {
    ($($name:ident: $mode:ident $method:ident,)+) => {
        $(#[test]
        fn $name() {
            leave_the_host_alone(WantedMode::$mode, Method::$method);
        })+
    };
}

cells! {
    native_masquerade_leaves_the_host_alone: Native Masquerade,
    generic_direct_route_leaves_the_host_alone: Generic DirectRoute,
    packet_masquerade_leaves_the_host_alone: Packet Masquerade,
    native_tunnel_leaves_the_host_alone: Native Tunnel,
}

const SHELL: u16 = 22;
const DEADLINE: Duration = Duration::from_secs(20);
