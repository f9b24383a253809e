//! The Internet checksum: whole sums (RFC 1071) and updates (RFC 1624).
//!
//! All arithmetic is on 16-bit words as they lie in the packet, read big
//! endian. RFC 1071 section 2(B) allows the other order as long as it is kept
//! throughout; big endian keeps the numbers those of the RFCs' examples.

/// A one's complement sum not yet folded to 16 bits.
///
/// *Units:* 16-bit words, or 32-bit numbers as two of them, as 2^16 is 1 in this
/// arithmetic; 32 bits of carry room, enough for 2^32 of either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum(u64);

impl Sum {
    /// The sum of nothing.
    pub(crate) const NONE: Self = Self(0);

    /// The sum of `bytes`; an odd last byte counts as the high half of a word.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        // In the machine's own order, put right at the end: nothing to swap in
        // the loop. 32 bits at a time leave room for carries, and folding joins
        // the halves, as 2^16 is 1 in this arithmetic.
        let (words, rest) = bytes.as_chunks::<4>();
        let sum = words
            .iter()
            .fold(0, |sum, word| sum + u64::from(u32::from_ne_bytes(*word)));
        let last = match *rest {
            [a] => [a, 0, 0, 0],
            [a, b] => [a, b, 0, 0],
            [a, b, c] => [a, b, c, 0],
            _ => [0; 4],
        };
        let sum = sum + u64::from(u32::from_ne_bytes(last));
        Self(u64::from(u16::from_be(fold(sum))))
    }

    /// This sum and a 16-bit word.
    #[must_use]
    pub(crate) const fn word(self, word: u16) -> Self {
        Self(self.0 + word as u64)
    }

    /// This sum and a 32-bit number.
    #[must_use]
    pub(crate) const fn double(self, number: u32) -> Self {
        Self(self.0 + number as u64)
    }

    /// Both sums.
    #[must_use]
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    /// The sum of the same bytes, had they begun at an odd place: the halves
    /// of each word change sides (RFC 1071 section 2(B)).
    #[must_use]
    pub(crate) const fn shifted(self) -> Self {
        Self(self.folded().swap_bytes() as u64)
    }

    /// The 16-bit one's complement sum.
    pub(crate) const fn folded(self) -> u16 {
        fold(self.0)
    }

    /// The checksum field that makes a header with this sum valid.
    pub(crate) const fn checksum(self) -> u16 {
        !self.folded()
    }
}

/// The sum of a TCP, UDP or ICMPv6 pseudo-header's addresses, length and
/// protocol (RFC 9293 3.1, RFC 768, RFC 8200 8.1).
pub(crate) fn pseudo_header(addresses: Sum, protocol: u8, length: u32) -> Sum {
    addresses.double(length).word(protocol as u16)
}

/// What a rewrite adds to a checksum: the sum of `~old + new` over all words
/// replaced.
///
/// *Source:* RFC 1624 section 3, equation 3: `HC' = ~(~HC + ~m + m')`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change(u64);

impl Change {
    /// One 16-bit word replaced.
    #[must_use]
    pub(crate) const fn word(self, old: u16, new: u16) -> Self {
        Self(self.0 + (!old) as u64 + new as u64)
    }

    /// A 32-bit number replaced.
    #[must_use]
    pub(crate) const fn double(self, old: u32, new: u32) -> Self {
        Self(self.0 + (!old) as u64 + new as u64)
    }

    /// A 128-bit number replaced.
    #[must_use]
    pub(crate) const fn wide(self, old: u128, new: u128) -> Self {
        let mut change = self;
        let mut shift = 0;
        while shift < 128 {
            change = change.double((old >> shift) as u32, (new >> shift) as u32);
            shift += 32;
        }
        change
    }

    /// The checksum field after the change.
    pub(crate) const fn apply(self, checksum: u16) -> u16 {
        !fold(self.0 + (!checksum) as u64)
    }
}

/// Folds carries back until 16 bits are left.
const fn fold(sum: u64) -> u16 {
    // The upper half of a number and itself turned round is the sum of its
    // halves, the carry out of it added in again.
    let sum = (sum.wrapping_add(sum.rotate_left(32)) >> 32) as u32;
    (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// RFC 1071 as its text says it, two bytes at a time.
    fn naive(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    fn noise(seed: u64, length: usize) -> Vec<u8> {
        let mut state = seed | 1;
        (0..length)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                (state >> 33) as u8
            })
            .collect()
    }

    #[test]
    fn the_worked_example_of_rfc_1071() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::of(&bytes).folded(), 0xddf2);
    }

    #[test]
    fn any_length_sums_as_the_naive_way() {
        for length in 0..200 {
            let bytes = noise(length as u64 + 7, length);
            assert_eq!(Sum::of(&bytes).folded(), naive(&bytes), "{length} bytes");
        }
        assert_eq!(Sum::of(&[0xff; 9000]).folded(), naive(&[0xff; 9000]));
    }

    #[test]
    fn two_parts_sum_to_the_whole_wherever_the_cut() {
        let bytes = noise(3, 101);
        for cut in 0..=bytes.len() {
            let tail = Sum::of(&bytes[cut..]);
            let tail = if cut % 2 == 1 { tail.shifted() } else { tail };
            assert_eq!(
                Sum::of(&bytes[..cut]).and(tail).folded(),
                naive(&bytes),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn an_update_equals_a_new_sum() {
        for seed in 0..2000 {
            let mut bytes = noise(seed, 40);
            let before = Sum::of(&bytes).checksum();
            let old = u32::from_be_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]);
            let new = (seed as u32).wrapping_mul(2_654_435_761);
            bytes[12..16].copy_from_slice(&new.to_be_bytes());
            let updated = Change::default().double(old, new).apply(before);
            assert_eq!(updated, Sum::of(&bytes).checksum(), "seed {seed}");
        }
    }

    #[test]
    fn the_corner_of_rfc_1624() {
        // Section 4: 0xDD2F with 0x5555 -> 0x3285 gives 0x0000, not 0xFFFF.
        assert_eq!(Change::default().word(0x5555, 0x3285).apply(0xdd2f), 0x0000);
    }

    #[test]
    fn wide_numbers_change_like_their_words() {
        let (old, new) = (
            0x2001_0db8_0000_0000_0000_0000_0000_0011_u128,
            u128::MAX - 9,
        );
        let mut change = Change::default();
        for (o, n) in old.to_be_bytes().chunks(2).zip(new.to_be_bytes().chunks(2)) {
            change = change.word(
                u16::from_be_bytes([o[0], o[1]]),
                u16::from_be_bytes([n[0], n[1]]),
            );
        }
        assert_eq!(
            Change::default().wide(old, new).apply(0x1234),
            change.apply(0x1234)
        );
    }
}
