//! Which shard owns a flow.

use core::net::IpAddr;

use crate::packet::{Seed, flow::hash_end};
use crate::snapshot::ShardId;

/// The shard that owns the masqueraded connections of a client.
///
/// Both directions can compute it: requests carry the client as source, replies
/// as destination. Connections seen in one direction only (direct routing,
/// tunnels) belong to the shard whose queue receives them instead.
#[must_use]
pub fn shard_of(client: IpAddr, port: u16, seed: Seed, shards: u8) -> ShardId {
    if shards <= 1 {
        return ShardId(0);
    }
    // The high half scaled to the range: no division, no bias worth naming.
    let hash = hash_end(client, port, seed) >> 32;
    ShardId(((hash * u64::from(shards)) >> 32) as u8)
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
