//! Fragments: those of a service's packets are dropped, the host's are the
//! host's, whichever comes with its ports known or not.

use lvs_core::{Protocol, RealServer};

use crate::common::frame::Frame;
use crate::common::packet::{Packet, tcp, udp};
use crate::common::place::{FAMILIES, Family, from_client, from_server};
use crate::scenario::{Scenario, scenario};

pub(crate) fn scenarios() -> Vec<Scenario> {
    FAMILIES.into_iter().flat_map(by_family).collect()
}

/// A masqueraded UDP service.
fn served(w: Family, name: &str) -> Scenario {
    let service = w.service(Protocol::Udp);
    scenario(format!("{name}, {}", w.name))
        .with(service.real_server(RealServer::masquerade(w.real_at(11, 8080))))
}

/// First, middle and last part of a datagram.
fn parts(packet: &Packet, frame: impl Fn(&Packet) -> Frame) -> [Frame; 3] {
    [(0, true), (1480, true), (2960, false)]
        .map(|(offset, more)| frame(&packet.clone().fragment(offset, more)))
}

fn by_family(w: Family) -> Vec<Scenario> {
    let host_port = |address| std::net::SocketAddr::new(address, 5000);
    let request = udp(w.client, w.web).id(7);
    let to_host = udp(w.client, host_port(w.vip())).id(7);
    let reply = udp(w.real_at(11, 8080), w.client).id(7);
    let syslog = udp(w.real_at(11, 514), host_port(w.inside)).id(7);
    let other_protocol = tcp(w.client, w.web).id(7);
    let from_eleven = |packet: &Packet| from_server(11, packet);
    let dropped = |name: &str, frames: [Frame; 3]| {
        let begun = served(w, name);
        let all = frames
            .into_iter()
            .fold(begun, |scenario, frame| scenario.takes(frame).holds());
        all.remembers(0)
    };
    let host = |name: &str, frames: [Frame; 3]| {
        let begun = served(w, name);
        let all = frames
            .into_iter()
            .fold(begun, |scenario, frame| scenario.takes(frame).host());
        all.remembers(0)
    };
    let [first, _, last] = parts(&request, from_client);
    let [host_first, _, host_last] = parts(&to_host, from_client);
    vec![
        dropped("a request in fragments", parts(&request, from_client)),
        dropped("a reply in fragments", parts(&reply, from_eleven)),
        host(
            "fragments to a port of the VIP without a service are the host's",
            parts(&to_host, from_client),
        ),
        host(
            "so are those of another protocol",
            parts(&other_protocol, from_client),
        ),
        host(
            "and those a real server sends to the host itself",
            parts(&syslog, from_eleven),
        ),
        served(w, "a fragment without a first is the host's")
            .takes(last.clone())
            .host()
            .takes(from_client(&request.clone().id(8).fragment(0, true)))
            .holds()
            .takes(last.clone())
            .host(),
        served(w, "a first fragment is remembered for thirty seconds")
            .takes(first.clone())
            .holds()
            .seconds(29)
            .takes(last.clone())
            .holds()
            .seconds(2)
            .takes(last.clone())
            .host(),
        served(w, "a datagram's number may be used again")
            .takes(first.clone())
            .holds()
            .takes(host_first)
            .host()
            .takes(host_last)
            .host()
            .takes(first)
            .holds()
            .takes(last)
            .holds(),
        served(w, "a first fragment without all of its ports is the host's")
            .takes(
                from_client(&request.fragment(0, true)).spoilt(move |bytes| {
                    bytes.truncate(bytes.len() - message(bytes, w) + 3);
                    shorten(bytes, w);
                }),
            )
            .host(),
    ]
}

/// Bytes behind the IP header and the fragment header.
fn message(bytes: &[u8], w: Family) -> usize {
    bytes.len() - w.header as usize - if w.vip().is_ipv4() { 0 } else { 8 }
}

/// Has the IP header say how long the packet is now.
fn shorten(bytes: &mut [u8], w: Family) {
    if w.vip().is_ipv4() {
        let length = bytes.len() as u16;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        bytes[10..12].copy_from_slice(&[0, 0]);
        let sum = crate::common::sum::checksum(&bytes[..20]);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    } else {
        let length = bytes.len() as u16 - 40;
        bytes[4..6].copy_from_slice(&length.to_be_bytes());
    }
}
