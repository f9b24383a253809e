//! Connections whose real server is gone, or that make way for others.
//!
//! *Source:* the behaviour of `ip_vs_in_hook` and `ip_vs_expire_nodest_conn_flush`,
//! Linux 6.12.

use super::decide::Step;
use super::observe::is_one_sided;
use super::schedule::may_begin;
use crate::config::{RealServerId, Setting, Settings, Weight};
use crate::conn::sctp::SctpState;
use crate::conn::tcp::{RST, TcpState};
use crate::conn::{ACTIVE, ASSURED, CONTROLLED, Direction, Entry, Method, State, TEMPLATE};
use crate::forward::Stopped;
use crate::packet::{Kind, Packet, PacketBuf};
use crate::snapshot::PlannedRealServer;
use crate::verdict::Verdict;

impl Step<'_, '_> {
    /// Puts a new connection in the place of one that makes way for it.
    ///
    /// The old one counts at its real server until the new one has been
    /// scheduled. The kernel's ends with the next tick of its clock, so that until
    /// then an answer counts as a packet of the old one where it does not as one of
    /// a new one.
    pub(super) fn begin_anew(
        &mut self,
        buf: &mut PacketBuf<'_>,
        packet: &Packet,
        at: u32,
    ) -> Result<Verdict, Stopped> {
        let told = |entry: Entry<'_>| (entry.real_server(), entry.method(), entry.has(ACTIVE));
        let ended = self.table.entry(at).map(told);
        self.table.remove(at);
        self.stats.closed += 1;
        let outcome = self.unknown(buf, packet);
        let Some((id, method, was_active)) = ended else {
            return outcome;
        };
        self.snapshot.loads.ended(id, was_active);
        let Err(stopped @ Stopped::Answered(..)) = outcome else {
            return outcome;
        };
        let verdict = self.stop(buf, packet, stopped);
        let is_sent = !matches!(verdict, Verdict::Drop(_));
        let is_of_old = method != Method::Masquerade && self.answered_for(&packet.flow).is_none();
        if is_sent && is_of_old {
            self.count_answer_of(buf, id);
        }
        Ok(verdict)
    }

    /// Whether the host, to which a packet of no connection is left, refuses it by
    /// resetting: as far as anybody can tell who does not know what listens there.
    pub(super) fn is_refused_by_host(&self, buf: &PacketBuf<'_>, packet: &Packet) -> bool {
        let asked = self.snapshot.service_asked(buf.ingress(), packet);
        let begins = asked.is_some_and(|service| may_begin(packet, &service.settings));
        matches!(packet.kind, Kind::Tcp { flags } if flags & RST == 0) && !begins
    }

    /// Closes a connection that is not masqueraded, a packet of which the host
    /// refuses: the kernel sees the host's reset before the next tick of its clock,
    /// by which the connection was to end, and takes it for the real server's.
    pub(super) fn reset(&mut self, at: u32, id: RealServerId) {
        let reset = Kind::Tcp { flags: RST };
        let lifetime = self.move_state(at, id, reset, Direction::Reply);
        let now = self.now.tick();
        self.table.extend(at, now.after(lifetime), now);
    }

    /// Ends a connection before its time, and its template with it, if nothing
    /// else needs that and it never saw an established one.
    pub(super) fn end_with_template(&mut self, at: u32) {
        let controller = self.table.entry(at).and_then(Entry::controller);
        self.end(at);
        let Some((controller, entry)) = controller.and_then(|at| Some((at, self.table.entry(at)?)))
        else {
            return;
        };
        let is_worth_keeping = entry.has(TEMPLATE) && entry.has(ASSURED);
        if entry.controlled() == 0 && !is_worth_keeping {
            self.end(controller);
        }
    }

    /// Ends what is bound to real servers that are gone, among the entries from
    /// `next` on, at most `budget` of them; where to go on, if there is more.
    pub(super) fn sweep(&mut self, next: u32, budget: u32) -> Option<u32> {
        let end = self.table.touched() as u32;
        let until = next.saturating_add(budget).min(end);
        for at in next..until {
            let is_gone = self.table.entry(at).is_some_and(|entry| {
                entry.is_used()
                    && entry.controlled() == 0
                    && entry.method() != Method::Bypass
                    && self.snapshot.lets_go_of(entry.real_server())
            });
            if is_gone {
                self.end_with_template(at);
            }
        }
        (until < end).then_some(until)
    }
}

/// Whether a packet that asks for a connection gets a new one in place of this
/// one, which has ended but is still remembered, or whose real server takes
/// no more. Connections of a template are taken up again.
pub(super) fn makes_way(
    entry: Entry<'_>,
    planned: Option<&PlannedRealServer>,
    settings: &Settings,
) -> bool {
    let quiet = planned.is_some_and(|planned| planned.weight == Weight::ZERO);
    if quiet && settings.is_on(Setting::ExpireNodestConn) {
        return true;
    }
    let mode = settings.get(Setting::ConnReuseMode);
    let ended = match State::of(entry.protocol(), entry.state_bits()) {
        State::Tcp(TcpState::TimeWait | TcpState::Close) | State::Sctp(SctpState::Closed) => true,
        State::Tcp(TcpState::FinWait) => mode & 2 != 0 && is_one_sided(entry),
        _ => false,
    };
    mode != 0 && ended && !entry.has(CONTROLLED)
}
