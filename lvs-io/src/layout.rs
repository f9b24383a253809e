//! Where a packet's network and transport headers lie: [`Layout`].

use crate::checksum::{Crc32c, Sum};

/// Where the headers of an IP packet lie, and what the transport is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Offset of the IP header.
    pub(crate) ip: usize,
    /// Whether that is IPv6.
    pub(crate) v6: bool,
    /// Offset of the transport header.
    pub(crate) transport: usize,
    /// IP protocol number of the transport.
    pub(crate) protocol: u8,
    /// Offset where the packet ends by its own account; padding may follow.
    pub(crate) end: usize,
}

/// Where a transport's checksum stands in its header, and what kind it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// An Internet checksum at this offset, pseudo-header included.
    Internet(usize),
    /// A CRC32c at this offset.
    Crc32c(usize),
}

impl Layout {
    /// That of an Ethernet frame, of which `bytes` holds at least the headers.
    /// `None` if it is not a whole IP packet: other protocols, fragments,
    /// cut headers.
    pub(crate) fn of_frame(bytes: &[u8]) -> Option<Self> {
        let mut kind = 12;
        while matches!(number(bytes, kind)?, ETHERTYPE_VLAN | ETHERTYPE_QINQ) {
            kind += 4;
        }
        match number(bytes, kind)? {
            ETHERTYPE_IPV4 => Self::of_v4(bytes, kind + 2),
            ETHERTYPE_IPV6 => Self::of_v6(bytes, kind + 2),
            _ => None,
        }
    }

    /// That of a bare IP packet.
    pub(crate) fn of_packet(bytes: &[u8]) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => Self::of_v4(bytes, 0),
            6 => Self::of_v6(bytes, 0),
            _ => None,
        }
    }

    fn of_v4(bytes: &[u8], ip: usize) -> Option<Self> {
        let header = bytes.get(ip..ip + 20)?;
        let header_len = usize::from(header[0] & 0xf) * 4;
        let fragment = number(header, 6)? & 0x3fff;
        if header[0] >> 4 != 4 || header_len < 20 || fragment != 0 {
            return None;
        }
        Some(Self {
            ip,
            v6: false,
            transport: ip + header_len,
            protocol: header[9],
            end: ip + usize::from(number(header, 2)?),
        })
    }

    fn of_v6(bytes: &[u8], ip: usize) -> Option<Self> {
        let header = bytes.get(ip..ip + 40)?;
        if header[0] >> 4 != 6 {
            return None;
        }
        let (mut protocol, mut transport) = (header[6], ip + 40);
        while let HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS = protocol {
            let extension = bytes.get(transport..transport + 8)?;
            // A source route under way: the checksum's destination is the last
            // hop's, not the one in the header.
            if protocol == ROUTING && extension[3] != 0 {
                return None;
            }
            protocol = extension[0];
            transport += (usize::from(extension[1]) + 1) * 8;
        }
        Some(Self {
            ip,
            v6: true,
            transport,
            protocol,
            end: ip + 40 + usize::from(number(header, 4)?),
        })
    }

    /// Where the checksum stands, counted from the transport header; `None` if
    /// the transport is not one whose checksum is ever left unmade.
    pub(crate) fn field(&self) -> Option<Field> {
        match self.protocol {
            TCP => Some(Field::Internet(16)),
            UDP => Some(Field::Internet(6)),
            SCTP => Some(Field::Crc32c(8)),
            _ => None,
        }
    }

    /// The sum over the pseudo-header of `len` bytes of transport.
    pub(crate) fn pseudo_header(&self, bytes: &[u8], len: usize) -> Sum {
        let addresses = match self.v6 {
            true => self.ip + 8..self.ip + 40,
            false => self.ip + 12..self.ip + 20,
        };
        let mut sum = Sum::default();
        sum.add(bytes.get(addresses).unwrap_or_default());
        sum.add_number(len as u32);
        sum.add_number(self.protocol.into());
        sum
    }

    /// The whole checksum of a packet that lies in `pieces`, of which the first
    /// holds all headers; where it belongs, and its bytes.
    ///
    /// `None` if there is nothing to complete.
    pub(crate) fn whole_checksum<'p>(
        &self,
        pieces: impl Iterator<Item = &'p [u8]> + Clone,
    ) -> Option<(usize, Made)> {
        let first = pieces.clone().next()?;
        let (field, width) = match self.field()? {
            Field::Internet(offset) => (self.transport + offset, 2),
            Field::Crc32c(offset) => (self.transport + offset, 4),
        };
        let after = field + width;
        if first.len() < after || self.end < after {
            return None;
        }
        let before = &first[self.transport..field];
        // As if the field were zero, whatever stands in it now.
        let rest = slices(pieces, after, self.end);
        if width == 4 {
            let mut crc = Crc32c::new();
            crc.add(before);
            crc.add(&[0; 4]);
            rest.for_each(|slice| crc.add(slice));
            return Some((field, Made::Crc32c(crc.checksum())));
        }
        let mut sum = self.pseudo_header(first, self.end - self.transport);
        sum.add(before);
        rest.for_each(|slice| sum.add(slice));
        Some((field, Made::Internet(self.sent(sum.checksum()))))
    }

    /// A checksum as it is sent: zero would mean "none" to UDP (RFC 768).
    pub(crate) fn sent(&self, checksum: [u8; 2]) -> [u8; 2] {
        match checksum {
            [0, 0] if self.protocol == UDP => [0xff, 0xff],
            checksum => checksum,
        }
    }
}

