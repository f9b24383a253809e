//! Defences against a flood of connections: what is given up for those that
//! are wanted.
//!
//! | setting | what is given up |
//! |---|---|
//! | `drop_packet` | every so manieth new connection |
//! | `drop_entry` | connections that were never confirmed, or of little use |
//! | `secure_tcp` | trust in a client's word that a connection is made |
//!
//! *Source:* the behaviour of `ip_vs_ctl.c` and `ip_vs_conn.c`, Linux 6.12.

use super::Shard;
use super::decide::Step;
use crate::config::{RealServerId, Setting, Settings};
use crate::conn::sctp::SctpState;
use crate::conn::tcp::TcpState;
use crate::conn::{ASSURED, Entry, State, TEMPLATE};
use crate::memory;
use crate::snapshot::Snapshot;
use crate::time::{Instant, ticks};
use core::time::Duration;

/// What a shard remembers for its defences.
#[derive(Clone, Copy, Debug)]
pub(super) struct Defence {
    /// When memory was last looked at.
    at: Option<Instant>,
    /// Whether it was low then.
    low: bool,
    /// While memory is low, every so manieth new connection is dropped.
    rate: i64,
    /// New connections until the next one is dropped.
    until_drop: i64,
    /// Entries still to look at in this second.
    looks: usize,
    /// Entries owed a look from earlier seconds, in parts of [`SHARE`].
    owed: usize,
    /// Idle connections seen since one of as many packets was given up.
    passed: [u8; FEW as usize + 1],
    random: u64,
}

impl Defence {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            at: None,
            low: false,
            rate: 0,
            until_drop: 0,
            looks: 0,
            owed: 0,
            passed: [0; FEW as usize + 1],
            random: seed,
        }
    }

    /// Whether a defence with this setting acts now.
    const fn acts(&self, settings: &Settings, setting: Setting) -> bool {
        memory::acts(settings.get(setting), self.low)
    }

    /// Whether a client's word alone does not make a connection with this real
    /// server.
    pub(super) fn distrusts(&self, snapshot: &Snapshot, id: RealServerId) -> bool {
        self.acts(snapshot.settings_of(id), Setting::SecureTcp)
    }

    /// Whether this new connection is one of those dropped.
    fn drops(&mut self, settings: &Settings) -> bool {
        if !self.acts(settings, Setting::DropPacket) {
            return false;
        }
        let rate = match settings.get(Setting::DropPacket) {
            3 => i64::from(settings.get(Setting::AmDropRate)),
            _ => self.rate,
        };
        if rate == 0 {
            return false;
        }
        self.until_drop -= 1;
        if self.until_drop > 0 {
            return false;
        }
        self.until_drop = rate;
        true
    }

    /// Whether a connection of so many packets that has been idle for a while
    /// is given up: of those with `n` packets every `n`th.
    fn tires_of(&mut self, packets: u32) -> bool {
        let Some(passed) = self.passed.get_mut(packets as usize) else {
            return false;
        };
        *passed += 1;
        let gone = packets > 0 && u32::from(*passed) >= packets;
        if gone || packets == 0 {
            *passed = 0;
        }
        gone
    }

    /// A number below `limit`.
    fn random(&mut self, limit: usize) -> u32 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (((self.random >> 32) * limit as u64) >> 32) as u32
    }
}

impl Step<'_, '_> {
    /// Whether a new connection is dropped to defend the others.
    pub(super) fn drops_new(&mut self, settings: &Settings) -> bool {
        self.defence.drops(settings)
    }

    /// Looks at one connection of many, and gives it up if it is worth little.
    fn weigh_one(&mut self) {
        let at = self.defence.random(self.table.touched());
        let Some(entry) = self.table.entry(at).filter(|entry| entry.is_used()) else {
            return;
        };
        let settings = self.snapshot.settings_of(entry.real_server());
        if entry.controlled() > 0 || !self.defence.acts(settings, Setting::DropEntry) {
            return;
        }
        let packets = entry.packets();
        let worth_little = match State::of(entry.protocol(), entry.state_bits()) {
            _ if entry.has(TEMPLATE) && !self.is_of_one_packets(entry) => !entry.has(ASSURED),
            _ if entry.has(TEMPLATE) => self.is_idle(entry) && self.defence.tires_of(packets),
            State::Tcp(TcpState::SynReceived | TcpState::SynAck)
            | State::Sctp(SctpState::Init1 | SctpState::Init) => true,
            State::Tcp(TcpState::Established)
            | State::Sctp(SctpState::Established)
            | State::Udp => self.is_idle(entry) && self.defence.tires_of(packets),
            State::Tcp(_) | State::Sctp(_) => false,
        };
        if worth_little {
            self.end_with_template(at);
        }
    }

