//! Fragments of one datagram that come by several queues, in any order.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use etherparse::PacketBuilder;
use lvs::lvs_io::WantedMode;
use lvs::world::traffic::{Offer, Server, pattern};
use lvs::world::{Family, Method, Plan};
use socket2::{Domain, Protocol, Socket, Type};

use crate::setup::Setup;

fn scatter(mode: WantedMode, method: Method) {
    let plan = Plan {
        queues: 2,
        ..Plan::new(method)
    };
    let Some(setup) = Setup::new(plan, mode, 2) else {
        return;
    };
    for family in Family::BOTH {
        // One that is the host's: at the VIP, and no service.
        let shell = SocketAddr::new(Plan::vip(family), 5000);
        let director = setup.world.director();
        let _host = Server::start(director, "host", &[Offer::UdpEcho(shell)]).unwrap();
        let ask = || {
            let ways: Vec<Socket> = (0..WAYS).map(|_| way(family)).collect::<io::Result<_>>()?;
            let services = (0..DATAGRAMS).map(|number| (number, Plan::echo(family)));
            let hosts = (DATAGRAMS..2 * DATAGRAMS).map(|number| (number, shell));
            services
                .chain(hosts)
                .try_for_each(|(number, to)| exchange(&ways, to, number))
        };
        setup.world.client().run(ask).unwrap();
    }
    setup.check_nothing_dropped();
    let stats = setup.stats();
    let workers = &stats.per_worker;
    assert_eq!(stats.workers.handed_off, stats.workers.taken_over);
    assert_eq!(stats.shards.held, stats.shards.joined, "{stats}");
    // Where packet sockets take packets, the kernel shares fragments out by their
    // addresses alone: all of a family come to one worker.
    let at_least = if mode == WantedMode::Packet { 1 } else { 2 };
    let handing_off = workers.iter().filter(|worker| worker.handed_off > 0);
    assert!(handing_off.count() >= at_least, "{workers:?}");
}

/// Sends a datagram in pieces, each by the next way, and awaits its echo.
fn exchange(ways: &[Socket], to: SocketAddr, number: usize) -> io::Result<()> {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let client = UdpSocket::bind((any, 0))?;
    client.connect(to)?;
    client.set_read_timeout(Some(DEADLINE))?;
    let sent = pattern::bytes(number as u64, LENGTH);
    let mut pieces = pieces(client.local_addr()?, to, number as u32 + 1, &sent);
    match number % 3 {
        0 => {}
        1 => pieces.reverse(),
        _ => pieces.rotate_left(1),
    }
    for (at, piece) in pieces.iter().enumerate() {
        let way = &ways[(number + at * (1 + number / ways.len())) % ways.len()];
        way.send(piece)?;
    }
    let mut answer = vec![0; LENGTH + 10];
    let length = client
        .recv(&mut answer)
        .unwrap_or_else(|error| panic!("{to}, datagram {number}: {error}"));
    let echoed = &answer[..length];
    assert!(echoed.ends_with(&sent), "{to}, datagram {number}");
    Ok(())
}

/// A socket that takes whole IP packets to the VIP. Each that is connected draws
/// a hash of its own for what it sends, and the hash is what chooses the queue.
pub(super) fn way(family: Family) -> io::Result<Socket> {
    let raw = Some(Protocol::from(IPPROTO_RAW));
    let socket = match family {
        Family::V4 => {
            let socket = Socket::new(Domain::IPV4, Type::RAW, raw)?;
            socket.set_header_included_v4(true)?;
            socket
        }
        Family::V6 => {
            let socket = Socket::new(Domain::IPV6, Type::RAW, raw)?;
            socket.set_header_included_v6(true)?;
            socket
        }
    };
    socket.connect(&SocketAddr::new(Plan::vip(family), 0).into())?;
    Ok(socket)
}

/// A datagram in IP packets of at most [`PIECE`] bytes of it each.
pub(super) fn pieces(
    from: SocketAddr,
    to: SocketAddr,
    number: u32,
    payload: &[u8],
) -> Vec<Vec<u8>> {
    let mut whole = Vec::new();
    let (ip, headers) = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            (PacketBuilder::ipv4(from.octets(), to.octets(), 64), 20)
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            (PacketBuilder::ipv6(from.octets(), to.octets(), 64), 40)
        }
        _ => panic!("{from} and {to} are of two families"),
    };
    ip.udp(from.port(), to.port())
        .write(&mut whole, payload)
        .unwrap();
    let (header, datagram) = whole.split_at(headers);
    let last = datagram.len().div_ceil(PIECE) - 1;
    let piece = |(index, part): (usize, &[u8])| {
        let (more, offset) = (index < last, (index * PIECE) as u16);
        let mut piece = header.to_vec();
        if from.is_ipv4() {
            let flags = (u16::from(more) << 13) | (offset / 8);
            piece[2..4].copy_from_slice(&(20 + part.len() as u16).to_be_bytes());
            piece[4..6].copy_from_slice(&(number as u16).to_be_bytes());
            // The kernel makes the header's checksum.
            piece[6..8].copy_from_slice(&flags.to_be_bytes());
        } else {
            piece[4..6].copy_from_slice(&(8 + part.len() as u16).to_be_bytes());
            let next = std::mem::replace(&mut piece[6], FRAGMENT_HEADER);
            piece.extend([next, 0]);
            piece.extend((offset | u16::from(more)).to_be_bytes());
            piece.extend(number.to_be_bytes());
        }
        piece.extend(part);
        piece
    };
    datagram.chunks(PIECE).enumerate().map(piece).collect()
}

macro_rules! cells {
    ($($name:ident: $mode:ident $method:ident,)+) => {
        $(#[test]
        fn $name() {
            scatter(WantedMode::$mode, Method::$method);
        })+
    };
}

cells! {
    native_masquerade_gathers_them: Native Masquerade,
    native_direct_route_gathers_them: Native DirectRoute,
    native_tunnel_gathers_them: Native Tunnel,
    packet_masquerade_gathers_them: Packet Masquerade,
    packet_tunnel_gathers_them: Packet Tunnel,
}

/// Sockets that send; half of them, about, by each queue.
const WAYS: usize = 16;
const DATAGRAMS: usize = 60;
const LENGTH: usize = 4000;
/// Bytes of a datagram in each piece but the last, a multiple of 8.
const PIECE: usize = 1000;
const DEADLINE: Duration = Duration::from_secs(10);
/// Next header of IPv6 (RFC 8200 4.5).
const FRAGMENT_HEADER: u8 = 44;
/// The kernel's number for "a whole packet".
const IPPROTO_RAW: i32 = 255;
