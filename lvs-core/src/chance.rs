//! Chance as the core has it: from a seed handed in, never from the machine.

/// A sequence of numbers that look random and are fixed by their seed
/// (splitmix64: Steele, Lea, Flood, Fast Splittable Pseudorandom Number
/// Generators, 2014).
///
/// Not for secrets: it spreads load.
///
/// *Cost:* two multiplications a number.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// The sequence of this seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number: zero to `greatest`, both included, and each as likely
    /// as any other to within `greatest` in 2^64.
    pub(crate) fn up_to(&mut self, greatest: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = self.0;
        let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let word = word ^ (word >> 31);
        let scaled = u128::from(word) * (u128::from(greatest) + 1);
        (scaled >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_about_as_often() {
        let mut chance = Chance::new(7);
        let mut seen = [0; 5];
        for _ in 0..5_000 {
            seen[chance.up_to(4) as usize] += 1;
        }
        assert!(seen.iter().all(|times| (900..1_100).contains(times)));
    }

    #[test]
    fn the_seed_decides() {
        let numbers = |seed| {
            let mut chance = Chance::new(seed);
            [(); 4].map(|()| chance.up_to(u64::MAX))
        };
        assert_eq!(numbers(1), numbers(1));
        assert_ne!(numbers(1), numbers(2));
        assert_eq!(Chance::new(1).up_to(0), 0);
    }
}
