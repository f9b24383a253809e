//! What a shard has done, in plain numbers.

use alloc::vec::Vec;
use core::ops::Range;

use crate::config::RealServerId;
use crate::conn::Direction;
use crate::verdict::{DropReason, Verdict};

/// Counters of one shard since it began; they wrap after 2^64.
///
/// Every packet is counted under one verdict. A datagram that came in fragments
/// is a packet of its own once it has come to its end, beside its fragments, and
/// is counted under what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Packets handed in, and datagrams put together or given up.
    pub packets: u64,
    /// Packets sent on, the director's own answers among them.
    pub transmitted: u64,
    /// Packets left to the host.
    pub host: u64,
    /// Packets given to another shard.
    pub handed_off: u64,
    /// Fragments kept until the rest of their datagram came. Each is counted in
    /// one of the next two when its datagram has come to its end.
    pub held: u64,
    /// Of these, fragments of datagrams that came whole, or turned out to be the
    /// host's.
    pub joined: u64,
    /// Of these, fragments of datagrams that were given up.
    pub given_up: u64,
    /// Packets too long for the MTU ahead; counted in `transmitted` too.
    pub cut: u64,
    /// Packets dropped, in the order of [`DropReason::ALL`].
    drops: [u64; DropReason::ALL.len()],
    /// ICMP answers made in place of a packet; counted in `transmitted` too.
    pub answers: u64,
    /// Connections begun.
    pub opened: u64,
    /// Connections ended: by timeout, or replaced by a new one of the same flow.
    pub closed: u64,
    /// By [`RealServerId`].
    real_servers: Vec<Traffic>,
}

/// What passed between a real server and its clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Connections begun.
    pub connections: u64,
    /// Packets from clients.
    pub packets_in: u64,
    /// Bytes of them, IP headers included.
    pub bytes_in: u64,
    /// Packets to clients, as far as they cross the director.
    pub packets_out: u64,
    /// Bytes of them, IP headers included.
    pub bytes_out: u64,
}

impl Stats {
    /// Zeroes, with room for so many real servers.
    #[must_use]
    pub fn new(real_servers: usize) -> Self {
        Self {
            packets: 0,
            transmitted: 0,
            host: 0,
            handed_off: 0,
            held: 0,
            joined: 0,
            given_up: 0,
            cut: 0,
            drops: [0; DropReason::ALL.len()],
            answers: 0,
            opened: 0,
            closed: 0,
            real_servers: alloc::vec![Traffic::default(); real_servers],
        }
    }

    /// Packets dropped for a reason.
    #[must_use]
    pub const fn dropped(&self, reason: DropReason) -> u64 {
        self.drops[reason.index()]
    }

    /// Packets dropped for any reason.
    #[must_use]
    pub fn all_dropped(&self) -> u64 {
        self.drops.iter().sum()
    }

    /// What passed at a real server.
    #[must_use]
    pub fn traffic(&self, id: RealServerId) -> Traffic {
        self.real_servers
            .get(id.index())
            .copied()
            .unwrap_or_default()
    }

