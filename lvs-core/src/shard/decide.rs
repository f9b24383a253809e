//! What becomes of one packet.

use core::cell::Cell;
use core::net::IpAddr;

use super::answers::AnswerBudget;
use super::defence::Defence;
use super::gone::makes_way;
use super::local::to_host;
use super::schedule::{Scheduled, is_for_ftp_data, leaves_to_host, may_begin};
use super::schedulers::Schedulers;
use crate::config::{RealServerId, Setting};
use crate::conn::{ConnTable, Direction, Entry, Method};
use crate::forward::{self, Answer, Stopped};
use crate::network::Resolution;
use crate::packet::sctp::{ABORT, INIT};
use crate::packet::{Kind, Packet, PacketBuf};
use crate::snapshot::{PlannedRealServer, ShardId, Snapshot};
use crate::stats::Stats;
use crate::steer::{self, Owner};
use crate::time::Instant;
use crate::verdict::{DropReason, Verdict};

/// A shard's parts, lent for a batch of packets.
pub(super) struct Step<'s, 'm> {
    pub(super) now: Instant,
    pub(super) id: ShardId,
    pub(super) table: &'s mut ConnTable<'m>,
    pub(super) snapshot: &'s Snapshot,
    pub(super) schedulers: &'s mut Schedulers,
    pub(super) stats: &'s mut Stats,
    pub(super) answers: &'s mut AnswerBudget,
    /// Identification of the last packet put into a tunnel.
    pub(super) outer_id: &'s Cell<u16>,
    pub(super) defence: &'s mut Defence,
}

impl Step<'_, '_> {
    /// Finds the packet's connection or begins one, forwards it, and says what
    /// became of it.
    pub(super) fn decide(
        &mut self,
        buf: &mut PacketBuf<'_>,
        packet: &Packet,
        hash: u64,
        guess: Option<u32>,
    ) -> Verdict {
        if !self.snapshot.serves(&packet.flow.addresses) {
            return self.without_services(buf, packet, hash, guess);
        }
        let outcome = match packet.kind {
            Kind::Tcp { .. } | Kind::Udp | Kind::Sctp { .. } | Kind::Ipsec => {
                match self.table.find(&packet.flow, hash, guess) {
                    Some((at, direction)) => self.established(buf, packet, at, direction),
                    None => self.unknown(buf, packet),
                }
            }
            Kind::Cut { has_ports: true } => self.cut(buf, packet, hash, guess),
            Kind::Cut { has_ports: false } => self.of_none(packet),
            Kind::IcmpError => self.icmp_error(buf, packet),
            Kind::Fragment if self.snapshot.may_have_fragment(buf.ingress(), packet) => {
                Ok(Verdict::Fragment)
            }
            Kind::Fragment => Ok(Verdict::Host),
        };
        outcome.unwrap_or_else(|stopped| self.stop(buf, packet, stopped))
    }

    /// A packet of a connection.
    pub(super) fn established(
        &mut self,
        buf: &mut PacketBuf<'_>,
        packet: &Packet,
        at: u32,
        direction: Direction,
    ) -> Result<Verdict, Stopped> {
        let Some(entry) = self.table.entry(at) else {
            return Ok(Verdict::Host);
        };
        let id = entry.real_server();
        match direction {
            Direction::Request => {
                let snapshot = self.snapshot;
                let planned = snapshot.real_server(id);
                if opens(packet) && makes_way(entry, planned, snapshot.settings_of(id)) {
                    return self.begin_anew(buf, packet, at);
                }
                let (port, method) = (entry.real_server_port(), entry.method());
                let Some(planned) = planned else {
                    return self.without_real_server(buf, packet, at, method);
                };
                self.observe(at, id, packet, direction);
                self.send_on(buf, packet, (id, planned), port, method)
            }
            Direction::Reply => {
                let service = entry.flow().destination();
                let hop = self.hop_to_client(at, packet.flow.addresses.destination())?;
                forward::may_pass(buf, packet, &hop)?;
                self.observe(at, id, packet, direction);
                let network = &self.snapshot.network;
                Ok(forward::reply(buf, packet, service, &hop, network)?)
            }
        }
    }

    /// A client's packet of a connection that has no real server: one that
    /// bypasses them, or whose real server has been removed.
    #[cold]
    #[inline(never)]
    pub(super) fn without_real_server(
        &mut self,
        buf: &mut PacketBuf<'_>,
        packet: &Packet,
        at: u32,
        method: Method,
    ) -> Result<Verdict, Stopped> {
        if method == Method::Bypass {
            self.observe(at, RealServerId::NONE, packet, Direction::Request);
            return self.bypass(buf, packet);
        }
        let id = self
            .table
            .entry(at)
            .map_or(RealServerId::NONE, Entry::real_server);
        let settings = self.snapshot.settings_of(id);
        if !settings.is_on(Setting::ExpireNodestConn) {
            return Err(DropReason::RealServerGone.into());
        }
        if method != Method::Masquerade && self.is_refused_by_host(buf, packet) {
            self.reset(at, id);
        } else {
            self.end(at);
        }
        self.unknown(buf, packet)
    }

