//! When connections end: a wheel of intrusive lists, turned in bounded steps.
//!
//! A packet only moves its connection's deadline; the connection stays filed
//! where it was until that slot is visited, and is then filed anew under the
//! deadline it has by now. So the data path writes one word that is in the
//! cache anyway, and never before its time is anything ended: a slot is visited
//! once all its ticks have passed.
//!
//! ```text
//!  cursor ──> slot 17   slot 18   slot 19 ...        8192 slots of 8 ticks,
//!               |          |                         18 minutes in all; what
//!               3 ⇄ 90     7                         lies further is refiled
//! ```

use super::entry::{Entry, EntryMut, Line, Lines};
use crate::time::Tick;

/// The wheel's list heads and its hand.
#[derive(Debug)]
pub(crate) struct TimerWheel<'m> {
    heads: &'m mut [Line],
    /// The first tick of the slot to be visited next; none before the first turn.
    cursor: Option<Tick>,
}

/// What to do with a connection whose time may have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// This one's deadline has passed.
    Ended(u32),
    /// Nothing further is due now.
    Nothing,
    /// There may be more, but the budget is spent.
    Later,
}

impl<'m> TimerWheel<'m> {
    /// A wheel over `heads`, [`LINES`] of them, all zero.
    pub(crate) fn new(heads: &'m mut [Line]) -> Self {
        debug_assert_eq!(heads.len(), LINES);
        Self {
            heads,
            cursor: None,
        }
    }

    /// Files `entry` under `deadline`.
    pub(crate) fn file(&mut self, entries: &mut [Lines], entry: u32, deadline: Tick, now: Tick) {
        let cursor = *self.cursor.get_or_insert(Tick(now.0 & !(SLOT_TICKS - 1)));
        // Never behind the hand, never a lap ahead of it.
        let ahead = cursor.until(deadline).clamp(0, HORIZON);
        let filed = cursor.after(ahead as u32);
        let head = self.head(filed);
        let next = *head;
        *head = u64::from(entry) + 1;
        if let Some(lines) = link(next).and_then(|next| entries.get_mut(next)) {
            EntryMut(lines).set_previous(entry + 1);
        }
        if let Some(lines) = entries.get_mut(entry as usize) {
            let mut lines = EntryMut(lines);
            lines.set_deadline(deadline);
            lines.set_filed(filed);
            lines.set_next(next as u32);
            lines.set_previous(0);
        }
    }

    /// Takes `entry` out of its list.
    pub(crate) fn unfile(&mut self, entries: &mut [Lines], entry: u32) {
        let Some(lines) = entries.get(entry as usize) else {
            return;
        };
        let (next, previous, filed) = (
            Entry(lines).next(),
            Entry(lines).previous(),
            Entry(lines).filed(),
        );
        match link(u64::from(previous)).and_then(|at| entries.get_mut(at)) {
            Some(lines) => EntryMut(lines).set_next(next),
            None => *self.head(filed) = u64::from(next),
        }
        if let Some(lines) = link(u64::from(next)).and_then(|at| entries.get_mut(at)) {
            EntryMut(lines).set_previous(previous);
        }
    }

    /// Moves the deadline of `entry`, and the entry itself if it would now be
    /// found too late.
    #[inline]
    pub(crate) fn extend(&mut self, entries: &mut [Lines], entry: u32, deadline: Tick, now: Tick) {
        let Some(lines) = entries.get_mut(entry as usize) else {
            return;
        };
        let mut lines = EntryMut(lines);
        lines.set_deadline(deadline);
        if lines.entry().filed().until(deadline) < 0 {
            self.refile(entries, entry, deadline, now);
        }
    }

    #[inline(never)]
    fn refile(&mut self, entries: &mut [Lines], entry: u32, deadline: Tick, now: Tick) {
        self.unfile(entries, entry);
        self.file(entries, entry, deadline, now);
    }

    /// Turns the hand towards `now` until a connection's time has come.
    ///
    /// `budget` goes down by one for each slot passed and each entry seen.
    /// The entry returned is still filed.
    pub(crate) fn turn(&mut self, entries: &mut [Lines], now: Tick, budget: &mut u32) -> Due {
        let Some(mut cursor) = self.cursor else {
            return Due::Nothing;
        };
        while cursor.until(now) >= SLOT_TICKS as i32 {
            if *budget == 0 {
                return Due::Later;
            }
            *budget -= 1;
            let Some(entry) = link(*self.head(cursor)) else {
                cursor = cursor.after(SLOT_TICKS);
                self.cursor = Some(cursor);
                continue;
            };
            let Some(lines) = entries.get(entry) else {
                debug_assert!(false, "lists hold entries of the table");
                *self.head(cursor) = 0;
                continue;
            };
            let deadline = Entry(lines).deadline();
            if deadline.until(now) >= 0 {
                return Due::Ended(entry as u32);
            }
            self.refile(entries, entry as u32, deadline, now);
        }
        Due::Nothing
    }

