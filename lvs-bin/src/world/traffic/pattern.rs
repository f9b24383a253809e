//! An endless sequence of bytes of which every stretch can be made and checked
//! from its offset alone.
//!
//! No two of its first 2^64 eight-byte words are equal, so lost, doubled,
//! swapped or displaced data is found, and the offset at which it begins.

/// Fills `bytes` with the sequence from `offset` on.
pub fn fill(offset: u64, bytes: &mut [u8]) {
    let mut at = offset;
    let mut rest = bytes;
    while !rest.is_empty() {
        let skip = (at % WORD) as usize;
        let word = word(at / WORD);
        let length = rest.len().min(word.len() - skip);
        let (now, later) = rest.split_at_mut(length);
        now.copy_from_slice(&word[skip..skip + length]);
        at += length as u64;
        rest = later;
    }
}

/// The sequence's bytes from `offset` on.
#[must_use]
pub fn bytes(offset: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    fill(offset, &mut bytes);
    bytes
}

/// Whether `bytes` is the sequence from `offset` on.
///
/// Errors: the offset in the sequence of the first byte that differs.
pub fn check(offset: u64, bytes: &[u8]) -> Result<(), u64> {
    let expected = self::bytes(offset, bytes.len());
    match expected.iter().zip(bytes).position(|(a, b)| a != b) {
        None => Ok(()),
        Some(place) => Err(offset + place as u64),
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): a bijection, hence no word twice.
fn word(index: u64) -> [u8; WORD as usize] {
    let mut z = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)).to_le_bytes()
}

const WORD: u64 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stretch_is_a_piece_of_the_whole() {
        let whole = bytes(0, 64);
        for start in 0..20 {
            for length in 0..20 {
                let piece = bytes(start as u64, length);
                assert_eq!(piece, whole[start..start + length]);
                assert_eq!(check(start as u64, &piece), Ok(()));
            }
        }
    }

    #[test]
    fn the_first_difference_is_named() {
        let mut piece = bytes(100, 50);
        piece[7] ^= 1;
        piece[9] ^= 1;
        assert_eq!(check(100, &piece), Err(107));
        assert_eq!(check(99, &bytes(100, 50)), Err(99));
    }
}
