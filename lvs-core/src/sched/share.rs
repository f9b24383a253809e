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
/// *Cost:* the overhead of each, once.
pub(super) fn least<'r>(
    members: impl Iterator<Item = &'r Member>,
    overhead: impl Fn(RealServerId) -> u64,
) -> Option<Share> {
    let shares = members.map(|member| Share::of(member, overhead(member.id)));
    // Of several equals, `min_by` gives the first.
    shares.min_by(Share::compare)
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
