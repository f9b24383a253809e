//! Datagrams in fragments that are the director's own host's.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use lvs::lvs_io::WantedMode;
use lvs::world::traffic::pattern;
use lvs::world::{Family, Method, Namespace, Plan};

use crate::setup::Setup;

/// Sends from a namespace to a socket of the director's host, and back.
fn reach_the_host(setup: &Setup, from: &Namespace, to: SocketAddr, source: SocketAddr) {
    let listening = setup.world.director().run(|| UdpSocket::bind(to)).unwrap();
    let sending = from.run(|| UdpSocket::bind(source)).unwrap();
    for socket in [&listening, &sending] {
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
    }
    let sent = pattern::bytes(0, DATAGRAM);
    let mut received = vec![0; DATAGRAM + 1];
    sending.connect(to).unwrap();
    sending.send(&sent).unwrap();
    let (length, sender) = listening.recv_from(&mut received).expect("it arrives");
    assert!(received[..length] == sent, "{to}: {length} bytes");
    listening.send_to(&sent, sender).unwrap();
    let length = sending.recv(&mut received).expect("the answer arrives");
    assert!(received[..length] == sent, "from {to}: {length} bytes");
    listening.set_read_timeout(Some(A_MOMENT)).unwrap();
    let again = listening.recv_from(&mut received);
    assert!(again.is_err(), "{to}: it arrives once");
}

fn host_gets_its_fragments(mode: WantedMode) {
    let plan = Plan::new(Method::Masquerade);
    let Some(setup) = Setup::new(plan, mode, 1) else {
        return;
    };
    for family in Family::BOTH {
        let any = SocketAddr::new(
            match family {
                Family::V4 => std::net::Ipv4Addr::UNSPECIFIED.into(),
                Family::V6 => std::net::Ipv6Addr::UNSPECIFIED.into(),
            },
            0,
        );
        let vip = SocketAddr::new(Plan::vip(family), 5000);
        reach_the_host(&setup, setup.world.client(), vip, any);
        let real_server = &setup.world.real_servers()[0];
        let syslog = SocketAddr::new(Plan::dip(family), 514);
        let rip = SocketAddr::new(real_server.rip(family), 5514);
        reach_the_host(&setup, real_server.namespace(), syslog, rip);
    }
    setup.check_nothing_dropped();
    let stats = setup.stats();
    assert!(stats.workers.given_back >= FRAGMENTS, "{stats}");
}

#[test]
fn native_leaves_the_host_its_fragments() {
    host_gets_its_fragments(WantedMode::Native);
}

#[test]
fn generic_leaves_the_host_its_fragments() {
    host_gets_its_fragments(WantedMode::Generic);
}

#[test]
fn packet_leaves_the_host_its_fragments() {
    host_gets_its_fragments(WantedMode::Packet);
}

/// Three fragments at an MTU of 1500.
const DATAGRAM: usize = 4000;
/// Of two datagrams in each family.
const FRAGMENTS: u64 = 12;
const DEADLINE: Duration = Duration::from_secs(5);
/// In which a second copy would have come.
const A_MOMENT: Duration = Duration::from_millis(100);
