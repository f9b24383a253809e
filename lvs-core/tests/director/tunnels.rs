//! Tunnels of every kind, between all families; what goes through them and what
//! comes back about them.

use std::net::SocketAddr;

use lvs_core::config::{GueChecksum, Overrides, Setting};
use lvs_core::{DropReason, ForwardingMethod, Protocol, RealServer, Service, Tunnel};

use crate::common::icmp::by_the_director;
use crate::common::packet::{Checksum, Packet, icmp, tcp, udp};
use crate::common::place::{
    FAMILIES, Family, V4, V6, first, from_client, from_server, to_client, to_server,
};
use crate::scenario::{Scenario, scenario};

pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut all = Vec::new();
    for kind in KINDS {
        for inner in FAMILIES {
            for outer in FAMILIES {
                let mix = Mix { kind, inner, outer };
                all.extend([mix.both_protocols(), mix.longest(), mix.in_chunks()]);
                all.push(mix.error_from_outside());
            }
        }
        all.extend([about(kind), narrowed(kind)]);
    }
    all.extend(unsummed());
    all.extend(too_narrow());
    all.extend(without_discovery());
    all.extend(foreign_errors());
    all
}

const PORT: u16 = 6080;

const fn gue(checksum: GueChecksum) -> Tunnel {
    Tunnel::Gue {
        port: PORT,
        checksum,
    }
}

const KINDS: [Tunnel; 6] = [
    Tunnel::Ipip,
    gue(GueChecksum::None),
    gue(GueChecksum::Full),
    gue(GueChecksum::Remote),
    Tunnel::Gre { checksum: false },
    Tunnel::Gre { checksum: true },
];

/// A kind of tunnel, from a service of one family to a real server of another.
#[derive(Clone, Copy)]
struct Mix {
    kind: Tunnel,
    inner: Family,
    outer: Family,
}

impl Mix {
    fn named(&self, what: &str) -> Scenario {
        let (inner, outer) = (self.inner.name, self.outer.name);
        scenario(format!("{:?}, {inner} in {outer}: {what}", self.kind))
    }

    fn service(&self, protocol: Protocol) -> Service {
        let address = SocketAddr::new(self.outer.real(11), 0);
        self.inner.service(protocol).real_server(RealServer::new(
            address,
            ForwardingMethod::Tunnel(self.kind),
        ))
    }

    /// Bytes the tunnel adds.
    fn overhead(&self) -> usize {
        let header = match self.kind {
            Tunnel::Ipip => 0,
            Tunnel::Gue { .. } => 12,
            Tunnel::Gre { checksum: false } => 4,
            Tunnel::Gre { checksum: true } => 8,
        };
        self.outer.header as usize + header
    }

    /// The packet as the real server gets it; `flow` is its GUE source port,
    /// `number` how many went through a tunnel before.
    fn wrapped(&self, packet: Packet, flow: u16, number: u16) -> Packet {
        let (from, to) = (self.outer.inside, self.outer.real(11));
        let numbered = !packet.has_df();
        let wrapped = match self.kind {
            Tunnel::Ipip => packet.in_tunnel(from, to),
            Tunnel::Gue { checksum, .. } => packet.in_gue(
                SocketAddr::new(from, flow),
                SocketAddr::new(to, PORT),
                checksum != GueChecksum::None,
            ),
            Tunnel::Gre { checksum } => packet.in_gre(from, to, checksum),
        };
        if numbered && to.is_ipv4() {
            wrapped.id(number)
        } else {
            wrapped
        }
    }

    fn both_protocols(&self) -> Scenario {
        let w = self.inner;
        let named = self.named("requests go in whole");
        let [tcp_flow, udp_flow] = flows(w);
        let segment = || first(Protocol::Tcp, w.client, w.web);
        let datagram = || udp(w.client, w.web).data(b"odd").class(0xbb);
        named
            .with(self.service(Protocol::Tcp))
            .with(self.service(Protocol::Udp))
            .takes(from_client(&segment()))
            .sends(to_server(11, &self.wrapped(segment().ttl(63), tcp_flow, 1)))
            .takes(from_client(&datagram()))
            .sends(to_server(
                11,
                &self.wrapped(datagram().ttl(63), udp_flow, 2).class(0xba),
            ))
            .takes(from_client(&segment()))
            .sends(to_server(11, &self.wrapped(segment().ttl(63), tcp_flow, 3)))
            .remembers(2)
    }

