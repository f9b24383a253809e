//! Which shard owns a flow.

use core::net::IpAddr;

use crate::config::ClientMask;
use crate::packet::{Seed, flow::hash_end};
use crate::snapshot::ShardId;

/// By what of a client the shard is found that owns its connections.
///
/// Both directions can compute it: requests carry the client as source, replies
/// as destination. Connections of services that are not persistent and seen in
/// one direction only (direct routing, tunnels) have no such owner: they belong
/// to the shard whose queue receives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    /// Address and port: masqueraded connections, spread as widely as can be.
    ByPort,
    /// The part of the address that counts: persistent services, by whatever
    /// method, so that one shard has all connections of a client and the
    /// template that keeps them together.
    ByClient(Option<ClientMask>),
}

impl Owner {
    /// The shard that owns the connections from this end.
    pub(crate) fn shard(self, (client, port): (IpAddr, u16), seed: Seed, shards: u8) -> ShardId {
        match self {
            Self::ByPort => shard_of(client, port, seed, shards),
            Self::ByClient(mask) => {
                let masked = mask.map_or(client, |mask| mask.of(client));
                shard_of(masked, 0, seed, shards)
            }
        }
    }
}

/// The shard after `here` that may have a connection from `client`, where
/// `owners` tells the ways it may have been placed by, the likeliest first.
///
/// A packet of no connection that is handed on like this sees each shard of
/// them once, and then no more.
pub(crate) fn next_owner(
    owners: &[Owner],
    client: (IpAddr, u16),
    here: ShardId,
    (seed, shards): (Seed, u8),
) -> Option<ShardId> {
    if shards <= 1 {
        return None;
    }
    let shard = |owner: &Owner| owner.shard(client, seed, shards);
    let Some(place) = owners.iter().position(|owner| shard(owner) == here) else {
        return owners.first().map(shard);
    };
    let seen = owners.get(..place).unwrap_or(&[]);
    owners
        .iter()
        .skip(place + 1)
        .map(shard)
        .find(|next| *next != here && seen.iter().all(|earlier| shard(earlier) != *next))
}

/// The shard that owns the connections of a client.
///
/// `port` is the client's where connections are masqueraded. Connections of
/// persistent services are all owned by the shard of port 0 and of what counts
/// of the client's address, see [`Persistence::masked`](crate::Persistence::masked).
/// Others, of direct routing and tunnels, belong to the shard whose queue
/// receives them.
#[must_use]
pub fn shard_of(client: IpAddr, port: u16, seed: Seed, shards: u8) -> ShardId {
    if shards <= 1 {
        return ShardId(0);
    }
    shard_by(hash_end(client, port, seed), shards)
}

/// The shard of this hash, 0 where there are none.
pub(crate) const fn shard_by(hash: u64, shards: u8) -> ShardId {
    // The high half scaled to the range: no division, no bias worth naming.
    ShardId((((hash >> 32) * shards as u64) >> 32) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_spread_over_all_shards() {
        let seed = Seed::new(11);
        let mut counts = [0u32; 5];
        for last in 0..100u8 {
            for port in 1000..1100 {
                let shard = shard_of(IpAddr::from([10, 0, 0, last]), port, seed, 5);
                counts[shard.index()] += 1;
            }
        }
        assert!(
            counts.iter().all(|count| (1700..2300).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn a_persistent_client_has_one_owner() {
        let seed = Seed::new(11);
        let net = Owner::ByClient(Some(ClientMask::V4([255, 255, 255, 0].into())));
        let of = |last: u8, port| net.shard(([10, 0, 0, last].into(), port), seed, 7);
        assert!((0..200u8).all(|n| of(n, 1000 + u16::from(n)) == of(0, 0)));
        assert_eq!(of(9, 5), shard_of([10, 0, 0, 0].into(), 0, seed, 7));
    }

    #[test]
    fn a_packet_sees_each_possible_owner_once() {
        let seed = Seed::new(11);
        let owners = [Owner::ByClient(None), Owner::ByPort];
        for port in 0..500u16 {
            let client = (IpAddr::from([10, 0, 0, 1]), port);
            let [first, second] = owners.map(|owner| owner.shard(client, seed, 5));
            for here in (0..5).map(ShardId) {
                let mut visited = alloc::vec![here];
                while let Some(next) =
                    next_owner(&owners, client, visited[visited.len() - 1], (seed, 5))
                {
                    assert!(!visited[1..].contains(&next), "{visited:?} {next:?}");
                    visited.push(next);
                }
                assert!(visited.contains(&second), "{visited:?}");
                assert!(visited.contains(&first) || here == second, "{visited:?}");
            }
        }
        assert_eq!(
            next_owner(&[], ([10, 0, 0, 1].into(), 1), ShardId(0), (seed, 5)),
            None
        );
    }

    #[test]
    fn hashes_are_shared_evenly() {
        let mut counts = [0u32; 3];
        for n in 0..3000u64 {
            counts[shard_by(n.wrapping_mul(0x9e37_79b9_7f4a_7c15), 3).index()] += 1;
        }
        assert!(counts.iter().all(|count| *count > 900), "{counts:?}");
        assert_eq!(shard_by(u64::MAX, 1), ShardId(0));
    }

    #[test]
    fn one_shard_owns_everything() {
        assert_eq!(
            shard_of(IpAddr::from([1, 2, 3, 4]), 5, Seed::new(0), 1),
            ShardId(0)
        );
        assert_eq!(
            shard_of(IpAddr::from([1, 2, 3, 4]), 5, Seed::new(0), 0),
            ShardId(0)
        );
    }
}
