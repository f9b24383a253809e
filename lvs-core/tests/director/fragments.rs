//! Fragments: those of a service's datagrams are held until they are whole and
//! leave as they were cut; the host's are the host's, whichever comes with its
//! ports known or not.

use std::net::SocketAddr;

use lvs_core::{DropReason, Protocol, RealServer, ServiceKey};

use crate::common::frame::Frame;
use crate::common::icmp::by_the_director;
use crate::common::packet::{Packet, icmp, other, tcp, udp};
use crate::common::place::{
    FAMILIES, Family, V4, V6, from_client, from_server, to_client, to_server,
};
use crate::scenario::{Scenario, owner, scenario};

pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut all: Vec<Scenario> = FAMILIES.into_iter().flat_map(by_family).collect();
    all.extend(FAMILIES.into_iter().flat_map(refusals));
    all.extend(FAMILIES.into_iter().flat_map(bounds));
    all.extend(late());
    all.push(longest());
    all
}

/// A UDP service with this real server.
fn served(w: Family, name: &str, server: RealServer) -> Scenario {
    scenario(format!("{name}, {}", w.name)).with(w.service(Protocol::Udp).real_server(server))
}

fn masqueraded(w: Family, name: &str) -> Scenario {
    served(w, name, RealServer::masquerade(w.real_at(11, 8080)))
}

/// A datagram with 1200 bytes in it.
fn datagram(from: SocketAddr, to: SocketAddr) -> Packet {
    let data: Vec<u8> = (0..1200u16).map(|n| (n % 251) as u8).collect();
    udp(from, to).data(&data).id(7).may_be_fragmented()
}

/// The part of a UDP packet with these bytes of its message.
fn part(packet: &Packet, ends: (SocketAddr, SocketAddr), range: std::ops::Range<usize>) -> Packet {
    let bytes = packet.bytes();
    let header = if ends.0.is_ipv4() { 20 } else { 40 };
    let message = &bytes[header..];
    let more = range.end < message.len();
    let offset = range.start as u16;
    let part = other(ends.0.ip(), ends.1.ip(), 17, &message[range]);
    part.id(7).fragment(offset, more)
}

/// First, middle and last part of a datagram.
fn parts(from: SocketAddr, to: SocketAddr) -> [Packet; 3] {
    let whole = datagram(from, to);
    [0..512, 512..1000, 1000..1208].map(|range| part(&whole, (from, to), range))
}

fn by_family(w: Family) -> Vec<Scenario> {
    let inside = w.real_at(11, 8080);
    let [first, middle, last] = parts(w.client, w.web).map(|part| from_client(&part));
    let forwarded = || parts(w.client, inside).map(|part| to_server(11, &part.ttl(63)));
    let direct = || parts(w.client, w.web).map(|part| to_server(11, &part.ttl(63)));
    let replies = parts(inside, w.client).map(|part| from_server(11, &part));
    let replied = parts(w.web, w.client).map(|part| to_client(&part.ttl(63)));
    let other_port = SocketAddr::new(w.vip(), 5000);
    let hosts = parts(w.client, other_port).map(|part| from_client(&part));
    let syslog = parts(w.real_at(11, 514), SocketAddr::new(w.inside, 514));
    let syslog = syslog.map(|part| from_server(11, &part));
    let in_order = |begun: Scenario, frames: [Frame; 3]| {
        let hold = |scenario: Scenario, frame| scenario.takes(frame).holds();
        frames.into_iter().fold(begun, hold)
    };
    let all_host = |begun: Scenario, frames: [Frame; 3]| {
        let host = |scenario: Scenario, frame| scenario.takes(frame).host();
        frames.into_iter().fold(begun, host).releases([])
    };
    let ordered = || [first.clone(), middle.clone(), last.clone()];
    let backwards = || [last.clone(), middle.clone(), first.clone()];
    let [host_first, host_middle, host_last] = hosts.clone();
    vec![
        in_order(masqueraded(w, "a request in fragments"), ordered())
            .releases(forwarded())
            .remembers(1),
        in_order(masqueraded(w, "the last of them first"), backwards()).releases(forwarded()),
        masqueraded(w, "nothing leaves before the datagram is whole")
            .takes(first.clone())
            .holds()
            .takes(last.clone())
            .holds()
            .releases([])
            .remembers(0),
        in_order(
            in_order(masqueraded(w, "a reply in fragments"), ordered()).releases(forwarded()),
            replies,
        )
        .releases(replied),
        in_order(
            served(w, "direct routing", RealServer::direct_route(w.real(11))),
            ordered(),
        )
        .releases(direct()),
        in_order(
            masqueraded(w, "into a VLAN").wired(|wiring| wiring.inside_vlan = Some(6)),
            ordered(),
        )
        .releases(forwarded().map(|frame| frame.vlan(6))),
        all_host(
            masqueraded(
                w,
                "fragments to a port of the VIP without a service are the host's",
            ),
            hosts,
        ),
        all_host(
            masqueraded(w, "and those a real server sends to the host itself"),
            syslog,
        ),
        masqueraded(
            w,
            "one that comes before its first is the host's when that has come",
        )
        .takes(host_last.clone())
        .holds()
        .takes(host_first.clone())
        .host()
        .releases_to_host([host_last.clone()])
        .takes(host_middle)
        .host()
        .releases([]),
        masqueraded(w, "a datagram's number may be used again")
            .takes(host_first)
            .host()
            .takes(first)
            .holds()
            .takes(middle)
            .holds()
            .takes(last)
            .holds()
            .releases(forwarded()),
        by_mark(w),
        handed_over(w),
        narrow_header(w),
    ]
}

