//! IP packets, built in words.

use std::net::{IpAddr, SocketAddr};

use super::sum::{checksum, crc32c, pseudo_header, sum};

/// An IP packet to be built. Starts as what an honest sender makes: TTL 64,
/// DF set, checksums whole.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(super) from: IpAddr,
    pub(super) to: IpAddr,
    ttl: u8,
    class: u8,
    id: u16,
    dont_fragment: bool,
    /// Offset in bytes, and whether more follow.
    fragment: Option<(u16, bool)>,
    /// IPv4 options, a multiple of four bytes.
    options: Vec<u8>,
    /// IPv6 extension headers, each by its number.
    extensions: Vec<(u8, Vec<u8>)>,
    body: Body,
    checksum: Checksum,
}

/// What an IP packet carries.
#[derive(Clone, Debug)]
enum Body {
    Tcp {
        ports: (u16, u16),
        flags: u8,
        options: Vec<u8>,
        data: Vec<u8>,
    },
    Udp {
        ports: (u16, u16),
        data: Vec<u8>,
    },
    Sctp {
        ports: (u16, u16),
        chunks: Vec<u8>,
    },
    /// ICMP or ICMPv6, by the packet's family: type, code, then the rest.
    Icmp(Vec<u8>),
    /// Any other protocol.
    Other(u8, Vec<u8>),
}

/// What the checksum field of a TCP, UDP or SCTP header holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checksum {
    /// The checksum.
    Whole,
    /// Zero: none was made (UDP over IPv4).
    Absent,
    /// The pseudo-header's sum alone, as a NIC gets it to complete; of SCTP
    /// zero.
    Half,
    /// Something that does not fit.
    Wrong,
}

/// A TCP segment without flags.
pub(crate) fn tcp(from: SocketAddr, to: SocketAddr) -> Packet {
    let ports = (from.port(), to.port());
    let (flags, options, data) = (0, Vec::new(), Vec::new());
    let body = Body::Tcp {
        ports,
        flags,
        options,
        data,
    };
    Packet::new(from.ip(), to.ip(), body)
}

/// A UDP datagram that says "hello".
pub(crate) fn udp(from: SocketAddr, to: SocketAddr) -> Packet {
    let ports = (from.port(), to.port());
    let data = b"hello".to_vec();
    Packet::new(from.ip(), to.ip(), Body::Udp { ports, data })
}

/// An SCTP packet with one chunk of this type and four bytes in it.
pub(crate) fn sctp(from: SocketAddr, to: SocketAddr, chunk: u8) -> Packet {
    let ports = (from.port(), to.port());
    let chunks = vec![chunk, 0, 0, 8, 1, 2, 3, 4];
    Packet::new(from.ip(), to.ip(), Body::Sctp { ports, chunks })
}

/// A packet of protocol `number`.
pub(crate) fn other(from: IpAddr, to: IpAddr, number: u8, data: &[u8]) -> Packet {
    Packet::new(from, to, Body::Other(number, data.to_vec()))
}

/// An ICMP message of the family's own protocol: type, code, the word after
/// the checksum, and what follows.
pub(crate) fn icmp(
    from: IpAddr,
    to: IpAddr,
    (kind, code, word): (u8, u8, u32),
    rest: &[u8],
) -> Packet {
    let message = [&[kind, code, 0, 0], &word.to_be_bytes()[..], rest].concat();
    Packet::new(from, to, Body::Icmp(message))
}

impl Packet {
    fn new(from: IpAddr, to: IpAddr, body: Body) -> Self {
        Self {
            from,
            to,
            ttl: 64,
            class: 0,
            id: 0,
            dont_fragment: true,
            fragment: None,
            options: Vec::new(),
            extensions: Vec::new(),
            body,
            checksum: Checksum::Whole,
        }
    }

    /// With SYN.
    pub(crate) fn syn(self) -> Self {
        self.flags(0x02)
    }

    /// With ACK.
    pub(crate) fn ack(self) -> Self {
        self.flags(0x10)
    }

    /// With FIN and, as every FIN but a scanner's, ACK.
    pub(crate) fn fin(self) -> Self {
        self.flags(0x11)
    }

    /// With RST.
    pub(crate) fn rst(self) -> Self {
        self.flags(0x04)
    }

    /// With these TCP flags as well.
    pub(crate) fn flags(mut self, more: u8) -> Self {
        match &mut self.body {
            Body::Tcp { flags, .. } => *flags |= more,
            _ => panic!("only TCP has flags"),
        }
        self
    }

    /// With this payload.
    pub(crate) fn data(mut self, bytes: &[u8]) -> Self {
        match &mut self.body {
            Body::Tcp { data, .. } | Body::Udp { data, .. } => *data = bytes.to_vec(),
            Body::Sctp { chunks, .. } => {
                let length = (4 + bytes.len()) as u16;
                chunks.truncate(2);
                chunks.extend(length.to_be_bytes());
                chunks.extend(bytes);
            }
            _ => panic!("only TCP, UDP and SCTP have data"),
        }
        self
    }

