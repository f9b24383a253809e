//! Time as the core sees it: handed in, never read.

use core::ops::{Add, Sub};
use core::time::Duration;

/// A moment on the caller's monotonic clock.
///
/// *Units:* nanoseconds since an origin the caller chooses; one shard must see
/// one origin. Time may stand still between calls but should not go back: an
/// earlier `now` is treated as no time having passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The moment `nanoseconds` after the origin.
    #[must_use]
    pub const fn from_nanoseconds(nanoseconds: u64) -> Self {
        Self(nanoseconds)
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn nanoseconds(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero when it is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The tick this moment lies in.
    pub(crate) const fn tick(self) -> Tick {
        Tick((self.0 >> TICK_BITS) as u32)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, length: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)),
        )
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

/// A coarse moment that fits a connection's entry: 2^24 ns (16.8 ms) a tick.
///
/// 32 bits of it last 2.28 years and then wrap, so ticks are compared by their
/// distance and never by their value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tick(pub(crate) u32);

impl Tick {
    /// The tick `ticks` later.
    pub(crate) const fn after(self, ticks: u32) -> Self {
        Self(self.0.wrapping_add(ticks))
    }

    /// Ticks from `self` until `later`; negative when `later` has passed.
    pub(crate) const fn until(self, later: Self) -> i32 {
        later.0.wrapping_sub(self.0) as i32
    }
}

/// Ticks that cover `length`, rounded up and one more, so that a timer filed
/// in the middle of a tick never fires early.
pub(crate) const fn ticks(length: Duration) -> u32 {
    let ticks = (length.as_nanos() >> TICK_BITS) + 2;
    // Half the range would make "later" ambiguous; a quarter of it is 208 days.
    if ticks > LONGEST_TICKS as u128 {
        LONGEST_TICKS
    } else {
        ticks as u32
    }
}

/// How long so many ticks are.
pub(crate) const fn span(ticks: u64) -> Duration {
    Duration::from_nanos(ticks << TICK_BITS)
}

/// log2 of the nanoseconds in a tick.
const TICK_BITS: u32 = 24;
/// The longest span a deadline may lie ahead.
const LONGEST_TICKS: u32 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_covered_wherever_in_a_tick_it_starts() {
        for start in [0u64, 1, (1 << 24) - 1, 1_000_000_000, 12_345_678_901] {
            let now = Instant::from_nanoseconds(start);
            for seconds in [0u64, 1, 60, 120, 900] {
                let length = Duration::from_secs(seconds);
                let due = now.tick().after(ticks(length));
                assert!(due.until((now + length).tick()) < 0, "{start} {seconds}");
                let late = (now + length + Duration::from_millis(34)).tick();
                assert!(due.until(late) >= 0, "at most two ticks late");
            }
        }
    }

    #[test]
    fn ticks_compare_across_the_wrap() {
        let before = Tick(u32::MAX - 3);
        assert_eq!(before.until(before.after(10)), 10);
        assert_eq!(before.after(10).until(before), -10);
    }

    #[test]
    fn the_longest_span_stays_comparable() {
        let far = Tick(7).after(ticks(Duration::MAX));
        assert!(Tick(7).until(far) > 0);
    }
}
