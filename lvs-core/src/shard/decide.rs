//! What becomes of one packet.

use core::net::IpAddr;

use super::answers::AnswerBudget;
use crate::config::{ForwardingMethod, RealServerId, Tunnel};
use crate::conn::tcp::{self, Event, TcpState, View};
use crate::conn::{ACTIVE, ConnTable, Direction, Method, NewConnection, OUTPUT_SEEN};
use crate::forward::{self, Answer, Stopped, ToRealServer};
use crate::network::{Hop, Resolution};
use crate::packet::{Kind, Packet, PacketBuf};
use crate::sched::{self, Arrival};
use crate::snapshot::{PlannedRealServer, PlannedService, ShardId, Snapshot};
use crate::stats::Stats;
use crate::steer;
use crate::time::Instant;
use crate::verdict::{DropReason, Verdict};

/// A shard's parts, lent for a batch of packets.
pub(super) struct Step<'s, 'm> {
    pub(super) now: Instant,
    pub(super) id: ShardId,
    pub(super) table: &'s mut ConnTable<'m>,
    pub(super) snapshot: &'s Snapshot,
    pub(super) schedulers: &'s mut [Option<sched::State>],
    pub(super) stats: &'s mut Stats,
    pub(super) answers: &'s mut AnswerBudget,
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
            return Verdict::Host;
        }
        let outcome = match packet.kind {
            Kind::Tcp { .. } | Kind::Udp => match self.table.find(&packet.flow, hash, guess) {
                Some((at, direction)) => self.established(buf, packet, at, direction),
                None => self.unknown(buf, packet),
            },
            Kind::IcmpError => self.icmp_error(buf, packet),
            Kind::Fragment => self.fragment(packet),
        };
        outcome.unwrap_or_else(|stopped| self.stop(buf, packet, stopped))
    }

    /// A packet of a connection.
    fn established(
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
                if begins_again(packet, entry.tcp_state()) {
                    self.end(at);
                    return self.unknown(buf, packet);
                }
                let planned = self
                    .snapshot
                    .real_server(id)
                    .ok_or(DropReason::RealServerGone)?;
                let (port, method) = (entry.real_server_port(), entry.method());
                self.observe(at, id, packet, direction);
                match self.to_real_server(id, planned, port, method)? {
                    Some(to) => forward::request(buf, packet, &to, &self.snapshot.network),
                    None => Ok(Verdict::Host),
                }
            }
            Direction::Reply => {
                let service = entry.flow().destination();
                let hop = self.hop_to_client(at, packet.flow.addresses.destination())?;
                forward::may_pass(packet, &hop)?;
                self.observe(at, id, packet, direction);
                let network = &self.snapshot.network;
                Ok(forward::reply(buf, packet, service, &hop, network)?)
            }
        }
    }

    /// A packet of no connection of this shard.
    fn unknown(&mut self, buf: &mut PacketBuf<'_>, packet: &Packet) -> Result<Verdict, Stopped> {
        let snapshot = self.snapshot;
        let Some((_, service)) = snapshot.service(&packet.flow) else {
            return Ok(self.outside_services(packet));
        };
        if service.masquerades
            && let Some(owner) = self.elsewhere(packet.flow.source())
        {
            return Ok(Verdict::Handoff(owner));
        }
        if !may_begin(packet) {
            return Ok(Verdict::Host);
        }
        if !self.can_be_client(packet.flow.addresses.source()) {
            return Err(DropReason::BadSource.into());
        }
        let (at, id) = self.schedule(packet, service)?;
        if let Some(mut entry) = self.table.entry_mut(at) {
            entry.set_client_link(buf.ingress(), packet.vlan, packet.source_mac);
        }
        self.stats.count_connection(id);
        self.observe(at, id, packet, Direction::Request);
        let planned = snapshot.real_server(id).ok_or(DropReason::RealServerGone)?;
        match self.to_real_server(id, planned, planned.port, planned.forwarding.into())? {
            Some(to) => forward::request(buf, packet, &to, &snapshot.network),
            None => Ok(Verdict::Host),
        }
    }

    /// Whether somebody who can be answered could send from this address.
    ///
    /// *Source:* RFC 1122 3.2.1.3, RFC 4291 2.5 and 2.7. The kernel takes none of
    /// these in; over IPv4 its own addresses neither.
    fn can_be_client(&self, source: IpAddr) -> bool {
        match source {
            IpAddr::V4(v4) => {
                let this_network = v4.octets()[0] == 0;
                !(this_network || v4.is_loopback() || v4.is_multicast() || v4.is_broadcast())
                    && self.snapshot.network.resolve(source) != Resolution::Local
            }
            IpAddr::V6(v6) => {
                let mapped = v6.to_ipv4_mapped().is_some();
                !(mapped || v6.is_unspecified() || v6.is_loopback() || v6.is_multicast())
            }
        }
    }

    /// A packet to no service: perhaps a reply that passes the director.
    fn outside_services(&mut self, packet: &Packet) -> Verdict {
        let flow = &packet.flow;
        let snapshot = self.snapshot;
        if snapshot.is_masqueraded_reply(flow)
            && let Some(owner) = self.elsewhere(flow.destination())
        {
            return Verdict::Handoff(owner);
        }
        // A real server reached by direct routing or a tunnel replies as the
        // service itself. The host routes that; the connection takes note.
        if snapshot.is_vip(flow.addresses.source()) {
            let request = flow.reversed();
            let hash = self.table.hash(&request);
            if let Some((at, Direction::Request)) = self.table.find(&request, hash, None)
                && let Some(entry) = self.table.entry(at)
                && entry.method() != Method::Masquerade
            {
                let id = entry.real_server();
                self.observe(at, id, packet, Direction::Reply);
            }
        }
        Verdict::Host
    }

    /// Chooses a real server and begins a connection with it.
    fn schedule(
        &mut self,
        packet: &Packet,
        service: &PlannedService,
    ) -> Result<(u32, RealServerId), Stopped> {
        let (client, client_port) = packet.flow.source();
        let vip = packet.flow.addresses.destination();
        let arrival = Arrival {
            client,
            client_port,
            vip,
        };
        let loads = &self.snapshot.loads;
        let refused = Stopped::Answered(Answer::PortUnreachable, DropReason::NoRealServer);
        let id = self
            .schedulers
            .get_mut(service.slot as usize)
            .and_then(Option::as_mut)
            .and_then(|state| state.pick(&service.roster, &arrival, |id| loads.of(id)))
            .ok_or(refused)?;
        let planned = self
            .snapshot
            .real_server(id)
            .ok_or(DropReason::RealServerGone)?;
        let new = NewConnection {
            flow: packet.flow,
            real_server: id,
            address: planned.address,
            port: planned.port,
            method: planned.forwarding.into(),
        };
        let now = self.now.tick();
        let deadline = now.after(self.lifetime(packet, TcpState::None));
        let at = self.table.insert(&new, deadline, now)?;
        self.snapshot.loads.add(self.id.index(), id, 0, 1);
        Ok((at, id))
    }

    /// Moves a connection's state and deadline by a packet, and counts it.
    fn observe(&mut self, at: u32, id: RealServerId, packet: &Packet, direction: Direction) {
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

    /// How to send to a real server; `None` when the director itself is the real
    /// server and has the VIP, so that the packet is the host's as it is.
    ///
    /// *Errors:* a real server without a route is told to the sender. Masquerading
    /// to the director itself would need the host's replies, which do not pass here.
    pub(super) fn to_real_server<'p>(
        &self,
        id: RealServerId,
        planned: &'p PlannedRealServer,
        port: u16,
        method: Method,
    ) -> Result<Option<ToRealServer<'p>>, Stopped> {
        let hop = match &planned.way {
            Resolution::Hop(hop) => hop,
            Resolution::Unresolved => return Err(DropReason::NextHopUnresolved.into()),
            Resolution::Local if method != Method::Masquerade => return Ok(None),
            Resolution::Local => return Err(DropReason::Unreachable.into()),
            Resolution::Unreachable => {
                return Err(Stopped::Answered(
                    Answer::HostUnreachable,
                    DropReason::Unreachable,
                ));
            }
        };
        // A tunnel is what its real server is configured for now.
        let forwarding = match (method, planned.forwarding) {
            (Method::Masquerade, _) => ForwardingMethod::Masquerade,
            (Method::Tunnel, tunnel @ ForwardingMethod::Tunnel(_)) => tunnel,
            (Method::Tunnel, _) => ForwardingMethod::Tunnel(Tunnel::Ipip),
            (Method::DirectRoute | Method::Bypass, _) => ForwardingMethod::DirectRoute,
        };
        let mtu = match forwarding {
            ForwardingMethod::Tunnel(_) => self.snapshot.paths.limit(id, hop.mtu, self.now.tick()),
            _ => hop.mtu,
        };
        Ok(Some(ToRealServer {
            address: &planned.address,
            port,
            forwarding,
            hop,
            mtu,
        }))
    }

    /// The way back to a connection's client: by the routes, or, where they
    /// know none, the way its packets came.
    pub(super) fn hop_to_client(&mut self, at: u32, client: IpAddr) -> Result<Hop, DropReason> {
        let generation = self.snapshot.generation;
        let entry = self.table.entry(at).ok_or(DropReason::Unreachable)?;
        if let Some(hop) = entry.client_hop(generation) {
            return Ok(hop);
        }
        let hop = match self.snapshot.network.resolve(client) {
            Resolution::Hop(hop) => hop,
            Resolution::Local => return Err(DropReason::Unreachable),
            Resolution::Unresolved | Resolution::Unreachable => {
                let (port, vlan, mac) = entry.client_link();
                let interface = self
                    .snapshot
                    .network
                    .interface(port)
                    .ok_or(DropReason::Unreachable)?;
                Hop {
                    port,
                    vlan,
                    mac,
                    mtu: interface.mtu,
                    source: None,
                }
            }
        };
        if let Some(mut entry) = self.table.entry_mut(at) {
            entry.set_client_hop(&hop, generation);
        }
        Ok(hop)
    }

    /// A fragment: not forwarded, and not the host's if it is a service's.
    fn fragment(&self, packet: &Packet) -> Result<Verdict, Stopped> {
        let ours = self.snapshot.is_vip(packet.flow.addresses.destination())
            || self
                .snapshot
                .is_masqueraded_address(packet.flow.addresses.source());
        if ours {
            Err(DropReason::Fragment.into())
        } else {
            Ok(Verdict::Host)
        }
    }

    /// The shard that owns a client's masqueraded connections, if not this one.
    pub(super) fn elsewhere(&self, (client, port): (IpAddr, u16)) -> Option<ShardId> {
        let owner = steer::shard_of(client, port, self.snapshot.seed, self.snapshot.shards);
        (owner != self.id).then_some(owner)
    }

    /// Ends a connection before its time.
    fn end(&mut self, at: u32) {
        if let Some(entry) = self.table.entry(at) {
            let active = i32::from(entry.has(ACTIVE));
            let id = entry.real_server();
            self.snapshot
                .loads
                .add(self.id.index(), id, -active, active - 1);
            self.stats.closed += 1;
        }
        self.table.remove(at);
    }

    /// Ticks a connection in this state is kept.
    const fn lifetime(&self, packet: &Packet, state: TcpState) -> u32 {
        match packet.kind {
            Kind::Tcp { .. } => self.snapshot.lifetimes.tcp(state),
            _ => self.snapshot.lifetimes.udp(),
        }
    }
}

/// Whether a packet of no connection may begin one.
///
/// *Source:* the kernel schedules any UDP packet and any TCP segment with SYN
/// but without RST; segments from port 20 belong to an FTP connection that must
/// be known already.
const fn may_begin(packet: &Packet) -> bool {
    let wanted = match packet.kind {
        Kind::Tcp { flags } => flags & SYN != 0 && flags & RST == 0,
        Kind::Udp => true,
        Kind::IcmpError | Kind::Fragment => false,
    };
    wanted && packet.flow.source_port != FTP_DATA
}

/// Whether a SYN begins a new connection where an old one has ended but is
/// still remembered (the kernel's `conn_reuse_mode` 1).
const fn begins_again(packet: &Packet, state: TcpState) -> bool {
    match packet.kind {
        Kind::Tcp { flags } => {
            flags & SYN != 0
                && flags & RST == 0
                && matches!(state, TcpState::TimeWait | TcpState::Close)
        }
        _ => false,
    }
}

const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const FTP_DATA: u16 = 20;
