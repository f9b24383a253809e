//! Packet memory in equal chunks, and who holds each: [`Umem`].

use std::io;
use std::ops::Range;
use std::slice;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::frame::Frame;
use crate::region::{HugePages, Pages, Region};

/// How a [`Umem`] is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UmemConfig {
    /// How many chunks.
    pub chunks: u32,
    /// Bytes per chunk: 2048 or 4096, the sizes AF_XDP drivers take. Of 2048,
    /// the kernel's headroom leaves 1792, and drivers that count room in whole
    /// KiB without copying (igb, ixgbe on the 82599) make that 1024: too short
    /// for a packet of 1500, of which the rest then comes as one of its own.
    pub chunk_size: u32,
    /// Bytes the kernel leaves free before a received packet, besides its own
    /// 256: room for outer headers.
    pub headroom: u32,
    /// Whether the memory should lie in huge pages.
    pub huge_pages: HugePages,
}

impl Default for UmemConfig {
    /// 4096 chunks of 4096 bytes.
    fn default() -> Self {
        Self {
            chunks: 4096,
            chunk_size: 4096,
            headroom: 0,
            huge_pages: HugePages::Prefer,
        }
    }
}

/// Packet memory shared with the kernel: chunks of one size, and the list of
/// those that are free.
///
/// A chunk is free, held as a [`Frame`], or with a socket (waiting for a packet
/// or being sent); every move between those is a move of the one token. It can
/// therefore serve any number of sockets, without a lock, as long as one thread
/// owns them all.
///
/// ```
/// use af_xdp::{Umem, UmemConfig};
///
/// let mut umem = Umem::new(UmemConfig::default())?;
/// let mut frame = umem.allocate().expect("all chunks are free");
/// let parts = umem.parts_mut(&mut frame);
/// parts.range.end += 5;
/// parts.chunk[parts.range.clone()].copy_from_slice(b"hello");
/// assert_eq!(umem.bytes(&frame), b"hello");
/// umem.release(frame);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Umem {
    region: Region,
    id: u32,
    chunks: u32,
    chunk_shift: u32,
    headroom: u32,
    /// Chunks nobody holds. Last in, first out: the one used last is the one
    /// most likely still in the cache.
    free: Vec<u32>,
}

/// A frame's memory, borrowed for rewriting.
#[derive(Debug)]
pub struct Parts<'a> {
    /// The whole chunk: what lies before the packet is room for more headers.
    pub chunk: &'a mut [u8],
    /// Where in it the packet lies. Moving an end grows or cuts the packet.
    pub range: &'a mut Range<usize>,
}

impl Umem {
    /// Maps memory for `config.chunks` chunks, all free.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if there are no chunks, the chunk size is neither 2048
    /// nor 4096, or the headroom leaves no room for a packet; else what
    /// [`Region::new`] answers.
    pub fn new(config: UmemConfig) -> io::Result<Self> {
        let bytes = check(&config)?;
        Ok(Self {
            region: Region::new(bytes, config.huge_pages)?,
            id: next_id()?,
            chunks: config.chunks,
            chunk_shift: config.chunk_size.trailing_zeros(),
            headroom: config.headroom,
            free: (0..config.chunks).rev().collect(),
        })
    }

    /// Bytes per chunk.
    pub fn chunk_size(&self) -> usize {
        1 << self.chunk_shift
    }

    /// How many chunks there are.
    pub fn chunks(&self) -> usize {
        self.chunks as usize
    }

    /// How many chunks are free.
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// Bytes before a packet that the kernel or [`allocate`](Umem::allocate)
    /// puts into a chunk.
    pub fn headroom(&self) -> usize {
        KERNEL_HEADROOM + self.headroom as usize
    }

    /// Longest part of a packet that a chunk takes behind the headroom, in bytes.
    pub fn room(&self) -> usize {
        self.chunk_size() - self.headroom()
    }

    /// Which kind of page the memory lies in.
    pub fn pages(&self) -> Pages {
        self.region.pages()
    }

    /// Takes a free chunk, as an empty frame behind the headroom. What the
    /// chunk held before is still in it.
    pub fn allocate(&mut self) -> Option<Frame> {
        let start = self.headroom();
        let chunk = self.free.pop()?;
        Some(Frame::new(self.id, chunk, start..start))
    }

    /// Gives a frame's chunk back.
    ///
    /// # Panics
    ///
    /// If the frame is another UMEM's; so do all functions that take a frame.
    pub fn release(&mut self, frame: Frame) {
        self.check(&frame);
        self.free.push(frame.chunk);
    }

