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
    /// Multiply and fold: two 64-bit multiplications for IPv4, three for IPv6,
    /// so that an attacker who does not know the seed cannot aim at a bucket.
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
                let (s, d) = (source.to_bits(), destination.to_bits());
                let first = fold(s as u64 ^ seed.0[2], (s >> 64) as u64 ^ seed.0[3]);
                fold(first ^ d as u64, (d >> 64) as u64 ^ seed.0[1])
            }
        };
        fold(
            fold(words ^ seed.0[0], seed.0[1]) ^ self.ports(),
            seed.0[2] | 1,
        )
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
}

/// Both halves of the 128-bit product, mixed.
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

/// A hash of one end of a flow, the same in every shard.
pub(crate) fn hash_end(address: IpAddr, port: u16, seed: Seed) -> u64 {
    let bits = match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    let first = fold(bits as u64 ^ seed.0[0], (bits >> 64) as u64 ^ seed.0[1]);
    fold(first ^ u64::from(port) ^ seed.0[3], seed.0[2] | 1)
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
