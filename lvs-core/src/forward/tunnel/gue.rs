//! Generic UDP Encapsulation: a UDP header and four bytes, so that routers and
//! NICs between director and real server spread flows as they do any other.
//!
//! ```text
//!  0             2                  4        6          8                  9       10      12
//!  | source port | destination port | length | checksum | version, control | proto | flags | ip ...
//!  |               UDP                                  |  GUE: 0          | 4, 41 | 0     |
//! ```
//!
//! *Source:* draft-ietf-intarea-gue-09 section 3; RFC 768; RFC 6935 for
//! checksums of zero over IPv6, which a director that is told so sends too.

use super::{Quoted, ipip};
use crate::packet::checksum::{Sum, pseudo_header};
use crate::packet::transport::{IPIP, UDP, UDP_HEADER};
use crate::packet::{Addresses, FlowKey, Packet, PacketBuf, Seed};
use crate::verdict::DropReason;

/// Bytes of both headers.
pub(super) const HEADER: usize = UDP_HEADER + GUE_HEADER;
const GUE_HEADER: usize = 4;

/// The UDP source port of a flow: always the same, in the range Linux takes
/// ports from (`ip_local_port_range`).
pub(super) fn source_port(flow: &FlowKey, seed: &Seed) -> u16 {
    let share = (flow.hash(*seed) >> 32) * u64::from(LAST_PORT - FIRST_PORT + 1);
    FIRST_PORT + (share >> 32) as u16
}

/// Writes both headers at `at`, before the packet, with a checksum over `sum`
/// and these outer addresses if they are given, and returns the IP protocol
/// number.
pub(super) fn write(
    buf: &mut PacketBuf<'_>,
    at: usize,
    packet: &Packet,
    (source, destination): (u16, u16),
    summed: Option<(&Addresses, Sum)>,
) -> Result<u8, DropReason> {
    let inner = ipip::protocol(&packet.flow.addresses);
    let length = HEADER as u32 + packet.length;
    let [s0, s1] = source.to_be_bytes();
    let [d0, d1] = destination.to_be_bytes();
    let [l0, l1] = (length as u16).to_be_bytes();
    let mut header = [s0, s1, d0, d1, l0, l1, 0, 0, 0, inner, 0, 0];
    if let Some((ends, sum)) = summed {
        let pseudo = pseudo_header(ends.sum(), UDP, length);
        let checksum = match pseudo.and(Sum::of(&header)).and(sum).checksum() {
            // Zero would say that there is none (RFC 768).
            0 => 0xffff,
            checksum => checksum,
        };
        [header[6], header[7]] = checksum.to_be_bytes();
    }
    *buf.array_mut(at)? = header;
    Ok(UDP)
}

/// Reads the headers at `at` in an ICMP error: without options, with IPv4 inside.
pub(super) fn quoted(buf: &PacketBuf<'_>, at: usize) -> Option<Quoted> {
    let [_, _, d0, d1, _, _, _, _, version, inner, _, _] = *buf.array::<HEADER>(at)?;
    ((version, inner) == (0, IPIP)).then_some(Quoted {
        port: u16::from_be_bytes([d0, d1]),
        length: HEADER,
    })
}

const FIRST_PORT: u16 = 32_768;
const LAST_PORT: u16 = 60_999;

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    #[test]
    fn source_ports_spread_over_their_whole_range() {
        let flow = |port| FlowKey {
            addresses: Addresses::V4 {
                source: Ipv4Addr::new(198, 51, 100, 7),
                destination: Ipv4Addr::new(192, 0, 2, 10),
            },
            source_port: port,
            destination_port: 80,
            protocol: 6,
        };
        let seed = Seed::new(1);
        let (mut least, mut most) = (u16::MAX, 0);
        for port in 0..u16::MAX {
            let chosen = source_port(&flow(port), &seed);
            assert_eq!(chosen, source_port(&flow(port), &seed));
            (least, most) = (least.min(chosen), most.max(chosen));
        }
        assert!((FIRST_PORT..FIRST_PORT + 10).contains(&least), "{least}");
        assert!((LAST_PORT - 10..=LAST_PORT).contains(&most), "{most}");
        assert_ne!(
            source_port(&flow(1), &seed),
            source_port(&flow(1), &Seed::new(2))
        );
    }
}
