//! What a shard's schedulers remember, and how it goes over from one snapshot to
//! the next.
//!
//! ```text
//!  adopted: generation 7 ──> 8     services   [ 8 | 8 | 8 | 7 | 7 | 7 | 8 | 7 ]
//!                                               next ──────^           ^
//!                                                        asked for ahead of its turn
//! ```
//!
//! A director may have ten thousand services, and to go over takes a tenth of a
//! microsecond and more for each. So that no packet waits for all of them, it is
//! done bit by bit between packets, and for a service that is asked before its turn
//! has come then.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::sched::State;
use crate::snapshot::{PlannedService, ShardId, Snapshot};
use crate::stats::Stats;

/// The schedulers of one shard.
#[derive(Debug)]
pub(super) struct Schedulers {
    id: ShardId,
    seed: u64,
    /// By the slot that stays with a service over generations.
    slots: Vec<Slot>,
    /// The adoption under way.
    adoption: Option<Adoption>,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    state: Option<State>,
    /// Of the snapshot by whose roster it works.
    generation: u64,
}

#[derive(Debug)]
struct Adoption {
    old: Arc<Snapshot>,
    /// The place of the service whose turn it is.
    next: usize,
}

impl Schedulers {
    /// Those of a shard, with room for so many services, that works by `snapshot`.
    ///
    /// `seed` is another for each shard.
    pub(super) fn new(id: ShardId, seed: u64, services: usize, snapshot: &Snapshot) -> Self {
        let mut schedulers = Self {
            id,
            seed,
            slots: alloc::vec![Slot::default(); services],
            adoption: None,
        };
        for service in &snapshot.services {
            schedulers.go_over(None, snapshot, service);
        }
        schedulers
    }

    /// Goes over from `old` from now on. The adoption before must be complete.
    pub(super) fn begin(&mut self, old: Arc<Snapshot>) {
        self.adoption = Some(Adoption { old, next: 0 });
    }

    /// Whether an adoption is under way.
    pub(super) const fn is_adopting(&self) -> bool {
        self.adoption.is_some()
    }

    /// The snapshot it goes over from.
    pub(super) fn old(&self) -> Option<&Arc<Snapshot>> {
        self.adoption.as_ref().map(|adoption| &adoption.old)
    }

    /// Has some services go over to `snapshot`, as many as together with their real
    /// servers are no more than `budget`, at least one; the snapshot before, once
    /// it is needed no more.
    pub(super) fn adopt(
        &mut self,
        snapshot: &Snapshot,
        stats: &mut Stats,
        budget: u32,
    ) -> Option<Arc<Snapshot>> {
        let Adoption { old, mut next } = self.adoption.take()?;
        let mut left = budget as usize;
        while let Some(service) = snapshot.services.get(next) {
            self.catch_up(&old, snapshot, service, stats);
            next += 1;
            left = left.saturating_sub(1 + service.roster.members().len());
            if left == 0 {
                break;
            }
        }
        if next >= snapshot.services.len() {
            return Some(old);
        }
        self.adoption = Some(Adoption { old, next });
        None
    }

    /// The scheduler of a service of `snapshot`, which is adopted or about to be.
    pub(super) fn of(
        &mut self,
        service: &PlannedService,
        snapshot: &Snapshot,
        stats: &mut Stats,
    ) -> Option<&mut State> {
        // Only while an adoption is under way is any behind.
        if let Some(Adoption { old, next }) = self.adoption.take() {
            self.catch_up(&old, snapshot, service, stats);
            self.adoption = Some(Adoption { old, next });
        }
        self.slots.get_mut(service.slot as usize)?.state.as_mut()
    }

    /// Has a service go over, if it has not yet.
    fn catch_up(
        &mut self,
        old: &Snapshot,
        snapshot: &Snapshot,
        service: &PlannedService,
        stats: &mut Stats,
    ) {
        let slot = self.slots.get(service.slot as usize);
        if slot.is_some_and(|slot| slot.generation != snapshot.generation) {
            self.go_over(Some(old), snapshot, service);
            for id in snapshot.numbered_of(service, old.generation) {
                stats.forget(id);
            }
        }
    }

    fn go_over(&mut self, old: Option<&Snapshot>, snapshot: &Snapshot, service: &PlannedService) {
        let Some(slot) = self.slots.get_mut(service.slot as usize) else {
            return;
        };
        let before = old.and_then(|old| old.service_of(service.key));
        let before = before.map(|before| &before.roster);
        let scheduler = service.roster.scheduler();
        if before.is_none_or(|before| before.scheduler() != scheduler) {
            let seed = self.seed ^ u64::from(service.slot);
            slot.state = Some(State::new(scheduler, self.id.index(), seed));
        }
        if let Some(state) = &mut slot.state {
            state.adopt(before, &service.roster);
        }
        slot.generation = snapshot.generation;
    }
}
