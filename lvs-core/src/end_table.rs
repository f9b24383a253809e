//! What is known of an end of packets: protocol, address and port.

use alloc::vec::Vec;
use core::net::IpAddr;

use crate::packet::{Seed, flow::hash_end};

/// Numbers by protocol, address and port: open addressing, never changed.
#[derive(Clone, Debug, Default)]
pub(crate) struct EndTable {
    slots: Vec<Option<(u8, IpAddr, u16, u32)>>,
    seed: Option<Seed>,
}

impl EndTable {
    /// A table of these.
    pub(crate) fn new(entries: &[(u8, IpAddr, u16, u32)], seed: Seed) -> Self {
        if entries.is_empty() {
            return Self::default();
        }
        // At most half full, so that a probe ends soon and always.
        let mut slots = alloc::vec![None; (entries.len() * 2).next_power_of_two()];
        let mask = slots.len() - 1;
        for entry in entries {
            let mut at = hash_end(entry.1, entry.2, seed) as usize & mask;
            while slots[at].is_some() {
                at = (at + 1) & mask;
            }
            slots[at] = Some(*entry);
        }
        Self {
            slots,
            seed: Some(seed),
        }
    }

    /// What was given with an end.
    pub(crate) fn get(&self, protocol: u8, address: IpAddr, port: u16) -> Option<u32> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = hash_end(address, port, self.seed?) as usize & mask;
        while let Some((p, a, o, value)) = self.slots.get(at)? {
            if (*p, *a, *o) == (protocol, address, port) {
                return Some(*value);
            }
            at = (at + 1) & mask;
        }
        None
    }

    /// Every end in it, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u8, IpAddr, u16)> {
        let ends = self.slots.iter().flatten();
        ends.map(|(protocol, address, port, _)| (*protocol, *address, *port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_finds_exactly_what_it_was_given() {
        let ip = |last: u8| IpAddr::from([192, 0, 2, last]);
        let entries: Vec<_> = (0..100u8)
            .map(|n| (6, ip(n), 80 + u16::from(n % 3), u32::from(n)))
            .collect();
        let table = EndTable::new(&entries, Seed::new(1));
        for (protocol, address, port, value) in &entries {
            assert_eq!(table.get(*protocol, *address, *port), Some(*value));
            assert_eq!(table.get(17, *address, *port), None);
            assert_eq!(table.get(*protocol, *address, port + 100), None);
        }
        assert_eq!(EndTable::default().get(6, ip(1), 80), None);
    }
}
