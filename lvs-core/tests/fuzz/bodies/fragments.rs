//! Fragments of a few datagrams, in any order and cut anyhow, on one to three
//! shards: what leaves is what was sent, and no fragment is lost uncounted.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use lvs_core::{Config, ForwardingMethod, Limits, Port, Protocol, Service, Verdict};

use super::input::Input;
use super::{LIMITS, WAYS, real_server};
use crate::common::bed::{self, Bed, Taken};
use crate::common::frame::Frame;
use crate::common::packet::{Packet, other, udp};
use crate::common::place::{FAMILIES, Family, OUTSIDE, Wiring, from_client};
use crate::common::sum::checksum;

/// One sender's few datagrams, and what the director has had of them.
struct World<'m> {
    bed: Bed<'m>,
    w: Family,
    mtus: [u32; 2],
    tunnel: bool,
    /// Every fragment's frame that went in.
    sent: BTreeSet<Vec<u8>>,
    /// What must leave of each datagram, unless it is in a tunnel.
    wanted: Vec<Vec<u8>>,
}

/// Sends fragments until the input is used up.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let w = input.one_of(&FAMILIES);
    let way = input.one_of(&WAYS);
    let mut memory = bed::memory(1 + input.below(3), 8);
    let services: Vec<Service> = FAMILIES
        .into_iter()
        .map(|w| {
            w.service(Protocol::Udp)
                .real_server(real_server(w, 11, way))
        })
        .collect();
    let mtus = [
        input.one_of(&[1500, 1280]),
        input.one_of(&[1500, 1400, 600]),
    ];
    let wiring = Wiring {
        outside_mtu: mtus[0],
        inside_mtu: mtus[1],
        ..Wiring::default()
    };
    let limits = Limits {
        seed: u64::from(input.byte()),
        ..LIMITS
    };
    let config = Config::new(services).expect("a valid configuration");
    let port = if way.1 == 0 { w.web.port() } else { way.1 };
    let mut world = World {
        bed: Bed::with(&mut memory, config, wiring.network(), limits),
        w,
        mtus,
        tunnel: matches!(way.0, ForwardingMethod::Tunnel(_)),
        sent: BTreeSet::new(),
        wanted: wanted(w, w.real_at(11, port)),
    };
    while !input.is_empty() {
        world.step(&mut input);
    }
    // Whatever there was, in the end there is nothing.
    world.bed.wait(Duration::from_secs(100));
    world.fetch();
    for shard in &world.bed.shards {
        let stats = shard.stats();
        assert_eq!(stats.held, stats.joined + stats.given_up);
        assert!(!shard.is_release_due());
    }
}

