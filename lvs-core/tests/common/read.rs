//! Reading frames back: every length and every checksum looked at, the slow way.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::sum::{sum, sum_message};

/// A frame that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) to: [u8; 6],
    pub(crate) from: [u8; 6],
    pub(crate) tag: Option<u16>,
    pub(crate) packet: SeenPacket,
    /// Bytes behind the packet.
    pub(crate) padding: usize,
}

/// An IP packet that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeenPacket {
    pub(crate) from: IpAddr,
    pub(crate) to: IpAddr,
    pub(crate) ttl: u8,
    pub(crate) class: u8,
    pub(crate) id: u16,
    pub(crate) dont_fragment: bool,
    pub(crate) fragment: bool,
    /// Header and payload, bytes.
    pub(crate) length: usize,
    pub(crate) body: SeenBody,
}

/// What a packet carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SeenBody {
    Tcp {
        ports: (u16, u16),
        flags: u8,
        data: Vec<u8>,
    },
    Udp {
        ports: (u16, u16),
        data: Vec<u8>,
        /// Whether there was a checksum.
        summed: bool,
    },
    Icmp {
        kind: u8,
        code: u8,
        word: u32,
        rest: Vec<u8>,
    },
    Inner(Box<SeenPacket>),
    Other(u8),
}

/// Reads a frame; what is wrong with it as the error.
pub(crate) fn read(frame: &[u8]) -> Result<Seen, String> {
    let [to, from] = [field(frame, 0)?, field(frame, 6)?];
    let (tag, at) = match field(frame, 12)? {
        [0x81, 0x00] => (Some(number(frame, 14)?), 18),
        _ => (None, 14),
    };
    let version = match number(frame, at - 2)? {
        0x0800 => 4,
        0x86dd => 6,
        other => return Err(format!("EtherType {other:#06x}")),
    };
    let packet = read_packet(&frame[at..])?;
    if packet.from.is_ipv4() != (version == 4) {
        return Err(format!("EtherType says IPv{version}"));
    }
    let padding = frame.len() - at - packet.length;
    Ok(Seen {
        to,
        from,
        tag,
        packet,
        padding,
    })
}

/// Reads the IP packet at the start of `bytes`.
pub(crate) fn read_packet(bytes: &[u8]) -> Result<SeenPacket, String> {
    match bytes.first().ok_or("no packet")? >> 4 {
        4 => read_v4(bytes),
        6 => read_v6(bytes),
        version => Err(format!("IP version {version}")),
    }
}

fn read_v4(bytes: &[u8]) -> Result<SeenPacket, String> {
    let header = usize::from(bytes[0] & 15) * 4;
    if header < 20 || bytes.len() < header {
        return Err(format!("IPv4 header of {header} bytes"));
    }
    if sum(&bytes[..header]) != 0xffff {
        return Err("IPv4 header checksum does not fit".into());
    }
    let length = usize::from(number(bytes, 2)?);
    let message = bytes
        .get(header..length)
        .ok_or("IPv4 length beyond the frame")?;
    let flags = number(bytes, 6)?;
    let mut packet = SeenPacket {
        from: IpAddr::from(field::<4>(bytes, 12)?),
        to: IpAddr::from(field::<4>(bytes, 16)?),
        ttl: bytes[8],
        class: bytes[1],
        id: number(bytes, 4)?,
        dont_fragment: flags & 0x4000 != 0,
        fragment: flags & 0x3fff != 0,
        length,
        body: SeenBody::Other(bytes[9]),
    };
    packet.read_body(bytes[9], message)?;
    Ok(packet)
}

fn read_v6(bytes: &[u8]) -> Result<SeenPacket, String> {
    let length = 40 + usize::from(number(bytes, 4)?);
    if bytes.len() < length {
        return Err("IPv6 length beyond the frame".into());
    }
    let (mut next, mut at, mut fragment) = (bytes[6], 40, false);
    while let 0 | 43 | 44 | 60 = next {
        let extension: [u8; 8] = field(bytes, at)?;
        at += if next == 44 {
            8
        } else {
            8 + usize::from(extension[1]) * 8
        };
        fragment |= next == 44 && (extension[2] != 0 || extension[3] & 0xf9 != 0);
        next = extension[0];
    }
    let message = bytes
        .get(at..length)
        .ok_or("IPv6 headers beyond the packet")?;
    let mut packet = SeenPacket {
        from: IpAddr::from(field::<16>(bytes, 8)?),
        to: IpAddr::from(field::<16>(bytes, 24)?),
        ttl: bytes[7],
        class: bytes[0] << 4 | bytes[1] >> 4,
        id: 0,
        dont_fragment: true,
        fragment,
        length,
        body: SeenBody::Other(next),
    };
    packet.read_body(next, message)?;
    Ok(packet)
}

impl SeenPacket {
    fn read_body(&mut self, protocol: u8, message: &[u8]) -> Result<(), String> {
        if self.fragment {
            return Ok(());
        }
        self.body = match protocol {
            6 => self.read_tcp(message)?,
            17 if number(message, 2)? == GUE_PORT => {
                SeenBody::Inner(Box::new(self.read_gue(message)?))
            }
            17 => self.read_udp(message)?,
            1 | 58 => self.read_icmp(protocol, message)?,
            4 | 41 => SeenBody::Inner(Box::new(read_packet(message)?)),
            47 => SeenBody::Inner(Box::new(read_gre(message)?)),
            other => SeenBody::Other(other),
        };
        Ok(())
    }

