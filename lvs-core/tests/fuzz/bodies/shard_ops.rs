//! Packets, time and changes in any order, on one to three shards; after each,
//! everything that is counted must agree with everything that is remembered.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use lvs_core::packet::FlowKey;
use lvs_core::{
    Config, Connection, ForwardingMethod, Instant, Limits, Protocol, RealServerId, Scheduler,
    Service, Shard, ShardId, Verdict,
};

use super::input::Input;
use super::{LIMITS, WAYS, real_server};
use crate::common::bed::{self, Bed, Taken};
use crate::common::frame::Frame;
use crate::common::icmp::{port_unreachable, too_big};
use crate::common::packet::{Packet, tcp, udp};
use crate::common::place::{FAMILIES, Family, Wiring, from_client, from_server};
use crate::common::read::read;

/// Does one thing after the other until the input is used up.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let shards = 1 + input.below(3);
    let mut memory = bed::memory(shards, 1 + input.below(12));
    let limits = Limits {
        seed: u64::from(input.byte()),
        ..LIMITS
    };
    let config = any_config(&mut input);
    let mut bed = Bed::with(&mut memory, config, Wiring::default().network(), limits);
    let mut ids = known(&bed, BTreeMap::new());
    while !input.is_empty() {
        match input.below(8) {
            0 => bed.wait(Duration::from_millis(u64::from(input.word()) * 7)),
            1 => creep(&mut bed, &mut input),
            2 if input.once_in(3) => {
                // One that does not fit changes nothing.
                let _ = bed.try_configure(any_config(&mut input));
                ids = known(&bed, ids);
            }
            3 if input.once_in(3) => bed.rewire(any_wiring(&mut input).network()),
            _ => one_packet(&mut bed, &mut input),
        }
        check(&bed, &ids);
    }
    // Whatever there was, in the end there is nothing.
    bed.wait(Duration::from_secs(1000));
    assert!(bed.shards.iter().all(|shard| shard.connections() == 0));
    check(&bed, &ids);
}

/// Time passes, but hardly anything is ended in it; and the clock goes back.
fn creep(bed: &mut Bed<'_>, input: &mut Input<'_>) {
    let before = bed.now;
    bed.now = bed.now + Duration::from_secs(u64::from(input.byte()));
    let budget = u32::from(input.byte());
    for shard in &mut bed.shards {
        let closed = shard.stats().closed;
        let ended = shard.expire(bed.now, budget) as u64;
        assert!(ended <= u64::from(budget));
        assert_eq!(shard.stats().closed, closed + ended);
    }
    if input.once_in(4) {
        bed.now = before;
    }
}

fn any_config(input: &mut Input<'_>) -> std::sync::Arc<Config> {
    let mut services = Vec::new();
    for w in FAMILIES {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            if input.once_in(5) {
                continue;
            }
            let scheduler = input.one_of(&Scheduler::ALL);
            let mut service = Service::new(protocol, w.web, scheduler);
            for number in 11..15 {
                if !input.once_in(3) {
                    let way = input.one_of(&WAYS);
                    let tunnel = matches!(way.0, ForwardingMethod::Tunnel(_));
                    // Only a tunnel may lead to the other family.
                    let other = if tunnel && input.once_in(3) {
                        input.one_of(&FAMILIES)
                    } else {
                        w
                    };
                    let server = real_server(other, number, way);
                    service = service.real_server(server.weight(input.below(4) as u32));
                }
            }
            services.push(service);
        }
    }
    Config::new(services).expect("a valid configuration")
}

fn any_wiring(input: &mut Input<'_>) -> Wiring {
    Wiring {
        outside_mtu: input.one_of(&[1500, 100, 1280, 9000]),
        inside_mtu: input.one_of(&[1500, 100, 1280, 70_000]),
        outside_vlan: input.once_in(3).then_some(5),
        inside_vlan: input.once_in(3).then_some(6),
        default_route: !input.once_in(3),
        server_route: !input.once_in(4),
        own_addresses: !input.once_in(4),
        own_client: input.once_in(4),
        further: Vec::new(),
        gateway: (!input.once_in(3)).then_some([2, 0, 0, 0, 1, 254]),
        silent: vec![input.below(20) as u8],
        server_mac_shift: input.below(2) as u8,
    }
}

/// A packet of one of a few flows, at one of the shards.
fn one_packet(bed: &mut Bed<'_>, input: &mut Input<'_>) {
    let shard = input.below(bed.shards.len());
    let frame = any_frame(input);
    let before = connections(bed);
    let ended: u64 = bed.shards.iter().map(|shard| shard.stats().closed).sum();
    let mut taken = bed.take(shard, &frame);
    if let Verdict::Handoff(owner) = taken.verdict {
        assert_ne!(owner, ShardId(shard as u8), "handed to itself");
        assert_eq!(taken.bytes, frame.bytes(), "handed over changed");
        taken = bed.take(owner.index(), &frame);
        assert!(
            !matches!(taken.verdict, Verdict::Handoff(_)),
            "handed on and on"
        );
    }
    check_frame(bed, &frame, &taken);
    let after = connections(bed);
    let ended = bed
        .shards
        .iter()
        .map(|shard| shard.stats().closed)
        .sum::<u64>()
        - ended;
    if ended == 0 {
        for (flow, connection) in before {
            let now = after.get(&flow).expect("no connection vanishes");
            assert_eq!(
                now.real_server, connection.real_server,
                "no connection moves"
            );
        }
    }
}

