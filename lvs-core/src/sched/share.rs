//! What a real server bears for its weight.
//!
//! ```text
//! overhead 514, weight 2   is a share of 257
//! overhead 257, weight 2   is a share of 128.5, and least
//! ```
//!
//! Shares are compared by multiplying across, so nothing is rounded.
//!
//! *Source:* the behaviour of Linux 6.12, where `wlc`, `sed`, `nq`, `lblc`,
//! `lblcr` and `twos` compare so.

use core::cmp::Ordering;

use crate::config::RealServerId;

use super::Counts;
use super::roster::Member;

/// A real server's overhead beside its weight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) overhead: u64,
    pub(super) weight: u32,
    pub(super) id: RealServerId,
}

impl Share {
    /// The share of `member`, which bears this much.
    pub(super) fn of(member: &Member, overhead: u64) -> Self {
        Self {
            overhead,
            weight: member.weight,
            id: member.id,
        }
    }

    /// More than any, for lack of weight.
    pub(super) const INFINITE: Self = Self {
        overhead: 1,
        weight: 0,
        id: RealServerId::NONE,
    };

    /// Whether this is smaller, if both overheads fit in 32 bits.
    #[inline]
    const fn is_narrowly_less(&self, other: &Self) -> bool {
        let product = self.overhead.wrapping_mul(other.weight as u64);
        product < other.overhead.wrapping_mul(self.weight as u64)
    }

    /// Compares overhead per weight. The products need up to 72 bits.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let product = |overhead: u64, weight: u32| u128::from(overhead) * u128::from(weight);
        product(self.overhead, other.weight).cmp(&product(other.overhead, self.weight))
    }
}

/// The smallest share among those of `members` that take new connections; of
/// several equals the first. Weight zero has none.
///
/// *Cost:* each share and two multiplications, once; where anybody's overhead
/// takes more than 32 bits, 16 million active connections, twice.
pub(super) fn least<C: Counts>(
    members: &[Member],
    counts: &C,
    share: impl Fn(&Member) -> Share,
) -> Option<Share> {
    let mut search = Search::default();
    let is_available = |member: &Member| member.is_available(counts);
    let (several, rest) = members.as_chunks::<SEVERAL>();
    for members in several {
        search.pass(members, &share, is_available);
    }
    search.pass(rest, &share, is_available);
    search.least().unwrap_or_else(|| {
        let available = members.iter().filter(|member| is_available(member));
        available.map(share).min_by(Share::compare)
    })
}

/// The search for the first of the smallest shares, which come several at a time.
///
/// Few are smaller than all before them. So that no comparison waits for the one
/// before, several are compared together and seldom looked into.
pub(super) struct Search {
    least: Share,
    /// Those of all overheads.
    bits: u64,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            least: Share::INFINITE,
            bits: 0,
        }
    }
}

impl Search {
    /// Looks for something smaller among those of `several` that are available.
    #[inline(always)]
    pub(super) fn pass<T>(
        &mut self,
        several: &[T],
        share: impl Fn(&T) -> Share,
        is_available: impl Fn(&T) -> bool,
    ) {
        let (least, bits) = (self.least, &mut self.bits);
        let any_is_less = several.iter().map(&share).fold(false, |any, share| {
            *bits |= share.overhead;
            any | share.is_narrowly_less(&least)
        });
        if any_is_less {
            for one in several {
                let share = share(one);
                if share.is_narrowly_less(&self.least) && is_available(one) {
                    self.least = share;
                }
            }
        }
    }

    /// The smallest, if anything had weight; `None` where overheads took more than
    /// 32 bits, so that no comparison holds.
    pub(super) fn least(self) -> Option<Option<Share>> {
        (self.bits >> 32 == 0).then_some((self.least.weight > 0).then_some(self.least))
    }
}

/// Members compared together.
const SEVERAL: usize = 8;

#[cfg(test)]
mod tests {
    use super::super::roster::tests::servers;
    use super::super::tests::Census;
    use super::super::{Load, roster::Member};
    use super::*;
    use alloc::vec::Vec;

    fn share(overhead: u64, weight: u32) -> Share {
        let id = RealServerId(0);
        Share {
            overhead,
            weight,
            id,
        }
    }

    #[test]
    fn shares_compare_exactly() {
        assert_eq!(share(514, 2).compare(&share(257, 1)), Ordering::Equal);
        assert_eq!(share(3, 10).compare(&share(1, 3)), Ordering::Less);
        assert_eq!(share(0, 1).compare(&share(0, 9)), Ordering::Equal);
        assert!(share(257, 2).is_narrowly_less(&share(129, 1)));
        assert!(!share(258, 2).is_narrowly_less(&share(129, 1)));
        assert!(
            share(257, 1).is_narrowly_less(&share(3, 0)),
            "no weight is no share"
        );
        let most = share(u64::from(u32::MAX) * 258, i32::MAX as u32);
        assert_eq!(most.compare(&most), Ordering::Equal);
        assert_eq!(
            most.compare(&share(most.overhead, most.weight - 1)),
            Ordering::Less
        );
    }

    /// The least of so many members as a walk finds it, with every load alike
    /// but those given.
    fn found(loads: &[(u32, u32)], members: &[Member]) -> Option<u32> {
        let mut counts = Census::default();
        for (number, active) in loads {
            let load = Load {
                active: *active,
                inactive: 3,
            };
            counts.loads.insert(*number, load);
        }
        let share = |member: &Member| Share::of(member, counts.load(member.id).overhead());
        let least = least(members, &counts, share).map(|least| least.id.0);
        let available = members.iter().filter(|member| member.weight > 0);
        let naive = available.map(share).min_by(Share::compare);
        assert_eq!(least, naive.map(|naive| naive.id.0));
        least
    }

    #[test]
    fn the_least_is_what_a_plain_walk_finds() {
        let mut random = 5u32;
        let mut next = |below: u32| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 16) % below
        };
        for most in [3, 1_000, u32::MAX] {
            for count in 0..40 {
                let numbers: Vec<_> = (0..count).map(|number| (number, next(4))).collect();
                let loads: Vec<_> = (0..count)
                    .map(|number| (number, next(3) * (most / 3)))
                    .collect();
                found(&loads, &servers(&numbers));
            }
        }
        let members = servers(&[(1, 1), (2, 1), (3, 0)]);
        let most = u32::MAX;
        assert_eq!(found(&[(1, most), (2, most), (3, 0)], &members), Some(1));
        assert_eq!(found(&[(1, most), (2, most - 1)], &members), Some(2));
    }
}
