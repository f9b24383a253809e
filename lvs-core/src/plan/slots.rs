//! Which place belongs to which service.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::config::{Config, ServiceKey};

/// The places of services in arrays kept by service over generations.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    taken: BTreeMap<ServiceKey, u32>,
    /// The others, the last to be given first.
    free: Vec<u32>,
}

impl Slots {
    /// So many places, all free.
    pub(super) fn new(count: usize) -> Self {
        Self {
            taken: BTreeMap::new(),
            free: (0..count as u32).rev().collect(),
        }
    }

    /// Frees the places of services that `config` no longer has.
    pub(super) fn retire(&mut self, config: &Config) {
        let free = &mut self.free;
        self.taken.retain(|key, slot| {
            let is_kept = config.service(*key).is_some();
            if !is_kept {
                free.push(*slot);
            }
            is_kept
        });
    }

    /// The place of a service: its own, or a free one if there is any.
    ///
    /// *Cost:* logarithmic.
    pub(super) fn take(&mut self, key: ServiceKey) -> Option<u32> {
        if let Some(slot) = self.taken.get(&key) {
            return Some(*slot);
        }
        let slot = self.free.pop()?;
        self.taken.insert(key, slot);
        Some(slot)
    }
}
