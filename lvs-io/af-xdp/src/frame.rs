//! The right to one chunk of a UMEM: [`Frame`].

use std::ops::Range;

/// One chunk and the packet's range in it, held by whoever holds this token.
///
/// There is one token per chunk: it cannot be copied, so a chunk is either
/// free, with the kernel, or in one pair of hands. A frame goes back by
/// [`Umem::release`](crate::Umem::release) or through a socket's transmission;
/// one that is dropped instead is lost to its UMEM (never to memory safety).
///
/// A packet longer than a chunk is several frames in a row, of which all but
/// the last [continue](Frame::continues).
#[derive(Debug)]
#[must_use = "a dropped frame is lost to its UMEM: release or transmit it"]
pub struct Frame {
    pub(crate) umem: u32,
    pub(crate) chunk: u32,
    pub(crate) range: Range<usize>,
    continues: bool,
    checksum_unready: bool,
}

impl Frame {
    pub(crate) fn new(umem: u32, chunk: u32, range: Range<usize>) -> Self {
        Self {
            umem,
            chunk,
            range,
            continues: false,
            checksum_unready: false,
        }
    }

    /// Where in its chunk the packet lies, in bytes.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// Length of what the frame holds of its packet, in bytes.
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Whether the frame holds nothing.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// Whether the next frame belongs to the same packet.
    pub fn continues(&self) -> bool {
        self.continues
    }

    /// Says whether the next frame belongs to the same packet.
    pub fn set_continues(&mut self, continues: bool) {
        self.continues = continues;
    }

    /// Whether the source said outright that the transport checksum is not
    /// made yet. AF_XDP never says so; a source that knows sets it.
    pub fn checksum_unready(&self) -> bool {
        self.checksum_unready
    }

    /// Says that the transport checksum is not made yet, or is by now.
    pub fn set_checksum_unready(&mut self, unready: bool) {
        self.checksum_unready = unready;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_half_a_cache_line() {
        assert_eq!(size_of::<Frame>(), 32);
    }

    #[test]
    fn a_new_frame_is_a_whole_packet_with_a_whole_checksum() {
        let frame = Frame::new(1, 2, 10..30);
        assert_eq!((frame.range(), frame.len()), (10..30, 20));
        assert!(!frame.is_empty() && !frame.continues() && !frame.checksum_unready());
    }
}