    /// What a frame holds of its packet; nothing if its range does not lie
    /// within the chunk.
    pub fn bytes(&self, frame: &Frame) -> &[u8] {
        self.check(frame);
        // SAFETY: see `chunk`; the frame is borrowed for as long as the slice.
        let chunk = unsafe { slice::from_raw_parts(self.chunk(frame), self.chunk_size()) };
        chunk.get(frame.range.clone()).unwrap_or_default()
    }

    /// A frame's chunk and range, writable.
    pub fn parts_mut<'a>(&'a mut self, frame: &'a mut Frame) -> Parts<'a> {
        self.parts(frame)
    }

    /// The parts of many frames at once, in order, for work in batches.
    pub fn parts_of<'a>(
        &'a mut self,
        frames: &'a mut [Frame],
    ) -> impl ExactSizeIterator<Item = Parts<'a>> {
        let umem = &*self;
        frames.iter_mut().map(move |frame| umem.parts(frame))
    }

    /// The first byte of all chunks, for the kernel.
    pub(crate) fn start(&self) -> *mut u8 {
        self.region.start()
    }

    /// Headroom asked for besides the kernel's own, in bytes.
    pub(crate) fn extra_headroom(&self) -> u32 {
        self.headroom
    }

    /// This UMEM's number, by which its frames and sockets know it.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Where a frame's chunk begins, in the kernel's terms.
    pub(crate) fn chunk_address(&self, frame: &Frame) -> u64 {
        self.check(frame);
        u64::from(frame.chunk) << self.chunk_shift
    }

    /// Where a frame's packet begins and how long it is, in the kernel's terms;
    /// nothing if the kernel would refuse it: empty, or outside its chunk.
    pub(crate) fn packet_address(&self, frame: &Frame) -> Option<(u64, u32)> {
        let Range { start, end } = frame.range;
        let fits = start < end && end <= self.chunk_size();
        fits.then(|| {
            (
                self.chunk_address(frame) + start as u64,
                (end - start) as u32,
            )
        })
    }

    /// The token of a chunk that the kernel gives back, with `length` bytes of a
    /// packet at `address`; nothing if there is no such chunk.
    ///
    /// To be called once for each address the kernel puts into a receive or
    /// completion ring of a socket of this UMEM, and never else: this is where
    /// tokens come from, so all exclusive access rests on it.
    pub(crate) fn returned(&self, address: u64, length: u32) -> Option<Frame> {
        let chunk = u32::try_from(address >> self.chunk_shift).ok()?;
        let start = address as usize & (self.chunk_size() - 1);
        let frame = Frame::new(self.id, chunk, start..start + length as usize);
        (chunk < self.chunks).then_some(frame)
    }

    /// Only for callers that borrow the whole UMEM mutably for `'a`, so that no
    /// [`bytes`](Umem::bytes) of the same frame can be alive.
    fn parts<'a>(&self, frame: &'a mut Frame) -> Parts<'a> {
        self.check(frame);
        let start = self.chunk(frame);
        // SAFETY: see `chunk`; the frame, hence the right to the chunk, is
        // mutably borrowed for as long as the slice, and both callers borrow
        // the UMEM, hence the memory, for as long.
        let chunk = unsafe { slice::from_raw_parts_mut(start, self.chunk_size()) };
        Parts {
            chunk,
            range: &mut frame.range,
        }
    }

    /// The first byte of a frame's chunk.
    ///
    /// The invariant that makes a slice of it sound, kept by this crate alone:
    /// a chunk's number is in exactly one of the free list, one `Frame`, or one
    /// socket's rings. Whoever has the frame has the chunk, the kernel and all
    /// other frames do not touch it, and its number is below `self.chunks`.
    fn chunk(&self, frame: &Frame) -> *mut u8 {
        let offset = (frame.chunk as usize) << self.chunk_shift;
        self.region.start().wrapping_add(offset)
    }

    fn check(&self, frame: &Frame) {
        assert_eq!(frame.umem, self.id, "frame of another UMEM");
    }
}

/// The size of the whole in bytes, if it makes sense.
fn check(config: &UmemConfig) -> io::Result<usize> {
    let sized = matches!(config.chunk_size, 2048 | 4096);
    let room = (config.chunk_size as usize).checked_sub(KERNEL_HEADROOM);
    let roomy = room.is_some_and(|room| (config.headroom as usize) < room);
    let bytes = (config.chunks as usize).checked_mul(config.chunk_size as usize);
    match bytes {
        Some(bytes @ 1..) if sized && roomy => Ok(bytes),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a UMEM needs chunks of 2048 or 4096 bytes with room behind the headroom",
        )),
    }
}

fn next_id() -> io::Result<u32> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Stops before it wraps: two UMEMs of one number could swap their frames.
    NEXT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |id| id.checked_add(1))
        .map_err(|_| io::ErrorKind::OutOfMemory.into())
}

