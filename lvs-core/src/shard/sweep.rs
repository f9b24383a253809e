//! With `expire_nodest_conn`, connections end with their real server and wait
//! for no further packet.
//!
//! *Source:* the behaviour of `ip_vs_ctl.c`, Linux 6.12.

use super::Shard;
use crate::config::Setting;
use crate::snapshot::Snapshot;
use crate::time::Instant;

impl Shard<'_> {
    /// Begins a sweep if a real server of `old` is gone and connections are to
    /// end with it.
    pub(super) fn begin_sweep(&mut self, old: &Snapshot) {
        let snapshot = &self.snapshot;
        let gone = || {
            let mut old = (0..).zip(&old.real_servers);
            let is_gone = |id| {
                snapshot
                    .real_server(crate::config::RealServerId(id))
                    .is_none()
            };
            old.any(|(id, planned)| planned.is_some() && is_gone(id))
        };
        if snapshot.config.settings().is_on(Setting::ExpireNodestConn) && gone() {
            self.to_sweep = self.table.touched();
        }
    }

    /// Goes on with a sweep, if there is one, by at most `budget` entries.
    pub(super) fn sweep(&mut self, now: Instant, budget: u32) {
        let end = self.to_sweep;
        let begin = end.saturating_sub(budget as usize);
        self.to_sweep = begin;
        if begin == end {
            return;
        }
        let (mut step, _) = self.step(now);
        for at in begin..end {
            let at = at as u32;
            let is_orphan = step.table.entry(at).is_some_and(|entry| {
                let id = entry.real_server();
                entry.is_used() && step.snapshot.real_server(id).is_none()
            });
            if is_orphan {
                step.end(at);
            }
        }
    }
}
