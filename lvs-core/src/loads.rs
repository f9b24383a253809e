//! How many connections each real server has, in all shards.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::config::RealServerId;
use crate::sched::Load;

/// The connection counts of all real servers, one row a shard.
///
/// Each shard writes its own row and nobody else's; a scheduler reads the
/// column. Nothing here is touched by a packet of an established connection
/// that stays in its state.
///
/// *Cost:* a plain load and store per change; one load per shard to read.
#[derive(Debug)]
pub struct Loads {
    rows: Vec<AtomicU64>,
    /// Templates that name each real server, in rows alike.
    templates: Vec<AtomicU64>,
    /// Of one row, in numbers; a multiple of a cache line, so that two shards
    /// never write to the same one.
    width: usize,
    shards: usize,
}

impl Loads {
    /// Counts for `real_servers` in `shards`, all zero.
    #[must_use]
    pub fn new(shards: usize, real_servers: usize) -> Arc<Self> {
        let width = (real_servers + LINE).next_multiple_of(LINE);
        let zeroes = || (0..width * shards).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self {
            rows: zeroes(),
            templates: zeroes(),
            width,
            shards,
        })
    }

    /// The load of a real server over all shards.
    pub(crate) fn of(&self, id: RealServerId) -> Load {
        let mut sum = Load {
            active: 0,
            inactive: 0,
        };
        for shard in 0..self.shards {
            let count = self
                .cell(shard, id)
                .map_or(0, |cell| cell.load(Ordering::Relaxed));
            sum.active = sum.active.wrapping_add((count >> 32) as u32);
            sum.inactive = sum.inactive.wrapping_add(count as u32);
        }
        sum
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
        let cells = (0..self.shards).filter_map(|shard| self.templates.get(self.place(shard, id)?));
        cells.fold(0, |sum: u32, cell| {
            sum.wrapping_add(cell.load(Ordering::Relaxed) as u32)
        })
    }

    /// Whether neither connections nor templates name a real server.
    #[must_use]
    pub fn is_idle(&self, id: RealServerId) -> bool {
        self.connections(id) == (0, 0) && self.templates(id) == 0
    }

    /// Adds to one shard's count of templates. Only that shard may call it.
    pub(crate) fn add_template(&self, shard: usize, id: RealServerId, count: i32) {
        if let Some(cell) = self.place(shard, id).and_then(|at| self.templates.get(at)) {
            let sum = (cell.load(Ordering::Relaxed) as u32).wrapping_add_signed(count);
            cell.store(u64::from(sum), Ordering::Relaxed);
        }
    }

    /// Adds to one shard's counts. Only that shard may call it.
    pub(crate) fn add(&self, shard: usize, id: RealServerId, active: i32, inactive: i32) {
        if let Some(cell) = self.cell(shard, id) {
            let count = cell.load(Ordering::Relaxed);
            let active = ((count >> 32) as u32).wrapping_add_signed(active);
            let inactive = (count as u32).wrapping_add_signed(inactive);
            cell.store(
                u64::from(active) << 32 | u64::from(inactive),
                Ordering::Relaxed,
            );
        }
    }

    /// How many real servers it can count.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.width - LINE
    }

    fn cell(&self, shard: usize, id: RealServerId) -> Option<&AtomicU64> {
        self.rows.get(self.place(shard, id)?)
    }

    fn place(&self, shard: usize, id: RealServerId) -> Option<usize> {
        (id.index() < self.width).then_some(shard * self.width + id.index())
    }
}

/// Numbers in a cache line.
const LINE: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_add_up() {
        let loads = Loads::new(3, 10);
        let id = RealServerId(9);
        loads.add(0, id, 2, 1);
        loads.add(2, id, 1, 5);
        loads.add(2, id, -1, 1);
        assert_eq!(loads.connections(id), (2, 7));
        assert_eq!(loads.connections(RealServerId(8)), (0, 0));
        loads.add_template(0, id, 2);
        loads.add_template(2, id, -1);
        assert_eq!((loads.templates(id), loads.connections(id)), (1, (2, 7)));
        loads.add_template(1, RealServerId(4), 1);
        assert!(!loads.is_idle(RealServerId(4)) && loads.is_idle(RealServerId(5)));
        assert_eq!(
            loads.connections(RealServerId(4000)),
            (0, 0),
            "unknown numbers count nothing"
        );
    }
}
