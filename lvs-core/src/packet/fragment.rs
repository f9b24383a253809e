//! Fragments (RFC 791 section 3.2, RFC 8200 section 4.5): which datagram a
//! packet is a part of, and which part.
//!
//! ```text
//!  IPv4, bytes 4 to 7 of the header    | id          | 0 DF MF | offset / 8 |
//!  IPv6, a header of its own           | next |  0  | offset / 8 | 0 0 M | id (4) |
//! ```

use super::{Addresses, FlowKey, Packet, PacketBuf, Seed};

/// What the parts of one datagram have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DatagramKey {
    pub(crate) addresses: Addresses,
    pub(crate) protocol: u8,
    /// The sender's number for it: 16 bits in IPv4, 32 in IPv6.
    pub(crate) identification: u32,
}

/// A fragment: part of which datagram, and its ports if it is the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fragment {
    pub(crate) datagram: DatagramKey,
    /// The datagram's flow; the first part alone can tell it, and only when
    /// all of the ports are in it.
    pub(crate) flow: Option<FlowKey>,
}

impl DatagramKey {
    /// Its hash under `seed`: that of a flow whose ports it has.
    pub(crate) fn hash(&self, seed: Seed) -> u64 {
        let [a, b, c, d] = self.identification.to_be_bytes();
        let like = FlowKey {
            addresses: self.addresses,
            source_port: u16::from_be_bytes([a, b]),
            destination_port: u16::from_be_bytes([c, d]),
            protocol: self.protocol,
        };
        like.hash(seed)
    }
}

impl Fragment {
    /// Reads what a packet of kind [`Fragment`](super::Kind::Fragment) is a
    /// part of; `None` for one that is not.
    pub(crate) fn read(buf: &PacketBuf<'_>, packet: &Packet) -> Option<Self> {
        let (offset, identification) = match packet.flow.addresses {
            Addresses::V4 { .. } => {
                let [i, d, high, low] = *buf.array(packet.l3() + 4)?;
                let offset = u16::from_be_bytes([high, low]) & 0x1fff;
                (offset, u32::from(u16::from_be_bytes([i, d])))
            }
            Addresses::V6 { .. } => {
                // Parsing ends with the fragment header.
                let [_, _, high, low, i, d, e, n] =
                    *buf.array(packet.l4().checked_sub(FRAGMENT_HEADER)?)?;
                let offset = u16::from_be_bytes([high, low]) >> 3;
                (offset, u32::from_be_bytes([i, d, e, n]))
            }
        };
        let first = offset == 0 && packet.transport_length() >= PORTS;
        let flow = || {
            let [s0, s1, d0, d1] = *buf.array(packet.l4())?;
            Some(FlowKey {
                source_port: u16::from_be_bytes([s0, s1]),
                destination_port: u16::from_be_bytes([d0, d1]),
                ..packet.flow
            })
        };
        Some(Self {
            datagram: DatagramKey {
                addresses: packet.flow.addresses,
                protocol: packet.flow.protocol,
                identification,
            },
            flow: if first { flow() } else { None },
        })
    }
}

/// An IPv6 fragment header; `offset` in bytes.
pub(crate) fn header(
    follows: u8,
    offset: usize,
    more: bool,
    identification: u32,
) -> [u8; FRAGMENT_HEADER] {
    let [high, low] = (offset as u16 & !7 | u16::from(more)).to_be_bytes();
    let [a, b, c, d] = identification.to_be_bytes();
    [follows, 0, high, low, a, b, c, d]
}

/// Bytes of an IPv6 fragment header.
pub(crate) const FRAGMENT_HEADER: usize = 8;
/// Bytes of both ports, which TCP and UDP begin with.
const PORTS: usize = 4;
