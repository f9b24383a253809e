//! Time and memory come to an end, and so do datagrams.

use super::order::Ends;
use super::{Datagrams, NONE, Ready, Whose, family};
use crate::stats::Stats;
use crate::time::{Instant, Tick};
use crate::verdict::DropReason;

impl Datagrams {
    /// Gives up datagrams whose time has come, `budget` at most. The senders of
    /// some are owed an answer; those become ready.
    pub(crate) fn expire(&mut self, now: Instant, budget: u32, stats: &mut Stats) {
        let now = now.tick();
        for _ in 0..budget {
            let due = |list: &Ends| {
                let slot = self.slot(list.first)?;
                (now.until(slot.until) <= 0).then_some((list.first, *slot))
            };
            let Some((at, slot)) = self.waiting.iter().find_map(due) else {
                return;
            };
            // RFC 1122 3.3.2: only where the first fragment came. The kernel's
            // defragmenter for IPv6 tells nobody.
            let owed = slot.key.is_ipv4() && slot.whose == Whose::Services;
            if owed && slot.pieces.is_some() {
                self.make_ready(at, Ready::TimedOut);
            } else {
                self.give_up(at, DropReason::FragmentTimeout, stats);
            }
        }
    }

    /// Makes sure of so many free blocks for the datagram in slot `at`, of which
    /// its source may have them.
    ///
    /// *Errors:* the datagram itself had to give way.
    pub(super) fn make_room(
        &mut self,
        at: u32,
        needed: u32,
        stats: &mut Stats,
    ) -> Result<(), DropReason> {
        const FULL: DropReason = DropReason::FragmentMemory;
        let key = self.slot(at).ok_or(FULL)?.key;
        loop {
            let source = self.sources.get(self.source_of(&key)).ok_or(FULL)?;
            let (victim, reason) = if source.blocks + needed > self.share {
                (source.datagrams.first, DropReason::FragmentShare)
            } else if self.blocks.left() < needed {
                (self.oldest().unwrap_or(at), FULL)
            } else {
                return Ok(());
            };
            self.give_up(victim, reason, stats);
            if victim == at || victim == NONE {
                return Err(reason);
            }
        }
    }

    /// The datagram that has waited longest.
    pub(super) fn oldest(&self) -> Option<u32> {
        let began = |at: u32| {
            let slot = self.slot(at)?;
            Some(
                slot.until
                    .0
                    .wrapping_sub(*self.times.get(family(&slot.key))?),
            )
        };
        let [v4, v6] = self.waiting.map(|list| list.first);
        match (began(v4), began(v6)) {
            (Some(one), Some(other)) if Tick(one).until(Tick(other)) < 0 => Some(v6),
            (Some(_), _) => Some(v4),
            (None, Some(_)) => Some(v6),
            (None, None) => None,
        }
    }

    /// Forgets a datagram that waits, counting it as dropped if any of it was
    /// held.
    pub(super) fn give_up(&mut self, at: u32, reason: DropReason, stats: &mut Stats) {
        let Some(slot) = self.slot(at).filter(|slot| slot.ready.is_none()) else {
            return;
        };
        let (key, family) = (slot.key, family(&slot.key));
        if let Some(waiting) = self.waiting.get_mut(family) {
            self.order.remove(waiting, at);
        }
        self.leave_source(at, &key);
        self.leave_chain(at, &key);
        let count = self.free_pieces(at, &key);
        if count > 0 {
            stats.give_up(reason, count);
        }
        self.free_slot(at);
    }
}