impl World<'_> {
    fn step(&mut self, input: &mut Input<'_>) {
        if input.once_in(40) {
            self.bed
                .wait(Duration::from_millis(u64::from(input.word())));
        }
        let number = input.below(4);
        let range = any_range(input, number);
        let frame = fragment(self.w, number, range);
        let shard = input.below(self.bed.shards.len());
        self.sent.insert(frame.bytes());
        self.take(shard, &frame, false);
        if !input.once_in(3) {
            self.fetch();
        }
        for shard in &self.bed.shards {
            let stats = shard.stats();
            let ended = stats.transmitted + stats.host + stats.handed_off + stats.all_dropped();
            assert_eq!(stats.packets, ended + stats.held);
            assert!(stats.held >= stats.joined + stats.given_up);
        }
    }

    /// Hands a fragment to a shard, and on where that says so.
    fn take(&mut self, shard: usize, frame: &Frame, handed_over: bool) {
        self.bed.handed_over = handed_over;
        let taken = self.bed.take(shard, frame);
        assert_eq!(taken.bytes, frame.bytes(), "a fragment is left as it is");
        match taken.verdict {
            Verdict::Held | Verdict::Host | Verdict::Drop(_) => {}
            Verdict::Handoff(owner) => {
                assert!(!handed_over, "handed on and on");
                assert_ne!(owner.index(), shard, "handed to itself");
                self.take(owner.index(), frame, true);
            }
            other => panic!("{other:?} of a fragment"),
        }
    }

    /// Takes what the shards release until there is no more.
    fn fetch(&mut self) {
        for shard in (0..self.bed.shards.len()).cycle().take(9) {
            for released in self.bed.released(shard) {
                self.check(released);
            }
        }
    }

    fn check(&mut self, released: Taken) {
        let bytes = &released.bytes;
        match released.verdict {
            Verdict::Transmit(port) => self.check_sent(port, bytes),
            Verdict::Host => assert!(self.sent.contains(bytes), "never sent: {bytes:02x?}"),
            Verdict::Handoff(owner) => {
                assert!(self.sent.contains(bytes), "never sent: {bytes:02x?}");
                let port = Port(u8::from(bytes[..6] != OUTSIDE));
                self.take(owner.index(), &Frame::arriving(port, bytes), true);
            }
            other => panic!("released {other:?}"),
        }
    }

    /// Looks that a frame fits where it goes, and holds the bytes it should.
    fn check_sent(&self, port: Port, frame: &[u8]) {
        let ip = &frame[14..];
        assert!(ip.len() as u32 <= self.mtus[port.index()]);
        let (length, message, offset, protocol) = if ip[0] >> 4 == 4 {
            assert_eq!(checksum(&ip[..20]), 0);
            let field = u16::from_be_bytes([ip[6], ip[7]]) & 0x1fff;
            let length = u16::from_be_bytes([ip[2], ip[3]]);
            (usize::from(length), &ip[20..], field * 8, ip[9])
        } else {
            let length = 40 + usize::from(u16::from_be_bytes([ip[4], ip[5]]));
            if ip[6] == 44 {
                let field = u16::from_be_bytes([ip[42], ip[43]]) & !7;
                (length, &ip[48..], field, ip[40])
            } else {
                (length, &ip[40..], 0, ip[6])
            }
        };
        assert_eq!(length, ip.len());
        let holds = |wanted: &Vec<u8>| {
            let part = wanted.get(usize::from(offset)..);
            part.is_some_and(|part| part.starts_with(message))
        };
        // Answers and what is in tunnels are looked at elsewhere.
        let known = self.tunnel || protocol != 17 || self.wanted.iter().any(holds);
        assert!(known, "not of a datagram that was sent: {frame:02x?}");
    }
}

/// The messages that leave a masquerading director, or one that routes
/// directly; none can be told where there may be a tunnel.
fn wanted(w: Family, inside: SocketAddr) -> Vec<Vec<u8>> {
    let header = w.header as usize;
    let message = |packet: Packet| packet.bytes()[header..].to_vec();
    let all = (0..4).flat_map(|number| {
        let client = w.client_at(7, 1000 + number as u16);
        let back = udp(w.web, w.client).data(&data(number));
        [
            message(udp(client, inside).data(&data(number))),
            message(udp(client, w.web).data(&data(number))),
            message(back),
        ]
    });
    all.collect()
}

/// What a datagram says.
fn data(number: usize) -> Vec<u8> {
    let length = [700, 1800, 3000, 90][number];
    let say = |n: usize| (n * 7 + n / 251 + number * 31) as u8;
    (0..length).map(say).collect()
}

/// A part of a datagram: mostly one of a few, so that some become whole.
fn any_range(input: &mut Input<'_>, number: usize) -> (Range<usize>, bool) {
    let step = input.one_of(&[512, 512, 512, 512, 512, 256, 256, 48, 8]);
    let start = input.below(data(number).len() / step + 2) * step;
    let odd = input.once_in(30);
    (start..start + step + usize::from(odd), input.once_in(30))
}

/// A fragment of a datagram: to the service, to another port of the VIP, or
/// back to a client.
fn fragment(w: Family, number: usize, (range, lies): (Range<usize>, bool)) -> Frame {
    let client = w.client_at(7, 1000 + number as u16);
    let to = if number == 3 {
        SocketAddr::new(w.vip(), 5000)
    } else {
        w.web
    };
    let header = w.header as usize;
    let bytes = udp(client, to).data(&data(number)).bytes();
    let message = &bytes[header..];
    let end = range.end.min(message.len());
    let start = range.start.min(end);
    // One that is first and last is no fragment.
    let more = (end < message.len()) != lies || start == 0;
    let part = other(client.ip(), to.ip(), 17, &message[start..end]);
    from_client(&part.id(number as u16).fragment(start as u16, more))
}
