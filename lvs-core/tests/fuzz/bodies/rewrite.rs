//! Well-formed packets of every kind: what leaves must be what the builder
//! makes of the same words, with every checksum right.

use std::net::SocketAddr;

use lvs_core::config::GueChecksum;
use lvs_core::{ChecksumState, ForwardingMethod, Protocol, Tunnel, Verdict};

use super::input::Input;
use super::{GUE_PORT, WAYS, director, memory};
use crate::common::bed::Taken;
use crate::common::frame::Frame;
use crate::common::packet::{Checksum, Packet, tcp, udp};
use crate::common::place::{
    FAMILIES, Family, Wiring, from_client, from_server, to_client, to_server,
};
use crate::common::read::read;

/// One connection: a request, a reply, and what may vary in each.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let w = input.one_of(&FAMILIES);
    let way = input.one_of(&WAYS);
    let (method, _) = way;
    let protocol = input.one_of(&[Protocol::Tcp, Protocol::Udp]);
    // What goes to the port of tunnels would be read as one.
    let port = Some(input.word().max(21)).filter(|port| *port != GUE_PORT);
    let client = SocketAddr::new(w.client.ip(), port.unwrap_or(21));
    let wiring = Wiring {
        outside_vlan: input.once_in(2).then_some(12),
        inside_vlan: input.once_in(2).then_some(34),
        ..Wiring::default()
    };
    let server = match way {
        (ForwardingMethod::Masquerade, 0) => w.real_at(11, 80),
        (ForwardingMethod::Masquerade, port) => w.real_at(11, port),
        _ => w.web,
    };
    let mut memory = memory();
    let mut bed = director(&mut memory, way, &wiring);
    let tagged = |frame: Frame| match [wiring.outside_vlan, wiring.inside_vlan][frame.port.index()]
    {
        Some(vlan) => frame.vlan(vlan),
        None => frame,
    };
    // The same words before and after, but for the ends, the hop and what the
    // checksum lacks.
    let request = Words::read(&mut input, w, protocol);
    let checksum = match (method, request.arrives) {
        (ForwardingMethod::Masquerade, _) | (_, Checksum::Half) => Checksum::Whole,
        (_, as_it_is) => as_it_is,
    };
    let forwarded = request
        .packet(client, server, checksum)
        .ttl(request.ttl - 1);
    let taken = request.frame(from_client(&request.packet(client, w.web, request.arrives)));
    let got = bed.take(0, &tagged(taken.clone()));
    let forwarded = match method {
        ForwardingMethod::Tunnel(tunnel) => {
            let link = if wiring.inside_vlan.is_some() { 18 } else { 14 };
            wrapped(&request, forwarded, w, tunnel, &got.bytes[link..])
        }
        _ => forwarded,
    };
    expect(&got, &taken, &tagged(to_server(11, &forwarded)));
    if matches!(method, ForwardingMethod::Masquerade) {
        let reply = Words::read(&mut input, w, protocol);
        let taken = reply.frame(from_server(
            11,
            &reply.packet(server, client, reply.arrives),
        ));
        let sent = reply
            .packet(w.web, client, Checksum::Whole)
            .ttl(reply.ttl - 1);
        let got = bed.take(0, &tagged(taken.clone()));
        expect(&got, &taken, &tagged(to_client(&sent)));
    }
}

/// The packet in its tunnel; outer fields follow the inner ones. The source
/// port of UDP may be any, and is taken from what was `got`.
fn wrapped(words: &Words, inner: Packet, w: Family, tunnel: Tunnel, got: &[u8]) -> Packet {
    let class = if words.class & 3 == 3 {
        words.class & !1
    } else {
        words.class
    };
    // The first that may be fragmented is number 1.
    let id = u16::from(words.may_be_fragmented);
    let (from, to) = (w.inside, w.real(11));
    let outer = match tunnel {
        Tunnel::Ipip => inner.in_tunnel(from, to),
        Tunnel::Gre { checksum } => inner.in_gre(from, to, checksum),
        Tunnel::Gue { port, checksum } => {
            let at = w.header as usize;
            let source = u16::from_be_bytes([got[at], got[at + 1]]);
            assert!((32_768..=60_999).contains(&source), "{source}");
            let (from, to) = (SocketAddr::new(from, source), SocketAddr::new(to, port));
            inner.in_gue(from, to, checksum != GueChecksum::None)
        }
    };
    outer.class(class).id(id)
}

