//! Datagrams of which a part never comes.

use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use lvs::DirectorOptions;
use lvs::lvs_io::WantedMode;
use lvs::world::{Family, Method, Plan, World};
use socket2::{Domain, Protocol, Socket, Type};

use super::scattered::{pieces, way};
use crate::setup::Setup;

fn hurry(_: &World, options: &mut DirectorOptions) -> io::Result<()> {
    options.fragments.ipv4_time = Duration::from_secs(1);
    Ok(())
}

/// The sender hears of it (RFC 792, RFC 1122 section 3.3.2), by an idle director
/// too.
fn tell_the_sender(mode: WantedMode) {
    let plan = Plan::new(Method::Masquerade);
    let Some(setup) = Setup::prepared(plan, mode, 1, hurry) else {
        return;
    };
    let told = setup.world.client().run(|| {
        let icmp = Some(Protocol::ICMPV4);
        let mut icmp = Socket::new(Domain::IPV4, Type::RAW, icmp)?;
        icmp.set_read_timeout(Some(DEADLINE))?;
        let client = SocketAddr::new(IpAddr::V4(CLIENT), 5000);
        let parts = pieces(client, Plan::echo(Family::V4), 1, &[7; 4000]);
        way(Family::V4)?.send(&parts[0])?;
        let mut told = [0; 100];
        let length = icmp.read(&mut told)?;
        Ok(told[..length].to_vec())
    });
    let told = told.unwrap_or_else(|error| panic!("{error}\n{}", setup.stats()));
    assert_eq!(told[20..22], [11, 1], "time exceeded in reassembly");
    let stats = setup.stats();
    let drops: Vec<_> = stats.drops().collect();
    let shards = &stats.shards;
    let ended = shards.transmitted + shards.host + shards.held + shards.all_dropped();
    assert_eq!(shards.packets, ended, "{stats}");
    assert_eq!((shards.held, shards.given_up), (1, 1), "{drops:?}\n{stats}");
}

#[test]
fn native_tells_the_sender() {
    tell_the_sender(WantedMode::Native);
}

#[test]
fn packet_tells_the_sender() {
    tell_the_sender(WantedMode::Packet);
}

/// The client's address in a world with a router.
const CLIENT: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 9);
const DEADLINE: Duration = Duration::from_secs(10);
