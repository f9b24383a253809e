//! A Linux host, as much of it as the recordings show: nothing listening, no
//! limit to its ICMP messages. It gets what the director leaves to it, and the
//! director gets what it sends on its own.

use std::net::IpAddr;

use lvs_core::network::Resolution;
use lvs_core::{Network, Port};

use crate::frame::{self, ICMP, ICMP_V6, IPIP, Packet, SCTP, TCP, UDP, word};

/// What the director's commands and settings made of the host.
#[derive(Debug)]
pub(crate) struct Host {
    /// Whether it is a router (`ip_forward`).
    pub(crate) forwards: bool,
    /// Addresses at which it takes packets out of tunnels.
    pub(crate) tunnel_ends: Vec<IpAddr>,
    /// Whether what carries a mark is taken in, wherever it was sent.
    pub(crate) takes_marked: bool,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            forwards: true,
            tunnel_ends: Vec::new(),
            takes_marked: false,
        }
    }
}

/// A packet on its way out of a host.
pub(crate) enum Leaving {
    /// From elsewhere, and only passing.
    Routed(Packet),
    /// The host's own.
    Own(Packet),
}

impl Host {
    /// What it makes of a frame that came by a port, or that the director has
    /// addressed to it. `mark` is the mark that the frame carries.
    pub(crate) fn receive(
        &self,
        network: &Network,
        port: Port,
        frame: &[u8],
        mark: bool,
    ) -> Option<Leaving> {
        let mine = network.interface(port).map(|interface| interface.mac);
        let packet = Packet::read(frame)?;
        if mine.is_some_and(|mine| frame[..6] != mine) {
            return None;
        }
        let is_local =
            network.resolve(packet.destination) == Resolution::Local || mark && self.takes_marked;
        if is_local {
            let answer = deliver(&packet)?;
            // From an address that it does not have it cannot answer.
            let has = network.resolve(answer.source) == Resolution::Local;
            return has.then_some(Leaving::Own(answer));
        }
        if !self.forwards || is_this_network(packet.destination) {
            return None;
        }
        match route(network, packet.clone()) {
            Ok(routed) => Some(Leaving::Routed(routed)),
            Err(error) => {
                let from = own_address(network, port, &packet)?;
                complain(&packet, from, error).map(Leaving::Own)
            }
        }
    }
}

/// Whether an address is in 0.0.0.0/8, to which nothing goes (RFC 1122 3.2.1.3).
fn is_this_network(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(address) if address.octets()[0] == 0)
}

/// The frame a host sees when it has taken a packet out of an IPv4 tunnel that
/// ends at one of these addresses. IPVS in its kernel sees that too.
pub(crate) fn unwrap(ends: &[IpAddr], frame: &[u8]) -> Option<Vec<u8>> {
    let packet = Packet::read(frame)?;
    let ends_here = packet.protocol == IPIP && ends.contains(&packet.destination);
    ends_here.then(|| [&frame[..frame::ETHERNET], packet.transport()].concat())
}

/// Takes a packet to the host itself.
fn deliver(packet: &Packet) -> Option<Packet> {
    let (from, to) = (packet.destination, packet.source);
    let transport = packet.transport();
    match packet.protocol {
        TCP => reset(packet),
        UDP => {
            // One that ends before its own length says so is no datagram (RFC 768).
            let sound = transport.len() >= 8
                && (8..=transport.len()).contains(&usize::from(word(transport, 4)))
                && (from.is_ipv4() && word(transport, 6) == 0 || packet.transport_sum() == 0xffff);
            if sound {
                complain(packet, from, PORT_UNREACHABLE)
            } else {
                None
            }
        }
        ICMP if transport.first() == Some(&8) => Some(answer(
            from,
            to,
            ICMP,
            [&[0, 0, 0, 0], &transport[4..]].concat(),
            2,
        )),
        ICMP_V6 if transport.first() == Some(&128) => Some(answer(
            from,
            to,
            ICMP_V6,
            [&[129, 0, 0, 0], &transport[4..]].concat(),
            2,
        )),
        // What the recorded host says to SCTP was never asked for.
        ICMP | ICMP_V6 | SCTP => None,
        _ if from.is_ipv4() => complain(packet, from, PROTOCOL_UNREACHABLE),
        _ => None,
    }
}

