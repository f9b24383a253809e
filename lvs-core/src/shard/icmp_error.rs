//! An ICMP error that comes in: whose packet is it about?

use super::decide::Step;
use super::local::error_to_host;
use super::schedule::{Scheduled, leaves_to_host};
use crate::config::{RealServerId, Setting};
use crate::conn::{Direction, Method};
use crate::forward::{self, Stopped, TunnelError};
use crate::network::Resolution;
use crate::packet::icmp::{self, Quote};
use crate::packet::{FlowKey, Packet, PacketBuf};
use crate::snapshot::PlannedService;
use crate::verdict::{DropReason, Verdict};

impl Step<'_, '_> {
    /// An ICMP error: whose packet is it about?
    #[cold]
    #[inline(never)]
    pub(super) fn icmp_error(
        &mut self,
        buf: &mut PacketBuf<'_>,
        packet: &Packet,
    ) -> Result<Verdict, Stopped> {
        if let Some(error) = TunnelError::parse(buf, packet)
            && let Some(id) = self.snapshot.tunnel(error.tunnel, error.real_server)
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
        let (at, direction) = match found {
            Some(found) => found,
            None if self.counts_error(&quote, packet) => return Ok(Verdict::Host),
            None => match self.schedule_error(buf, packet, &flow)? {
                Ok(scheduled) => return self.about_reply(buf, packet, &quote, scheduled),
                Err(verdict) => return Ok(verdict),
            },
        };
        let Some(entry) = self.table.entry(at) else {
            return Ok(Verdict::Host);
        };
        let id = entry.real_server();
        let (method, port) = (entry.method(), entry.real_server_port());
        if method == Method::Bypass {
            return Ok(Verdict::Host);
        }
        match direction {
            Direction::Request => {
                let known = Scheduled {
                    at: Some(at),
                    id,
                    port,
                    method,
                };
                self.about_reply(buf, packet, &quote, known)
            }
            Direction::Reply => {
                let request = entry.flow();
                check_to_rewrite(buf, packet, method)?;
                let hop = self.hop_to_client(at, request.addresses.source())?;
                forward::may_pass(buf, packet, &hop)?;
                self.stats.count_packet(id, direction, packet.length);
                let (service, network) = (request.destination(), &self.snapshot.network);
                Ok(forward::about_request(
                    buf, packet, &quote, service, &hop, network,
                )?)
            }
        }
    }

    /// An ICMP error about a service's packet to a client: to the real server
    /// that the client has, or would have.
    fn about_reply(
        &mut self,
        buf: &mut PacketBuf<'_>,
        packet: &Packet,
        quote: &Quote,
        whose: Scheduled,
    ) -> Result<Verdict, Stopped> {
        let Scheduled {
            id, port, method, ..
        } = whose;
        check_to_rewrite(buf, packet, method)?;
        let snapshot = self.snapshot;
        // Unlike other packets, an error reaches a real server that was removed.
        let planned = match snapshot.real_server(id) {
            Some(planned) => {
                self.stats
                    .count_packet(id, Direction::Request, packet.length);
                planned
            }
            None => snapshot.removed(id).ok_or(DropReason::RealServerGone)?,
        };
        match self.to_real_server(id, planned, port, method)? {
            Some(to) => forward::about_reply(buf, packet, quote, &to, &snapshot.network),
            None => error_to_host(buf, packet, quote, method, (planned.address, port)),
        }
    }

    /// Counts an ICMP error to a client about a connection that is not
    /// masqueraded, which the host routes as it is; whether it is one.
    fn counts_error(&mut self, quote: &Quote, packet: &Packet) -> bool {
        let request = &quote.flow;
        let found = self.table.find(request, self.table.hash(request), None);
        let Some((at, Direction::Request)) = found else {
            return false;
        };
        let Some(entry) = self.table.entry(at) else {
            return false;
        };
        let (id, method) = (entry.real_server(), entry.method());
        if method == Method::Masquerade {
            return false;
        }
        self.stats.count_packet(id, Direction::Reply, packet.length);
        true
    }

    /// An ICMP error about a tunnel of the director's own: the path's MTU is
    /// learnt, and the client told.
    ///
    /// The first time, the client hears of the MTU as it was before, and its next
    /// packet that is too long is answered with the new one; once something was
    /// learnt, it hears of the new one at once. The kernel does so too.
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
        let Some(Resolution::Hop(way)) = snapshot.real_server(id).map(|planned| planned.way) else {
            return Ok(Verdict::Host);
        };
        let mut present = snapshot.paths.limit(id, way.mtu, now);
        if let Some(mtu) = error.mtu {
            for id in snapshot.tunnels_to(error.real_server.into()) {
                snapshot.paths.learn(id, mtu, present, now);
            }
            if present < way.mtu {
                present = snapshot.paths.limit(id, way.mtu, now);
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
        let mtu = error.left_of(present);
        let verdict = forward::about_tunnel(buf, error, mtu, &hop, &snapshot.network, answer_id)?;
        self.count_answer(buf, &flow);
        Ok(verdict)
    }

    /// An ICMP error about no connection of this shard, by the reversed flow it
    /// quotes: the real server it is scheduled to, where a service wants that
    /// (`schedule_icmp`); or the verdict that it is another shard's or the host's.
    ///
    /// A mark is the error's own. Errors are not sent on past all real servers
    /// (`cache_bypass`), nor answered.
    ///
    /// *Source:* the behaviour of `ip_vs_in_icmp` and `ip_vs_leave`, Linux 6.12.
    fn schedule_error(
        &mut self,
        buf: &mut PacketBuf<'_>,
        packet: &Packet,
        flow: &FlowKey,
    ) -> Result<Result<Scheduled, Verdict>, Stopped> {
        let snapshot = self.snapshot;
        let mark = snapshot.config.classifier().mark(buf.ingress(), packet);
        let service = snapshot.service(flow, mark);
        let owner = match service {
            Some(service) => self.next_owner(&service.owners, flow.source()),
            None => match snapshot.masqueraded_reply(flow) {
                Some(owners) => self.next_owner(owners, flow.destination()),
                None => self.next_owner(&snapshot.mark_owners, flow.source()),
            },
        };
        if let Some(owner) = owner {
            return Ok(Err(Verdict::Handoff(owner)));
        }
        let wanted = |service: &&PlannedService| service.settings.is_on(Setting::ScheduleIcmp);
        let Some(service) = service.filter(wanted) else {
            return Ok(Err(Verdict::Host));
        };
        if self.drops_new(&service.settings) {
            return Err(DropReason::Defence.into());
        }
        if leaves_to_host(flow, service) {
            return Ok(Err(Verdict::Host));
        }
        let scheduled = self.schedule(flow, service, flow.addresses.source())?;
        if scheduled.method == Method::Bypass {
            scheduled.at.into_iter().for_each(|at| self.end(at));
            return Err(DropReason::NoRealServer.into());
        }
        self.stats.count_connection(scheduled.id);
        if let Some(mut entry) = scheduled.at.and_then(|at| self.table.entry_mut(at)) {
            entry.set_client_link(buf.ingress(), packet.vlan, packet.source_mac);
        }
        Ok(Ok(scheduled))
    }
}

/// Refuses to rewrite an error whose checksum is wrong: it would be right then.
fn check_to_rewrite(
    buf: &PacketBuf<'_>,
    packet: &Packet,
    method: Method,
) -> Result<(), DropReason> {
    if method == Method::Masquerade && !icmp::checksum_fits(buf, packet) {
        return Err(DropReason::BadIcmpChecksum);
    }
    Ok(())
}