    fn longest(&self) -> Scenario {
        let w = self.inner;
        let room = 1500 - self.overhead();
        let long = |bytes| tcp(w.client, w.web).syn().long(bytes);
        let quoted = match w.header {
            20 => 548,
            _ => 1232,
        };
        let quoted = long(room + 1).ttl(63).bytes()[..quoted].to_vec();
        let kind = match w.header {
            20 => (3, 4, room as u32),
            _ => (2, 0, room as u32),
        };
        let answer = by_the_director(icmp(w.vip(), w.client.ip(), kind, &quoted), 1);
        self.named("what does not fit is answered")
            .with(self.service(Protocol::Tcp))
            .takes(from_client(&long(room)))
            .sends(to_server(
                11,
                &self.wrapped(long(room).ttl(63), flows(w)[0], 1),
            ))
            .takes(from_client(&long(room + 1)))
            .sends(to_client(&answer))
    }

    fn in_chunks(&self) -> Scenario {
        let w = self.inner;
        let packet = || tcp(w.client, w.web).syn().long(1001);
        self.named("checksums cover further chunks")
            .with(self.service(Protocol::Tcp))
            .takes(from_client(&packet()).in_chunks(&[333, 200, 101]))
            .sends(to_server(
                11,
                &self.wrapped(packet().ttl(63), flows(w)[0], 1),
            ))
    }

    /// An error about what the real server sent to the client goes to it by the
    /// same tunnel.
    fn error_from_outside(&self) -> Scenario {
        let w = self.inner;
        let kind = match w.header {
            20 => (3, 3, 0),
            _ => (1, 4, 0),
        };
        let reply = tcp(w.web, w.client).ack().bytes();
        let error = || icmp(w.router, w.vip(), kind, &reply);
        self.named("errors about replies go in as well")
            .with(self.service(Protocol::Tcp))
            .takes(from_client(&first(Protocol::Tcp, w.client, w.web)))
            .sends(to_server(
                11,
                &self.wrapped(
                    first(Protocol::Tcp, w.client, w.web).ttl(63),
                    flows(w)[0],
                    1,
                ),
            ))
            .takes(from_client(&error()))
            .sends(to_server(
                11,
                &self.wrapped(error().ttl(63), error_flow(w), 2),
            ))
    }
}

/// The GUE source ports of the client's TCP and UDP flow: of no meaning, but
/// the same for a flow as long as the director lives.
fn flows(w: Family) -> [u16; 2] {
    match w.header {
        20 => [36_184, 38_898],
        _ => [45_152, 45_453],
    }
}

/// That of ICMP errors from the router to the VIP.
fn error_flow(w: Family) -> u16 {
    match w.header {
        20 => 50_351,
        _ => 33_232,
    }
}

/// A UDP connection over IPv4 through a tunnel of this kind, and the packet that
/// went in.
fn begun(kind: Tunnel, what: &str) -> (Mix, Scenario) {
    let mix = Mix {
        kind,
        inner: V4,
        outer: V4,
    };
    let packet = || udp(V4.client, V4.web);
    let scenario = mix
        .named(what)
        .with(mix.service(Protocol::Udp))
        .takes(from_client(&packet()))
        .sends(to_server(
            11,
            &mix.wrapped(packet().ttl(63), flows(V4)[1], 1),
        ));
    (mix, scenario)
}

/// Errors from the way to a real server are told to the client (RFC 2003 4.1).
fn about(kind: Tunnel) -> Scenario {
    let (mix, begun) = begun(kind, "who does not get through is told, by the service");
    let inner = udp(V4.client, V4.web).ttl(63);
    let quoted = mix.wrapped(inner.clone(), 40_000, 0).bytes();
    let told = icmp(V4.vip(), V4.client.ip(), (3, 1, 0), &inner.bytes());
    begun
        .takes(from_server(
            99,
            &icmp(V4.router, V4.inside, (3, 1, 0), &quoted),
        ))
        .sends(to_client(&by_the_director(told, 1)))
}

/// A path that takes less from now on.
fn narrowed(kind: Tunnel) -> Scenario {
    let (mix, begun) = begun(kind, "what a path takes is learnt, less the tunnel's own");
    let long = || udp(V4.client, V4.web).data(b"").long(1400);
    let quoted = |packet: Packet| packet.ttl(63).bytes()[..548].to_vec();
    let answer = |mtu: usize, id| {
        let kind = (3, 4, (mtu - mix.overhead()) as u32);
        let answer = icmp(V4.vip(), V4.client.ip(), kind, &quoted(long()));
        to_client(&by_the_director(answer, id))
    };
    let outer = mix.wrapped(long().ttl(63), 40_000, 0).bytes();
    let error = |mtu| from_server(99, &icmp(V4.router, V4.inside, (3, 4, mtu), &outer));
    begun
        .takes(error(1300))
        .sends(answer(1500, 1))
        .takes(from_client(&long()))
        .sends(answer(1300, 2))
        .takes(error(1200))
        .sends(answer(1200, 3))
        .takes(from_client(&long()))
        .sends(answer(1200, 4))
        .seconds(601)
        .takes(from_client(&long()))
        .sends(to_server(11, &mix.wrapped(long().ttl(63), flows(V4)[1], 4)))
}

