//! How many connections each real server has, in all shards, and which have so
//! many that they take no more.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::config::{RealServerId, Thresholds};
use crate::sched::{Counts, Load};

/// The connection counts of all real servers, and their limits.
///
/// All shards add to one sum a real server: a scheduler may look at every one
/// for each new connection, and would find nothing in its cache if it summed
/// over the shards itself. Nothing here is touched by a packet of an established
/// connection that stays in its state.
///
/// *Cost:* an atomic addition per change, a plain load and store where there is
/// one shard; one load to read. A connection's beginning and end read its real
/// server's thresholds too, and the sum only where there are any.
#[derive(Debug)]
pub struct Loads {
    /// `active << 32 | inactive`; neither is ever below zero.
    sums: Vec<AtomicU64>,
    /// Templates that name each real server.
    templates: Vec<AtomicU64>,
    limits: Vec<Limit>,
    /// Whether only one shard ever adds.
    one_shard: bool,
}

impl Loads {
    /// Counts for `real_servers` in `shards`, all zero.
    #[must_use]
    pub fn new(shards: usize, real_servers: usize) -> Arc<Self> {
        let zeroes = || (0..real_servers).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self {
            sums: zeroes(),
            templates: zeroes(),
            limits: (0..real_servers).map(|_| Limit::default()).collect(),
            one_shard: shards == 1,
        })
    }

    /// The load of a real server over all shards.
    fn of(&self, id: RealServerId) -> Load {
        let sum = read(&self.sums, id);
        Load {
            active: (sum >> 32) as u32,
            inactive: sum as u32,
        }
    }

    /// Active and inactive connections of a real server over all shards.
    #[must_use]
    pub fn connections(&self, id: RealServerId) -> (u32, u32) {
        let load = self.of(id);
        (load.active, load.inactive)
    }

    /// Templates that keep clients to a real server, over all shards.
    #[must_use]
    pub fn templates(&self, id: RealServerId) -> u32 {
        read(&self.templates, id) as u32
    }

    /// Whether neither connections nor templates name a real server.
    #[must_use]
    pub fn is_idle(&self, id: RealServerId) -> bool {
        self.connections(id) == (0, 0) && self.templates(id) == 0
    }

    /// Adds to the count of templates, which no threshold limits.
    pub(crate) fn add_template(&self, id: RealServerId, count: i32) {
        self.add_to(&self.templates, id, i64::from(count));
    }

    /// Counts a connection that has begun, inactive.
    pub(crate) fn begun(&self, id: RealServerId) {
        self.add(id, 0, 1);
        self.is_overloaded(id);
    }

    /// Counts a connection that has ended.
    pub(crate) fn ended(&self, id: RealServerId, was_active: bool) {
        let active = i32::from(was_active);
        self.add(id, -active, active - 1);
        self.is_overloaded(id);
    }

    /// Gives a real server other thresholds, which hold at once. For the
    /// control side.
    pub(crate) fn limit(&self, id: RealServerId, thresholds: Thresholds) {
        if let Some(limit) = self.limits.get(id.index()) {
            limit.set(thresholds);
            self.is_overloaded(id);
        }
    }

    /// Adds to the counts. A total that changes is for [`begun`](Self::begun)
    /// and [`ended`](Self::ended).
    pub(crate) fn add(&self, id: RealServerId, active: i32, inactive: i32) {
        // What one half borrows from the other is paid back within the same
        // addition, as neither ends up below zero.
        let both = (i64::from(active) << 32) + i64::from(inactive);
        self.add_to(&self.sums, id, both);
    }

    /// How many real servers it can count.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.sums.len()
    }

    fn add_to(&self, sums: &[AtomicU64], id: RealServerId, number: i64) {
        let Some(sum) = sums.get(id.index()) else {
            return;
        };
        if self.one_shard {
            let new = sum.load(Ordering::Relaxed).wrapping_add_signed(number);
            sum.store(new, Ordering::Relaxed);
        } else {
            sum.fetch_add(number as u64, Ordering::Relaxed);
        }
    }
}

#[inline]
fn read(sums: &[AtomicU64], id: RealServerId) -> u64 {
    match sums.get(id.index()) {
        Some(sum) => sum.load(Ordering::Relaxed),
        None => unknown(),
    }
}

/// What a real server has that there is not.
#[cold]
#[inline(never)]
const fn unknown() -> u64 {
    0
}

impl Counts for Loads {
    fn load(&self, id: RealServerId) -> Load {
        self.of(id)
    }

    /// Whether it has reached its upper threshold and not yet come down below
    /// the lower one.
    ///
    /// Whoever asks also brings the mark up to date, so that one set by a shard
    /// that had not seen another's last connection end does not stay.
    fn is_overloaded(&self, id: RealServerId) -> bool {
        let Some(limit) = self.limits.get(id.index()) else {
            return false;
        };
        limit.holds(|| {
            let load = self.of(id);
            load.active.wrapping_add(load.inactive)
        })
    }
}

/// A real server's thresholds, and whether it is overloaded by them.
///
/// *Source:* the behaviour of `ip_vs_conn.c` and `ip_vs_ctl.c`, Linux 6.12. The
/// kernel marks on the way up and clears on the way down; as the lower threshold
/// is never above the upper, what the mark must be follows from the sum alone
/// outside of the two, and is what it was between them.
#[derive(Debug, Default)]
struct Limit {
    /// `upper << 32 | lower`; zero is no limit. The lower one is never zero
    /// where the upper is not.
    thresholds: AtomicU64,
    overloaded: AtomicBool,
}

