//! When a cache of destinations forgets.
//!
//! ```text
//! every minute   more than 16384 entries: some of those idle for 6 minutes go
//! every 30th     otherwise: all that were idle for the expiration go
//! ```
//!
//! The kernel has a timer for it. Here the minutes that have passed are made up
//! for when the next connection comes, as nobody looks before; and a walk takes
//! one bucket at a time, so that no packet waits for a whole one.
//!
//! *Source:* the behaviour of `ip_vs_lblc.c` and `ip_vs_lblcr.c`, Linux 6.12.

use core::time::Duration;

use crate::time::{Instant, Tick, ticks};

/// The minutes of one cache, and the walk it is on.
#[derive(Clone, Debug, Default)]
pub(super) struct Upkeep {
    /// The end of this minute; `None` before the first connection.
    due: Option<Instant>,
    /// Since everything idle was last removed.
    minutes: u32,
    /// What was last used at this moment or before has expired.
    horizon: Option<Tick>,
    walk: Walk,
}

/// A walk over all buckets, to remove what was not used since `before`.
#[derive(Clone, Debug, Default)]
struct Walk {
    /// The bucket walked last; the next walk goes on behind it.
    rover: usize,
    left: usize,
    before: Tick,
    /// How many entries are still to go; the walk ends when none is.
    goal: usize,
}

impl Upkeep {
    /// Lets minutes pass until `now` over a cache of so many entries.
    pub(super) fn pass(&mut self, now: Instant, entries: usize, expiration: Duration) {
        let due = *self.due.get_or_insert(now + MINUTE);
        if now < due {
            return;
        }
        let passed = (now.since(due).as_secs() / MINUTE.as_secs()) as u32 + 1;
        self.due = Some(due + MINUTE * passed);
        // Over the limit minutes are not counted, but for the one that is due.
        if entries > LIMIT && self.minutes + 1 < FULL {
            let goal = ((entries - LIMIT) * 4 / 3).min(LIMIT / 2);
            self.begin(idle_since(now.tick(), IDLE), goal);
            return;
        }
        self.minutes += passed;
        if self.minutes >= FULL {
            self.minutes %= FULL;
            let ago = (MINUTE * self.minutes).as_nanos() as u64;
            let last = (due + MINUTE * (passed - 1)).nanoseconds();
            let then = Instant::from_nanoseconds(last.saturating_sub(ago));
            let horizon = idle_since(then.tick(), expiration);
            self.horizon = Some(horizon);
            self.begin(horizon, usize::MAX);
        }
    }

    /// Whether what was last used then has expired, removed already or not.
    pub(super) fn has_expired(&self, used: Tick) -> bool {
        self.horizon.is_some_and(|horizon| used.until(horizon) >= 0)
    }

    /// The next bucket to walk, and the moment since when entries must have
    /// been used to stay; `None` when there is no walk.
    pub(super) fn next_bucket(&mut self) -> Option<(usize, Tick)> {
        let walk = &mut self.walk;
        walk.left = walk.left.checked_sub(1)?;
        walk.rover = (walk.rover + 1) % BUCKETS;
        Some((walk.rover, walk.before))
    }

    /// Takes note that so many entries of the bucket have gone.
    pub(super) fn removed(&mut self, entries: usize) {
        let walk = &mut self.walk;
        walk.goal = walk.goal.saturating_sub(entries);
        if walk.goal == 0 {
            walk.left = 0;
        }
    }

    fn begin(&mut self, before: Tick, goal: usize) {
        let rover = self.walk.rover;
        self.walk = Walk {
            rover,
            left: BUCKETS,
            before,
            goal,
        };
    }
}

/// The last use of what has been idle for `length` at `then`.
fn idle_since(then: Tick, length: Duration) -> Tick {
    Tick(then.0.wrapping_sub(ticks(length)))
}

/// Buckets of a cache.
pub(super) const BUCKETS: usize = 1024;
/// Entries above which a cache forgets before their time.
pub(super) const LIMIT: usize = 16 * BUCKETS;
const MINUTE: Duration = Duration::from_secs(60);
/// Minutes from one removal of everything idle to the next.
const FULL: u32 = 30;
/// Idle for so long, an entry goes when there are too many.
const IDLE: Duration = Duration::from_secs(360);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_nanoseconds(seconds * 1_000_000_000)
    }

    const DAY: Duration = Duration::from_secs(86_400);
    const HOUR: Duration = Duration::from_secs(3_600);

    /// Passed from second 1000 until then, in steps of so many seconds.
    fn passed(until: u64, step: usize, entries: usize, expiration: Duration) -> Upkeep {
        let mut upkeep = Upkeep::default();
        for second in (1_000..=until).step_by(step) {
            upkeep.pass(at(second), entries, expiration);
        }
        upkeep
    }

    #[test]
    fn everything_idle_expires_every_thirty_minutes_however_rarely_one_looks() {
        for step in [1, 7, 1_800, 1_900] {
            let looked = 1_000 + 1_900 / step as u64 * step as u64;
            let upkeep = passed(looked, step, 10, HOUR / 6);
            // At 2800 what was used by 2200.
            assert!(upkeep.has_expired(at(2_199).tick()), "{step}");
            assert!(!upkeep.has_expired(at(2_201).tick()), "{step}");
        }
        let before = passed(2_799, 1, 10, HOUR / 6);
        assert!(!before.has_expired(at(1_000).tick()));
    }

    #[test]
    fn a_day_expires_after_a_day() {
        let upkeep = passed(1_000 + 86_400 + 3_600, 1_800, 10, DAY);
        assert!(upkeep.has_expired(at(4_000).tick()));
        assert!(!upkeep.has_expired(at(5_000).tick()));
    }

    #[test]
    fn a_walk_comes_by_every_bucket_once() {
        let mut upkeep = passed(2_800, 1, 10, DAY);
        let mut seen = [0; BUCKETS];
        while let Some((bucket, _)) = upkeep.next_bucket() {
            seen[bucket] += 1;
        }
        assert_eq!(seen, [1; BUCKETS]);
    }

    #[test]
    fn too_many_go_until_the_goal_is_reached() {
        let mut upkeep = passed(1_060, 1, LIMIT + 9, DAY);
        let (bucket, before) = upkeep.next_bucket().unwrap();
        assert_eq!(bucket, 1);
        assert!(before.until(at(700).tick()).abs() < 5);
        upkeep.removed(11);
        assert!(upkeep.next_bucket().is_some());
        upkeep.removed(1);
        assert_eq!(upkeep.next_bucket(), None);
        assert_eq!(upkeep.horizon, None, "what is left has not expired");
    }
}
