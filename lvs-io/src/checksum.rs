//! The sums by which packets are checked: the Internet checksum and CRC32c.

/// An Internet checksum over bytes that come in pieces.
///
/// # Source
///
/// RFC 1071, section 2: the ones' complement sum is independent of word size
/// and, after a swap, of byte order.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    /// Of 16-bit words as they lie in memory, carries not yet folded in.
    words: u64,
    /// Whether an odd number of bytes came so far.
    odd: bool,
}

impl Sum {
    /// Adds the next bytes.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        let (quads, rest) = bytes.as_chunks::<4>();
        let mut words: u64 = quads
            .iter()
            .map(|quad| u64::from(u32::from_ne_bytes(*quad)))
            .sum();
        let mut tail = [0; 4];
        tail[..rest.len()].copy_from_slice(rest);
        words += u64::from(u32::from_ne_bytes(tail));
        let mut piece = fold(words);
        if self.odd {
            piece = piece.swap_bytes();
        }
        self.words += u64::from(piece);
        self.odd ^= bytes.len() % 2 == 1;
    }

    /// Adds a number as it would stand on the wire. Only after an even number
    /// of bytes.
    pub(crate) fn add_number(&mut self, number: u32) {
        debug_assert!(!self.odd);
        self.add(&number.to_be_bytes());
    }

    /// The checksum field's two bytes: the sum's complement.
    pub(crate) fn checksum(self) -> [u8; 2] {
        (!fold(self.words)).to_ne_bytes()
    }
}

/// CRC32c over bytes that come in pieces, as SCTP uses it.
///
/// # Source
///
/// RFC 9260, appendix A.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crc32c(u32);

impl Crc32c {
    /// Over nothing yet.
    pub(crate) fn new() -> Self {
        Self(!0)
    }

    /// Adds the next bytes.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let index = (self.0 as u8) ^ byte;
            self.0 = (self.0 >> 8) ^ CRC32C[usize::from(index)];
        }
    }

    /// The checksum field's four bytes.
    pub(crate) fn checksum(self) -> [u8; 4] {
        (!self.0).to_le_bytes()
    }
}

fn fold(words: u64) -> u16 {
    let words = (words & 0xffff_ffff) + (words >> 32);
    let words = (words & 0xffff) + ((words >> 16) & 0xffff) + (words >> 32);
    let words = (words & 0xffff) + (words >> 16);
    let words = (words & 0xffff) + (words >> 16);
    words as u16
}

/// The CRC of each byte, by the reflected Castagnoli polynomial.
const CRC32C: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition: 16-bit words in network order, the carry added back.
    fn naive(bytes: &[u8]) -> [u8; 2] {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        (sum as u16).to_be_bytes()
    }

    #[test]
    fn agrees_with_the_definition_for_every_length_and_cut() {
        let bytes: Vec<u8> = (0..97u32)
            .map(|index| ((index * 89 + 200) >> 1) as u8)
            .collect();
        for len in 0..bytes.len() {
            for cut in 0..=len {
                let mut sum = Sum::default();
                sum.add(&bytes[..cut]);
                sum.add(&bytes[cut..len]);
                let expected = naive(&bytes[..len]).map(|byte| !byte);
                assert_eq!(sum.checksum(), expected, "{cut} of {len}");
            }
        }
        let mut sum = Sum::default();
        let ones = vec![0xff; 1 << 20];
        (0..64).for_each(|_| sum.add(&ones));
        assert_eq!(sum.checksum(), [0, 0]);
    }

    #[test]
    fn crc_is_that_of_the_known_check_string() {
        let mut crc = Crc32c::new();
        crc.add(b"1234");
        crc.add(b"56789");
        assert_eq!(crc.checksum(), 0xe306_9283_u32.to_le_bytes());
    }
}
