//! What `lblc` and `lblcr` have in common.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use core::time::Duration;

use crate::config::RealServerId;

use super::cache::{Cache, WORDS};
use super::memory::{Memory, Row};
use super::roster::Member;
use super::sets::WORDS_WITH_SETS;
use super::share::Share;
use super::{Counts, Roster};

/// What a roster holds for a scheduler that remembers destinations.
#[derive(Clone, Debug)]
pub(super) struct Localities {
    memory: Arc<Memory>,
    /// Places on the roster by the real servers' numbers; [`NO_PLACE`] for those
    /// of no member.
    places: Box<[u32]>,
    /// Weights by the real servers' numbers; zero for those of no member.
    weights: Box<[u32]>,
    /// How long an unused destination is remembered.
    pub(super) expiration: Duration,
}

impl Localities {
    /// With the memory of `previous`, or else new memory, which has room for
    /// sets of real servers if asked for.
    ///
    /// *Cost:* for the control side; eight bytes for each number up to the
    /// largest, and a megabyte or two of memory a shard the first time.
    pub(super) fn of(
        previous: Option<&Self>,
        members: &[Member],
        expiration: Duration,
        shards: usize,
        with_sets: bool,
    ) -> Self {
        let words = if with_sets { WORDS_WITH_SETS } else { WORDS };
        let memory = previous.map_or_else(
            || Arc::new(Memory::new(shards, words)),
            |previous| previous.memory.clone(),
        );
        let numbers = members.iter().map(|member| member.id.index() + 1);
        let numbers = numbers.max().unwrap_or(0);
        let mut places = vec![NO_PLACE; numbers].into_boxed_slice();
        let mut weights = vec![0; numbers].into_boxed_slice();
        for (place, member) in (0..).zip(members) {
            let index = member.id.index();
            if let (Some(known), Some(weight)) = (places.get_mut(index), weights.get_mut(index)) {
                (*known, *weight) = (place, member.weight);
            }
        }
        Self {
            memory,
            places,
            weights,
            expiration,
        }
    }

    /// The memory of one shard.
    pub(super) fn row(&self, shard: usize) -> Row<'_> {
        self.memory.row(shard)
    }

    /// Whether what `other` remembers is remembered here.
    pub(super) fn goes_on_from(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.memory, &other.memory)
    }

    /// The real server of this number, if it is on the list these were made of.
    pub(super) fn member<'r>(&self, members: &'r [Member], number: u32) -> Option<&'r Member> {
        members.get(*self.places.get(number as usize)? as usize)
    }

    /// The share of the real server of this number; without weight if it is not on
    /// the list.
    ///
    /// *Cost:* two loads; [`member`](Self::member) takes more.
    #[inline]
    pub(super) fn share<C: Counts>(&self, number: u32, counts: &C) -> Share {
        let id = RealServerId(number);
        Share {
            overhead: counts.load(id).overhead(),
            weight: self.weights.get(number as usize).copied().unwrap_or(0),
            id,
        }
    }
}

/// Past the end of any roster.
const NO_PLACE: u32 = u32::MAX;

/// Has a shard forget its destinations where `new` does not go on from `old`.
pub(super) fn adopt(cache: &mut Cache, shard: usize, old: Option<&Roster>, new: &Roster) {
    let (old, Some(new)) = (old.and_then(Roster::localities), new.localities()) else {
        return;
    };
    if old.is_none_or(|old| !new.goes_on_from(old)) {
        cache.clear(new.row(shard));
    }
}

/// Whether a real server has more active connections than its weight while
/// another has fewer than half as many: then it is left although it is known.
///
/// *Cost:* one load, and only past the weight those of all.
pub(super) fn is_burdened<C: Counts>(roster: &Roster, member: &Member, counts: &C) -> bool {
    let active = |member: &Member| u64::from(counts.load(member.id).active);
    let idle = |any, member: &Member| any | (active(member) * 2 < u64::from(member.weight));
    // Several at a time, as seldom any is.
    let (several, rest) = roster.members().as_chunks::<8>();
    active(member) > u64::from(member.weight)
        && (rest.iter().fold(false, idle)
            || several
                .iter()
                .any(|members| members.iter().fold(false, idle)))
}

#[cfg(test)]
mod tests {
    use super::super::roster::tests::servers;
    use super::*;

    #[test]
    fn members_are_found_by_number() {
        let members = servers(&[(30, 1), (10, 2), (20, 3)]);
        let localities = Localities::of(None, &members, Duration::ZERO, 1, false);
        let weight = |number| localities.member(&members, number).map(|m| m.weight);
        assert_eq!([30, 10, 20].map(weight), [Some(1), Some(2), Some(3)]);
        assert_eq!([0, 15, 31].map(weight), [None; 3]);
    }
}
