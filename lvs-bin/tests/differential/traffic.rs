//! The packets of a scenario.

use std::net::{IpAddr, SocketAddr};

use crate::frame::{SCTP, TCP, UDP};
use crate::frames::{self, Packet, Side};
use crate::generate::Maker;
use crate::services::{RealServer, vip};

/// A client's flow to a service.
#[derive(Clone, Copy)]
struct Flow {
    service: usize,
    protocol: u8,
    client: SocketAddr,
    vip: SocketAddr,
}

impl Maker {
    fn flow(&mut self) -> Flow {
        let service = self.random.below(self.services.len());
        let it = &self.services[service];
        let is_v6 = it.is_v6;
        let protocol = self.random.one_of(&it.protocols);
        let it = &self.services[service];
        let (vip, port) = (
            self.random.below(it.vips.len()),
            self.random.below(it.ports.len()),
        );
        let number = self.random.below(4) as u8;
        let from = match self.random.once_in(40) {
            // That of FTP's data.
            true => 20,
            // Other ports to each end: what comes from one port to two, and then
            // to one real server, the kernel and the director tell apart otherwise.
            false => {
                let end = (service * 2 + vip) * 3 + port;
                (4000 + 10 * end + self.random.below(3)) as u16
            }
        };
        let it = &self.services[service];
        let (vip, port) = (it.vips[vip], it.ports[port]);
        Flow {
            service,
            protocol,
            client: client(is_v6, number, from),
            vip: SocketAddr::new(vip, port),
        }
    }

    fn payload(&mut self) -> Vec<u8> {
        let length = match self.has_long && self.random.once_in(8) {
            // Around what fits into a tunnel, a link, and neither.
            true => 1380 + self.random.below(100),
            false => self.random.below(40),
        };
        self.random.bytes(length)
    }

