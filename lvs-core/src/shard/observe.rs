//! What a packet does to its connection: state, counters, time left.

use super::decide::Step;
use crate::config::RealServerId;
use crate::conn::tcp::{self, Event, TcpState, View};
use crate::conn::{ACTIVE, ASSURED, CONTROLLED, Direction, Entry, Method, OUTPUT_SEEN, TEMPLATE};
use crate::conn::{State, sctp, secure_tcp};
use crate::loads::Loads;
use crate::packet::{Kind, Packet};
use crate::snapshot::ShardId;

impl Step<'_, '_> {
    /// Moves a connection's state and deadline by a packet, and counts it.
    pub(super) fn observe(
        &mut self,
        at: u32,
        id: RealServerId,
        packet: &Packet,
        direction: Direction,
    ) {
        self.stats.count_packet(id, direction, packet.length);
        let (snapshot, defence) = (self.snapshot, &*self.defence);
        let Some(mut entry) = self.table.entry_mut(at) else {
            return;
        };
        match direction {
            Direction::Request => entry.count_packet(),
            Direction::Reply => entry.set(OUTPUT_SEEN, true),
        }
        let lifetimes = &snapshot.lifetimes;
        let (lifetime, moved) = match packet.kind {
            Kind::Tcp { flags } => {
                let state = entry.entry().tcp_state();
                // An established connection is trusted.
                let distrusts = state != TcpState::Established && defence.distrusts(snapshot, id);
                let (event, view) = (Event::of(flags), view(entry.entry(), direction));
                let next = if distrusts {
                    secure_tcp::next(state, event, view)
                } else {
                    tcp::next(state, event, view)
                };
                let moved = (next != state).then_some((next.bits(), next.is_active()));
                (lifetimes.tcp(next), moved)
            }
            Kind::Sctp { chunk } => {
                let (state, view) = (entry.entry().sctp_state(), view(entry.entry(), direction));
                let next = chunk.map_or(state, |chunk| {
                    sctp::next(state, sctp::Event::of(chunk), view)
                });
                let moved = (next != state).then_some((next.bits(), next.is_active()));
                (lifetimes.sctp(next), moved)
            }
            _ => (lifetimes.udp(), None),
        };
        if let Some((bits, is_active)) = moved {
            entry.set_state_bits(bits);
            if entry.entry().has(ACTIVE) != is_active {
                entry.set(ACTIVE, is_active);
                let step = if is_active { 1 } else { -1 };
                snapshot.loads.add(self.id.index(), id, step, -step);
            }
        }
        let entry = entry.entry();
        if entry.has(CONTROLLED) && !entry.has(ASSURED) && is_established(entry, direction) {
            self.table.assure(at);
        }
        let now = self.now.tick();
        self.table.extend(at, now.after(lifetime), now);
    }

    /// Ends a connection before its time.
    pub(super) fn end(&mut self, at: u32) {
        if let Some(entry) = self.table.entry(at) {
            let closed = uncount(&self.snapshot.loads, self.id, entry);
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
pub(super) fn uncount(loads: &Loads, shard: ShardId, entry: Entry<'_>) -> bool {
    let (shard, id) = (shard.index(), entry.real_server());
    if entry.has(TEMPLATE) {
        loads.add_template(shard, id, -1);
        return false;
    }
    loads.ended(shard, id, entry.has(ACTIVE));
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
