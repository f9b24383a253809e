//! Frames that contradict themselves. Each is dropped, by a name.

use lvs_core::{DropReason, Protocol, RealServer};

use crate::common::frame::Frame;
use crate::common::packet::{Packet, tcp, udp};
use crate::common::place::{FAMILIES, Family, V4, V6, from_client};
use crate::scenario::{Scenario, scenario};

pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut all = v4();
    all.extend(v6());
    for family in FAMILIES {
        all.extend(cut(family));
    }
    all
}

/// Masqueraded services of both protocols; the frame is dropped, and nothing
/// is remembered of it.
fn dropped(w: Family, name: &str, frame: Frame, reason: DropReason) -> Scenario {
    let service = |protocol| {
        let server = RealServer::masquerade(w.real_at(11, 8080));
        w.service(protocol).real_server(server)
    };
    scenario(format!("{name}, {}", w.name))
        .with(service(Protocol::Tcp))
        .with(service(Protocol::Udp))
        .takes(frame)
        .drops_it(reason)
        .remembers(0)
}

fn syn(w: Family) -> Frame {
    from_client(&tcp(w.client, w.web).syn())
}

/// Frames cut off at every byte.
fn cut(w: Family) -> Vec<Scenario> {
    let whole = syn(w).payload.len();
    let mut all: Vec<Scenario> = (0..whole)
        .map(|length| {
            let frame = syn(w).spoilt(|bytes| bytes.truncate(length));
            let name = format!("a frame cut after {length} bytes of its packet");
            dropped(w, &name, frame, DropReason::Truncated)
        })
        .collect();
    all.push(dropped(
        w,
        "headers must lie in the first chunk",
        syn(w).in_chunks(&[1]),
        DropReason::BadTransportHeader,
    ));
    let short = |name: &str, packet: Packet, bytes: usize| {
        dropped(
            w,
            name,
            from_client(&shortened(w, &packet, bytes)),
            DropReason::BadTransportHeader,
        )
    };
    all.push(short(
        "a packet that ends within its TCP header",
        tcp(w.client, w.web).syn(),
        19,
    ));
    all.push(short(
        "a packet that ends within its UDP header",
        udp(w.client, w.web),
        7,
    ));
    all.push(short(
        "a packet that ends with its IP header",
        udp(w.client, w.web),
        0,
    ));
    all
}

/// The packet with only so many bytes after its IP header, and lengths to fit.
fn shortened(w: Family, packet: &Packet, bytes: usize) -> Packet {
    let whole = packet.bytes();
    let protocol = whole[if w.header == 20 { 9 } else { 6 }];
    let from = w.header as usize;
    crate::common::packet::other(w.client.ip(), w.vip(), protocol, &whole[from..from + bytes])
}

fn v4() -> Vec<Scenario> {
    let with = |at: usize, value: u8| syn(V4).spoilt(|bytes| bytes[at] = value);
    let rows = [
        (
            "another version than the EtherType says",
            with(0, 0x65),
            DropReason::BadIpHeader,
        ),
        (
            "a header length below the least",
            with(0, 0x44),
            DropReason::BadIpHeader,
        ),
        (
            "a header longer than the packet",
            with(0, 0x4f),
            DropReason::BadIpHeader,
        ),
        (
            "a total length below the header's",
            with(3, 19),
            DropReason::BadIpHeader,
        ),
        (
            "a total length beyond the frame",
            with(3, 41),
            DropReason::Truncated,
        ),
        (
            "a header checksum that does not fit",
            with(8, 63),
            DropReason::BadIpChecksum,
        ),
    ];
    rows.into_iter()
        .map(|(name, frame, reason)| dropped(V4, name, frame, reason))
        .collect()
}

fn v6() -> Vec<Scenario> {
    let w = V6;
    let with = |at: usize, value: u8| syn(w).spoilt(|bytes| bytes[at] = value);
    let endless = (0..9).fold(tcp(w.client, w.web).syn(), |packet, _| {
        packet.extension(60, &[1, 4, 0, 0, 0, 0])
    });
    let beyond = syn(w).spoilt(|bytes| {
        // Destination options that claim 2048 bytes.
        bytes[6] = 60;
        bytes[41] = 255;
    });
    let rows = [
        (
            "another version than the EtherType says",
            with(0, 0x45),
            DropReason::BadIpHeader,
        ),
        (
            "a payload length beyond the frame",
            with(5, 21),
            DropReason::Truncated,
        ),
        (
            "a payload length of none",
            with(5, 0),
            DropReason::BadTransportHeader,
        ),
        (
            "more extension headers than anybody sends",
            from_client(&endless),
            DropReason::BadIpHeader,
        ),
        (
            "an extension header longer than the packet",
            beyond,
            DropReason::Truncated,
        ),
    ];
    rows.into_iter()
        .map(|(name, frame, reason)| dropped(w, name, frame, reason))
        .collect()
}
