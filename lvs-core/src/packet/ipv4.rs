//! IPv4 (RFC 791).
//!
//! ```text
//!  0        1      2        4     6           8    9      10        12    16    20
//!  | ver,ihl | tos | length | id | DF,MF,off | ttl | proto | checksum | src | dst | options
//! ```

use core::net::Ipv4Addr;

use super::checksum::{Change, Sum};
use crate::verdict::DropReason;

/// Bytes of a header without options.
pub(crate) const HEADER: usize = 20;
/// Every link takes packets of so many bytes, and nobody can be asked for
/// shorter ones (RFC 791 section 3.2).
pub(crate) const LEAST_MTU: u32 = 68;

/// What an IPv4 header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ipv4 {
    pub(crate) source: Ipv4Addr,
    pub(crate) destination: Ipv4Addr,
    pub(crate) protocol: u8,
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
    pub(crate) dont_fragment: bool,
    /// Set in every fragment: more of them follow, or this is not the first.
    pub(crate) fragment: bool,
    /// Of the header with its options, bytes.
    pub(crate) header_length: usize,
    /// Of header and payload, bytes.
    pub(crate) total_length: usize,
}

impl Ipv4 {
    /// Reads the header at the start of `bytes`, checksum not looked at.
    ///
    /// *Errors:* [`DropReason::Truncated`], [`DropReason::BadIpHeader`].
    #[inline]
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, DropReason> {
        let h: &[u8; HEADER] = bytes.first_chunk().ok_or(DropReason::Truncated)?;
        let header_length = usize::from(h[0] & 0x0f) * 4;
        let total_length = usize::from(u16::from_be_bytes([h[2], h[3]]));
        if h[0] >> 4 != 4 || header_length < HEADER || total_length < header_length {
            return Err(DropReason::BadIpHeader);
        }
        if bytes.len() < header_length {
            return Err(DropReason::Truncated);
        }
        let fragment = u16::from_be_bytes([h[6], h[7]]);
        Ok(Self {
            source: Ipv4Addr::new(h[12], h[13], h[14], h[15]),
            destination: Ipv4Addr::new(h[16], h[17], h[18], h[19]),
            protocol: h[9],
            ttl: h[8],
            tos: h[1],
            dont_fragment: fragment & DONT_FRAGMENT != 0,
            fragment: fragment & (MORE_FRAGMENTS | OFFSET) != 0,
            header_length,
            total_length,
        })
    }

    /// Whether the checksum of the header at the start of `bytes` fits
    /// (RFC 1122 3.2.1.2: the host MUST verify it).
    #[inline]
    pub(crate) fn checksum_fits(&self, bytes: &[u8]) -> bool {
        let sum = match bytes.first_chunk::<HEADER>() {
            // Most have no options: a length known at compile time, and no loop.
            Some(header) if self.header_length == HEADER => Sum::of(header),
            _ => Sum::of(bytes.get(..self.header_length).unwrap_or(&[])),
        };
        sum.folded() == 0xffff
    }

