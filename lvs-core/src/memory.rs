//! How much memory the host has left, as shards and the control side share it.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::config::{Setting, Settings};

/// The host's free memory, told by the control side and read by every shard
/// once a second.
///
/// Automatic defences (`drop_entry`, `drop_packet`, `secure_tcp` at 1 or 2)
/// act while it is low. Nobody need tell: there is plenty until somebody does.
///
/// *Units:* pages of 4 KiB, free or buffers. *Source:* the behaviour of
/// `ip_vs_ctl.c`, Linux 6.12.
#[derive(Debug)]
pub struct Memory(AtomicU64);

impl Memory {
    pub(crate) fn plenty() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(u64::MAX)))
    }

    /// Says how many pages are free.
    pub fn tell(&self, pages: u64) {
        self.0.store(pages, Ordering::Relaxed);
    }

    /// By how many pages memory falls short of the threshold, if it does.
    pub(crate) fn shortage(&self, settings: &Settings) -> Option<u64> {
        let short = threshold(settings).checked_sub(self.0.load(Ordering::Relaxed))?;
        (short > 0).then_some(short)
    }
}

/// The pages below which memory is low.
pub(crate) fn threshold(settings: &Settings) -> u64 {
    u64::try_from(settings.get(Setting::AmemThreshold)).unwrap_or(0)
}

/// Whether a defence with this mode acts.
pub(crate) const fn acts(mode: i32, memory_is_low: bool) -> bool {
    mode == ALWAYS || (mode != 0 && memory_is_low)
}

/// The mode as the kernel shows it: of the two automatic ones, 1 while memory
/// suffices and 2 while it is low.
pub(crate) const fn shown(mode: i32, memory_is_low: bool) -> i32 {
    match mode {
        1 | 2 if memory_is_low => 2,
        1 | 2 => 1,
        other => other,
    }
}

const ALWAYS: i32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_low_below_the_threshold_only() {
        let (memory, mut settings) = (Memory::plenty(), Settings::default());
        assert_eq!(memory.shortage(&settings), None);
        memory.tell(1024);
        assert_eq!(memory.shortage(&settings), None);
        memory.tell(1000);
        assert_eq!(memory.shortage(&settings), Some(24));
        settings.set(Setting::AmemThreshold, -1).unwrap();
        memory.tell(0);
        assert_eq!(memory.shortage(&settings), None);
    }

    #[test]
    fn automatic_modes_follow_memory() {
        assert_eq!([0, 1, 2, 3].map(|mode| shown(mode, false)), [0, 1, 1, 3]);
        assert_eq!([0, 1, 2, 3].map(|mode| shown(mode, true)), [0, 2, 2, 3]);
        assert_eq!(
            [0, 1, 2, 3].map(|mode| acts(mode, false)),
            [false, false, false, true]
        );
        assert_eq!(
            [0, 1, 2, 3].map(|mode| acts(mode, true)),
            [false, true, true, true]
        );
    }
}
