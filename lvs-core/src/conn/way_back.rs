//! The way back to a connection's client, kept in the two last hot words.

use super::entry::{Entry, EntryMut};
use crate::network::Hop;
use crate::packet::Mac;
use crate::snapshot::Port;

impl Entry<'_> {
    /// The way to the client, if it was worked out under this generation.
    pub(crate) fn client_hop(self, generation: u64) -> Option<Hop> {
        let (mac, rest) = (self.0[0][6], self.0[0][7]);
        let (low, high) = stamp(generation);
        if mac as u16 != low as u16 || rest & STAMP != high {
            return None;
        }
        let [_, _, m @ ..] = (mac >> 16).to_be_bytes();
        let vlan = (rest >> 48) as u16;
        Some(Hop {
            port: Port((rest >> 40) as u8),
            vlan: (vlan != 0).then_some(vlan),
            mac: m,
            mtu: u32::from((rest >> 16) as u16),
            source: None,
        })
    }

    /// Where the client's last packet came from: port, VLAN, link address.
    pub(crate) fn client_link(self) -> (Port, Option<u16>, Mac) {
        let (mac, rest) = (self.0[0][6], self.0[0][7]);
        let [_, _, m @ ..] = (mac >> 16).to_be_bytes();
        let vlan = (rest >> 48) as u16;
        (Port((rest >> 40) as u8), (vlan != 0).then_some(vlan), m)
    }
}

impl EntryMut<'_> {
    /// Notes where the client's packet came from, which serves as the way back
    /// until a route says otherwise.
    pub(crate) fn set_client_link(&mut self, port: Port, vlan: Option<u16>, mac: Mac) {
        let [a, b, c, d, e, f] = mac;
        self.0[0][6] = u64::from_be_bytes([0, 0, a, b, c, d, e, f]) << 16;
        self.0[0][7] = u64::from(vlan.unwrap_or(0)) << 48 | u64::from(port.0) << 40;
    }

    /// Keeps the way to the client worked out under `generation`.
    pub(crate) fn set_client_hop(&mut self, hop: &Hop, generation: u64) {
        self.set_client_link(hop.port, hop.vlan, hop.mac);
        let (low, high) = stamp(generation);
        let mtu = hop.mtu.min(u32::from(u16::MAX));
        self.0[0][6] |= low;
        self.0[0][7] |= high | u64::from(mtu) << 16;
    }
}

/// A generation as the two words hold it, and with it that the hop was worked
/// out from a route: 16 bits in the first; 7 and then 16 in the second.
///
/// Of these 39 bits none comes twice within 17 years of a thousand generations
/// a second, so that no idle connection mistakes an old hop for today's.
const fn stamp(generation: u64) -> (u64, u64) {
    let middle = generation >> 16 & 0xffff;
    let high = (generation >> 32 & 0x7f) << 33;
    (generation & 0xffff, high | HOP_KNOWN | middle)
}

/// Of the last hot word: the hop was worked out from a route.
const HOP_KNOWN: u64 = 1 << 32;
/// What of the last hot word [`stamp`] is in.
const STAMP: u64 = 0xff << 32 | 0xffff;

#[cfg(test)]
mod tests {
    use super::super::begin::tests::new_v4;
    use super::*;
    use crate::conn::Method;

    #[test]
    fn a_hop_holds_for_its_generation() {
        let mut lines = [[0; 8]; 2];
        let mut entry = EntryMut(&mut lines);
        entry.begin(&new_v4(Method::Masquerade));
        entry.set_client_link(Port(3), Some(7), [2, 0, 0, 0, 0, 9]);
        assert_eq!(entry.entry().client_hop(0), None, "learned, not worked out");
        let hop = Hop {
            port: Port(1),
            vlan: None,
            mac: [0xff; 6],
            mtu: 9000,
            source: None,
        };
        entry.set_client_hop(&hop, 5);
        assert_eq!(entry.entry().client_hop(5), Some(hop));
        assert_eq!(entry.entry().client_hop(6), None);
        for bit in 0..39 {
            let later = entry.entry().client_hop(5 ^ 1 << bit);
            assert_eq!(later, None, "bit {bit} tells generations apart");
        }
        entry.set_client_hop(&hop, 0x7f_ffff_ffff);
        assert_eq!(entry.entry().client_hop(0x7f_ffff_ffff), Some(hop));
        assert_eq!(entry.entry().client_link(), (Port(1), None, [0xff; 6]));
    }
}
