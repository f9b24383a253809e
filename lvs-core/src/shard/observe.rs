//! What a packet does to its connection: state, counters, time left.

use super::decide::Step;
use crate::config::RealServerId;
use crate::conn::tcp::{self, Event, TcpState, View};
use crate::conn::{ACTIVE, ASSURED, CONTROLLED, Direction, Entry, Method, OUTPUT_SEEN, TEMPLATE};
use crate::conn::{State, sctp, secure_tcp};
use crate::loads::Loads;
use crate::packet::{Kind, Packet};

impl Step<'_, '_> {
    /// Moves a connection's state and deadline by a packet, and counts it.
    #[inline(always)]
    pub(super) fn observe(
        &mut self,
        at: u32,
        id: RealServerId,
        packet: &Packet,
        direction: Direction,
    ) {
        self.stats.count_packet(id, direction, packet.length);
        let lifetimes = &self.snapshot.lifetimes;
        let Some(mut entry) = self.table.entry_mut(at) else {
            return;
        };
        match direction {
            Direction::Request => entry.count_packet(),
            Direction::Reply => entry.set(OUTPUT_SEEN, true),
        }
        let entry = entry.entry();
        let is_unsure = entry.has(CONTROLLED) && !entry.has(ASSURED);
        let lifetime = match packet.kind {
            Kind::Tcp { flags } if tcp::stays(entry.tcp_state(), flags) => {
                lifetimes.tcp(entry.tcp_state())
            }
            Kind::Tcp { .. } | Kind::Sctp { .. } => self.move_state(at, id, packet.kind, direction),
            _ => lifetimes.udp(),
        };
        if is_unsure {
            self.assure(at, direction);
        }
        let now = self.now.tick();
        self.table.extend(at, now.after(lifetime), now);
    }

    /// Moves a connection's state by a packet; how long it is kept in it, in ticks.
    #[inline(never)]
    pub(super) fn move_state(
        &mut self,
        at: u32,
        id: RealServerId,
        kind: Kind,
        direction: Direction,
    ) -> u32 {
        let (snapshot, defence) = (self.snapshot, &*self.defence);
        let lifetimes = &snapshot.lifetimes;
        let Some(mut entry) = self.table.entry_mut(at) else {
            return 0;
        };
        let view = view(entry.entry(), direction);
        let (next, is_active, lifetime) = match kind {
            Kind::Tcp { flags } => {
                let (state, event) = (entry.entry().tcp_state(), Event::of(flags));
                // An established connection is trusted.
                let distrusts = state != TcpState::Established && defence.distrusts(snapshot, id);
                let next = if distrusts {
                    secure_tcp::next(state, event, view)
                } else {
                    tcp::next(state, event, view)
                };
                (next.bits(), next.is_active(), lifetimes.tcp(next))
            }
            Kind::Sctp { chunk } => {
                let state = entry.entry().sctp_state();
                let next = chunk.map_or(state, |chunk| {
                    sctp::next(state, sctp::Event::of(chunk), view)
                });
                (next.bits(), next.is_active(), lifetimes.sctp(next))
            }
            _ => return lifetimes.udp(),
        };
        if next != entry.entry().state_bits() {
            entry.set_state_bits(next);
            if entry.entry().has(ACTIVE) != is_active {
                entry.set(ACTIVE, is_active);
                let step = if is_active { 1 } else { -1 };
                snapshot.loads.add(id, step, -step);
            }
        }
        lifetime
    }

    /// Tells a connection's template once both ends are known to take part.
    #[cold]
    fn assure(&mut self, at: u32, direction: Direction) {
        let entry = self.table.entry(at);
        if entry.is_some_and(|entry| is_established(entry, direction)) {
            self.table.assure(at);
        }
    }

    /// Ends a connection before its time.
    pub(super) fn end(&mut self, at: u32) {
        if let Some(entry) = self.table.entry(at) {
            let closed = uncount(&self.snapshot.loads, entry);
            self.stats.closed += u64::from(closed);
        }
        self.table.remove(at);
    }
}

/// Which table moves the state of a connection by a packet of this direction.
fn view(entry: Entry<'_>, direction: Direction) -> View {
    match direction {
        Direction::Reply => View::Output,
        Direction::Request if is_one_sided(entry) => View::InputOnly,
        Direction::Request => View::Input,
    }
}

/// Takes an entry that ends out of its real server's counts; whether it is a
/// connection, and no template.
pub(super) fn uncount(loads: &Loads, entry: Entry<'_>) -> bool {
    let id = entry.real_server();
    if entry.has(TEMPLATE) {
        loads.add_template(id, -1);
        return false;
    }
    loads.ended(id, entry.has(ACTIVE));
    true
}

/// Whether both ends are known to take part now.
fn is_established(entry: Entry<'_>, direction: Direction) -> bool {
    match State::of(entry.protocol(), entry.state_bits()) {
        State::Tcp(state) => state == TcpState::Established,
        State::Sctp(state) => state == sctp::SctpState::Established,
        State::Udp => direction == Direction::Reply,
    }
}

/// Whether no packet of the real server was ever seen, nor needs to be.
pub(super) fn is_one_sided(entry: Entry<'_>) -> bool {
    entry.method() != Method::Masquerade && !entry.has(OUTPUT_SEEN)
}
