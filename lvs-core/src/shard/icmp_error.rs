//! An ICMP error that comes in: whose packet is it about?

use super::decide::Step;
use crate::config::RealServerId;
use crate::conn::{Direction, Method};
use crate::forward::{self, Stopped, TunnelError};
use crate::network::Resolution;
use crate::packet::icmp::{self, Quote};
use crate::packet::transport::IPIP;
use crate::packet::{FlowKey, Packet, PacketBuf};
use crate::verdict::{DropReason, Verdict};

impl Step<'_, '_> {
    /// An ICMP error: whose packet is it about?
    pub(super) fn icmp_error(
        &mut self,
        buf: &mut PacketBuf<'_>,
        packet: &Packet,
    ) -> Result<Verdict, Stopped> {
        if let Some(error) = TunnelError::parse(buf, packet)
            && let Some(id) = self.snapshot.tunnel(IPIP, error.real_server)
            && self
                .snapshot
                .network
                .resolve(packet.flow.addresses.destination())
                == Resolution::Local
        {
            return self.tunnel_error(buf, packet, &error, id);
        }
        let Some(quote) = Quote::parse(buf, packet) else {
            return Ok(Verdict::Host);
        };
        // The quoted packet went the other way than the error comes from.
        let flow = quote.flow.reversed();
        let found = self.table.find(&flow, self.table.hash(&flow), None);
        let Some((at, direction)) = found else {
            return Ok(self.error_elsewhere(&flow));
        };
        let Some(entry) = self.table.entry(at) else {
            return Ok(Verdict::Host);
        };
        let id = entry.real_server();
        let (method, port) = (entry.method(), entry.real_server_port());
        if method == Method::Bypass {
            return Ok(Verdict::Host);
        }
        let rewritten = method == Method::Masquerade;
        if rewritten && !icmp::checksum_fits(buf, packet) {
            return Err(DropReason::BadIcmpChecksum.into());
        }
        match direction {
            Direction::Request => {
                self.stats.count_packet(id, direction, packet.length);
                let planned = self
                    .snapshot
                    .real_server(id)
                    .ok_or(DropReason::RealServerGone)?;
                let network = &self.snapshot.network;
                match self.to_real_server(id, planned, port, method)? {
                    Some(to) => forward::about_reply(buf, packet, &quote, &to, network),
                    None => Ok(Verdict::Host),
                }
            }
            Direction::Reply => {
                let request = entry.flow();
                let hop = self.hop_to_client(at, request.addresses.source())?;
                forward::may_pass(packet, &hop)?;
                self.stats.count_packet(id, direction, packet.length);
                let (service, network) = (request.destination(), &self.snapshot.network);
                Ok(forward::about_request(
                    buf, packet, &quote, service, &hop, network,
                )?)
            }
        }
    }

    /// An ICMP error about a tunnel of the director's own: the path's MTU is
    /// learnt, and the client told.
    ///
    /// The client hears of the MTU as it was known before; the kernel does so
    /// too. Its next packet that is too long is answered with the new one.
    fn tunnel_error(
        &mut self,
        buf: &mut PacketBuf<'_>,
        packet: &Packet,
        error: &TunnelError,
        id: RealServerId,
    ) -> Result<Verdict, Stopped> {
        let flow = error.inner.flow;
        let found = self.table.find(&flow, self.table.hash(&flow), None);
        if !icmp::checksum_fits(buf, packet) {
            return Err(DropReason::BadIcmpChecksum.into());
        }
        let (snapshot, now) = (self.snapshot, self.now.tick());
        let present = match snapshot.real_server(id).map(|planned| planned.way) {
            Some(Resolution::Hop(hop)) => snapshot.paths.limit(id, hop.mtu, now),
            _ => return Ok(Verdict::Host),
        };
        if let Some(mtu) = error.mtu {
            for id in snapshot.tunnels_to(error.real_server.into()) {
                snapshot.paths.learn(id, mtu, present, now);
            }
        }
        let Some((at, Direction::Request)) = found else {
            return Ok(Verdict::Host);
        };
        if error.mtu.is_some() && !error.dont_fragment {
            return Err(DropReason::TunnelError.into());
        }
        let hop = self.hop_to_client(at, flow.addresses.source())?;
        let answer_id = self
            .answers
            .take(self.now)
            .ok_or(DropReason::AnswerLimited)?;
        let mtu = present.saturating_sub(forward::overhead(error.real_server.into()));
        let verdict = forward::about_tunnel(buf, error, mtu, &hop, &snapshot.network, answer_id)?;
        self.count_answer(buf, &flow);
        Ok(verdict)
    }

    /// An ICMP error about no connection of this shard, by the reversed flow
    /// it quotes: another's, or the host's.
    fn error_elsewhere(&self, flow: &FlowKey) -> Verdict {
        // What mark the connection's packets carried is not known.
        let owner = match self.snapshot.service(flow, None) {
            Some(service) => self.next_owner(&service.owners, flow.source()),
            None => match self.snapshot.masqueraded_reply(flow) {
                Some(owners) => self.next_owner(owners, flow.destination()),
                None => self.next_owner(&self.snapshot.mark_owners, flow.source()),
            },
        };
        owner.map_or(Verdict::Host, Verdict::Handoff)
    }
}