fn expect(got: &Taken, taken: &Frame, wanted: &Frame) {
    assert_eq!(got.verdict, Verdict::Transmit(wanted.port), "{taken:?}");
    assert_eq!(got.bytes, wanted.bytes(), "{taken:?}");
    let seen = read(&got.bytes).expect("every length and checksum right");
    assert_eq!(seen.padding, 0);
}

/// What a packet is but for its ends.
#[derive(Clone, Debug)]
struct Words {
    protocol: Protocol,
    is_ipv4: bool,
    ttl: u8,
    class: u8,
    id: u16,
    may_be_fragmented: bool,
    options: usize,
    flags: u8,
    data: Vec<u8>,
    /// Its checksum on arrival.
    arrives: Checksum,
    known: ChecksumState,
    padded: bool,
    tails: Vec<usize>,
}

impl Words {
    fn read(input: &mut Input<'_>, w: Family, protocol: Protocol) -> Self {
        let arrives = match input.below(5) {
            0 if protocol == Protocol::Udp && w.client.is_ipv4() => Checksum::Absent,
            1 => Checksum::Half,
            _ => Checksum::Whole,
        };
        let known = match arrives {
            Checksum::Half => input.one_of(&[ChecksumState::Partial, ChecksumState::MaybePartial]),
            _ => input.one_of(&[ChecksumState::MaybePartial, ChecksumState::Whole]),
        };
        let mut words = Self {
            protocol,
            is_ipv4: w.client.is_ipv4(),
            ttl: input.byte().max(2),
            class: input.byte(),
            id: input.word(),
            may_be_fragmented: input.once_in(2) && w.client.is_ipv4(),
            options: input.below(4),
            // No RST: the first must begin a connection.
            flags: 0x02 | input.byte() & 0xfb,
            data: input.bytes(200).to_vec(),
            arrives,
            known,
            padded: input.once_in(4),
            tails: Vec::new(),
        };
        // Padding lies in the last chunk; sums are known where they must be made.
        if !words.padded && known != ChecksumState::Whole {
            let cut = input.below(words.data.len() + 1);
            words.tails = [cut, words.data.len() - cut]
                .into_iter()
                .filter(|cut| *cut > 0)
                .collect();
        }
        words
    }

    fn packet(&self, from: SocketAddr, to: SocketAddr, checksum: Checksum) -> Packet {
        let mut packet = match self.protocol {
            Protocol::Tcp => tcp(from, to).flags(self.flags).data(&self.data),
            _ => udp(from, to).data(&self.data),
        };
        packet = packet.ttl(self.ttl).class(self.class).checksum(checksum);
        if self.is_ipv4 {
            packet = packet
                .id(self.id)
                .options(&[1, 1, 1, 0].repeat(self.options));
            if self.may_be_fragmented {
                packet = packet.may_be_fragmented();
            }
        } else {
            // The routing header has no segments left.
            let extensions = [
                (0, [1, 4, 0, 0, 0, 0]),
                (60, [1, 4, 0, 0, 0, 0]),
                (43, [0; 6]),
            ];
            for (number, body) in &extensions[..self.options] {
                packet = packet.extension(*number, body);
            }
        }
        packet
    }

    fn frame(&self, frame: Frame) -> Frame {
        let frame = frame.checksum(self.known).in_chunks(&self.tails);
        if self.padded { frame.padded() } else { frame }
    }
}
