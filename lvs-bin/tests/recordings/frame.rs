//! Reads and writes frames, as far as a host needs it: slow, obvious, and
//! nothing of the director's own code, so that the two cannot share a fault.

use std::net::IpAddr;

/// IP protocol numbers.
pub(crate) const ICMP: u8 = 1;
pub(crate) const IPIP: u8 = 4;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMP_V6: u8 = 58;
pub(crate) const SCTP: u8 = 132;

/// Bytes of an Ethernet header.
pub(crate) const ETHERNET: usize = 14;

/// An IP packet and where its parts are.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) protocol: u8,
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
    /// The IP packet from its first byte to its last.
    pub(crate) bytes: Vec<u8>,
    /// Bytes before the transport header.
    pub(crate) header: usize,
}

impl Packet {
    /// The packet in a frame, if a host would look at it at all.
    pub(crate) fn read(frame: &[u8]) -> Option<Self> {
        let bytes = frame.get(ETHERNET..)?;
        match frame[12..14] {
            [0x08, 0x00] => Self::read_v4(bytes),
            [0x86, 0xdd] => Self::read_v6(bytes),
            _ => None,
        }
    }

    fn read_v4(bytes: &[u8]) -> Option<Self> {
        let header = usize::from(*bytes.first()? & 0xf) * 4;
        let sound = bytes[0] >> 4 == 4 && header >= 20 && bytes.len() >= header;
        if !sound || sum(&bytes[..header]) != 0xffff {
            return None;
        }
        // A host that is not told otherwise takes no route from a stranger.
        let mut options = &bytes[20..header];
        while let [kind, rest @ ..] = options {
            options = match kind {
                0 => &[],
                1 => rest,
                131 | 137 => return None,
                _ => options.get(usize::from(*rest.first()?).max(2)..)?,
            };
        }
        let length = usize::from(word(bytes, 2));
        if length < header || length > bytes.len() {
            return None;
        }
        Some(Self {
            source: <[u8; 4]>::try_from(&bytes[12..16]).unwrap().into(),
            destination: <[u8; 4]>::try_from(&bytes[16..20]).unwrap().into(),
            protocol: bytes[9],
            ttl: bytes[8],
            tos: bytes[1],
            bytes: bytes[..length].to_vec(),
            header,
        })
    }

    fn read_v6(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < 40 || bytes[0] >> 4 != 6 {
            return None;
        }
        let length = 40 + usize::from(word(bytes, 4));
        let (mut protocol, mut header) = (bytes[6], 40);
        // Hop-by-hop, routing and destination options.
        while matches!(protocol, 0 | 43 | 60) {
            let extension = bytes.get(header..header + 2)?;
            protocol = extension[0];
            header += (usize::from(extension[1]) + 1) * 8;
        }
        Some(Self {
            source: <[u8; 16]>::try_from(&bytes[8..24]).unwrap().into(),
            destination: <[u8; 16]>::try_from(&bytes[24..40]).unwrap().into(),
            protocol,
            ttl: bytes[7],
            tos: bytes[0] << 4 | bytes[1] >> 4,
            bytes: bytes.get(..length)?.to_vec(),
            header,
        })
    }

    /// A packet a host makes itself; identification 0.
    pub(crate) fn write(from: IpAddr, to: IpAddr, protocol: u8, transport: &[u8]) -> Self {
        let mut bytes = match (from, to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let length = (20 + transport.len()) as u16;
                let mut header = [0u8; 20];
                header[0] = 0x45;
                header[2..4].copy_from_slice(&length.to_be_bytes());
                header[8..10].copy_from_slice(&[64, protocol]);
                header[12..16].copy_from_slice(&from.octets());
                header[16..20].copy_from_slice(&to.octets());
                header.to_vec()
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let mut header = [0u8; 40];
                header[0] = 0x60;
                header[4..6].copy_from_slice(&(transport.len() as u16).to_be_bytes());
                header[6..8].copy_from_slice(&[protocol, 64]);
                header[8..24].copy_from_slice(&from.octets());
                header[24..40].copy_from_slice(&to.octets());
                header.to_vec()
            }
            families => panic!("{families:?}"),
        };
        let header = bytes.len();
        bytes.extend(transport);
        Self {
            source: from,
            destination: to,
            protocol,
            ttl: 64,
            tos: 0,
            bytes,
            header,
        }
    }

    /// What follows the IP header.
    pub(crate) fn transport(&self) -> &[u8] {
        &self.bytes[self.header.min(self.bytes.len())..]
    }

    /// Sets the checksum of the IPv4 header.
    pub(crate) fn seal(&mut self) {
        if self.source.is_ipv4() {
            self.bytes[10..12].copy_from_slice(&[0, 0]);
            let checksum = !sum(&self.bytes[..self.header]);
            self.bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
        }
    }

    /// The sum over pseudo-header and transport; all ones when its checksum fits.
    pub(crate) fn transport_sum(&self) -> u16 {
        transport_sum(
            self.source,
            self.destination,
            self.protocol,
            self.transport(),
        )
    }
}

/// A packet behind an Ethernet header that only says of which family it is.
pub(crate) fn bare(packet: &Packet) -> Vec<u8> {
    let kind = match packet.source {
        IpAddr::V4(_) => [0x08, 0x00],
        IpAddr::V6(_) => [0x86, 0xdd],
    };
    [&[0; 12][..], &kind, &packet.bytes].concat()
}

/// The sum over a pseudo-header and what follows it. ICMP has no pseudo-header.
pub(crate) fn transport_sum(from: IpAddr, to: IpAddr, protocol: u8, transport: &[u8]) -> u16 {
    let mut bytes = Vec::new();
    if protocol != ICMP {
        for address in [from, to] {
            match address {
                IpAddr::V4(v4) => bytes.extend(v4.octets()),
                IpAddr::V6(v6) => bytes.extend(v6.octets()),
            }
        }
        bytes.extend((transport.len() as u32).to_be_bytes());
        bytes.extend([0, 0, 0, protocol]);
    }
    bytes.extend(transport);
    sum(&bytes)
}

/// The one's complement sum of 16-bit words.
pub(crate) fn sum(bytes: &[u8]) -> u16 {
    let words = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

/// Two bytes as a number.
pub(crate) fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}
