//! A flow: who sends to whom, by which protocol.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::checksum::Sum;

/// Source and destination address, of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Addresses {
    /// IPv4.
    V4 {
        /// Who sends.
        source: Ipv4Addr,
        /// To whom.
        destination: Ipv4Addr,
    },
    /// IPv6.
    V6 {
        /// Who sends.
        source: Ipv6Addr,
        /// To whom.
        destination: Ipv6Addr,
    },
}

impl Addresses {
    /// Who sends.
    #[must_use]
    pub const fn source(&self) -> IpAddr {
        match self {
            Self::V4 { source, .. } => IpAddr::V4(*source),
            Self::V6 { source, .. } => IpAddr::V6(*source),
        }
    }

    /// To whom.
    #[must_use]
    pub const fn destination(&self) -> IpAddr {
        match self {
            Self::V4 { destination, .. } => IpAddr::V4(*destination),
            Self::V6 { destination, .. } => IpAddr::V6(*destination),
        }
    }

    /// The other way about.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::V4 {
                source,
                destination,
            } => Self::V4 {
                source: destination,
                destination: source,
            },
            Self::V6 {
                source,
                destination,
            } => Self::V6 {
                source: destination,
                destination: source,
            },
        }
    }

    /// Their part of a pseudo-header's sum.
    pub(crate) fn sum(&self) -> Sum {
        match self {
            Self::V4 {
                source,
                destination,
            } => Sum::default()
                .double(source.to_bits())
                .double(destination.to_bits()),
            Self::V6 {
                source,
                destination,
            } => Sum::of(&source.octets()).and(Sum::of(&destination.octets())),
        }
    }
}

/// What identifies a flow in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowKey {
    /// Both addresses.
    pub addresses: Addresses,
    /// Source port, host order.
    pub source_port: u16,
    /// Destination port, host order.
    pub destination_port: u16,
    /// IP protocol number.
    pub protocol: u8,
}

impl FlowKey {
    /// The flow of the answers.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self {
            addresses: self.addresses.reversed(),
            source_port: self.destination_port,
            destination_port: self.source_port,
            protocol: self.protocol,
        }
    }

    /// Who sends, with the port.
    #[must_use]
    pub const fn source(&self) -> (IpAddr, u16) {
        (self.addresses.source(), self.source_port)
    }

    /// To whom, with the port.
    #[must_use]
    pub const fn destination(&self) -> (IpAddr, u16) {
        (self.addresses.destination(), self.destination_port)
    }

    /// Ports and protocol as one number: `source << 24 | destination << 8 | protocol`.
    pub(crate) const fn ports(&self) -> u64 {
        (self.source_port as u64) << 24 | (self.destination_port as u64) << 8 | self.protocol as u64
    }

    /// A hash of the flow under `seed`.
    ///
    /// Two 64-bit multiplications for IPv4, four for IPv6. An attacker who does
    /// not know the seed cannot aim at a bucket, and flows that are alike but for
    /// a few bits spread over buckets and shards whatever the seed.
    pub(crate) fn hash(&self, seed: Seed) -> u64 {
        let words = match self.addresses {
            Addresses::V4 {
                source,
                destination,
            } => u64::from(source.to_bits()) << 32 | u64::from(destination.to_bits()),
            Addresses::V6 {
                source,
                destination,
            } => {
                let destination = destination.to_bits();
                let first = seed.fold(source.to_bits()) ^ destination as u64;
                fold(first, (destination >> 64) as u64 ^ seed.0[1])
            }
        };
        seed.mix(words, self.ports())
    }
}

/// What makes hashes unlike those of another director.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed([u64; 4]);

impl Seed {
    /// Spreads one random number over the words a hash takes.
    #[must_use]
    pub const fn new(random: u64) -> Self {
        let mut words = [0; 4];
        let mut state = random;
        let mut index = 0;
        while index < words.len() {
            // splitmix64: every word depends on every bit of the seed.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = state;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            words[index] = word ^ (word >> 31);
            index += 1;
        }
        Self(words)
    }

    /// An IPv6 address as one word.
    const fn fold(self, address: u128) -> u64 {
        fold(
            address as u64 ^ self.0[2],
            (address >> 64) as u64 ^ self.0[3],
        )
    }

    /// A hash of two words. Both are factors of a first product, and both halves of
    /// that of a second: were a factor a word of the seed alone, some seeds would
    /// leave the high bits of consecutive words alike.
    const fn mix(self, a: u64, b: u64) -> u64 {
        let product = (a ^ self.0[0]) as u128 * (b ^ self.0[1]) as u128;
        fold(
            product as u64 ^ self.0[2],
            (product >> 64) as u64 ^ self.0[3],
        )
    }
}

/// Both halves of the 128-bit product, mixed.
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

/// A hash of one end of a flow, the same in every shard.
pub(crate) fn hash_end(address: IpAddr, port: u16, seed: Seed) -> u64 {
    let word = match address {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => seed.fold(v6.to_bits()),
    };
    seed.mix(word, port.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(last: u32, port: u16) -> FlowKey {
        FlowKey {
            addresses: Addresses::V4 {
                source: Ipv4Addr::from_bits(0x0a00_0000 | last),
                destination: Ipv4Addr::new(192, 0, 2, 10),
            },
            source_port: port,
            destination_port: 80,
            protocol: 6,
        }
    }

    #[test]
    fn reversing_twice_is_nothing() {
        assert_eq!(key(1, 2).reversed().reversed(), key(1, 2));
        assert_eq!(key(1, 2).reversed().destination(), key(1, 2).source());
    }

    /// How many of 128 consecutive words have this bit set in their hash.
    fn ones(hashes: impl Iterator<Item = u64>, bit: u32) -> u32 {
        hashes.map(|hash| (hash >> bit & 1) as u32).sum()
    }

    #[test]
    fn whatever_the_seed_consecutive_flows_part() {
        let (v4, v6) = (key(1, 0), Ipv6Addr::from_bits(0x2001_0db8_u128 << 96 | 7));
        for seed in (0..2000).map(Seed::new) {
            for bit in [0, 1, 7, 12, 31, 32, 47, 62, 63] {
                let clients = ones((0..128).map(|last| key(last, 1024).hash(seed)), bit);
                let from = |source_port| FlowKey { source_port, ..v4 };
                let ports = ones((0..128).map(|port| from(port).hash(seed)), bit);
                let to = |destination_port| FlowKey {
                    destination_port,
                    ..v4
                };
                let services = ones((0..128).map(|port| to(port).hash(seed)), bit);
                let ends = ones((0..128).map(|port| hash_end(v6.into(), port, seed)), bit);
                // Half of them, within seven deviations.
                for ones in [clients, ports, services, ends] {
                    assert!((24..=104).contains(&ones), "{seed:?} {bit} {ones}");
                }
            }
        }
    }

    #[test]
    fn consecutive_flows_spread_evenly() {
        let seed = Seed::new(42);
        let mut buckets = [0u32; 256];
        for client in 0..256u32 {
            for port in 0..64u16 {
                buckets[(key(client, 1024 + port).hash(seed) & 255) as usize] += 1;
            }
        }
        // 64 expected in each; a uniform hash stays within six deviations.
        assert!(
            buckets.iter().all(|count| (16..=112).contains(count)),
            "{buckets:?}"
        );
    }

    #[test]
    fn seeds_make_other_hashes() {
        assert_ne!(key(1, 2).hash(Seed::new(1)), key(1, 2).hash(Seed::new(2)));
    }
}
