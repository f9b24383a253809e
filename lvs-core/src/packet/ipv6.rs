//! IPv6 (RFC 8200) and the extension headers before the transport.
//!
//! ```text
//!  0                  4        6      7           8     24    40
//!  | ver, class, flow | length | next | hop limit | src | dst | extension headers
//! ```

use core::net::Ipv6Addr;

use super::checksum::Change;
use crate::verdict::DropReason;

/// Bytes of the fixed header.
pub(crate) const HEADER: usize = 40;
/// Every link takes packets of so many bytes, and nobody can be asked for
/// shorter ones (RFC 8200 section 5).
pub(crate) const LEAST_MTU: u32 = 1280;

/// What an IPv6 header and its extension headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ipv6 {
    pub(crate) source: Ipv6Addr,
    pub(crate) destination: Ipv6Addr,
    pub(crate) traffic_class: u8,
    pub(crate) hop_limit: u8,
    /// Of the first header that is not an extension header.
    pub(crate) protocol: u8,
    /// Where that header begins, bytes from the start of the fixed header.
    pub(crate) header_length: usize,
    /// Of fixed header and payload, bytes.
    pub(crate) total_length: usize,
    /// One of several fragments. (An atomic fragment, RFC 6946, is whole.)
    pub(crate) fragment: bool,
    /// A fragment but not the first: what follows is no transport header.
    pub(crate) later_fragment: bool,
    /// A routing header still has segments to visit: the destination is not
    /// the last one.
    pub(crate) segments_left: bool,
}

impl Ipv6 {
    /// Reads the header at the start of `bytes` and walks the extension headers.
    ///
    /// *Errors:* [`DropReason::Truncated`]; [`DropReason::BadIpHeader`] also for
    /// more than [`MOST_EXTENSIONS`] of them.
    #[inline]
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, DropReason> {
        let h: &[u8; HEADER] = bytes.first_chunk().ok_or(DropReason::Truncated)?;
        if h[0] >> 4 != 6 {
            return Err(DropReason::BadIpHeader);
        }
        let (source, rest) = h[8..]
            .split_first_chunk::<16>()
            .ok_or(DropReason::Truncated)?;
        let destination = rest.first_chunk::<16>().ok_or(DropReason::Truncated)?;
        let rest = if is_extension(h[6]) {
            Extensions::walk(bytes, h[6])?
        } else {
            Extensions::none_before(h[6])
        };
        Ok(Self {
            source: Ipv6Addr::from_octets(*source),
            destination: Ipv6Addr::from_octets(*destination),
            traffic_class: h[0] << 4 | h[1] >> 4,
            hop_limit: h[7],
            protocol: rest.protocol,
            header_length: rest.end,
            total_length: HEADER + usize::from(u16::from_be_bytes([h[4], h[5]])),
            fragment: rest.fragment,
            later_fragment: rest.later_fragment,
            segments_left: rest.segments_left,
        })
    }

    /// Writes the fixed header; flow label 0, no extension headers.
    pub(crate) fn write(&self, header: &mut [u8; HEADER]) {
        let payload = (self.total_length.saturating_sub(HEADER)) as u16;
        header[0] = 0x60 | self.traffic_class >> 4;
        header[1] = self.traffic_class << 4;
        header[2..4].copy_from_slice(&[0, 0]);
        header[4..6].copy_from_slice(&payload.to_be_bytes());
        header[6] = self.protocol;
        header[7] = self.hop_limit;
        header[8..24].copy_from_slice(&self.source.octets());
        header[24..40].copy_from_slice(&self.destination.octets());
    }
}

/// What the extension headers say.
struct Extensions {
    /// Of the first header that is none.
    protocol: u8,
    /// Where that begins, bytes from the start of the fixed header.
    end: usize,
    fragment: bool,
    later_fragment: bool,
    segments_left: bool,
}

impl Extensions {
    const fn none_before(protocol: u8) -> Self {
        Self {
            protocol,
            end: HEADER,
            fragment: false,
            later_fragment: false,
            segments_left: false,
        }
    }

    /// Steps over extension headers (RFC 8200 section 4), of which the first has
    /// this protocol number.
    #[cold]
    fn walk(bytes: &[u8], first: u8) -> Result<Self, DropReason> {
        let mut found = Self::none_before(first);
        for _ in 0..MOST_EXTENSIONS {
            if !is_extension(found.protocol) {
                return Ok(found);
            }
            let at = bytes.get(found.end..).ok_or(DropReason::Truncated)?;
            let [next, length, low, left] = *at.first_chunk().ok_or(DropReason::Truncated)?;
            let mut step = (usize::from(length) + 1) * 8;
            match found.protocol {
                FRAGMENT => {
                    step = 8;
                    // Offset in the upper 13 bits, "more" in the lowest.
                    let more_or_offset = u16::from_be_bytes([low, left]) & 0xfff9;
                    if more_or_offset != 0 {
                        found.fragment = true;
                        found.later_fragment = more_or_offset & OFFSET != 0;
                        found.protocol = next;
                        found.end += step;
                        return Ok(found);
                    }
                }
                ROUTING => found.segments_left |= left != 0,
                _ => {}
            }
            found.protocol = next;
            found.end += step;
        }
        Err(DropReason::BadIpHeader)
    }
}

