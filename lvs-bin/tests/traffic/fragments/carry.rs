//! Datagrams longer than the MTU, to services and back, every byte compared.

use std::time::Duration;

use lvs::lvs_io::WantedMode;
use lvs::world::traffic::udp_many;
use lvs::world::{Family, Method, Plan};

use super::echo;
use crate::setup::Setup;

fn carry_datagrams(plan: Plan, mode: WantedMode, workers: usize) {
    let Some(setup) = Setup::new(plan, mode, workers) else {
        return;
    };
    for family in Family::BOTH {
        for length in LENGTHS {
            echo(&setup, family, length);
        }
        let at_once = || Ok(udp_many(Plan::echo(family), SHORT, AT_ONCE, DEADLINE));
        for echoed in setup.world.client().run(at_once).unwrap() {
            assert!(
                echoed.is_ok(),
                "{family}, at once: {echoed:?}\n{}",
                setup.stats()
            );
        }
    }
    setup.check_nothing_dropped();
}

macro_rules! cells {
    ($($name:ident: $mode:ident $method:ident,)+) => {
        $(#[test]
        fn $name() {
            carry_datagrams(Plan::new(Method::$method), WantedMode::$mode, 1);
        })+
    };
}

cells! {
    native_masquerade: Native Masquerade,
    native_direct_route: Native DirectRoute,
    native_tunnel: Native Tunnel,
    generic_masquerade: Generic Masquerade,
    generic_tunnel: Generic Tunnel,
    packet_masquerade: Packet Masquerade,
    packet_direct_route: Packet DirectRoute,
    packet_tunnel: Packet Tunnel,
}

/// Pieces of several frames each.
#[test]
fn native_masquerade_of_jumbo_pieces() {
    let plan = Plan {
        mtu: 9000,
        ..Plan::new(Method::Masquerade)
    };
    carry_datagrams(plan, WantedMode::Native, 1);
}

#[test]
fn packet_tunnel_of_jumbo_pieces() {
    let plan = Plan {
        mtu: 9000,
        ..Plan::new(Method::Tunnel)
    };
    carry_datagrams(plan, WantedMode::Packet, 1);
}

/// The shortest that needs two fragments at an MTU of 1500 in IPv4, and up to
/// what fits one packet with the outer header of a tunnel, or the server's name.
const LENGTHS: [usize; 5] = [1473, 4000, 20_000, 60_000, 65_440];
const SHORT: usize = 4000;
/// Datagrams on their way at once: as many as the socket of one real server
/// buffers while it has no processor.
const AT_ONCE: usize = 12;
const DEADLINE: Duration = Duration::from_secs(10);