    /// Whether a slot's time has passed and the hand has not passed the slot.
    pub(crate) const fn is_due(&self, now: Tick) -> bool {
        match self.cursor {
            Some(cursor) => cursor.until(now) >= SLOT_TICKS as i32,
            None => false,
        }
    }

    fn head(&mut self, tick: Tick) -> &mut u64 {
        let slot = tick.0 as usize / SLOT_TICKS as usize % SLOTS;
        &mut self.heads[slot / LINE_WORDS][slot % LINE_WORDS]
    }
}

/// The entry a link names; links count from one, so that zero names none.
const fn link(word: u64) -> Option<usize> {
    (word as usize).checked_sub(1)
}

/// Ticks of a slot: 134 ms, so that even a lone connection ends within a
/// quarter of a second of its time.
const SLOT_TICKS: u32 = 8;
/// Slots of the wheel. With 900 s, the longest default timeout, everything
/// usual lies within one lap.
const SLOTS: usize = 8192;
/// How far ahead of the hand anything is filed: in the last slot before its own.
const HORIZON: i32 = ((SLOTS - 1) as i32) * SLOT_TICKS as i32;
/// Words of a line.
const LINE_WORDS: usize = 8;
/// Lines of memory the wheel takes.
pub(crate) const LINES: usize = SLOTS / LINE_WORDS;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use alloc::vec;
    use alloc::vec::Vec;

    fn drain(wheel: &mut TimerWheel<'_>, entries: &mut [Lines], now: Tick) -> Vec<u32> {
        let mut ended = Vec::new();
        loop {
            match wheel.turn(entries, now, &mut 1_000_000) {
                Due::Ended(entry) => {
                    wheel.unfile(entries, entry);
                    ended.push(entry);
                }
                Due::Nothing => return ended,
                Due::Later => panic!("the budget is ample"),
            }
        }
    }

    #[test]
    fn ends_what_a_map_of_deadlines_ends() {
        for start in [0u32, u32::MAX - 5000] {
            let mut heads = vec![[0; 8]; LINES];
            let mut entries: Vec<Lines> = vec![[[0; 8]; 2]; 300];
            let mut wheel = TimerWheel::new(&mut heads);
            let mut model: BTreeMap<u32, u64> = BTreeMap::new();
            let mut state = 5u64;
            let mut random = |below: u32| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                ((state >> 33) as u32) % below
            };
            let mut elapsed = 0u64;
            for _ in 0..20_000 {
                elapsed += u64::from(random(40));
                let now = Tick(start.wrapping_add(elapsed as u32));
                let entry = random(300);
                let ahead = random(70_000);
                let deadline = now.after(ahead);
                match model.insert(entry, elapsed + u64::from(ahead)) {
                    None => wheel.file(&mut entries, entry, deadline, now),
                    Some(_) => wheel.extend(&mut entries, entry, deadline, now),
                }
                for ended in drain(&mut wheel, &mut entries, now) {
                    let due = model.remove(&ended).expect("filed once");
                    assert!(
                        due <= elapsed,
                        "entry {ended} ended {} early",
                        due - elapsed
                    );
                }
                let late = model.values().filter(|due| **due + 16 < elapsed).count();
                assert_eq!(late, 0, "nothing stays two slots beyond its time");
            }
        }
    }

    #[test]
    fn a_budget_bounds_the_work() {
        let mut heads = vec![[0; 8]; LINES];
        let mut entries: Vec<Lines> = vec![[[0; 8]; 2]; 10];
        let mut wheel = TimerWheel::new(&mut heads);
        for entry in 0..10 {
            wheel.file(&mut entries, entry, Tick(100), Tick(0));
        }
        let mut budget = 3;
        assert_eq!(
            wheel.turn(&mut entries, Tick(1000), &mut budget),
            Due::Later
        );
        assert_eq!(budget, 0);
        assert_eq!(drain(&mut wheel, &mut entries, Tick(1000)).len(), 10);
    }
}
