//! What a packet does to its connection: state, counters, time left.

use super::decide::Step;
use crate::config::RealServerId;
use crate::conn::tcp::{self, Event, TcpState, View};
use crate::conn::{ACTIVE, Direction, Method, OUTPUT_SEEN};
use crate::packet::{Kind, Packet};

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
        let now = self.now.tick();
        self.table
            .extend(at, now.after(self.lifetime(packet, state)), now);
    }

    /// Ends a connection before its time.
    pub(super) fn end(&mut self, at: u32) {
        if let Some(entry) = self.table.entry(at) {
            let (id, active) = (entry.real_server(), entry.has(ACTIVE));
            self.snapshot.loads.ended(self.id.index(), id, active);
            self.stats.closed += 1;
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