    /// With TCP options, a multiple of four bytes.
    pub(crate) fn tcp_options(mut self, bytes: &[u8]) -> Self {
        match &mut self.body {
            Body::Tcp { options, .. } => *options = bytes.to_vec(),
            _ => panic!("only TCP has these"),
        }
        self
    }

    /// With as much payload as makes the IP packet so long.
    pub(crate) fn long(self, bytes: usize) -> Self {
        let empty = self.clone().data(&[]).bytes().len();
        self.data(&vec![b'.'; bytes - empty])
    }

    /// With this TTL or hop limit.
    pub(crate) fn ttl(mut self, ttl: u8) -> Self {
        self.ttl = ttl;
        self
    }

    /// With this TOS octet or traffic class.
    pub(crate) fn class(mut self, class: u8) -> Self {
        self.class = class;
        self
    }

    /// With this IPv4 identification.
    pub(crate) fn id(mut self, id: u16) -> Self {
        self.id = id;
        self
    }

    /// With DF clear.
    pub(crate) fn may_be_fragmented(mut self) -> Self {
        self.dont_fragment = false;
        self
    }

    /// As the fragment at `offset` bytes.
    pub(crate) fn fragment(mut self, offset: u16, more: bool) -> Self {
        self.fragment = Some((offset, more));
        self.dont_fragment = false;
        self
    }

    /// With IPv4 options, a multiple of four bytes.
    pub(crate) fn options(mut self, bytes: &[u8]) -> Self {
        self.options = bytes.to_vec();
        self
    }

    /// With an IPv6 extension header of this number; `body` is what follows
    /// its two first bytes, six more than a multiple of eight.
    pub(crate) fn extension(mut self, number: u8, body: &[u8]) -> Self {
        self.extensions.push((number, body.to_vec()));
        self
    }

    /// With this in the checksum field of TCP or UDP.
    pub(crate) fn checksum(mut self, checksum: Checksum) -> Self {
        self.checksum = checksum;
        self
    }

    /// The packet inside another one, from and to these ends of a tunnel; TTL
    /// and DF are those of the packet, until said otherwise.
    pub(crate) fn in_tunnel(self, from: IpAddr, to: IpAddr) -> Self {
        let number = if self.from.is_ipv4() { 4 } else { 41 };
        self.lent_to(other(from, to, number, &self.bytes()))
    }

    /// The packet inside a UDP datagram with a GUE header, from and to these
    /// ends of a tunnel, with or without a checksum; the rest as [`in_tunnel`].
    ///
    /// [`in_tunnel`]: Self::in_tunnel
    pub(crate) fn in_gue(self, from: SocketAddr, to: SocketAddr, summed: bool) -> Self {
        let number = if self.from.is_ipv4() { 4 } else { 41 };
        let data = [&[0, number, 0, 0], &self.bytes()[..]].concat();
        let checksum = if summed {
            Checksum::Whole
        } else {
            Checksum::Absent
        };
        let outer = udp(from, to).data(&data).checksum(checksum);
        self.lent_to(outer)
    }

    /// The packet behind a GRE header, from and to these ends of a tunnel, with
    /// or without a checksum; the rest as [`in_tunnel`](Self::in_tunnel).
    pub(crate) fn in_gre(self, from: IpAddr, to: IpAddr, summed: bool) -> Self {
        let kind = if self.from.is_ipv4() {
            0x0800
        } else {
            0x86ddu16
        };
        let mut data = [u16::from(summed) << 15, kind]
            .map(u16::to_be_bytes)
            .concat();
        if summed {
            data.extend([0; 4]);
        }
        data.extend(self.bytes());
        if summed {
            let sum = checksum(&data);
            data[4..6].copy_from_slice(&sum.to_be_bytes());
        }
        self.lent_to(other(from, to, 47, &data))
    }

    /// Whether it is an IPv4 packet with DF set.
    pub(crate) const fn has_df(&self) -> bool {
        self.dont_fragment && self.from.is_ipv4()
    }

    /// `outer` with what a tunnel copies.
    fn lent_to(&self, outer: Self) -> Self {
        Self {
            ttl: self.ttl,
            class: self.class,
            dont_fragment: self.has_df(),
            ..outer
        }
    }

