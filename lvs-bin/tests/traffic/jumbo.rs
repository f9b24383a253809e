//! MTU 9000: packets of several frames.

use std::time::Duration;

use lvs::lvs_io::WantedMode;
use lvs::world::traffic::{Request, http, udp};
use lvs::world::{Family, Method, Plan};

use crate::setup::Setup;

fn carry_jumbo_packets(mode: WantedMode, method: Method) {
    let plan = Plan {
        mtu: 9000,
        ..Plan::new(method)
    };
    let Some(setup) = Setup::new(plan, mode, 1) else {
        return;
    };
    for family in Family::BOTH {
        let (web, echo) = (Plan::web(family), Plan::echo(family));
        setup
            .world
            .client()
            .run(|| {
                for request in [Request::Download(BODY), Request::Upload(BODY)] {
                    let result = http(web, request, DEADLINE);
                    assert!(result.is_ok(), "{family} {result:?}");
                }
                let echoed = udp(echo, DATAGRAM, DEADLINE);
                assert!(echoed.is_ok(), "{family} {echoed:?}");
                Ok(())
            })
            .unwrap();
    }
    setup.check_nothing_dropped();
    let stats = setup.stats();
    let (packets, bytes) = stats
        .real_servers
        .iter()
        .fold((0, 0), |(packets, bytes), row| {
            let traffic = row.traffic;
            (packets + traffic.packets_in, bytes + traffic.bytes_in)
        });
    assert!(bytes / packets > 1500, "{bytes} bytes in {packets} packets");
}

macro_rules! cells {
    ($($name:ident: $mode:ident $method:ident,)+) => {
        $(#[test]
        fn $name() {
            carry_jumbo_packets(WantedMode::$mode, Method::$method);
        })+
    };
}

cells! {
    native_masquerade_carries_jumbo_packets: Native Masquerade,
    native_direct_route_carries_jumbo_packets: Native DirectRoute,
    native_tunnel_carries_jumbo_packets: Native Tunnel,
    generic_masquerade_carries_jumbo_packets: Generic Masquerade,
    packet_masquerade_carries_jumbo_packets: Packet Masquerade,
    packet_tunnel_carries_jumbo_packets: Packet Tunnel,
}

const BODY: u64 = 10 << 20;
/// Within one packet of 9000 bytes, and beyond the first chunk of 4096.
const DATAGRAM: usize = 8000;
const DEADLINE: Duration = Duration::from_secs(30);
