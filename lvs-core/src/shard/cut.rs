//! Packets that end within their transport header, behind the ports.
//!
//! ```text
//!  of a connection ─┬ request ──> counted; direct routing and tunnels send it on,
//!                   │             masquerading has no checksum to bring up to date
//!                   └ reply ────> dropped
//!  of none ─────────┬ to the host ──> dropped: nothing says what it begins
//!                   └ past it ─────> the host's, to route
//! ```
//!
//! *Source:* the behaviour of `ip_vs_in_hook` and `handle_response`, Linux 6.12.

use super::decide::Step;
use crate::config::RealServerId;
use crate::conn::{Direction, State};
use crate::forward::{self, Stopped};
use crate::network::Resolution;
use crate::packet::transport::UDP;
use crate::packet::{Packet, PacketBuf};
use crate::verdict::{DropReason, Verdict};

impl Step<'_, '_> {
    /// Decides on a packet of which the ports came and no whole header.
    #[cold]
    #[inline(never)]
    pub(super) fn cut(
        &mut self,
        buf: &mut PacketBuf<'_>,
        packet: &Packet,
        hash: u64,
        guess: Option<u32>,
    ) -> Result<Verdict, Stopped> {
        match self.table.find(&packet.flow, hash, guess) {
            Some((at, Direction::Request)) => self.request_cut(buf, packet, at),
            Some((at, Direction::Reply)) => {
                let hop = self.hop_to_client(at, packet.flow.addresses.destination())?;
                forward::may_pass(buf, packet, &hop)?;
                self.keep(at);
                Err(DropReason::BadTransportHeader.into())
            }
            None => match self.unknown(buf, packet)? {
                Verdict::Host => self.of_none(packet),
                verdict => Ok(verdict),
            },
        }
    }

    /// Decides on one of no connection, as all are whose ports did not come either:
    /// the host's if it only passes.
    #[cold]
    pub(super) fn of_none(&self, packet: &Packet) -> Result<Verdict, Stopped> {
        let to = packet.flow.addresses.destination();
        let snapshot = self.snapshot;
        if snapshot.is_vip(to) || snapshot.network.resolve(to) == Resolution::Local {
            return Err(DropReason::BadTransportHeader.into());
        }
        Ok(Verdict::Host)
    }

    fn request_cut(
        &mut self,
        buf: &mut PacketBuf<'_>,
        packet: &Packet,
        at: u32,
    ) -> Result<Verdict, Stopped> {
        let Some(entry) = self.table.entry(at) else {
            return Ok(Verdict::Host);
        };
        let (id, port, method) = (
            entry.real_server(),
            entry.real_server_port(),
            entry.method(),
        );
        let Some(planned) = self.snapshot.real_server(id) else {
            return self.without_real_server(buf, packet, at, method);
        };
        self.observe_cut(at, id, packet, Direction::Request);
        self.send_on(buf, packet, (id, planned), port, method)
    }

    /// Counts a packet and keeps its connection, whose state it does not move: of
    /// TCP and SCTP nothing says how it would.
    pub(super) fn observe_cut(
        &mut self,
        at: u32,
        id: RealServerId,
        packet: &Packet,
        direction: Direction,
    ) {
        if packet.flow.protocol == UDP {
            return self.observe(at, id, packet, direction);
        }
        self.stats.count_packet(id, direction, packet.length);
        if let Some(mut entry) = self.table.entry_mut(at)
            && direction == Direction::Request
        {
            entry.count_packet();
        }
        self.keep(at);
    }

    /// Gives a connection the time again that its state has.
    fn keep(&mut self, at: u32) {
        if let Some(entry) = self.table.entry(at) {
            let state = State::of(entry.protocol(), entry.state_bits());
            let (now, lifetime) = (self.now.tick(), self.snapshot.lifetimes.of(state));
            self.table.extend(at, now.after(lifetime), now);
        }
    }
}