    /// A packet of no connection of this shard.
    #[inline(never)]
    pub(super) fn unknown(
        &mut self,
        buf: &mut PacketBuf<'_>,
        packet: &Packet,
    ) -> Result<Verdict, Stopped> {
        let snapshot = self.snapshot;
        let Some(service) = snapshot.service_asked(buf.ingress(), packet) else {
            return self.outside_services(buf, packet);
        };
        let begins = may_begin(packet, &service.settings);
        let owner = if begins {
            let owner = service.owner.as_ref().map(core::slice::from_ref);
            owner.and_then(|owner| self.next_owner(owner, packet.flow.source()))
        } else {
            self.next_owner(&service.owners, packet.flow.source())
        };
        if let Some(owner) = owner {
            return Ok(Verdict::Handoff(owner));
        }
        if matches!(packet.kind, Kind::Sctp { chunk: None } | Kind::Cut { .. }) {
            return Err(DropReason::BadTransportHeader.into());
        }
        if !begins {
            return Ok(Verdict::Host);
        }
        if !self.can_be_client(packet.flow.addresses.source()) {
            return Err(DropReason::BadSource.into());
        }
        if self.drops_new(&service.settings) {
            return Err(DropReason::Defence.into());
        }
        if leaves_to_host(&packet.flow, service) {
            return Ok(Verdict::Host);
        }
        let Scheduled {
            at,
            id,
            port,
            method,
        } = match self.schedule(&packet.flow, service, packet.flow.addresses.destination()) {
            Err(Stopped::Answered(..)) if is_for_ftp_data(&packet.flow, service) => {
                return Ok(Verdict::Host);
            }
            scheduled => scheduled?,
        };
        self.stats.count_connection(id);
        match at {
            Some(at) => {
                if let Some(mut entry) = self.table.entry_mut(at) {
                    entry.set_client_link(buf.ingress(), packet.vlan, packet.source_mac);
                }
                self.observe(at, id, packet, Direction::Request);
            }
            None => {
                let length = packet.length;
                self.stats.count_packet(id, Direction::Request, length);
            }
        }
        if method == Method::Bypass {
            return self.bypass(buf, packet);
        }
        let planned = snapshot.real_server(id).ok_or(DropReason::RealServerGone)?;
        self.send_on(buf, packet, (id, planned), port, method)
    }

    /// Sends a client's packet to its real server.
    #[inline(always)]
    pub(super) fn send_on(
        &self,
        buf: &mut PacketBuf<'_>,
        packet: &Packet,
        (id, planned): (RealServerId, &PlannedRealServer),
        port: u16,
        method: Method,
    ) -> Result<Verdict, Stopped> {
        match self.to_real_server(id, planned, port, method)? {
            Some(to) => forward::request(buf, packet, &to, &self.snapshot.network),
            None => to_host(buf, packet, method, (planned.address, port)),
        }
    }

    /// A packet to no service: perhaps a reply that passes the director.
    #[cold]
    #[inline(never)]
    pub(super) fn outside_services(
        &mut self,
        buf: &mut PacketBuf<'_>,
        packet: &Packet,
    ) -> Result<Verdict, Stopped> {
        let flow = &packet.flow;
        let snapshot = self.snapshot;
        if let Some(owners) = snapshot.masqueraded_reply(flow) {
            if let Some(owner) = self.next_owner(owners, flow.destination()) {
                return Ok(Verdict::Handoff(owner));
            }
            let refused = snapshot.masqueraded.refuses(flow);
            if refused && !breaks_off(packet) && self.is_passing(packet) {
                // The kernel refuses what it was about to route.
                forward::take_ttl(buf, packet)?;
                return Err(Stopped::Answered(
                    Answer::PortUnreachable,
                    DropReason::NoConnection,
                ));
            }
        }
        // A real server reached by direct routing or a tunnel replies as the
        // service itself. The host routes that; the connection takes note.
        if snapshot.may_be_vip(flow.addresses.source()) {
            let request = flow.reversed();
            let hash = self.table.hash(&request);
            if let Some((at, Direction::Request)) = self.table.find(&request, hash, None)
                && let Some(entry) = self.table.entry(at)
                && entry.method() != Method::Masquerade
            {
                let id = entry.real_server();
                match packet.kind {
                    Kind::Cut { .. } => self.observe_cut(at, id, packet, Direction::Reply),
                    _ => self.observe(at, id, packet, Direction::Reply),
                }
            }
        }
        Ok(Verdict::Host)
    }

    /// Whether the host would route a packet: a TTL that is spent, a length that
    /// is too much, or a lack of a route it answers itself.
    fn is_passing(&self, packet: &Packet) -> bool {
        match self
            .snapshot
            .network
            .resolve(packet.flow.addresses.destination())
        {
            Resolution::Hop(hop) => {
                packet.ttl > 1 && (packet.length <= hop.mtu || !packet.dont_fragment)
            }
            _ => false,
        }
    }

    /// The next shard that may have a client's connection.
    pub(super) fn next_owner(&self, owners: &[Owner], client: (IpAddr, u16)) -> Option<ShardId> {
        let all = (self.snapshot.seed, self.snapshot.shards);
        steer::next_owner(owners, client, self.id, all)
    }
}

/// Whether a packet asks for a new connection.
pub(super) const fn opens(packet: &Packet) -> bool {
    match packet.kind {
        Kind::Tcp { flags } => flags & SYN != 0 && flags & RST == 0,
        Kind::Sctp { chunk } => matches!(chunk, Some(INIT)),
        _ => false,
    }
}

/// Whether a packet breaks its connection off.
pub(super) const fn breaks_off(packet: &Packet) -> bool {
    match packet.kind {
        Kind::Tcp { flags } => flags & RST != 0,
        Kind::Sctp { chunk } => matches!(chunk, Some(ABORT)),
        _ => false,
    }
}

const SYN: u8 = 0x02;
const RST: u8 = 0x04;