    /// Whether an entry is of a service that keeps no connections.
    fn is_of_one_packets(&self, entry: Entry<'_>) -> bool {
        let planned = self.snapshot.real_server(entry.real_server());
        let service = planned.and_then(|it| self.snapshot.services.get(it.service as usize));
        service.is_some_and(|service| service.one_packet)
    }

    /// Whether a connection's last packet was long ago.
    fn is_idle(&self, entry: Entry<'_>) -> bool {
        let lifetime = if entry.has(TEMPLATE) {
            entry.lifetime()
        } else {
            let state = State::of(entry.protocol(), entry.state_bits());
            self.snapshot.lifetimes.of(state)
        };
        let left = self.now.tick().until(entry.deadline()).max(0) as u32;
        lifetime.saturating_sub(left) >= ticks(IDLE)
    }
}

impl Shard<'_> {
    /// Looks at memory once a second, and in between at the connections that
    /// may have to go, at most `budget` of them.
    pub(super) fn defend(&mut self, now: Instant, budget: u32) {
        let defence = &mut self.defence;
        if defence.at.is_none_or(|at| now.since(at) >= SECOND) {
            defence.at = Some(now);
            let settings = self.snapshot.config.settings();
            let shortage = self.snapshot.memory.shortage(settings);
            defence.low = shortage.is_some();
            if let Some(short) = shortage {
                defence.rate = (memory::threshold(settings) / short) as i64;
                if settings.get(Setting::DropPacket) != 3 {
                    defence.until_drop = defence.rate;
                }
            }
            defence.looks = 0;
            if memory::acts(self.snapshot.drop_entry, defence.low) {
                defence.owed += self.table.touched();
                defence.looks = defence.owed / SHARE;
                defence.owed %= SHARE;
            }
        }
        let looks = defence.looks.min(budget as usize);
        if looks == 0 {
            return;
        }
        defence.looks -= looks;
        let (mut step, _) = self.step(now);
        for _ in 0..looks {
            step.weigh_one();
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);
/// One of so many connections is looked at each second.
const SHARE: usize = 32;
/// Without a packet for so long a connection is idle.
const IDLE: Duration = Duration::from_secs(60);
/// A connection of more packets than these is never given up.
const FEW: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(values: &[(Setting, i32)]) -> Settings {
        let mut settings = Settings::default();
        for (setting, value) in values {
            settings.set(*setting, *value).unwrap();
        }
        settings
    }

    #[test]
    fn the_first_of_every_three_is_dropped() {
        let mut defence = Defence::new(1);
        let on = settings(&[(Setting::DropPacket, 3), (Setting::AmDropRate, 3)]);
        let dropped: alloc::vec::Vec<_> = (0..7).map(|_| defence.drops(&on)).collect();
        assert_eq!(dropped, [true, false, false, true, false, false, true]);
        assert!(!defence.drops(&settings(&[(Setting::DropPacket, 2)])));
        let never = settings(&[(Setting::DropPacket, 3), (Setting::AmDropRate, 0)]);
        assert!((0..9).all(|_| !defence.drops(&never)));
        let all = settings(&[(Setting::DropPacket, 3), (Setting::AmDropRate, -1)]);
        let mut fresh = Defence::new(1);
        assert!((0..9).all(|_| fresh.drops(&all)));
    }

    #[test]
    fn of_idle_connections_with_few_packets_some_go() {
        let mut defence = Defence::new(1);
        let gone = |defence: &mut Defence, packets: u32| {
            (0..24).filter(|_| defence.tires_of(packets)).count()
        };
        assert_eq!(gone(&mut defence, 0), 0);
        assert_eq!(gone(&mut defence, 1), 24);
        assert_eq!(gone(&mut defence, 3), 8);
        assert_eq!(gone(&mut defence, 8), 3);
        assert_eq!(gone(&mut defence, 9), 0);
    }

    #[test]
    fn every_place_is_looked_at() {
        let mut defence = Defence::new(7);
        let mut seen = [false; 10];
        for _ in 0..200 {
            seen[defence.random(seen.len()) as usize] = true;
        }
        assert_eq!(seen, [true; 10]);
    }
}
