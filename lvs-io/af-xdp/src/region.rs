//! Anonymous zeroed memory, in huge pages where there are any: [`Region`].

use std::io;
use std::slice;

use memmap2::{Advice, MmapOptions, MmapRaw};

/// Whether a [`Region`] should lie in huge pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HugePages {
    /// Reserved huge pages, else what the kernel can merge, else small pages.
    #[default]
    Prefer,
    /// Reserved huge pages or an error.
    Require,
    /// Small pages.
    Avoid,
}

/// The kind of page a [`Region`] lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pages {
    /// Huge pages of 2 MiB from the kernel's reserve (`vm.nr_hugepages`).
    Huge,
    /// Small pages which the kernel was asked to merge to huge ones.
    Transparent,
    /// Small pages.
    Small,
}

/// Zeroed memory for whatever is too large or too hot for the allocator: the
/// chunks of a [`Umem`](crate::Umem), a table of connections.
///
/// Every page is touched when the region is made, so no later access waits for
/// the kernel to find one. The memory begins on a page boundary and is given
/// back when the region is dropped.
///
/// ```
/// use af_xdp::{HugePages, Region};
///
/// let mut region = Region::new(1 << 20, HugePages::Prefer)?;
/// region.lines_mut()[7] = [1; 8];
/// assert_eq!(region.bytes()[7 * 64], 1);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Region {
    map: MmapRaw,
    bytes: usize,
    pages: Pages,
}

impl Region {
    /// Makes a region of `bytes` bytes.
    ///
    /// Regions under 2 MiB use small pages unless huge ones are required.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `bytes` is zero or too large to round up to a page,
    /// else what the kernel answers: out of memory, or no huge pages reserved.
    pub fn new(bytes: usize, huge_pages: HugePages) -> io::Result<Self> {
        let rounded = bytes.checked_next_multiple_of(HUGE_PAGE);
        let (Some(rounded), 1..) = (rounded, bytes) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let worthwhile = bytes >= HUGE_PAGE;
        match huge_pages {
            HugePages::Require => Self::huge(bytes, rounded),
            HugePages::Prefer if worthwhile => {
                Self::huge(bytes, rounded).or_else(|_| Self::small(bytes, true))
            }
            HugePages::Prefer | HugePages::Avoid => Self::small(bytes, false),
        }
    }

    /// Which kind of page the region got.
    pub fn pages(&self) -> Pages {
        self.pages
    }

    /// Length in bytes, as asked for.
    #[expect(clippy::len_without_is_empty, reason = "a region is never empty")]
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// All bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the map holds at least `self.bytes` initialised bytes for as
        // long as `self` lives, and only `&mut self` gives out other access.
        unsafe { slice::from_raw_parts(self.map.as_ptr(), self.bytes) }
    }

    /// All bytes, writable.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and `&mut self` makes this access the only one.
        unsafe { slice::from_raw_parts_mut(self.map.as_mut_ptr(), self.bytes) }
    }

    /// The memory as cache lines of 64 bytes, each aligned to one; bytes after
    /// the last whole line are left out.
    pub fn lines_mut(&mut self) -> &mut [[u64; 8]] {
        let start = self.map.as_mut_ptr().cast::<[u64; 8]>();
        // SAFETY: a page boundary is aligned for `u64`, any bits are a `u64`,
        // the lines lie within the map, and `&mut self` makes the access sole.
        unsafe { slice::from_raw_parts_mut(start, self.bytes / 64) }
    }

    /// The first byte; for memory that is shared with the kernel and must not
    /// be referred to as a whole.
    pub(crate) fn start(&self) -> *mut u8 {
        self.map.as_mut_ptr()
    }

    fn huge(bytes: usize, rounded: usize) -> io::Result<Self> {
        // The kernel unmaps huge pages only by whole ones, hence `rounded`.
        let map = MmapOptions::new()
            .len(rounded)
            .huge(Some(HUGE_PAGE.trailing_zeros() as u8))
            .map_anon()?;
        Self::touched(map.into(), bytes, Pages::Huge)
    }

    fn small(bytes: usize, merge: bool) -> io::Result<Self> {
        let map = MmapRaw::from(MmapOptions::new().len(bytes).map_anon()?);
        let merged = merge && map.advise(Advice::HugePage).is_ok();
        let pages = if merged {
            Pages::Transparent
        } else {
            Pages::Small
        };
        Self::touched(map, bytes, pages)
    }

    fn touched(map: MmapRaw, bytes: usize, pages: Pages) -> io::Result<Self> {
        // A child process has no use for it, and the kernel would copy whatever
        // part of it is pinned for a NIC.
        map.advise(Advice::DontFork)?;
        match map.advise(Advice::PopulateWrite) {
            // Linux before 5.14 does not know the advice: pages come one by one.
            Err(error) if error.raw_os_error() != Some(libc::EINVAL) => Err(error),
            _ => Ok(Self { map, bytes, pages }),
        }
    }
}

/// The huge page of x86-64 and, with 4 KiB small pages, of arm64.
const HUGE_PAGE: usize = 2 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_zeroed_and_keeps_what_is_written() {
        let mut region = Region::new(100_000, HugePages::Avoid).unwrap();
        assert_eq!(region.len(), 100_000);
        assert_eq!(region.pages(), Pages::Small);
        assert!(region.bytes().iter().all(|&byte| byte == 0));
        region.bytes_mut()[99_999] = 7;
        assert_eq!(region.bytes()[99_999], 7);
    }

    #[test]
    fn lines_are_aligned_and_whole() {
        let mut region = Region::new(64 * 10 + 63, HugePages::Avoid).unwrap();
        let lines = region.lines_mut();
        assert_eq!(lines.len(), 10);
        assert_eq!(lines.as_ptr() as usize % 64, 0);
        lines[9] = [u64::MAX; 8];
        assert_eq!(region.bytes()[64 * 10 - 1], 0xff);
        assert_eq!(region.bytes()[64 * 10], 0);
    }

    #[test]
    fn preferring_huge_pages_always_gives_memory() {
        let region = Region::new(HUGE_PAGE + 1, HugePages::Prefer).unwrap();
        assert_eq!(region.len(), HUGE_PAGE + 1);
        let small = Region::new(4096, HugePages::Prefer).unwrap();
        assert_eq!(small.pages(), Pages::Small);
    }

    #[test]
    fn requiring_huge_pages_gives_them_or_fails() {
        if let Ok(region) = Region::new(4096, HugePages::Require) {
            assert_eq!(region.pages(), Pages::Huge);
        }
    }

    #[test]
    fn sizes_that_make_no_sense_are_refused() {
        for bytes in [0, usize::MAX] {
            let error = Region::new(bytes, HugePages::Avoid).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
    }
}
