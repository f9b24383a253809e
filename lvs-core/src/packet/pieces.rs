//! Cutting a packet to pieces a link takes (RFC 791 section 3.2, RFC 8200
//! section 4.5).
//!
//! ```text
//!  IPv4:  | eth | ip, id, offset, MF |      data | data | data
//!  IPv6:  | eth | ip | fragment: offset, M, id | data | data | data
//! ```
//!
//! As Linux cuts (ip_output.c, 6.12): every piece but the last as long as the
//! MTU lets it be in steps of eight bytes, DF clear, and options that are not
//! copied replaced by no operation in all but the first.

use core::ops::Range;

use super::ethernet::{self, Ethernet};
use super::fragment::{self, FRAGMENT_HEADER};
use super::ipv4::{self, Ipv4};
use super::ipv6;
use super::options;

/// A packet on its way out in pieces, by their order.
///
/// It reads the packet anew for each piece and keeps no part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pieces {
    shape: Shape,
    /// Bytes of data in all pieces together.
    data: usize,
    /// The first byte of data that has not left.
    next: usize,
    /// Most bytes of data in the last piece; others have a multiple of eight.
    most: usize,
}

/// What all pieces of a packet have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Where the IP header begins in the frame.
    l3: usize,
    /// Where the data begins that is cut.
    data_at: usize,
    family: Family,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    V4 {
        /// Where the packet itself, if it is a fragment, lies in its datagram.
        offset: usize,
        /// Whether fragments follow the packet itself.
        more: bool,
        /// Whether the pieces have DF.
        dont_fragment: bool,
    },
    V6 {
        /// Where in the IP header the number of what follows it lies.
        next_header: usize,
        identification: u32,
    },
}

impl Pieces {
    /// The pieces, of up to `mtu` bytes each, of a packet whose frame begins
    /// with `head`, in which its headers lie whole.
    ///
    /// `identification` goes into IPv6 fragment headers; IPv4 packets have one.
    /// `None` for what is no whole IP packet, for an IPv6 packet with extension
    /// headers, which only its sender may cut, and where not even eight bytes
    /// of data fit.
    pub(crate) fn of(head: &[u8], mtu: u16, identification: u32) -> Option<Self> {
        let ethernet = Ethernet::parse(head)?;
        let l3 = ethernet.length;
        let ip = head.get(l3..)?;
        let (family, header, length) = match ethernet.ether_type {
            ethernet::IPV4 => {
                let header = Ipv4::parse(ip).ok()?;
                let field = u16::from_be_bytes(*ip.get(6..)?.first_chunk()?);
                let family = Family::V4 {
                    offset: usize::from(field & ipv4::OFFSET) * 8,
                    more: field & ipv4::MORE_FRAGMENTS != 0,
                    dont_fragment: false,
                };
                (family, header.header_length, header.total_length)
            }
            ethernet::IPV6 => {
                let header: &[u8; ipv6::HEADER] = ip.first_chunk()?;
                if ipv6::is_extension(header[6]) {
                    return None;
                }
                let family = Family::V6 {
                    next_header: ipv6::NEXT_HEADER,
                    identification,
                };
                let length = u16::from_be_bytes([header[4], header[5]]);
                (family, ipv6::HEADER, ipv6::HEADER + usize::from(length))
            }
            _ => return None,
        };
        let shape = Shape {
            l3,
            data_at: l3 + header,
            family,
        };
        let most = usize::from(mtu).checked_sub(header + shape.extra())?;
        (most >= 8).then_some(Self {
            shape,
            data: length - header,
            next: 0,
            most,
        })
    }

    /// Writes the next piece, a whole frame, to the start of `into`, and
    /// returns its length, bytes; `None` when all have been written.
    ///
    /// `parts` are the packet's bytes, as many chunks as it lies in, the same
    /// each time. Where they or `into` are too short the rest of the packet is
    /// lost, and [`is_done`](Self::is_done) stays false.
    ///
    /// *Cost:* a copy of the piece.
    pub fn write_next(&mut self, parts: &[&[u8]], into: &mut [u8]) -> Option<usize> {
        let left = self.data.checked_sub(self.next).filter(|left| *left > 0)?;
        let length = if left > self.most {
            self.most & !7
        } else {
            left
        };
        let range = self.next..self.next + length;
        let more = length < left;
        let written = self.shape.write(parts, range, more, into)?;
        self.next += length;
        Some(written)
    }

    /// The same with DF in every piece of IPv4: for those of a datagram whose
    /// fragments had it.
    pub(crate) const fn with_df(mut self) -> Self {
        if let Family::V4 { dont_fragment, .. } = &mut self.shape.family {
            *dont_fragment = true;
        }
        self
    }

    /// What the pieces have in common.
    pub(crate) const fn shape(&self) -> Shape {
        self.shape
    }

    /// Whether every piece has been written.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.next >= self.data
    }
}