fn any_frame(input: &mut Input<'_>) -> Frame {
    let w = input.one_of(&FAMILIES);
    let client = w.client_at(7, 40_000 + input.below(4) as u16);
    let server = SocketAddr::new(w.real(11 + input.below(4) as u8), input.one_of(&[80, 8080]));
    let protocol = input.one_of(&[Protocol::Tcp, Protocol::Udp]);
    let flags = input.one_of(&[0x02, 0x02, 0x10, 0x11, 0x04, 0x12, 0x00, 0x06]);
    let length = input.below(120);
    let packet = |from, to| match protocol {
        Protocol::Tcp => tcp(from, to).flags(flags).data(&vec![b'x'; length]),
        _ => udp(from, to).data(&vec![b'y'; length]),
    };
    let kind = input.below(8);
    let made = match kind {
        0..4 => packet(client, w.web),
        4..6 => packet(server, client),
        6 => too_big(w.router, w.vip(), 90, &packet(w.web, client).bytes()),
        _ => port_unreachable(server.ip(), client.ip(), &packet(client, server).bytes()),
    };
    let made = varied(input, made, w);
    if matches!(kind, 0..4 | 6) {
        from_client(&made)
    } else {
        from_server(11, &made)
    }
}

fn varied(input: &mut Input<'_>, packet: Packet, w: Family) -> Packet {
    if input.once_in(3) {
        input.varied(packet, w.client.is_ipv4())
    } else {
        packet
    }
}

fn check_frame(bed: &Bed<'_>, frame: &Frame, taken: &Taken) {
    match taken.verdict {
        Verdict::Transmit(port) => {
            let seen = read(&taken.bytes).unwrap_or_else(|fault| panic!("{fault}: {frame:?}"));
            let interface = bed.network.interface(port).expect("a port there is");
            assert_eq!(seen.from, interface.mac);
            assert_eq!(seen.padding, 0);
            assert!(seen.packet.ttl > 0, "{seen}");
        }
        Verdict::Host => assert_eq!(taken.bytes, frame.bytes()),
        Verdict::Drop(_) | Verdict::Cut(..) | Verdict::Held => {}
        Verdict::Deliver => panic!("no real server is the host"),
        Verdict::Handoff(_) | Verdict::Fragment => unreachable!("looked at before"),
    }
}

fn connections(bed: &Bed<'_>) -> BTreeMap<(usize, String), Connection> {
    let mut all = BTreeMap::new();
    for (number, shard) in bed.shards.iter().enumerate() {
        for connection in shard.list(bed.now) {
            let flow: FlowKey = connection.flow;
            let key = (number, format!("{flow:?}"));
            assert!(all.insert(key, connection).is_none(), "{flow:?} twice");
        }
    }
    all
}

/// Every real server's number there ever was, with its latest address.
fn known(
    bed: &Bed<'_>,
    mut ids: BTreeMap<usize, (RealServerId, SocketAddr)>,
) -> BTreeMap<usize, (RealServerId, SocketAddr)> {
    for (_, address, port, id) in bed.snapshot().real_servers() {
        ids.insert(id.index(), (id, SocketAddr::new(address, port)));
    }
    ids
}

/// Every connection, a few places of the table at a time.
fn listed_in_parts(shard: &Shard<'_>, now: Instant) -> impl Iterator<Item = Connection> {
    let mut next = Some(0);
    let part = move || {
        let (connections, rest) = shard.list_from(now, next?, 3);
        next = rest;
        Some(connections)
    };
    std::iter::from_fn(part).flatten()
}

/// What is counted and what is remembered agree.
fn check(bed: &Bed<'_>, ids: &BTreeMap<usize, (RealServerId, SocketAddr)>) {
    let mut loads: BTreeMap<usize, (u32, u32)> = BTreeMap::new();
    for shard in &bed.shards {
        let stats = shard.stats();
        let verdicts = stats.transmitted + stats.host + stats.handed_off + stats.all_dropped();
        assert_eq!(stats.packets, verdicts, "one verdict a packet");
        assert_eq!(shard.list(bed.now).count(), shard.connections());
        assert!(listed_in_parts(shard, bed.now).eq(shard.list(bed.now)));
        assert_eq!(stats.opened - stats.closed, shard.connections() as u64);
        assert!(shard.connections() <= shard.capacity());
        for connection in shard.list(bed.now) {
            let (_, at) = ids[&connection.real_server.index()];
            assert_eq!(at, SocketAddr::new(connection.address, connection.port));
            let load = loads.entry(connection.real_server.index()).or_default();
            if connection.active {
                load.0 += 1;
            } else {
                load.1 += 1;
            }
        }
    }
    for (index, (id, _)) in ids {
        let counted = bed.planner.loads().connections(*id);
        assert_eq!(
            counted,
            loads.get(index).copied().unwrap_or_default(),
            "real server {index}"
        );
    }
}