/// The RST for a segment nobody waits for (RFC 9293 3.10.7.1).
fn reset(packet: &Packet) -> Option<Packet> {
    let segment = packet.transport();
    if segment.len() < 20 || packet.transport_sum() != 0xffff {
        return None;
    }
    let offset = usize::from(segment[12] >> 4) * 4;
    let flags = segment[13];
    if offset < 20 || offset > segment.len() || flags & RST != 0 {
        return None;
    }
    let mut answered = vec![0u8; 20];
    answered[..2].copy_from_slice(&segment[2..4]);
    answered[2..4].copy_from_slice(&segment[..2]);
    answered[12] = 0x50;
    if flags & ACK != 0 {
        answered[4..8].copy_from_slice(&segment[8..12]);
        answered[13] = RST;
    } else {
        let sequence = u32::from_be_bytes(segment[4..8].try_into().unwrap());
        let counted = segment.len() - offset + usize::from(flags & 1) + usize::from(flags >> 1 & 1);
        let next = sequence.wrapping_add(counted as u32);
        answered[8..12].copy_from_slice(&next.to_be_bytes());
        answered[13] = RST | ACK;
    }
    let mut reset = answer(packet.destination, packet.source, TCP, answered, 16);
    // All but the last two bits, which are of this packet alone (RFC 3168).
    let tos = packet.tos & !3;
    if reset.source.is_ipv4() {
        reset.bytes[6] = 0x40;
        reset.bytes[1] = tos;
        reset.seal();
    } else {
        reset.bytes[0] |= tos >> 4;
        reset.bytes[1] |= tos << 4;
    }
    Some(reset)
}

/// Sends a packet on as a router does.
fn route(network: &Network, mut packet: Packet) -> Result<Packet, Error> {
    let Resolution::Hop(hop) = network.resolve(packet.destination) else {
        return Err(HOST_UNREACHABLE);
    };
    if packet.ttl <= 1 {
        return Err(TIME_EXCEEDED);
    }
    if packet.bytes.len() as u32 > hop.mtu {
        return Err(too_big(hop.mtu));
    }
    match packet.source {
        IpAddr::V4(_) => packet.bytes[8] -= 1,
        IpAddr::V6(_) => packet.bytes[7] -= 1,
    }
    packet.seal();
    Ok(packet)
}

/// An ICMP error: type, code and second word, for each family.
type Error = [(u8, u8, u32); 2];

const PROTOCOL_UNREACHABLE: Error = [(3, 2, 0), (1, 0, 0)];
const PORT_UNREACHABLE: Error = [(3, 3, 0), (1, 4, 0)];
const HOST_UNREACHABLE: Error = [(3, 1, 0), (1, 0, 0)];
const TIME_EXCEEDED: Error = [(11, 0, 0), (3, 0, 0)];

const fn too_big(mtu: u32) -> Error {
    [(3, 4, mtu), (2, 0, mtu)]
}

/// Tells the sender of a packet of an error, unless it is one itself.
fn complain(packet: &Packet, from: IpAddr, [v4, v6]: Error) -> Option<Packet> {
    let is_error = match (packet.protocol, packet.transport().first()) {
        (ICMP, Some(kind)) => !matches!(kind, 0 | 8 | 13..=18),
        (ICMP_V6, Some(kind)) => *kind < 128,
        _ => false,
    };
    if is_error {
        return None;
    }
    let ((kind, code, word), protocol, most) = match from {
        IpAddr::V4(_) => (v4, ICMP, 576 - 28),
        IpAddr::V6(_) => (v6, ICMP_V6, 1280 - 48),
    };
    let mut message = vec![kind, code, 0, 0];
    message.extend(word.to_be_bytes());
    message.extend(&packet.bytes[..packet.bytes.len().min(most)]);
    let mut error = answer(from, packet.source, protocol, message, 2);
    if from.is_ipv4() {
        error.bytes[1] = packet.tos & 0x1e | 0xc0;
        error.seal();
    }
    Some(error)
}

/// A packet of the host's own, its checksum made and put at `field`.
fn answer(from: IpAddr, to: IpAddr, protocol: u8, mut transport: Vec<u8>, field: usize) -> Packet {
    let checksum = !frame::transport_sum(from, to, protocol, &transport);
    transport[field..field + 2].copy_from_slice(&checksum.to_be_bytes());
    let mut packet = Packet::write(from, to, protocol, &transport);
    packet.seal();
    packet
}

/// The host's address on the side a packet came from.
fn own_address(network: &Network, port: Port, packet: &Packet) -> Option<IpAddr> {
    let interface = network.interface(port)?;
    match packet.source {
        IpAddr::V4(_) => interface.ipv4.map(IpAddr::V4),
        IpAddr::V6(_) => interface.ipv6.map(IpAddr::V6),
    }
}

/// The frame that takes a packet to its next hop.
pub(crate) fn send(network: &Network, packet: &Packet) -> Option<(Port, Vec<u8>)> {
    let Resolution::Hop(hop) = network.resolve(packet.destination) else {
        return None;
    };
    let mine = network.interface(hop.port)?.mac;
    let kind = if packet.source.is_ipv4() {
        [0x08, 0x00]
    } else {
        [0x86, 0xdd]
    };
    let frame = [&hop.mac[..], &mine, &kind, &packet.bytes].concat();
    Some((hop.port, frame))
}

const RST: u8 = 0x04;
const ACK: u8 = 0x10;
