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

    /// Compares overhead per weight. The products need up to 72 bits.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let product = |overhead: u64, weight: u32| u128::from(overhead) * u128::from(weight);
        product(self.overhead, other.weight).cmp(&product(other.overhead, self.weight))
    }
}

/// The smallest share among `members`; of several equals the first.
///
/// *Cost:* the overhead of each and two multiplications, once; where anybody has
/// more than 16 million connections, whose products take more bits, twice.
pub(super) fn least<'r>(
    members: impl Iterator<Item = &'r Member> + Clone,
    overhead: impl Fn(RealServerId) -> u64,
) -> Option<Share> {
    let shares = |member: &Member| Share::of(member, overhead(member.id));
    let mut bits = 0;
    let counted = members
        .clone()
        .map(shares)
        .inspect(|share| bits |= share.overhead);
    let least = first_least(counted, |overhead, weight| {
        overhead.wrapping_mul(u64::from(weight))
    });
    if bits >> 32 == 0 {
        return least;
    }
    first_least(members.map(shares), |overhead, weight| {
        u128::from(overhead) * u128::from(weight)
    })
}

/// The first of those no other is smaller than, by products of this kind.
fn first_least<P: PartialOrd>(
    mut shares: impl Iterator<Item = Share>,
    product: impl Fn(u64, u32) -> P,
) -> Option<Share> {
    let mut least = shares.next()?;
    for share in shares {
        if product(share.overhead, least.weight) < product(least.overhead, share.weight) {
            least = rarely(share);
        }
    }
    Some(least)
}

/// What it is given. A list has few that are smaller than all before them, and
/// a branch that foresees this costs less than to wait for each comparison.
#[cold]
#[inline(never)]
pub(super) fn rarely<T>(value: T) -> T {
    value
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let most = share(u64::from(u32::MAX) * 258, i32::MAX as u32);
        assert_eq!(most.compare(&most), Ordering::Equal);
        assert_eq!(
            most.compare(&share(most.overhead, most.weight - 1)),
            Ordering::Less
        );
    }
}