    fn read_tcp(&self, message: &[u8]) -> Result<SeenBody, String> {
        let header = usize::from(field::<20>(message, 0)?[12] >> 4) * 4;
        let data = message
            .get(header..)
            .ok_or("TCP header beyond the packet")?;
        self.check(6, message, "TCP")?;
        Ok(SeenBody::Tcp {
            ports: (number(message, 0)?, number(message, 2)?),
            flags: message[13],
            data: data.to_vec(),
        })
    }

    fn read_udp(&self, message: &[u8]) -> Result<SeenBody, String> {
        let [.., checksum_high, checksum_low] = field::<8>(message, 0)?;
        let summed = [checksum_high, checksum_low] != [0, 0];
        if usize::from(number(message, 4)?) != message.len() {
            return Err("UDP length is not the packet's".into());
        }
        if summed {
            self.check(17, message, "UDP")?;
        } else if self.from.is_ipv6() {
            return Err("UDP over IPv6 without a checksum".into());
        }
        Ok(SeenBody::Udp {
            ports: (number(message, 0)?, number(message, 2)?),
            data: message[8..].to_vec(),
            summed,
        })
    }

    fn read_gue(&self, message: &[u8]) -> Result<SeenPacket, String> {
        let [.., version, inner, _, _] = field::<12>(message, 0)?;
        if usize::from(number(message, 4)?) != message.len() {
            return Err("UDP length is not the packet's".into());
        }
        if number(message, 6)? != 0 {
            self.check(17, message, "UDP")?;
        }
        let packet = read_packet(&message[12..])?;
        let right = if packet.from.is_ipv4() { 4 } else { 41 };
        if (version, inner) != (0, right) {
            return Err(format!("GUE says {version} and {inner}"));
        }
        Ok(packet)
    }

    fn read_icmp(&self, protocol: u8, message: &[u8]) -> Result<SeenBody, String> {
        let [kind, code, _, _, word @ ..] = field::<8>(message, 0)?;
        let rest = message[8..].to_vec();
        let is_error = if protocol == 1 {
            if sum(message) != 0xffff {
                return Err("ICMP checksum does not fit".into());
            }
            matches!(kind, 3 | 4 | 11)
        } else {
            self.check(58, message, "ICMPv6")?;
            kind < 128
        };
        let quotes_v4 = is_error && rest.first().is_some_and(|first| *first == 0x45);
        if quotes_v4 && rest.len() >= 20 && sum(&rest[..20]) != 0xffff {
            return Err("the quoted header's checksum does not fit".into());
        }
        Ok(SeenBody::Icmp {
            kind,
            code,
            word: u32::from_be_bytes(word),
            rest,
        })
    }

    fn check(&self, protocol: u8, message: &[u8], name: &str) -> Result<(), String> {
        match sum_message(self.from, self.to, protocol, message) {
            0xffff => Ok(()),
            sum => Err(format!(
                "{name} checksum does not fit: everything sums to {sum:#06x}"
            )),
        }
    }

    /// Both ends, with ports where there are any.
    pub(crate) fn ends(&self) -> (SocketAddr, SocketAddr) {
        let (from, to) = match self.body {
            SeenBody::Tcp { ports, .. } | SeenBody::Udp { ports, .. } => ports,
            _ => (0, 0),
        };
        (
            SocketAddr::new(self.from, from),
            SocketAddr::new(self.to, to),
        )
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x?} > {:02x?}", self.from, self.to)?;
        if let Some(tag) = self.tag {
            write!(f, " tag {tag:#x}")?;
        }
        write!(f, " | {}", self.packet)?;
        if self.padding > 0 {
            write!(f, " | {} bytes of padding", self.padding)?;
        }
        Ok(())
    }
}

impl fmt::Display for SeenPacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = self.ends();
        write!(f, "{from} > {to} ttl {} class {:#x}", self.ttl, self.class)?;
        write!(f, " id {} {} bytes", self.id, self.length)?;
        if self.dont_fragment {
            f.write_str(" df")?;
        }
        match &self.body {
            SeenBody::Tcp { flags, data, .. } => {
                write!(f, " tcp flags {flags:#04x}, {} of data", data.len())
            }
            SeenBody::Udp { data, summed, .. } => {
                write!(f, " udp, {} of data, checksum {summed}", data.len())
            }
            SeenBody::Icmp {
                kind,
                code,
                word,
                rest,
            } => write!(f, " icmp {kind} {code} {word:#x} quoting {rest:02x?}"),
            SeenBody::Inner(inner) => write!(f, " [ {inner} ]"),
            SeenBody::Other(protocol) => write!(f, " protocol {protocol}"),
        }
    }
}

fn read_gre(message: &[u8]) -> Result<SeenPacket, String> {
    let summed = message.first().is_some_and(|flags| flags & 0x80 != 0);
    if summed && sum(message) != 0xffff {
        return Err("GRE checksum does not fit".into());
    }
    let header = if summed { 8 } else { 4 };
    let packet = read_packet(message.get(header..).ok_or("ends within GRE")?)?;
    let right = if packet.from.is_ipv4() {
        0x0800
    } else {
        0x86dd
    };
    match number(message, 2)? {
        kind if kind == right => Ok(packet),
        kind => Err(format!("GRE says {kind:#06x}")),
    }
}

/// Where the tests' GUE tunnels end.
const GUE_PORT: u16 = 6080;

fn field<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], String> {
    let cut = || format!("ends before byte {}", at + N);
    let bytes = bytes.get(at..at + N).ok_or_else(cut)?;
    Ok(bytes.try_into().expect("as long as asked"))
}

fn number(bytes: &[u8], at: usize) -> Result<u16, String> {
    Ok(u16::from_be_bytes(field(bytes, at)?))
}
