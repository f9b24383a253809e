//! What a packet does to its connection: state, counters, time left.

use super::decide::Step;
use crate::config::RealServerId;
use crate::conn::tcp::{self, Event, TcpState, View};
use crate::conn::{ACTIVE, ASSURED, CONTROLLED, Direction, Entry, Method, OUTPUT_SEEN, TEMPLATE};
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
        let Some(mut entry) = self.table.entry_mut(at) else {
            return;
        };
        let mut state = entry.entry().tcp_state();
        if direction == Direction::Request {
            entry.count_packet();
        }
        if let Kind::Tcp { flags } = packet.kind {
            let read = entry.entry();
            let one_sided = read.method() != Method::Masquerade && !read.has(OUTPUT_SEEN);
            let view = match direction {
                Direction::Reply => View::Output,
                Direction::Request if one_sided => View::InputOnly,
                Direction::Request => View::Input,
            };
            if direction == Direction::Reply {
                entry.set(OUTPUT_SEEN, true);
            }
            let next = tcp::next(state, Event::of(flags), view);
            if next != state {
                entry.set_tcp_state(next);
                let (was, is) = (entry.entry().has(ACTIVE), next.is_active());
                if was != is {
                    entry.set(ACTIVE, is);
                    let step = if is { 1 } else { -1 };
                    self.snapshot.loads.add(self.id.index(), id, step, -step);
                }
                state = next;
            }
        }
        if let Some(entry) = self.table.entry(at)
            && entry.has(CONTROLLED)
            && !entry.has(ASSURED)
            && is_established(packet, state, direction)
        {
            self.table.assure(at);
        }
        let now = self.now.tick();
        self.table
            .extend(at, now.after(self.lifetime(packet, state)), now);
    }

    /// Ends a connection before its time.
    pub(super) fn end(&mut self, at: u32) {
        if let Some(entry) = self.table.entry(at) {
            let closed = uncount(&self.snapshot.loads, self.id, entry);
            self.stats.closed += u64::from(closed);
        }
        self.table.remove(at);
    }

    /// Ticks a connection in this state is kept.
    pub(super) const fn lifetime(&self, packet: &Packet, state: TcpState) -> u32 {
        match packet.kind {
            Kind::Tcp { .. } => self.snapshot.lifetimes.tcp(state),
            _ => self.snapshot.lifetimes.udp(),
        }
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
    let active = i32::from(entry.has(ACTIVE));
    loads.add(shard, id, -active, active - 1);
    true
}

/// Whether both ends are known to take part now.
const fn is_established(packet: &Packet, state: TcpState, direction: Direction) -> bool {
    match packet.kind {
        Kind::Tcp { .. } => matches!(state, TcpState::Established),
        _ => matches!(direction, Direction::Reply),
    }
}
