//! Generic Routing Encapsulation: the payload's EtherType, and a checksum if
//! the real server is to look at one.
//!
//! ```text
//!  0                   2           4          6          8
//!  | C, 0s, version 0  | EtherType | checksum | reserved | ip ...
//!                                  '- only with C ------'
//! ```
//!
//! *Source:* RFC 2784 section 2.

use super::Quoted;
use crate::packet::checksum::Sum;
use crate::packet::{Addresses, PacketBuf, ethernet};
use crate::verdict::DropReason;

/// IP protocol number of GRE.
pub(super) const PROTOCOL: u8 = 47;

/// Bytes of the header.
pub(super) const fn header(checksum: bool) -> usize {
    if checksum { 8 } else { 4 }
}

/// Writes the header at `at`, before a packet of this family, with a checksum
/// over `sum` if it is given, and returns the IP protocol number.
pub(super) fn write(
    buf: &mut PacketBuf<'_>,
    at: usize,
    inner: &Addresses,
    sum: Option<Sum>,
) -> Result<u8, DropReason> {
    let ether_type = match inner {
        Addresses::V4 { .. } => ethernet::IPV4,
        Addresses::V6 { .. } => ethernet::IPV6,
    };
    let [t0, t1] = ether_type.to_be_bytes();
    match sum {
        None => *buf.array_mut(at)? = [0, 0, t0, t1],
        Some(sum) => {
            let sum = sum.word(CHECKSUM).word(ether_type);
            let [f0, f1] = CHECKSUM.to_be_bytes();
            let [c0, c1] = sum.checksum().to_be_bytes();
            *buf.array_mut(at)? = [f0, f1, t0, t1, c0, c1, 0, 0];
        }
    }
    Ok(PROTOCOL)
}

/// Reads the header at `at` in an ICMP error: version 0, no flag but C, with
/// IPv4 inside.
pub(super) fn quoted(buf: &PacketBuf<'_>, at: usize) -> Option<Quoted> {
    let [f0, f1, t0, t1] = *buf.array(at)?;
    let flags = u16::from_be_bytes([f0, f1]);
    let known = flags & !CHECKSUM == 0 && u16::from_be_bytes([t0, t1]) == ethernet::IPV4;
    known.then_some(Quoted {
        port: 0,
        length: header(flags == CHECKSUM),
    })
}

/// The flag that says there is a checksum.
const CHECKSUM: u16 = 0x8000;