/// Datagrams without a checksum of their own, and tunnels with one.
fn unsummed() -> Vec<Scenario> {
    let unknown = Mix {
        kind: Tunnel::Gre { checksum: true },
        inner: V4,
        outer: V4,
    };
    let packet = || udp(V4.client, V4.web).long(300);
    // Nobody sums a packet that ends before its last chunk does.
    let padded = |packet| from_client(&packet).padded().in_chunks(&[100]);
    let unknown = unknown
        .named("nothing says what part of the packet sums to")
        .with(unknown.service(Protocol::Udp))
        .takes(padded(packet().checksum(Checksum::Absent)))
        .drops_it(DropReason::TunnelChecksumUnknown);
    let rows = KINDS.map(|kind| {
        let mix = Mix {
            kind,
            inner: V4,
            outer: V6,
        };
        let packet = || udp(V4.client, V4.web).checksum(Checksum::Absent);
        mix.named("a datagram without a checksum stays without")
            .with(mix.service(Protocol::Udp))
            .takes(from_client(&packet()))
            .sends(to_server(
                11,
                &mix.wrapped(packet().ttl(63), flows(V4)[1], 1),
            ))
    });
    [&rows[..], &[unknown]].concat()
}

/// Tunnels whose path takes too little for anybody.
fn too_narrow() -> [Scenario; 2] {
    let row = |inner: Family, outer: Family, mtu| {
        let mix = Mix {
            kind: Tunnel::Gre { checksum: true },
            inner,
            outer,
        };
        let packet = || tcp(inner.client, inner.web).syn();
        mix.named("a path too narrow for a tunnel takes nothing")
            .with(mix.service(Protocol::Tcp))
            .wired(|wiring| wiring.inside_mtu = mtu)
            .takes(from_client(&packet()))
            .drops_it(DropReason::TunnelTooNarrow)
            .rewired(|wiring| wiring.inside_mtu = mtu + 1)
            .takes(from_client(&packet()))
            .sends(to_server(
                11,
                &mix.wrapped(packet().ttl(63), flows(inner)[0], 2),
            ))
    };
    [row(V4, V4, 28 + 67), row(V4, V6, 48 + 1279)]
}

/// `pmtu_disc` 0: outer packets may be fragmented, whatever the inner ones say.
fn without_discovery() -> Vec<Scenario> {
    let off = |mix: Mix| {
        let mut service = mix.service(Protocol::Tcp);
        service.settings = Overrides::NONE;
        service
            .settings
            .set(Setting::PmtuDisc, 0)
            .expect("a switch may be off");
        service
    };
    let row = |inner: Family, outer: Family| {
        let mix = Mix {
            kind: Tunnel::Ipip,
            inner,
            outer,
        };
        let packet = || tcp(inner.client, inner.web).syn();
        let outside = mix.wrapped(packet().ttl(63), 0, 1).may_be_fragmented();
        mix.named("without discovery of MTUs the outer packet may be fragmented")
            .with(off(mix))
            .takes(from_client(&packet()))
            .sends(to_server(11, &outside.id(1)))
            .takes(from_client(&packet().long(1481)))
            .cuts(
                to_server(
                    11,
                    &mix.wrapped(packet().long(1481).ttl(63), 0, 2)
                        .may_be_fragmented()
                        .id(2),
                ),
                1500,
            )
    };
    vec![row(V4, V4)]
}

/// Errors that quote a tunnel which is none of ours.
fn foreign_errors() -> Vec<Scenario> {
    let quoted = |packet: Packet| icmp(V4.router, V4.inside, (3, 1, 0), &packet.bytes());
    let inner = || udp(V4.client, V4.web).ttl(63);
    let [from, to] = [V4.inside, V4.real(11)];
    let at = SocketAddr::new;
    let rows = [
        (
            "another port",
            gue(GueChecksum::None),
            inner().in_gue(at(from, 40_000), at(to, PORT + 1), false),
        ),
        (
            "another kind",
            gue(GueChecksum::None),
            inner().in_gre(from, to, false),
        ),
        ("another kind", Tunnel::Ipip, inner().in_gre(from, to, true)),
        (
            "another real server",
            Tunnel::Gre { checksum: true },
            inner().in_gre(from, V4.real(12), true),
        ),
        (
            "the other family inside",
            Tunnel::Gre { checksum: true },
            udp(V6.client, V6.web).in_gre(from, to, true),
        ),
    ];
    rows.map(|(what, kind, packet)| {
        begun(kind, &format!("an error about {what} is the host's"))
            .1
            .takes(from_server(99, &quoted(packet)))
            .host()
    })
    .into()
}
