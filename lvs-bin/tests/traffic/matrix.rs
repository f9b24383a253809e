//! Every mode and forwarding method: bodies compared byte by byte, which says
//! more than a hash, hundreds of connections at once, datagrams.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use lvs::lvs_io::WantedMode;
use lvs::world::traffic::{Request, http, http_many, udp_many};
use lvs::world::{Family, Method, Plan};

use crate::setup::Setup;

fn carry_everything(mode: WantedMode, method: Method) {
    let Some(setup) = Setup::new(Plan::new(method), mode, 1) else {
        return;
    };
    for family in Family::BOTH {
        let (web, echo) = (Plan::web(family), Plan::echo(family));
        setup
            .world
            .client()
            .run(|| {
                let down = http(web, Request::Download(BODY), DEADLINE);
                assert!(down.is_ok(), "{family} download: {down:?}");
                let up = http(web, Request::Upload(BODY), DEADLINE);
                assert!(up.is_ok(), "{family} upload: {up:?}");
                let shares = shares(http_many(web, Request::Name, PARALLEL, DEADLINE));
                assert_eq!(shares, evenly(PARALLEL), "{family} HTTP");
                let shares = self::shares(udp_many(echo, DATAGRAM, AT_ONCE, DEADLINE));
                assert_eq!(shares, evenly(AT_ONCE), "{family} UDP");
                Ok(())
            })
            .unwrap();
    }
    setup.check_nothing_dropped();
}

/// Who answered how often; every exchange must have succeeded.
fn shares(results: Vec<io::Result<String>>) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    for result in results {
        *shares.entry(result.unwrap()).or_default() += 1;
    }
    shares
}

/// What round robin gives two real servers.
fn evenly(all: usize) -> BTreeMap<String, usize> {
    ["rs1", "rs2"].map(|name| (name.to_owned(), all / 2)).into()
}

macro_rules! cells {
    ($($name:ident: $mode:ident $method:ident,)+) => {
        $(#[test]
        fn $name() {
            carry_everything(WantedMode::$mode, Method::$method);
        })+
    };
}

cells! {
    native_masquerade: Native Masquerade,
    native_direct_route: Native DirectRoute,
    native_tunnel: Native Tunnel,
    generic_masquerade: Generic Masquerade,
    generic_direct_route: Generic DirectRoute,
    generic_tunnel: Generic Tunnel,
    packet_masquerade: Packet Masquerade,
    packet_direct_route: Packet DirectRoute,
    packet_tunnel: Packet Tunnel,
}

const BODY: u64 = 10 << 20;
const PARALLEL: usize = 200;
/// Datagrams on their way at once: as many as the socket of one real server
/// buffers while it has no processor.
const AT_ONCE: usize = 40;
const DATAGRAM: usize = 1000;
const DEADLINE: Duration = Duration::from_secs(30);