/// A service on a mark is found by the ports of the first fragment, which comes
/// last.
fn by_mark(w: Family) -> Scenario {
    let mark = std::num::NonZeroU32::new(9).expect("not zero");
    let rule = lvs_core::config::MarkRule {
        destination_ports: vec![80..=80],
        protocol: Some(17),
        mark: Some(mark),
        ..Default::default()
    };
    let mut service = w.service(Protocol::Udp);
    let family = lvs_core::Family::of(w.vip());
    service.key = ServiceKey::Mark { family, mark };
    let service = service.real_server(RealServer::direct_route(w.real(11)));
    let [first, middle, last] = parts(w.client, w.web).map(|part| from_client(&part));
    scenario(format!("a mark is that of the first fragment, {}", w.name))
        .with(service)
        .marked(rule)
        .takes(last)
        .holds()
        .takes(middle)
        .holds()
        .takes(first)
        .holds()
        .releases(parts(w.client, w.web).map(|part| to_server(11, &part.ttl(63))))
}

/// Fragments meet at the shard of their datagram, which hands the datagram on
/// to that of its connection, in fragments again.
fn handed_over(w: Family) -> Scenario {
    let home = owner(w.client);
    let inside = w.real_at(11, 8080);
    let frames = parts(w.client, w.web).map(|part| from_client(&part));
    let begun = masqueraded(w, "fragments meet at one shard").on_two_shards();
    // Where they meet takes a hash to know; from here on they are the other's.
    let away = 1 - home;
    let held = frames.iter().fold(begun, |scenario, frame| {
        scenario.takes_handed(away, frame.clone()).holds()
    });
    held.hands_on(away, home, &frames)
        .releases_at(
            home,
            parts(w.client, inside).map(|part| to_server(11, &part.ttl(63))),
        )
        .remembers(1)
}

/// A first fragment with the ports, but not with all of the header behind them.
fn narrow_header(w: Family) -> Scenario {
    let inside = w.real_at(11, 8080);
    let request = |to| tcp(w.client, to).syn().data(&[b'.'; 100]);
    let cut = |to: SocketAddr| {
        let bytes = request(to).bytes();
        let message = bytes[w.header as usize..].to_vec();
        let part = |range: std::ops::Range<usize>| {
            let more = range.end < message.len();
            let offset = range.start as u16;
            let part = other(w.client.ip(), to.ip(), 6, &message[range]);
            part.id(7).fragment(offset, more)
        };
        [part(0..8), part(8..120)]
    };
    let [first, last] = cut(w.web);
    // IPv6 is as long without a fragment header as its longest fragment was.
    let out = if w.vip().is_ipv4() {
        cut(inside).to_vec()
    } else {
        vec![request(inside)]
    };
    let out = out.into_iter().map(|part| to_server(11, &part.ttl(63)));
    let service = w.service(Protocol::Tcp);
    scenario(format!("a header in two fragments, {}", w.name))
        .with(service.real_server(RealServer::masquerade(inside)))
        .takes(from_client(&last))
        .holds()
        .takes(from_client(&first))
        .holds()
        .releases(out)
        .remembers(1)
}

/// What is refused, and why.
fn refusals(w: Family) -> Vec<Scenario> {
    let whole = datagram(w.client, w.web);
    let ends = (w.client, w.web);
    let of = |range| from_client(&part(&whole, ends, range));
    let [first, middle, last] = [of(0..512), of(512..1000), of(1000..1208)];
    let shorter = part(&udp(w.client, w.web).data(&[0; 792]), ends, 512..800);
    let beyond = other(w.client.ip(), w.vip(), 17, &[0; 64]).fragment(65_528, false);
    let empty = other(w.client.ip(), w.vip(), 17, &[]).fragment(512, true);
    let forwarded =
        || parts(w.client, w.real_at(11, 8080)).map(|part| to_server(11, &part.ttl(63)));
    vec![
        masqueraded(w, "the same again is refused, and nothing else lost")
            .takes(first.clone())
            .holds()
            .takes(first.clone())
            .drops_it(DropReason::FragmentDuplicate)
            .takes(middle.clone())
            .holds()
            .takes(of(256..768))
            .drops_it(DropReason::FragmentDuplicate)
            .takes(last.clone())
            .holds()
            .releases(forwarded()),
        masqueraded(w, "an overlap gives the datagram up")
            .takes(first.clone())
            .holds()
            .takes(of(504..1000))
            .drops_it(DropReason::FragmentOverlap)
            .counts(DropReason::FragmentOverlap, 2)
            .takes(middle.clone())
            .holds()
            .takes(last.clone())
            .holds()
            .releases([])
            .takes(first.clone())
            .holds()
            .releases(forwarded()),
        masqueraded(w, "so does another end")
            .takes(last.clone())
            .holds()
            .takes(from_client(&shorter))
            .drops_it(DropReason::FragmentOverlap)
            .counts(DropReason::FragmentOverlap, 2),
        masqueraded(w, "no datagram is longer than 65535 bytes")
            .takes(from_client(&beyond))
            .drops_it(DropReason::BadFragment),
        masqueraded(w, "a fragment of nothing is none")
            .takes(from_client(&empty))
            .drops_it(DropReason::BadFragment),
    ]
}

