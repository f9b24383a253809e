//! ICMP answers of the director's own: to whom, from whom, and how many in a while.

use core::net::IpAddr;

use super::decide::Step;
use crate::config::RealServerId;
use crate::conn::{Direction, Method};
use crate::forward::{self, Stopped};
use crate::network::Resolution;
use crate::packet::ethernet::Ethernet;
use crate::packet::{FlowKey, Kind, Packet, PacketBuf};
use crate::time::Instant;
use crate::verdict::{DropReason, Verdict};

impl Step<'_, '_> {
    /// Drops a packet, telling its sender where that is owed and possible.
    #[cold]
    #[inline(never)]
    pub(super) fn stop(
        &mut self,
        buf: &mut PacketBuf<'_>,
        packet: &Packet,
        stopped: Stopped,
    ) -> Verdict {
        let (answer, reason) = match stopped {
            Stopped::Dropped(reason) => return Verdict::Drop(reason),
            Stopped::Answered(answer, reason) => (answer, reason),
        };
        if packet.kind == Kind::IcmpError || !can_be_answered(packet.flow.addresses.source()) {
            return Verdict::Drop(reason);
        }
        let Some(from) = self.answers_from(buf, packet) else {
            return Verdict::Drop(reason);
        };
        let Some(id) = self.answers.take(self.now) else {
            return Verdict::Drop(DropReason::AnswerLimited);
        };
        match forward::answer(buf, packet, answer, from, id) {
            Ok(verdict) => {
                self.count_answer(buf, &packet.flow);
                verdict
            }
            Err(reason) => Verdict::Drop(reason),
        }
    }

    /// Counts an answer that lies in `buf`, about a packet of `flow`.
    ///
    /// It comes from the service, as far as a client can tell, so it counts as a
    /// packet to the client too. That of a masqueraded connection does not: the
    /// kernel looks for one by the real server's address, which it does not quote.
    pub(super) fn count_answer(&mut self, buf: &PacketBuf<'_>, flow: &FlowKey) {
        self.stats.answers += 1;
        if let Some(id) = self.answered_for(flow) {
            self.count_answer_of(buf, id);
        }
    }

    /// The real server at which an answer about a packet of `flow` counts.
    pub(super) fn answered_for(&self, flow: &FlowKey) -> Option<RealServerId> {
        let found = self.table.find(flow, self.table.hash(flow), None);
        let Some((at, Direction::Request)) = found else {
            return None;
        };
        let entry = self.table.entry(at)?;
        (entry.method() != Method::Masquerade).then(|| entry.real_server())
    }

    /// Counts an answer that lies in `buf` as a packet of a real server to a client.
    pub(super) fn count_answer_of(&mut self, buf: &PacketBuf<'_>, id: RealServerId) {
        let link = Ethernet::parse(buf.bytes()).map_or(0, |ethernet| ethernet.length);
        let length = (buf.length() - link) as u32;
        self.stats.count_packet(id, Direction::Reply, length);
    }

    /// The address an answer comes from: the VIP towards clients, the
    /// director's own towards real servers.
    fn answers_from(&self, buf: &PacketBuf<'_>, packet: &Packet) -> Option<IpAddr> {
        let destination = packet.flow.addresses.destination();
        let local = || self.snapshot.network.resolve(destination) == Resolution::Local;
        if self.snapshot.is_vip(destination) || self.snapshot.lookup.has_marks() && local() {
            return Some(destination);
        }
        let interface = self.snapshot.network.interface(buf.ingress())?;
        match destination {
            IpAddr::V4(_) => interface.ipv4.map(IpAddr::V4),
            IpAddr::V6(_) => interface.ipv6.map(IpAddr::V6),
        }
    }
}

/// A bucket of tokens, one an answer.
///
/// Without it anyone could make the director send as much as it receives, to
/// whom they like. *Source:* RFC 1812 4.3.2.8, RFC 4443 2.4(f); the kernel
/// allows 1000 in a second too (`icmp_msgs_per_sec`).
#[derive(Clone, Copy, Debug)]
pub(super) struct AnswerBudget {
    /// Nanoseconds' worth of answers saved up.
    saved: u64,
    at: Option<Instant>,
    /// Identification of the next IPv4 answer.
    id: u16,
}

impl Default for AnswerBudget {
    fn default() -> Self {
        Self {
            saved: BURST * COST,
            at: None,
            id: 0,
        }
    }
}

impl AnswerBudget {
    /// Takes one answer out, if there is one, and returns its identification.
    pub(super) fn take(&mut self, now: Instant) -> Option<u16> {
        let at = self.at.unwrap_or(now);
        let earned = now.since(at).as_nanos() as u64;
        self.at = Some(now.max(at));
        self.saved = self.saved.saturating_add(earned).min(BURST * COST);
        self.saved = self.saved.checked_sub(COST)?;
        self.id = self.id.wrapping_add(1);
        Some(self.id)
    }
}

/// No errors to groups or to nobody (RFC 1812 4.3.2.7, RFC 4443 2.4(e)).
const fn can_be_answered(sender: IpAddr) -> bool {
    match sender {
        IpAddr::V4(v4) => {
            !(v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast() || v4.is_loopback())
        }
        IpAddr::V6(v6) => !(v6.is_unspecified() || v6.is_multicast() || v6.is_loopback()),
    }
}

/// Answers in a row after a quiet second.
const BURST: u64 = 1000;
/// Nanoseconds an answer costs: 1000 of them a second.
const COST: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_a_second() {
        let mut budget = AnswerBudget::default();
        let start = Instant::from_nanoseconds(5_000_000_000);
        let mut taken = 0;
        for millisecond in 0..10_000u64 {
            let now = start + core::time::Duration::from_millis(millisecond);
            taken += (0..10).filter(|_| budget.take(now).is_some()).count();
        }
        assert_eq!(taken, 1000 + 9_999);
    }

    #[test]
    fn time_that_goes_back_earns_nothing_twice() {
        let mut budget = AnswerBudget::default();
        let at = Instant::from_nanoseconds;
        while budget.take(at(9_000_000_000)).is_some() {}
        assert!(budget.take(at(8_000_000_000)).is_none());
        assert!(budget.take(at(9_000_000_000)).is_none());
        assert!(budget.take(at(9_001_000_000)).is_some());
    }
}