impl Limit {
    fn set(&self, thresholds: Thresholds) {
        let Thresholds { upper, lower } = thresholds;
        let lower = match lower {
            0 => upper - upper / 4,
            lower => lower.min(upper),
        };
        let both = u64::from(upper) << 32 | u64::from(lower);
        self.thresholds.store(both, Ordering::Relaxed);
        if upper == 0 {
            self.overloaded.store(false, Ordering::Relaxed);
        }
    }

    /// The mark, after bringing it up to date with `total`.
    fn holds(&self, total: impl FnOnce() -> u32) -> bool {
        let both = self.thresholds.load(Ordering::Relaxed);
        if both == 0 {
            return false;
        }
        let (upper, lower) = ((both >> 32) as u32, both as u32);
        let (total, marked) = (total(), self.overloaded.load(Ordering::Relaxed));
        let mark = total >= upper || marked && total >= lower;
        if mark != marked {
            self.overloaded.store(mark, Ordering::Relaxed);
        }
        mark
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn shards_add_up() {
        let loads = Loads::new(3, 10);
        let id = RealServerId(9);
        loads.add(id, 2, 1);
        loads.add(id, 1, 5);
        loads.add(id, -1, 1);
        assert_eq!(loads.connections(id), (2, 7));
        assert_eq!(loads.connections(RealServerId(8)), (0, 0));
        loads.add_template(id, 2);
        loads.add_template(id, -1);
        assert_eq!((loads.templates(id), loads.connections(id)), (1, (2, 7)));
        loads.add_template(RealServerId(4), 1);
        assert!(!loads.is_idle(RealServerId(4)) && loads.is_idle(RealServerId(5)));
        assert_eq!(
            loads.connections(RealServerId(4000)),
            (0, 0),
            "unknown numbers count nothing"
        );
    }

    #[test]
    fn shards_may_add_at_the_same_time() {
        let loads = Loads::new(4, 10);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        loads.begun(ID);
                        loads.add(ID, 1, -1);
                        loads.begun(ID);
                        loads.ended(ID, true);
                    }
                });
            }
        });
        assert_eq!(loads.connections(ID), (0, 40_000));
    }

    const ID: RealServerId = RealServerId(3);

    /// Whether it is overloaded with so many connections, one after another.
    fn marks(loads: &Loads, totals: &[u32]) -> Vec<bool> {
        let at = |total: &u32| {
            while loads.connections(ID).1 < *total {
                loads.begun(ID);
            }
            while loads.connections(ID).1 > *total {
                loads.ended(ID, false);
            }
            loads.is_overloaded(ID)
        };
        totals.iter().map(at).collect()
    }

    fn limited(upper: u32, lower: u32) -> Arc<Loads> {
        let loads = Loads::new(1, 10);
        loads.limit(ID, Thresholds { upper, lower });
        loads
    }

    #[test]
    fn overload_begins_at_the_upper_threshold_and_ends_below_the_lower() {
        let loads = limited(4, 2);
        let marks = marks(&loads, &[3, 4, 5, 3, 2, 1, 3, 4]);
        let expected = [false, true, true, true, true, false, false, true];
        assert_eq!(marks, expected);
    }

    #[test]
    fn without_a_lower_threshold_it_is_three_quarters_of_the_upper() {
        assert_eq!(marks(&limited(4, 0), &[4, 3, 2]), [true, true, false]);
        assert_eq!(marks(&limited(7, 0), &[7, 6, 5]), [true, true, false]);
        assert_eq!(marks(&limited(1, 0), &[1, 0]), [true, false]);
        assert_eq!(marks(&limited(4, 4), &[4, 3]), [true, false]);
    }

    #[test]
    fn an_edit_marks_and_clears_at_once_and_keeps_between() {
        let loads = limited(0, 0);
        let edited = |upper, lower| {
            loads.limit(ID, Thresholds { upper, lower });
            loads.is_overloaded(ID)
        };
        assert_eq!(marks(&loads, &[10]), [false]);
        assert!(!edited(11, 9));
        assert!(edited(10, 9));
        assert!(edited(20, 10), "in between it stays");
        assert!(!edited(20, 11));
        assert!(edited(1, 1));
        assert!(!edited(0, 0));
    }

    #[test]
    fn a_mark_set_too_late_goes_when_somebody_looks() {
        let loads = limited(2, 1);
        let limit = loads.limits.get(ID.index()).unwrap();
        limit.overloaded.store(true, Ordering::Relaxed);
        assert!(!loads.is_overloaded(ID));
        loads.add(ID, 0, 2);
        assert!(loads.is_overloaded(ID), "and one missed is set");
    }

    #[test]
    fn shards_are_overloaded_together() {
        let loads = Loads::new(3, 10);
        loads.limit(ID, Thresholds { upper: 3, lower: 0 });
        for _ in 0..3 {
            assert!(!loads.is_overloaded(ID));
            loads.begun(ID);
        }
        assert!(loads.is_overloaded(ID));
    }
}