/// What a flood can do.
fn bounds(w: Family) -> Vec<Scenario> {
    let half = |client: SocketAddr, number: u16| {
        let packet = other(client.ip(), w.vip(), 17, &[0; 64]);
        from_client(&packet.id(number).fragment(64, true))
    };
    let [first, middle, last] = parts(w.client, w.web).map(|part| from_client(&part));
    let forwarded =
        || parts(w.client, w.real_at(11, 8080)).map(|part| to_server(11, &part.ttl(63)));
    // 4 MiB are 2048 blocks of 2 KiB, of which a source has a quarter.
    let flooder = w.client_at(66, 1);
    let tiny = |n: u16| {
        let packet = other(flooder.ip(), w.vip(), 17, &[0; 8]);
        from_client(&packet.id(9).fragment(n * 16 + 16, true))
    };
    vec![
        masqueraded(w, "one source fills its share and harms itself alone")
            .takes(first.clone())
            .holds()
            .repeated(515, |all, n| all.takes(half(flooder, n)).holds())
            .counts(DropReason::FragmentShare, 3)
            .takes(middle.clone())
            .holds()
            .takes(last.clone())
            .holds()
            .releases(forwarded()),
        masqueraded(w, "many sources push out the oldest")
            .takes(first.clone())
            .holds()
            .repeated(2048, |all, n| {
                all.takes(half(w.client_at(10 + (n % 200) as u8, 1), n))
                    .holds()
            })
            .counts(DropReason::FragmentMemory, 1)
            .takes(middle)
            .holds()
            .takes(last)
            .holds()
            .releases([])
            .counts(DropReason::FragmentMemory, 3),
        masqueraded(w, "nobody needs more than 256 fragments")
            .repeated(256, |all, n| all.takes(tiny(n)).holds())
            .takes(tiny(256))
            .drops_it(DropReason::TooManyFragments),
    ]
}

/// What does not become whole in time is given up; the sender hears of it if
/// its first fragment came (RFC 792), as IPv4 senders do from the kernel.
fn late() -> Vec<Scenario> {
    let told = |w: Family, quoted: &Packet| {
        let (from, to) = (w.vip(), w.client.ip());
        by_the_director(icmp(from, to, (11, 1, 0), &quoted.bytes()), 1)
    };
    let [first, _, last] = parts(V4.client, V4.web);
    let [first6, _, last6] = parts(V6.client, V6.web);
    let [reply, ..] = parts(V4.real_at(11, 8080), V4.client);
    let reply_told = icmp(
        V4.inside,
        V4.real(11),
        (11, 1, 0),
        &reply.clone().ttl(63).bytes(),
    );
    vec![
        masqueraded(V4, "thirty seconds are waited for the rest")
            .takes(from_client(&first))
            .holds()
            .seconds(29)
            .releases([])
            .seconds(2)
            .releases([to_client(&told(V4, &first))])
            .takes(from_client(&last))
            .holds()
            .seconds(31)
            .releases([])
            .counts(DropReason::FragmentTimeout, 1),
        masqueraded(V6, "sixty seconds are waited for the rest")
            .takes(from_client(&first6))
            .holds()
            .seconds(59)
            .takes(from_client(&last6))
            .holds()
            .seconds(2)
            .releases([])
            .counts(DropReason::FragmentTimeout, 1),
        masqueraded(V4, "a real server is told by the director's own address")
            .takes(from_server(11, &reply))
            .holds()
            .seconds(31)
            .releases([to_server(11, &by_the_director(reply_told, 1))]),
    ]
}

/// The longest datagram there is.
fn longest() -> Scenario {
    let w = V4;
    let whole = udp(w.client, w.web).long(65_535).may_be_fragmented();
    let inside = w.real_at(11, 8080);
    let whole_inside = udp(w.client, inside).long(65_535).may_be_fragmented();
    let cuts: Vec<usize> = (0..65_515).step_by(1480).chain([65_515]).collect();
    let ranges = || cuts.windows(2).map(|ends| ends[0]..ends[1]);
    let begun = masqueraded(w, "65535 bytes");
    let held = ranges().fold(begun, |all, range| {
        let fragment = part(&whole, (w.client, w.web), range);
        all.takes(from_client(&fragment)).holds()
    });
    held.releases(ranges().map(|range| {
        let fragment = part(&whole_inside, (w.client, inside), range);
        to_server(11, &fragment.ttl(63))
    }))
}