    /// Writes a header without options.
    pub(crate) fn write(&self, header: &mut [u8; HEADER], id: u16) {
        let length = self.total_length as u16;
        let fragment = if self.dont_fragment { DONT_FRAGMENT } else { 0 };
        header[0] = 0x45;
        header[1] = self.tos;
        header[2..4].copy_from_slice(&length.to_be_bytes());
        header[4..6].copy_from_slice(&id.to_be_bytes());
        header[6..8].copy_from_slice(&fragment.to_be_bytes());
        header[8] = self.ttl;
        header[9] = self.protocol;
        header[10..12].copy_from_slice(&[0, 0]);
        header[12..16].copy_from_slice(&self.source.octets());
        header[16..20].copy_from_slice(&self.destination.octets());
        let checksum = Sum::of(header).checksum();
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// Sums a header with its options anew.
pub(crate) fn write_checksum(header: &mut [u8]) {
    if let Some(field) = header.get_mut(10..12) {
        field.copy_from_slice(&[0, 0]);
        let checksum = Sum::of(header).checksum();
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// Takes one from the TTL, if there is any; checksum included (RFC 1141).
pub(crate) fn decrement_ttl(header: &mut [u8; HEADER]) {
    let Some(ttl) = header[8].checked_sub(1) else {
        return;
    };
    header[8] = ttl;
    update_checksum(header, Change::default().word(ONE_TTL, 0));
}

/// Rewrites the source address, header checksum included, and returns the
/// change for the checksums that cover the address.
pub(crate) fn set_source(header: &mut [u8; HEADER], address: Ipv4Addr) -> Change {
    set_address::<12>(header, address)
}

/// Rewrites the destination address; as [`set_source`].
pub(crate) fn set_destination(header: &mut [u8; HEADER], address: Ipv4Addr) -> Change {
    set_address::<16>(header, address)
}

fn set_address<const AT: usize>(header: &mut [u8; HEADER], address: Ipv4Addr) -> Change {
    let old = u32::from_be_bytes([header[AT], header[AT + 1], header[AT + 2], header[AT + 3]]);
    header[AT..AT + 4].copy_from_slice(&address.octets());
    let change = Change::default().double(old, address.to_bits());
    update_checksum(header, change);
    change
}

fn update_checksum(header: &mut [u8; HEADER], change: Change) {
    let checksum = change.apply(u16::from_be_bytes([header[10], header[11]]));
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
}

/// One of TTL, as it counts in the header's sum.
const ONE_TTL: u16 = 0x0100;
pub(crate) const DONT_FRAGMENT: u16 = 0x4000;
pub(crate) const MORE_FRAGMENTS: u16 = 0x2000;
pub(crate) const OFFSET: u16 = 0x1fff;

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> [u8; HEADER] {
        let mut bytes = [0xa5; HEADER];
        Ipv4 {
            source: Ipv4Addr::new(198, 51, 100, 7),
            destination: Ipv4Addr::new(192, 0, 2, 10),
            protocol: 6,
            ttl: 64,
            tos: 0x10,
            dont_fragment: true,
            fragment: false,
            header_length: HEADER,
            total_length: 40,
        }
        .write(&mut bytes, 7);
        bytes
    }

    #[test]
    fn what_is_written_reads_back() {
        let bytes = header();
        let read = Ipv4::parse(&bytes).unwrap();
        assert!(read.checksum_fits(&bytes));
        assert_eq!((read.ttl, read.tos, read.protocol), (64, 0x10, 6));
        assert_eq!(
            (read.dont_fragment, read.fragment, read.total_length),
            (true, false, 40)
        );
    }

    #[test]
    fn rewrites_keep_the_checksum() {
        let mut bytes = header();
        for ttl in (1..64).rev() {
            decrement_ttl(&mut bytes);
            set_source(&mut bytes, Ipv4Addr::new(10, 0, 0, ttl));
            set_destination(&mut bytes, Ipv4Addr::new(ttl, 255, 255, 255));
            let read = Ipv4::parse(&bytes).unwrap();
            assert_eq!(read.ttl, ttl);
            assert!(read.checksum_fits(&bytes), "ttl {ttl}");
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let with = |at: usize, value: u8| {
            let mut bytes = header();
            bytes[at] = value;
            Ipv4::parse(&bytes)
        };
        assert_eq!(with(0, 0x65), Err(DropReason::BadIpHeader), "version");
        assert_eq!(with(0, 0x44), Err(DropReason::BadIpHeader), "header length");
        assert_eq!(with(3, 19), Err(DropReason::BadIpHeader), "total length");
        assert_eq!(with(0, 0x46), Err(DropReason::Truncated), "options cut off");
        assert_eq!(Ipv4::parse(&header()[..19]), Err(DropReason::Truncated));
        assert!(with(6, 0x20).unwrap().fragment, "first fragment");
        assert!(with(7, 1).unwrap().fragment, "later fragment");
    }
}