impl Shape {
    /// That of a packet put together from fragments: its IP header at `l3`, its
    /// data at `data_at`, and the number of what follows the IP header
    /// `next_header` bytes into it, if it is IPv6.
    pub(crate) const fn of_datagram(l3: usize, data_at: usize, v6: Option<(usize, u32)>) -> Self {
        let family = match v6 {
            None => Family::V4 {
                offset: 0,
                more: false,
                dont_fragment: false,
            },
            Some((next_header, identification)) => Family::V6 {
                next_header,
                identification,
            },
        };
        Self {
            l3,
            data_at,
            family,
        }
    }

    /// Bytes every piece has that the packet has not.
    const fn extra(&self) -> usize {
        match self.family {
            Family::V4 { .. } => 0,
            Family::V6 { .. } => FRAGMENT_HEADER,
        }
    }

    /// Writes the piece with this range of the data, `more` of which follow, to
    /// the start of `into`, and returns its length; `None` where `parts` end
    /// before it does or `into` is too short.
    pub(crate) fn write(
        &self,
        parts: &[&[u8]],
        range: Range<usize>,
        more: bool,
        into: &mut [u8],
    ) -> Option<usize> {
        let (first, length) = (range.start == 0, range.len());
        let data_at = self.data_at + self.extra();
        let piece = into.get_mut(..data_at + length)?;
        let (headers, data) = piece.split_at_mut_checked(data_at)?;
        gather(parts, 0, headers.get_mut(..self.data_at)?)?;
        gather(parts, self.data_at + range.start, data)?;
        let ip = headers.get_mut(self.l3..)?;
        match self.family {
            Family::V4 {
                offset,
                more: more_behind,
                dont_fragment,
            } => {
                let more = more || more_behind;
                let units = (offset + range.start) / 8;
                let more = if more { ipv4::MORE_FRAGMENTS } else { 0 };
                let df = if dont_fragment {
                    ipv4::DONT_FRAGMENT
                } else {
                    0
                };
                let field = units as u16 & ipv4::OFFSET | more | df;
                let total = (ip.len() + length) as u16;
                ip.get_mut(2..4)?.copy_from_slice(&total.to_be_bytes());
                ip.get_mut(6..8)?.copy_from_slice(&field.to_be_bytes());
                if !first {
                    options::keep_copied(ip.get_mut(ipv4::HEADER..)?);
                }
                ipv4::write_checksum(ip);
            }
            Family::V6 {
                next_header,
                identification,
            } => {
                let at = ip.len().checked_sub(FRAGMENT_HEADER)?;
                let follows = core::mem::replace(ip.get_mut(next_header)?, ipv6::FRAGMENT);
                let header = fragment::header(follows, range.start, more, identification);
                ip.get_mut(at..)?.copy_from_slice(&header);
                let payload = (ip.len() - ipv6::HEADER + length) as u16;
                ip.get_mut(4..6)?.copy_from_slice(&payload.to_be_bytes());
            }
        }
        Some(data_at + length)
    }
}