    /// The packet's bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self.from {
            IpAddr::V4(_) => self.bytes_v4(),
            IpAddr::V6(_) => self.bytes_v6(),
        }
    }

    fn bytes_v4(&self) -> Vec<u8> {
        let (protocol, message) = self.message();
        assert_eq!(self.options.len() % 4, 0, "IPv4 options come in words");
        let header = 20 + self.options.len();
        let (offset, more) = self.fragment.unwrap_or((0, false));
        let flags = u16::from(self.dont_fragment) << 14 | u16::from(more) << 13 | (offset / 8);
        let mut bytes = vec![0x40 | (header / 4) as u8, self.class];
        bytes.extend(((header + message.len()) as u16).to_be_bytes());
        bytes.extend(self.id.to_be_bytes());
        bytes.extend(flags.to_be_bytes());
        bytes.extend([self.ttl, protocol, 0, 0]);
        bytes.extend(octets(self.from));
        bytes.extend(octets(self.to));
        bytes.extend(&self.options);
        let sum = checksum(&bytes);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        bytes.extend(message);
        bytes
    }

    fn bytes_v6(&self) -> Vec<u8> {
        let (protocol, message) = self.message();
        let mut extensions = self.extensions.clone();
        if let Some((offset, more)) = self.fragment {
            let [high, low] = (offset | u16::from(more)).to_be_bytes();
            let [i, d] = self.id.to_be_bytes();
            extensions.push((44, vec![high, low, 0, 0, i, d]));
        }
        let numbers: Vec<u8> = extensions
            .iter()
            .map(|(number, _)| *number)
            .chain([protocol])
            .collect();
        let mut rest = Vec::new();
        for ((number, body), next) in extensions.iter().zip(&numbers[1..]) {
            assert_eq!(body.len() % 8, 6, "extension headers come in eights");
            // The second byte of a fragment header is reserved.
            let length = if *number == 44 {
                0
            } else {
                (body.len() / 8) as u8
            };
            rest.extend([*next, length]);
            rest.extend(body);
        }
        rest.extend(message);
        let mut bytes = vec![0x60 | self.class >> 4, self.class << 4, 0, 0];
        bytes.extend((rest.len() as u16).to_be_bytes());
        bytes.extend([numbers[0], self.ttl]);
        bytes.extend(octets(self.from));
        bytes.extend(octets(self.to));
        bytes.extend(rest);
        bytes
    }

    /// Protocol number and bytes of what follows the IP header.
    fn message(&self) -> (u8, Vec<u8>) {
        let (protocol, mut bytes, field) = match &self.body {
            Body::Tcp {
                ports: (from, to),
                flags,
                options,
                data,
            } => (6, tcp_bytes((*from, *to), *flags, options, data), Some(16)),
            Body::Udp { ports, data } => (17, udp_bytes(*ports, data), Some(6)),
            Body::Sctp { ports, chunks } => (132, self.sctp_bytes(*ports, chunks), None),
            Body::Icmp(message) if self.from.is_ipv4() => {
                let mut message = message.clone();
                let sum = checksum(&message);
                message[2..4].copy_from_slice(&sum.to_be_bytes());
                (1, message, None)
            }
            Body::Icmp(message) => (58, message.clone(), Some(2)),
            Body::Other(number, data) => (*number, data.clone(), None),
        };
        if let Some(field) = field {
            let pseudo = pseudo_header(self.from, self.to, protocol, bytes.len());
            let whole = match checksum(&[&pseudo[..], &bytes].concat()) {
                0 if protocol == 17 => 0xffff,
                sum => sum,
            };
            let stored = match self.checksum {
                Checksum::Whole => whole,
                Checksum::Absent => 0,
                Checksum::Half => sum(&pseudo),
                Checksum::Wrong => whole ^ 0x5a5a,
            };
            bytes[field..field + 2].copy_from_slice(&stored.to_be_bytes());
        }
        (protocol, bytes)
    }

    fn sctp_bytes(&self, (from, to): (u16, u16), chunks: &[u8]) -> Vec<u8> {
        let mut bytes = [from.to_be_bytes(), to.to_be_bytes()].concat();
        bytes.extend([9, 8, 7, 6, 0, 0, 0, 0]);
        bytes.extend(chunks);
        let whole = crc32c(&bytes);
        let stored = match self.checksum {
            Checksum::Whole => whole,
            Checksum::Absent | Checksum::Half => 0,
            Checksum::Wrong => whole ^ 0x5a5a_5a5a,
        };
        bytes[8..12].copy_from_slice(&stored.to_le_bytes());
        bytes
    }
}

fn tcp_bytes((from, to): (u16, u16), flags: u8, options: &[u8], data: &[u8]) -> Vec<u8> {
    assert_eq!(options.len() % 4, 0, "TCP options come in words");
    let mut bytes = [from.to_be_bytes(), to.to_be_bytes()].concat();
    bytes.extend(0x0102_0304u32.to_be_bytes());
    bytes.extend(if flags & 0x10 != 0 { 0x0506_0708u32 } else { 0 }.to_be_bytes());
    bytes.extend([((20 + options.len()) / 4 * 16) as u8, flags]);
    bytes.extend(0xfaf0u16.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(options);
    bytes.extend(data);
    bytes
}

fn udp_bytes((from, to): (u16, u16), data: &[u8]) -> Vec<u8> {
    let length = (8 + data.len()) as u16;
    let mut bytes = [
        from.to_be_bytes(),
        to.to_be_bytes(),
        length.to_be_bytes(),
        [0; 2],
    ]
    .concat();
    bytes.extend(data);
    bytes
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}