/// A checksum that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// Of TCP or UDP.
    Internet([u8; 2]),
    /// Of SCTP.
    Crc32c([u8; 4]),
}

impl Made {
    /// The bytes of the field.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Internet(bytes) => bytes,
            Self::Crc32c(bytes) => bytes,
        }
    }
}

/// Bytes `from..to` of what lies in `pieces`.
fn slices<'p>(
    pieces: impl Iterator<Item = &'p [u8]>,
    from: usize,
    to: usize,
) -> impl Iterator<Item = &'p [u8]> {
    let mut offset = 0;
    pieces.map(move |piece| {
        let start = from.saturating_sub(offset).min(piece.len());
        let end = to.saturating_sub(offset).clamp(start, piece.len());
        offset += piece.len();
        &piece[start..end]
    })
}

fn number(bytes: &[u8], offset: usize) -> Option<u16> {
    let bytes = bytes.get(offset..offset + 2)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
const SCTP: u8 = 132;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const DESTINATION_OPTIONS: u8 = 60;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_QINQ: u16 = 0x88a8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn finds_the_transport_behind_tags_options_and_extensions() {
        let frame = sample::udp4(b"hello");
        let layout = Layout::of_frame(&frame).unwrap();
        assert_eq!((layout.ip, layout.transport, layout.v6), (14, 34, false));
        assert_eq!((layout.protocol, layout.end), (UDP, frame.len()));
        assert_eq!(Layout::of_packet(&frame[14..]).unwrap().transport, 20);

        let tagged = sample::tagged(&sample::tagged(&frame));
        assert_eq!(Layout::of_frame(&tagged).unwrap().transport, 42);

        let mut extended = sample::tcp6(b"hello");
        extended[20] = HOP_BY_HOP;
        extended.splice(54..54, [TCP, 0, 1, 4, 0, 0, 0, 0]);
        let layout = Layout::of_frame(&extended).unwrap();
        assert_eq!((layout.transport, layout.protocol), (62, TCP));
    }

    #[test]
    fn refuses_what_has_no_transport_of_its_own() {
        let frame = sample::udp4(b"hello");
        for len in 0..34 {
            assert_eq!(Layout::of_frame(&frame[..len]), None, "{len} bytes");
        }
        let mut fragment = frame.clone();
        fragment[21] = 1;
        assert_eq!(Layout::of_frame(&fragment), None);
        let mut arp = frame;
        arp[13] = 6;
        assert_eq!(Layout::of_frame(&arp), None);
    }

    #[test]
    fn makes_the_checksum_again_whatever_stood_there() {
        for frame in [
            sample::udp4(b"odd"),
            sample::tcp4(b"even"),
            sample::udp6(b"odd"),
            sample::tcp6(b""),
        ] {
            let layout = Layout::of_frame(&frame).unwrap();
            let mut spoilt = frame.clone();
            let (field, made) = layout.whole_checksum([&frame[..]].into_iter()).unwrap();
            assert_eq!(made.bytes(), &frame[field..field + 2]);
            spoilt[field] ^= 0x55;
            // Padding after the packet is not part of it; an odd cut matters not.
            spoilt.extend([0xaa; 3]);
            let (head, tail) = spoilt.split_at(field + 3);
            let again = layout.whole_checksum([head, tail].into_iter());
            assert_eq!(again, Some((field, made)));
        }
    }

    #[test]
    fn makes_the_crc_of_sctp() {
        let frame = sample::sctp4(b"a chunk");
        let layout = Layout::of_frame(&frame).unwrap();
        let (field, made) = layout.whole_checksum([&frame[..]].into_iter()).unwrap();
        assert_eq!((field, made.bytes()), (42, &frame[42..46]));
    }
}