/// Fills `into` with the bytes of `parts` from `at` on; `None` where they end
/// before it is full.
fn gather(parts: &[&[u8]], mut at: usize, mut into: &mut [u8]) -> Option<()> {
    for part in parts {
        let Some(from) = part.get(at..) else {
            at -= part.len();
            continue;
        };
        at = 0;
        let count = from.len().min(into.len());
        let (now, later) = into.split_at_mut(count);
        now.copy_from_slice(from.get(..count)?);
        into = later;
        if into.is_empty() {
            break;
        }
    }
    into.is_empty().then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::checksum::Sum;
    use alloc::vec::Vec;

    /// A frame of an IPv4 packet with so many bytes of options and data.
    fn v4(options: &[u8], data: usize) -> Vec<u8> {
        let mut frame = alloc::vec![2u8; 14];
        frame[12..14].copy_from_slice(&[0x08, 0x00]);
        let mut header = [0u8; ipv4::HEADER];
        Ipv4 {
            source: [10, 0, 0, 1].into(),
            destination: [10, 0, 0, 2].into(),
            protocol: 17,
            ttl: 63,
            tos: 0,
            dont_fragment: true,
            fragment: false,
            header_length: ipv4::HEADER + options.len(),
            total_length: ipv4::HEADER + options.len() + data,
        }
        .write(&mut header, 0x1234);
        header[0] = 0x45 + (options.len() / 4) as u8;
        frame.extend(header);
        frame.extend(options);
        frame.extend((0..data).map(|n| n as u8));
        frame
    }

    fn v6(data: usize) -> Vec<u8> {
        let mut frame = alloc::vec![2u8; 14];
        frame[12..14].copy_from_slice(&[0x86, 0xdd]);
        frame.extend([0x60, 0, 0, 0]);
        frame.extend((data as u16).to_be_bytes());
        frame.extend([17, 63]);
        frame.extend([7; 32]);
        frame.extend((0..data).map(|n| n as u8));
        frame
    }

    fn cut(parts: &[&[u8]], mtu: u16) -> Vec<Vec<u8>> {
        let mut pieces = Pieces::of(parts[0], mtu, 0xa1b2_c3d4).unwrap();
        let mut all = Vec::new();
        let mut into = [0xee; 2000];
        while let Some(length) = pieces.write_next(parts, &mut into) {
            all.push(into[..length].to_vec());
        }
        assert!(pieces.is_done());
        all
    }

    #[test]
    fn ipv4_is_cut_in_steps_of_eight() {
        let frame = v4(&[], 1480);
        let pieces = cut(&[&frame], 1400);
        let lengths: Vec<usize> = pieces.iter().map(|piece| piece.len() - 14).collect();
        assert_eq!(lengths, [1396, 124]);
        let fields: Vec<_> = pieces.iter().map(|piece| [piece[20], piece[21]]).collect();
        assert_eq!(fields, [[0x20, 0], [0, 172]]);
        let mut data: Vec<u8> = Vec::new();
        for piece in &pieces {
            assert_eq!(Sum::of(&piece[14..34]).folded(), 0xffff);
            assert_eq!(piece[18..20], [0x12, 0x34]);
            data.extend(&piece[34..]);
        }
        assert_eq!(data, frame[34..]);
    }

    #[test]
    fn the_last_piece_may_fill_the_mtu() {
        let lengths = |data| cut(&[&v4(&[], data)], 101).iter().map(Vec::len).collect();
        let all: Vec<usize> = lengths(80 + 81);
        assert_eq!(all, [34 + 80, 34 + 81]);
        let all: Vec<usize> = lengths(80 + 82);
        assert_eq!(all, [34 + 80, 34 + 80, 34 + 2]);
    }

    #[test]
    fn options_that_are_not_copied_become_no_operation() {
        // A recorded route, and a router alert, which is copied.
        let options = [7, 7, 4, 0, 0, 0, 0, 148, 4, 0, 0, 0];
        let pieces = cut(&[&v4(&options, 300)], 200);
        assert_eq!(pieces.len(), 2);
        assert_eq!(pieces[0][34..46], options);
        assert_eq!(pieces[1][34..46], [1, 1, 1, 1, 1, 1, 1, 148, 4, 0, 0, 0]);
        assert_eq!(Sum::of(&pieces[1][14..46]).folded(), 0xffff);
    }

    #[test]
    fn a_fragment_is_cut_further() {
        let mut frame = v4(&[], 400);
        frame[20..22].copy_from_slice(&[0x20, 100]);
        let pieces = cut(&[&frame], 300);
        let fields: Vec<_> = pieces.iter().map(|piece| [piece[20], piece[21]]).collect();
        assert_eq!(fields, [[0x20, 100], [0x20, 100 + 35]]);
    }

    #[test]
    fn ipv6_gets_a_fragment_header() {
        let frame = v6(1465);
        let pieces = cut(&[&frame], 1500);
        let lengths: Vec<usize> = pieces.iter().map(|piece| piece.len() - 14).collect();
        assert_eq!(lengths, [1496, 48 + 17]);
        assert_eq!(pieces[0][18..21], [0x05, 0xb0, 44]);
        assert_eq!(pieces[0][54..62], [17, 0, 0, 1, 0xa1, 0xb2, 0xc3, 0xd4]);
        assert_eq!(pieces[1][54..58], [17, 0, 0x05, 0xa8]);
        let data = [&pieces[0][62..], &pieces[1][62..]].concat();
        assert_eq!(data, frame[54..]);
    }

    #[test]
    fn where_a_packet_is_split_does_not_matter() {
        let frame = v4(&[], 1000);
        let whole = cut(&[&frame], 300);
        for at in [34, 35, 100, 290, 1013, 1014] {
            let (head, tail) = frame.split_at(at);
            assert_eq!(cut(&[head, tail], 300), whole, "{at}");
            let (one, two) = tail.split_at(tail.len() / 2);
            assert_eq!(cut(&[head, one, &[], two], 300), whole, "{at}");
        }
    }

    #[test]
    fn what_cannot_be_cut_is_none() {
        assert_eq!(Pieces::of(&v4(&[], 100), 27, 0), None);
        assert!(Pieces::of(&v4(&[], 100), 28, 0).is_some());
        assert_eq!(Pieces::of(&v6(100), 55, 0), None);
        let mut extended = v6(100);
        extended[20] = 0;
        assert_eq!(Pieces::of(&extended, 100, 0), None);
        assert_eq!(Pieces::of(&[0; 60], 100, 0), None);
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        let frame = v4(&[], 400);
        let mut pieces = Pieces::of(&frame, 300, 0).unwrap();
        assert_eq!(pieces.write_next(&[&frame], &mut [0; 200]), None);
        assert_eq!(pieces.write_next(&[&frame[..100]], &mut [0; 2000]), None);
        assert!(!pieces.is_done());
    }
}