    /// A packet of a flow by its protocol, the client's or the answer to it.
    fn packet(&mut self, protocol: u8, ends: (SocketAddr, SocketAddr), asks: bool) -> Packet {
        let payload = self.payload();
        match (protocol, asks) {
            (TCP, true) => {
                let flags = self.random.one_of(&[
                    "S", "S", "S", "A", "A", "PA", "FA", "FA", "R", "RA", "SA", "",
                ]);
                Packet::tcp(ends, flags, &payload)
            }
            (TCP, false) => {
                let all = ["SA", "SA", "A", "PA", "FA", "R", "RA", "S", "F"];
                let flags = self.random.one_of(&all);
                Packet::tcp(ends, flags, &payload)
            }
            (SCTP, asks) => {
                let begins = if asks { 1 } else { 2 };
                let kind = match self.random.once_in(3) {
                    true => begins,
                    false => self
                        .random
                        .one_of(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 130]),
                };
                Packet::sctp(ends, kind, &payload)
            }
            _ => Packet::udp(ends, &payload),
        }
    }

    /// What may be odd about a packet.
    fn odd(&mut self, packet: &mut Packet) {
        if self.random.once_in(25) {
            packet.ttl = self.random.one_of(&[1, 1, 2]);
            packet.note += &format!(" ttl {}", packet.ttl);
        }
        if self.random.once_in(12) {
            packet.tos = self.random.next() as u8;
            packet.note += &format!(" tos {:#x}", packet.tos);
        }
        if packet.transport.len() < 400 && self.random.once_in(8) {
            packet.dont_fragment = false;
            packet.note += " may be fragmented";
        }
        if self.random.once_in(20) && (self.patient || packet.from.is_ipv4()) {
            packet.note += " with options";
            match packet.from {
                IpAddr::V4(_) => packet.options = self.random.one_of(OPTIONS).to_vec(),
                IpAddr::V6(_) => {
                    let (kind, content) = self.random.one_of(EXTENSIONS);
                    packet.extensions = vec![(kind, content.to_vec())];
                }
            }
        }
        let field = match packet.protocol {
            TCP => 16..18,
            UDP => 6..8,
            // The kernel makes a wrong one right, the director does not.
            SCTP => return,
            _ => 2..4,
        };
        if self.random.once_in(25) {
            packet.note += " bad checksum";
            packet.transport[field.start] ^= 0x55;
        } else if packet.protocol == UDP && self.random.once_in(12) {
            packet.note += " no checksum";
            packet.transport[field].fill(0);
        }
    }

    /// Brings a packet to the director, now and then in a bad state.
    fn come(&mut self, side: Side, mut packet: Packet) {
        self.odd(&mut packet);
        if !self.random.once_in(30) {
            return self.push(packet.comes_from(side));
        }
        let mut bytes = packet.bytes();
        let mut note = packet.note.clone();
        match self.random.below(3) {
            0 => {
                // A packet that ends early, and says so.
                let least = match packet.protocol {
                    // Its checksum would be wrong.
                    SCTP => packet.transport.len(),
                    _ => 0,
                };
                let length = (least + self.random.below(32)).min(packet.transport.len());
                packet.transport.truncate(length);
                bytes = packet.bytes();
                note += &format!(" cut to {length}");
            }
            1 => {
                let length = bytes.len() - 1 - self.random.below(bytes.len() - 1);
                bytes.truncate(length);
                note += &format!(" of which {length} came");
            }
            _ => {
                let more = 1 + self.random.below(30);
                bytes.extend(vec![0x77; more]);
                note += " and more";
            }
        }
        self.push(frames::send(side, &bytes, &note));
    }

    /// A client's packet.
    pub(crate) fn ask(&mut self) {
        let flow = self.flow();
        let packet = self.packet(flow.protocol, (flow.client, flow.vip), true);
        self.hear((flow.client, flow.vip));
        self.come(Side::Client, packet);
    }

    /// One of a service's real servers.
    fn server(&mut self, service: usize) -> Option<RealServer> {
        let servers = &self.services[service].real_servers;
        match servers.len() {
            0 => None,
            many => Some(servers[self.random.below(many)]),
        }
    }

    /// Where a real server answers a flow from.
    fn source(&mut self, flow: Flow, server: RealServer) -> SocketAddr {
        if server.method != 'm' {
            return flow.vip;
        }
        match server.address.port() {
            0 => SocketAddr::new(server.address.ip(), flow.vip.port()),
            _ if self.random.once_in(6) => SocketAddr::new(server.address.ip(), flow.vip.port()),
            _ => server.address,
        }
    }

    /// A real server's packet.
    pub(crate) fn reply(&mut self) {
        let flow = self.flow();
        let Some(server) = self.server(flow.service) else {
            return;
        };
        let from = self.source(flow, server);
        // A host believes no stranger who says it is the host itself.
        if from.is_ipv4() && from == flow.vip {
            return;
        }
        // An error about what the service itself seems to send would be the
        // director's to itself.
        let has_long = self.has_long;
        self.has_long &= from != flow.vip;
        let packet = self.packet(flow.protocol, (from, flow.client), false);
        self.has_long = has_long;
        self.hear((flow.client, flow.vip));
        if from == flow.vip {
            return self.push(packet.comes_from(server.side()));
        }
        self.come(server.side(), packet);
    }

    /// A packet that is no service's.
    pub(crate) fn stray(&mut self) {
        let is_v6 = self.random.once_in(2);
        let number = self.random.below(4) as u8;
        let (client, vip) = (client(is_v6, number, 4000), vip(is_v6, number));
        let echo = if is_v6 { 128 } else { 8 };
        let packet = match self.random.below(4) {
            0 => Packet::icmp((client.ip(), vip), (echo, 0), 7, b"echo"),
            1 => Packet::tcp((client, SocketAddr::new(vip, 9)), "S", b""),
            2 => Packet::udp((client, SocketAddr::new(vip, 9)), b"to nobody"),
            _ => Packet::tcp((client, SocketAddr::new(vip, 80)), "A", b"out of the blue"),
        };
        self.push(packet.comes_from(Side::Client));
    }

    /// An error about what a real server should have got, about its answer, or
    /// about the tunnel to it.
    pub(crate) fn error(&mut self) {
        let flow = self.flow();
        let Some(server) = self.server(flow.service) else {
            return;
        };
        if !self.patient && flow.client.is_ipv6() {
            return;
        }
        let about = match flow.client {
            SocketAddr::V4(_) => self.random.one_of(ERRORS_V4),
            SocketAddr::V6(_) => self.random.one_of(ERRORS_V6),
        };
        let (kind, code, word) = about;
        let far = self.source(flow, server);
        let (mut quoted, ends, side) = match self.random.below(2) {
            0 => {
                let quoted = self.packet(flow.protocol, (flow.vip, flow.client), false);
                let router = match self.random.once_in(2) {
                    true => flow.client.ip(),
                    false => client(flow.vip.is_ipv6(), 9, 0).ip(),
                };
                (quoted, (router, flow.vip.ip()), Side::Client)
            }
            _ if far == flow.vip => return,
            _ => {
                let quoted = self.packet(flow.protocol, (flow.client, far), true);
                (quoted, (far.ip(), flow.client.ip()), server.side())
            }
        };
        quoted.ttl = 60;
        let mut quoted_bytes = quoted.bytes();
        quoted_bytes.truncate(self.random.one_of(&[28, 48, 68, 548]));
        let mut error = Packet::icmp(ends, (kind, code), word, &quoted_bytes);
        error.note += &format!(" about {}", quoted.note);
        self.come(side, error);
    }
}

/// The clients; some begin alike.
fn client(is_v6: bool, number: u8, port: u16) -> SocketAddr {
    let address: IpAddr = match is_v6 {
        true => [0x2001, 0xdb8, 0xc, 0, 0, 0, 0, 1 + u16::from(number)].into(),
        false => [198, 51, 100, 1 + number].into(),
    };
    SocketAddr::new(address, port)
}

/// Type, code and second word.
const ERRORS_V4: &[(u8, u8, u32)] = &[
    (3, 0, 0),
    (3, 1, 0),
    (3, 2, 0),
    (3, 3, 0),
    (3, 4, 1400),
    (3, 13, 0),
    (4, 0, 0),
    (11, 0, 0),
    (11, 1, 0),
    (12, 0, 0),
];
const ERRORS_V6: &[(u8, u8, u32)] = &[
    (1, 0, 0),
    (1, 1, 0),
    (1, 4, 0),
    (2, 0, 1400),
    (3, 0, 0),
    (4, 1, 0),
];

/// No operation, a router's attention, a label, and what nobody knows. A record
/// of the route or of times would come back in answers, which the director's are
/// without.
const OPTIONS: &[&[u8]] = &[
    &[1, 1, 1, 0],
    &[148, 4, 0, 0],
    &[130, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    &[0x9e, 4, 1, 2],
];

/// Padding hop by hop and for the destination, what may be skipped, and a
/// router's attention.
const EXTENSIONS: &[(u8, &[u8])] = &[
    (0, &[0, 1, 4, 0, 0, 0, 0]),
    (60, &[0, 1, 4, 0, 0, 0, 0]),
    (60, &[1, 0x1e, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    (0, &[0, 5, 2, 0, 0, 1, 0]),
];
