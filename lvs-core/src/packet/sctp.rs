//! SCTP (RFC 9260): two ports, a checksum over all, and chunks.
//!
//! ```text
//!        0      2      4          8          12     13      14       16
//!        | src  | dst  | tag      | CRC32c   | type | flags | length | ...
//! ```
//!
//! The checksum covers no address, so masquerading changes it only where a port
//! changes. The kernel then sums the whole packet anew, right or wrong before;
//! here the sum is updated, and a packet damaged on its way stays recognizable.
//!
//! A device that sums SCTP in hardware leaves the field zero, as does a virtual
//! link between two hosts. From a port that may do so, a checksum of zero is
//! made good; should a whole one be zero, this makes it zero again. What lies
//! in further chunks is not at hand for that: such a packet is dropped, for its
//! receiver would drop it without a word.

use super::Packet;
use super::buffer::PacketBuf;
use super::crc32c;
use super::transport::End;
use crate::verdict::DropReason;

/// Bytes of the common header.
pub(super) const HEADER: usize = 12;
/// Where the checksum lies.
const CHECKSUM: usize = 8;

/// The chunk type by which a packet counts: its first one's; ABORT's where that
/// follows a COOKIE-ECHO or COOKIE-ACK. `None` when there is none to read.
pub(super) fn chunk(bytes: &[u8]) -> Option<u8> {
    let [kind, _, length @ ..] = *bytes.get(HEADER..)?.first_chunk::<4>()?;
    if matches!(kind, COOKIE_ECHO | COOKIE_ACK) {
        let behind = usize::from(u16::from_be_bytes(length)).next_multiple_of(4);
        let next = bytes.get(HEADER + behind..).unwrap_or(&[]);
        if behind >= 4 && next.len() >= 4 && next[0] == ABORT {
            return Some(ABORT);
        }
    }
    Some(kind)
}

/// Rewrites one port, and the checksum where the port is another.
///
/// *Cost:* independent of the payload; see [`crc32c::changed`].
pub(crate) fn rewrite_port(
    buf: &mut PacketBuf<'_>,
    packet: &Packet,
    end: End,
    port: u16,
) -> Result<(), DropReason> {
    let at = match end {
        End::Source => 0,
        End::Destination => 2,
    };
    let stored: &mut [u8; 2] = buf.array_mut(packet.l4() + at)?;
    let (old, new) = (*stored, port.to_be_bytes());
    if old == new {
        return Ok(());
    }
    *stored = new;
    let checksum: &mut [u8; 4] = buf.array_mut(packet.l4() + CHECKSUM)?;
    let behind = packet.transport_length().saturating_sub(at + 2);
    let changed = crc32c::changed(u32::from_le_bytes(*checksum), old, new, behind);
    *checksum = changed.to_le_bytes();
    Ok(())
}

/// Makes a checksum that was left to hardware.
///
/// *Errors:* [`DropReason::ChecksumNotMade`] where not all of the packet is at
/// hand. *Cost:* one pass over the packet, if its checksum is zero.
pub(super) fn complete(buf: &mut PacketBuf<'_>, packet: &Packet) -> Result<(), DropReason> {
    let field = packet.l4() + CHECKSUM;
    if *buf.array_mut::<4>(field)? == [0; 4] {
        let length = packet.transport_length();
        let all = packet.l4()..packet.l4() + length;
        let bytes = buf.bytes().get(all).ok_or(DropReason::ChecksumNotMade)?;
        let made = crc32c::of(bytes);
        *buf.array_mut(field)? = made.to_le_bytes();
    }
    buf.set_whole();
    Ok(())
}

/// Chunk types (RFC 9260 section 3.2).
pub(crate) const INIT: u8 = 1;
pub(crate) const ABORT: u8 = 6;
const COOKIE_ECHO: u8 = 10;
const COOKIE_ACK: u8 = 11;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn packet(chunks: &[&[u8]]) -> Vec<u8> {
        [&[0; HEADER][..], &chunks.concat()].concat()
    }

    #[test]
    fn the_first_chunk_counts() {
        let (data, abort) = ([0, 3, 0, 4], [6, 0, 0, 4]);
        assert_eq!(chunk(&packet(&[&data, &abort])), Some(0));
        assert_eq!(chunk(&packet(&[&abort, &data])), Some(ABORT));
        assert_eq!(chunk(&packet(&[])), None);
        assert_eq!(chunk(&packet(&[&data[..3]])), None);
    }

    #[test]
    fn an_abort_behind_a_cookie_counts_before_it() {
        let (echo, abort) = ([10, 0, 0, 7, 1, 2, 3, 0], [6, 0, 0, 4]);
        assert_eq!(chunk(&packet(&[&echo, &abort])), Some(ABORT));
        assert_eq!(chunk(&packet(&[&echo])), Some(COOKIE_ECHO));
        assert_eq!(chunk(&packet(&[&echo, &[0, 3, 0, 4]])), Some(COOKIE_ECHO));
        assert_eq!(chunk(&packet(&[&[11, 0, 0, 4], &abort])), Some(ABORT));
        // A length that cannot be: no chunk is behind it.
        assert_eq!(chunk(&packet(&[&[11, 0, 0, 0], &abort])), Some(COOKIE_ACK));
        assert_eq!(
            chunk(&packet(&[&[11, 0, 0, 200], &abort])),
            Some(COOKIE_ACK)
        );
    }
}