/// Where in these headers, the fixed one and whole extension headers, the number
/// of what follows all of them lies.
pub(crate) fn last_next_header(headers: &[u8]) -> Option<usize> {
    let (mut number_at, mut at) = (NEXT_HEADER, HEADER);
    while at < headers.len() {
        number_at = at;
        at += (usize::from(*headers.get(at + 1)?) + 1) * 8;
    }
    Some(number_at)
}

/// Whether this is the number of an extension header that is stepped over.
pub(crate) const fn is_extension(protocol: u8) -> bool {
    matches!(protocol, HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION)
}

/// Takes one from the hop limit.
pub(crate) fn decrement_hop_limit(header: &mut [u8; HEADER]) {
    header[7] = header[7].saturating_sub(1);
}

/// Rewrites the source address and returns the change for the checksums that
/// cover it.
pub(crate) fn set_source(header: &mut [u8; HEADER], address: Ipv6Addr) -> Change {
    set_address::<8>(header, address)
}

/// Rewrites the destination address; as [`set_source`].
pub(crate) fn set_destination(header: &mut [u8; HEADER], address: Ipv6Addr) -> Change {
    set_address::<24>(header, address)
}

fn set_address<const AT: usize>(header: &mut [u8; HEADER], address: Ipv6Addr) -> Change {
    let mut old = [0u8; 16];
    old.copy_from_slice(&header[AT..AT + 16]);
    header[AT..AT + 16].copy_from_slice(&address.octets());
    Change::default().wide(u128::from_be_bytes(old), address.to_bits())
}

/// More extension headers than this in one packet are nobody's honest traffic;
/// RFC 8200 4.1 lists seven in its recommended order.
const MOST_EXTENSIONS: usize = 8;

/// Of the fragment header's second half-word: the offset, in units of eight bytes.
const OFFSET: u16 = 0xfff8;

/// Where the fixed header has the number of what follows it.
pub(crate) const NEXT_HEADER: usize = 6;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
/// The number of a fragment header.
pub(crate) const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(first: u8, extensions: &[&[u8]]) -> ([u8; 200], usize) {
        let mut bytes = [0u8; 200];
        let length = extensions.iter().map(|e| e.len()).sum::<usize>();
        let mut header = [0xa5; HEADER];
        Ipv6 {
            source: "2001:db8:c::1".parse().unwrap(),
            destination: "2001:db8:ff::80".parse().unwrap(),
            traffic_class: 0xb8,
            hop_limit: 64,
            protocol: first,
            header_length: HEADER,
            total_length: HEADER + length,
            fragment: false,
            later_fragment: false,
            segments_left: false,
        }
        .write(&mut header);
        bytes[..HEADER].copy_from_slice(&header);
        let mut at = HEADER;
        for extension in extensions {
            bytes[at..at + extension.len()].copy_from_slice(extension);
            at += extension.len();
        }
        (bytes, at)
    }

    #[test]
    fn what_is_written_reads_back() {
        let (bytes, length) = packet(6, &[]);
        let read = Ipv6::parse(&bytes[..length]).unwrap();
        assert_eq!(
            (read.protocol, read.header_length, read.total_length),
            (6, 40, 40)
        );
        assert_eq!((read.traffic_class, read.hop_limit), (0xb8, 64));
        assert_eq!(
            read.destination,
            "2001:db8:ff::80".parse::<Ipv6Addr>().unwrap()
        );
    }

    #[test]
    fn extension_headers_are_walked() {
        let hop = [60u8, 0, 1, 4, 0, 0, 0, 0];
        let options = [43u8, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let routing = [17u8, 0, 0, 0, 0, 0, 0, 0];
        let (bytes, length) = packet(0, &[&hop, &options, &routing]);
        let read = Ipv6::parse(&bytes[..length]).unwrap();
        assert_eq!((read.protocol, read.header_length), (17, 40 + 8 + 16 + 8));
        assert!(!read.fragment && !read.segments_left);
    }

    #[test]
    fn fragments_are_told_from_whole_packets() {
        let atomic = [6u8, 0, 0, 0, 0, 0, 0, 9];
        let first = [6u8, 0, 0, 1, 0, 0, 0, 9];
        let later = [6u8, 0, 0x05, 0xa8, 0, 0, 0, 9];
        for (header, fragment, is_later) in [
            (atomic, false, false),
            (first, true, false),
            (later, true, true),
        ] {
            let (bytes, length) = packet(44, &[&header]);
            let read = Ipv6::parse(&bytes[..length]).unwrap();
            assert_eq!((read.fragment, read.protocol), (fragment, 6));
            assert_eq!(read.later_fragment, is_later);
        }
    }

    #[test]
    fn segments_left_are_seen() {
        let (bytes, length) = packet(43, &[&[6, 0, 0, 2, 0, 0, 0, 0]]);
        assert!(Ipv6::parse(&bytes[..length]).unwrap().segments_left);
    }

    #[test]
    fn endless_or_cut_chains_are_refused() {
        let again = [0u8, 0, 0, 0, 0, 0, 0, 0];
        let (bytes, length) = packet(0, &[&again[..]; 9]);
        assert_eq!(Ipv6::parse(&bytes[..length]), Err(DropReason::BadIpHeader));
        let (bytes, _) = packet(0, &[&again]);
        assert_eq!(Ipv6::parse(&bytes[..42]), Err(DropReason::Truncated));
        assert_eq!(Ipv6::parse(&bytes[..39]), Err(DropReason::Truncated));
    }
}
