//! Packets too long for the link ahead: those that may be fragmented are, by
//! the director; the sender of the others hears of it.

use std::io;
use std::time::Duration;

use lvs::DirectorOptions;
use lvs::lvs_io::WantedMode;
use lvs::world::traffic::{Request, http};
use lvs::world::{Family, Layout, Method, Plan, World};

use super::echo;
use crate::setup::Setup;

/// Has the client send without "don't fragment", over links to the real servers
/// that take less than its own.
fn narrow(world: &World, _: &mut DirectorOptions) -> io::Result<()> {
    world.client().set("ipv4/ip_no_pmtu_disc", "1")?;
    let set = |namespace: &lvs::world::Namespace, link| {
        let mut network = namespace.network()?;
        network.set_mtu(link, NARROW).map_err(io::Error::other)
    };
    if world.plan().layout == Layout::TwoArmed {
        set(world.director(), "back0")?;
        for real_server in world.real_servers() {
            set(real_server.namespace(), "lan0")?;
        }
    }
    Ok(())
}

/// Over two arms the second is narrow; in a tunnel over one arm, what fits the
/// link no longer does with a header more.
fn cut(mode: WantedMode, method: Method, layout: Layout) {
    let plan = Plan {
        layout,
        ..Plan::new(method)
    };
    let Some(setup) = Setup::prepared(plan, mode, 1, narrow) else {
        return;
    };
    let client = setup.world.client();
    for family in Family::BOTH {
        let before = setup.stats().shards.cut;
        for length in LENGTHS {
            echo(&setup, family, length);
        }
        let upload = || http(Plan::web(family), Request::Upload(BODY), DEADLINE);
        let uploaded = client.run(upload);
        assert!(
            uploaded.is_ok(),
            "{family}: {uploaded:?}\n{}",
            setup.stats()
        );
        let stats = setup.stats();
        let cut = stats.shards.cut - before;
        assert!(family == Family::V6 || cut > 0, "{stats}");
    }
    setup.check_nothing_dropped();
}

macro_rules! cells {
    ($($name:ident: $mode:ident $method:ident $layout:ident,)+) => {
        $(#[test]
        fn $name() {
            cut(WantedMode::$mode, Method::$method, Layout::$layout);
        })+
    };
}

cells! {
    native_masquerade_to_a_narrow_link: Native Masquerade TwoArmed,
    native_direct_route_to_a_narrow_link: Native DirectRoute TwoArmed,
    native_tunnel_over_a_narrow_link: Native Tunnel TwoArmed,
    native_tunnel_with_a_header_more: Native Tunnel OneArmed,
    packet_masquerade_to_a_narrow_link: Packet Masquerade TwoArmed,
    packet_direct_route_to_a_narrow_link: Packet DirectRoute TwoArmed,
    packet_tunnel_with_a_header_more: Packet Tunnel OneArmed,
}

/// MTU of the links to the real servers; the others take 1500 bytes.
const NARROW: u32 = 1400;
/// One packet as long as the client's link takes, and datagrams in pieces that
/// long.
const LENGTHS: [usize; 3] = [1472, 4000, 20_000];
const BODY: u64 = 1 << 20;
const DEADLINE: Duration = Duration::from_secs(20);