/// XDP_PACKET_HEADROOM: what the kernel itself leaves free in each chunk.
const KERNEL_HEADROOM: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn umem(chunks: u32) -> Umem {
        Umem::new(UmemConfig {
            chunks,
            huge_pages: HugePages::Avoid,
            ..UmemConfig::default()
        })
        .unwrap()
    }

    #[test]
    fn every_chunk_is_given_once_and_comes_back() {
        let mut umem = umem(3);
        let frames: Vec<Frame> = std::iter::from_fn(|| umem.allocate()).collect();
        let mut chunks: Vec<u32> = frames.iter().map(|frame| frame.chunk).collect();
        chunks.sort_unstable();
        assert_eq!(chunks, [0, 1, 2]);
        assert_eq!(umem.free(), 0);
        frames.into_iter().for_each(|frame| umem.release(frame));
        assert_eq!(umem.free(), 3);
    }

    #[test]
    fn a_new_frame_is_empty_behind_the_headroom() {
        let mut umem = Umem::new(UmemConfig {
            headroom: 64,
            ..UmemConfig::default()
        })
        .unwrap();
        let frame = umem.allocate().unwrap();
        assert_eq!(frame.range(), 320..320);
        assert_eq!((umem.headroom(), umem.room()), (320, 4096 - 320));
        assert_eq!(umem.bytes(&frame), b"");
    }

    #[test]
    fn moving_the_range_moves_the_packet() {
        let mut umem = umem(2);
        let mut frame = umem.allocate().unwrap();
        let parts = umem.parts_mut(&mut frame);
        assert_eq!(parts.chunk.len(), 4096);
        parts.chunk[250..260].copy_from_slice(b"0123456789");
        *parts.range = 252..258;
        assert_eq!(umem.bytes(&frame), b"234567");
        assert_eq!(frame.len(), 6);
    }

    #[test]
    fn a_range_outside_the_chunk_holds_nothing() {
        let mut umem = umem(1);
        let mut frame = umem.allocate().unwrap();
        for (start, end) in [(4000, 4097), (usize::MAX - 1, usize::MAX), (9, 8)] {
            let range = start..end;
            *umem.parts_mut(&mut frame).range = range;
            assert_eq!(umem.bytes(&frame), b"");
        }
    }

    #[test]
    fn the_parts_of_a_batch_are_disjoint_and_in_order() {
        let mut umem = umem(8);
        let mut frames: Vec<Frame> = (0..8).map(|_| umem.allocate().unwrap()).collect();
        let batch: Vec<Parts> = umem.parts_of(&mut frames).collect();
        for (number, parts) in batch.into_iter().enumerate() {
            parts.chunk.fill(number as u8);
            *parts.range = 0..number;
        }
        for (number, frame) in frames.iter().enumerate() {
            assert_eq!(umem.bytes(frame), vec![number as u8; number]);
        }
    }

    #[test]
    #[should_panic(expected = "frame of another UMEM")]
    fn a_frame_does_not_open_another_umem() {
        let (mut one, two) = (umem(1), umem(1));
        let frame = one.allocate().unwrap();
        two.bytes(&frame);
    }

    #[test]
    fn sizes_the_kernel_refuses_are_refused_at_once() {
        for (chunks, chunk_size, headroom) in [
            (0, 2048, 0),
            (1, 1024, 0),
            (1, 3000, 0),
            (1, 8192, 0),
            (1, 2048, 2048 - 256),
            (1, 2048, u32::MAX),
        ] {
            let config = UmemConfig {
                chunks,
                chunk_size,
                headroom,
                huge_pages: HugePages::Avoid,
            };
            let error = Umem::new(config.clone()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{config:?}");
        }
    }

    /// Random allocations, writes and releases against a plain model: no chunk
    /// is ever held twice, and no write reaches another frame's bytes.
    #[test]
    fn the_free_list_agrees_with_a_model() {
        let mut umem = umem(16);
        let mut held: Vec<(Frame, u64)> = Vec::new();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..20_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            if state & 1 == 0 {
                let Some(mut frame) = umem.allocate() else {
                    assert_eq!(held.len(), 16);
                    continue;
                };
                let parts = umem.parts_mut(&mut frame);
                parts.range.end = parts.range.start + 8;
                parts.chunk[parts.range.clone()].copy_from_slice(&state.to_ne_bytes());
                held.push((frame, state));
            } else if !held.is_empty() {
                let (frame, value) = held.swap_remove((state >> 8) as usize % held.len());
                assert_eq!(umem.bytes(&frame), value.to_ne_bytes());
                umem.release(frame);
            }
            assert_eq!(umem.free() + held.len(), umem.chunks());
        }
    }
}