    /// Adds another shard's counters to these.
    pub fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.transmitted += other.transmitted;
        self.host += other.host;
        self.handed_off += other.handed_off;
        self.held += other.held;
        self.joined += other.joined;
        self.given_up += other.given_up;
        self.cut += other.cut;
        self.answers += other.answers;
        self.opened += other.opened;
        self.closed += other.closed;
        for (mine, theirs) in self.drops.iter_mut().zip(&other.drops) {
            *mine += theirs;
        }
        for (mine, theirs) in self.real_servers.iter_mut().zip(&other.real_servers) {
            mine.connections += theirs.connections;
            mine.packets_in += theirs.packets_in;
            mine.bytes_in += theirs.bytes_in;
            mine.packets_out += theirs.packets_out;
            mine.bytes_out += theirs.bytes_out;
        }
    }

    /// Every counter as a plain number, real servers last: for those who keep
    /// or ship them without knowing what each is.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        let traffic = self.numbers_of(0..self.real_servers.len());
        self.common_numbers().chain(traffic)
    }

    /// Those that are of no real server, [`COMMON`](Self::COMMON) of them.
    pub fn common_numbers(&self) -> impl Iterator<Item = u64> {
        let fixed = [
            self.packets,
            self.transmitted,
            self.host,
            self.handed_off,
            self.held,
            self.joined,
            self.given_up,
            self.cut,
            self.answers,
            self.opened,
            self.closed,
        ];
        fixed.into_iter().chain(self.drops)
    }

    /// Those of some real servers, by their numbers,
    /// [`PER_REAL_SERVER`](Self::PER_REAL_SERVER) of each.
    pub fn numbers_of(&self, real_servers: Range<usize>) -> impl Iterator<Item = u64> {
        let some = self.real_servers.get(real_servers).unwrap_or_default();
        some.iter().flat_map(|t| {
            [
                t.connections,
                t.packets_in,
                t.bytes_in,
                t.packets_out,
                t.bytes_out,
            ]
        })
    }

    /// For how many real servers there is room.
    #[must_use]
    pub const fn real_servers(&self) -> usize {
        self.real_servers.len()
    }

    /// The same, to be written.
    pub fn numbers_mut(&mut self) -> impl Iterator<Item = &mut u64> {
        let fixed = [
            &mut self.packets,
            &mut self.transmitted,
            &mut self.host,
            &mut self.handed_off,
            &mut self.held,
            &mut self.joined,
            &mut self.given_up,
            &mut self.cut,
            &mut self.answers,
            &mut self.opened,
            &mut self.closed,
        ];
        let traffic = self.real_servers.iter_mut().flat_map(|t| {
            [
                &mut t.connections,
                &mut t.packets_in,
                &mut t.bytes_in,
                &mut t.packets_out,
                &mut t.bytes_out,
            ]
        });
        fixed.into_iter().chain(&mut self.drops).chain(traffic)
    }

    /// How many of the numbers are of no real server.
    pub const COMMON: usize = FIXED + DropReason::ALL.len();
    /// How many are of each real server.
    pub const PER_REAL_SERVER: usize = 5;

    pub(crate) fn count(&mut self, verdict: Verdict) {
        self.packets += 1;
        match verdict {
            Verdict::Transmit(_) => self.transmitted += 1,
            Verdict::Cut(..) => {
                self.transmitted += 1;
                self.cut += 1;
            }
            Verdict::Held => self.held += 1,
            // Counted by what becomes of it in the end.
            Verdict::Fragment => self.packets -= 1,
            Verdict::Host | Verdict::Deliver => self.host += 1,
            Verdict::Handoff(_) => self.handed_off += 1,
            Verdict::Drop(reason) => self.drops[reason.index()] += 1,
        }
    }

    /// Counts a datagram in so many fragments as dropped.
    pub(crate) fn give_up(&mut self, reason: DropReason, fragments: u16) {
        self.count(Verdict::Drop(reason));
        self.given_up += u64::from(fragments);
    }

    pub(crate) fn count_packet(&mut self, id: RealServerId, direction: Direction, bytes: u32) {
        if let Some(traffic) = self.real_servers.get_mut(id.index()) {
            match direction {
                Direction::Request => {
                    traffic.packets_in += 1;
                    traffic.bytes_in += u64::from(bytes);
                }
                Direction::Reply => {
                    traffic.packets_out += 1;
                    traffic.bytes_out += u64::from(bytes);
                }
            }
        }
    }

    pub(crate) fn count_connection(&mut self, id: RealServerId) {
        self.opened += 1;
        if let Some(traffic) = self.real_servers.get_mut(id.index()) {
            traffic.connections += 1;
        }
    }

    /// Forgets what was counted under a real server's number that is about to be
    /// reused, or has been by now.
    pub fn forget(&mut self, id: RealServerId) {
        if let Some(traffic) = self.real_servers.get_mut(id.index()) {
            *traffic = Traffic::default();
        }
    }
}

/// Numbers of a shard besides drops and real servers.
const FIXED: usize = 11;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Port;

    #[test]
    fn numbers_are_written_where_they_are_read() {
        let mut stats = Stats::new(2);
        for (n, number) in (1..).zip(stats.numbers_mut()) {
            *number = n;
        }
        let count = (Stats::COMMON + 2 * Stats::PER_REAL_SERVER) as u64;
        assert!(stats.numbers().eq(1..=count));
        assert_eq!(stats.traffic(RealServerId(1)).bytes_out, count);
        let last = stats.numbers_of(1..2);
        assert!(last.eq(count - Stats::PER_REAL_SERVER as u64 + 1..=count));
    }

    #[test]
    fn each_verdict_is_counted_once() {
        let mut stats = Stats::new(1);
        for reason in DropReason::ALL {
            stats.count(Verdict::Drop(reason));
        }
        stats.count(Verdict::Transmit(Port(0)));
        stats.count(Verdict::Cut(Port(0), 1400));
        stats.count(Verdict::Held);
        stats.count(Verdict::Fragment);
        stats.count(Verdict::Host);
        assert!(
            DropReason::ALL
                .into_iter()
                .all(|reason| stats.dropped(reason) == 1)
        );
        let parts = stats.transmitted + stats.host + stats.handed_off + stats.all_dropped();
        assert_eq!(stats.packets, parts + stats.held);
        assert_eq!((stats.transmitted, stats.cut, stats.held), (2, 1, 1));
    }

    #[test]
    fn shards_add_up() {
        let mut one = Stats::new(2);
        one.count(Verdict::Host);
        one.count_packet(RealServerId(1), Direction::Reply, 40);
        let mut two = one.clone();
        two.add(&one);
        assert_eq!((two.host, two.packets), (2, 2));
        assert_eq!((two.traffic(RealServerId(1)).bytes_out), 80);
        assert_eq!(two.traffic(RealServerId(9)), Traffic::default());
    }
}
