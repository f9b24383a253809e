//! Real servers that get another link address while the director sends to them.

use std::time::{Duration, Instant};

use lvs::lvs_io::WantedMode;
use lvs::world::traffic::{Request, http};
use lvs::world::{Family, Method, Plan};

use crate::setup::Setup;

fn follow_a_new_mac(mode: WantedMode, method: Method) {
    let Some(setup) = Setup::new(Plan::new(method), mode, 1) else {
        return;
    };
    let world = &setup.world;
    let served = |family, deadline| {
        let web = Plan::web(family);
        world.client().run(|| http(web, Request::Name, deadline))
    };
    for family in Family::BOTH {
        assert!(served(family, DEADLINE).is_ok(), "before");
    }
    let server = world.real_servers()[0].namespace();
    // As a machine does that takes over another's address.
    server.set("ipv4/conf/lan0/arp_notify", "1").unwrap();
    server.set("ipv6/conf/lan0/ndisc_notify", "1").unwrap();
    let mut network = server.network().unwrap();
    network.set_mac("lan0", [2, 0, 0, 0, 0x77, 1]).unwrap();
    for family in Family::BOTH {
        let end = Instant::now() + DEADLINE;
        // Round robin: of two in a row one is its.
        while !(0..2).all(|_| served(family, Duration::from_millis(300)).is_ok()) {
            assert!(Instant::now() < end, "{family}: never found again");
        }
    }
}

#[test]
fn native_direct_route_follows_a_new_mac() {
    follow_a_new_mac(WantedMode::Native, Method::DirectRoute);
}

#[test]
fn packet_masquerade_follows_a_new_mac() {
    follow_a_new_mac(WantedMode::Packet, Method::Masquerade);
}

const DEADLINE: Duration = Duration::from_secs(20);
