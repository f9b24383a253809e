//! The hash by which `mh` finds a slot, and fills its table.
//!
//! SipHash with one round for the word and three at the end, of one 32-bit
//! number; the lower half of the result. Its keys are no secrets but fixed, so
//! that two directors choose alike.
//!
//! *Source:* Aumasson, Bernstein, SipHash: a fast short-input PRF, 2012; the
//! behaviour of Linux 6.12 on 64-bit machines (`hsiphash`).

/// The hash of `number` under a key whose two halves both are `key`.
///
/// *Cost:* four rounds of fourteen operations each.
pub(super) fn hash(key: u64, number: u32) -> u32 {
    let word = LENGTH << 56 | u64::from(number);
    let mut state = START.map(|constant| constant ^ key);
    state[3] ^= word;
    round(&mut state);
    state[0] ^= word;
    state[2] ^= 0xff;
    for _ in 0..3 {
        round(&mut state);
    }
    (state[0] ^ state[1] ^ state[2] ^ state[3]) as u32
}

fn round([a, b, c, d]: &mut [u64; 4]) {
    *a = a.wrapping_add(*b);
    *b = b.rotate_left(13) ^ *a;
    *a = a.rotate_left(32);
    *c = c.wrapping_add(*d);
    *d = d.rotate_left(16) ^ *c;
    *a = a.wrapping_add(*d);
    *d = d.rotate_left(21) ^ *a;
    *c = c.wrapping_add(*b);
    *b = b.rotate_left(17) ^ *c;
    *c = c.rotate_left(32);
}

/// Bytes that are hashed; the last word says how many.
const LENGTH: u64 = 4;
/// "somepseudorandomlygeneratedbytes", SipHash's own.
const START: [u64; 4] = [
    0x736f_6d65_7073_6575,
    0x646f_7261_6e64_6f6d,
    0x6c79_6765_6e65_7261,
    0x7465_6462_7974_6573,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_kernels() {
        let (first, second) = (2_654_435_761, 2_654_446_892);
        for (number, by_first, by_second) in [
            (0x0a00_03f9, 0x1bfc_6954, 0x68ec_116c),
            (0x0a00_03f8, 0x5c59_5a0c, 0x781a_fb05),
            (0x0a00_03f7, 0x79be_9a1d, 0xa963_36ce),
            (0x0a00_03f6, 0x44d4_a4dc, 0xef17_125c),
        ] {
            assert_eq!(hash(first, number), by_first);
            assert_eq!(hash(second, number), by_second);
        }
        assert_eq!(hash(first, 0xc000_0201), 0x9288_9c88);
    }
}
