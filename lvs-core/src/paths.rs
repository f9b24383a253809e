//! The longest packets the paths to real servers take, learnt from routers on
//! the way.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use crate::config::RealServerId;
use crate::time::{Tick, ticks};

/// What has been learnt of each tunnel's path, by real server, shared by all
/// shards: the error that teaches it comes to one shard, the packets that are
/// too long pass through any.
///
/// Written once in a long while and only read by packets, so its lines stay in
/// every core's cache.
///
/// *Source:* RFC 1191 section 6.3 for forgetting after ten minutes; the kernel
/// does so too (`mtu_expires`).
#[derive(Debug)]
pub(crate) struct PathMtus {
    /// MTU in the upper half, the tick it is forgotten in the lower; zero
    /// where nothing is known.
    learnt: Vec<AtomicU64>,
}

impl PathMtus {
    /// Nothing learnt of so many real servers.
    pub(crate) fn new(real_servers: usize) -> Arc<Self> {
        let learnt = (0..real_servers).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self { learnt })
    }

    /// The longest packet that `mtu` and what was learnt allow, bytes.
    pub(crate) fn limit(&self, id: RealServerId, mtu: u32, now: Tick) -> u32 {
        match self.read(id) {
            Some((learnt, until)) if now.until(until) > 0 => learnt.min(mtu),
            _ => mtu,
        }
    }

    /// Takes note that the path takes `mtu` bytes, where up to `present` went so far.
    ///
    /// Nobody is believed who says less than [`LEAST`]: a forged error must not
    /// make packets arbitrarily small.
    pub(crate) fn learn(&self, id: RealServerId, mtu: u32, present: u32, now: Tick) {
        let mtu = mtu.max(LEAST);
        if let Some(cell) = self.learnt.get(id.index())
            && mtu <= present
        {
            let until = now.after(ticks(KEPT));
            cell.store(u64::from(mtu) << 32 | u64::from(until.0), Ordering::Relaxed);
        }
    }

    /// Forgets what was learnt under a number that is about to be reused.
    pub(crate) fn forget(&self, id: RealServerId) {
        if let Some(cell) = self.learnt.get(id.index()) {
            cell.store(0, Ordering::Relaxed);
        }
    }

    fn read(&self, id: RealServerId) -> Option<(u32, Tick)> {
        match self.learnt.get(id.index())?.load(Ordering::Relaxed) {
            0 => None,
            known => Some(((known >> 32) as u32, Tick(known as u32))),
        }
    }
}

/// How long a learnt MTU is believed.
const KEPT: Duration = Duration::from_secs(600);
/// The least MTU believed, bytes: the kernel's `min_pmtu`.
const LEAST: u32 = 552;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Instant;

    fn at(seconds: u64) -> Tick {
        Instant::from_nanoseconds(seconds * 1_000_000_000).tick()
    }

    #[test]
    fn a_smaller_mtu_is_kept_for_ten_minutes() {
        let paths = PathMtus::new(2);
        let id = RealServerId(1);
        assert_eq!(paths.limit(id, 1500, at(1)), 1500);
        paths.learn(id, 1400, 1500, at(1));
        paths.learn(id, 1450, 1400, at(1));
        assert_eq!(paths.limit(id, 1500, at(600)), 1400);
        assert_eq!(paths.limit(id, 1300, at(600)), 1300);
        assert_eq!(paths.limit(RealServerId(0), 1500, at(600)), 1500);
        assert_eq!(paths.limit(id, 1500, at(602)), 1500);
    }

    #[test]
    fn absurd_ones_and_strangers_are_not_believed() {
        let paths = PathMtus::new(1);
        paths.learn(RealServerId(0), 68, 1500, at(1));
        assert_eq!(paths.limit(RealServerId(0), 1500, at(1)), 552);
        paths.forget(RealServerId(0));
        assert_eq!(paths.limit(RealServerId(0), 1500, at(1)), 1500);
        paths.learn(RealServerId(7), 1000, 1500, at(1));
        assert_eq!(paths.limit(RealServerId(7), 1500, at(1)), 1500);
    }
}
