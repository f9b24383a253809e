//! A packet of no connection: whether it begins one, and with whom.

use core::net::IpAddr;
use core::time::Duration;

use super::bypass::nowhere;
use super::decide::{Step, breaks_off, opens};
use super::persist::port_of;
use crate::config::{RealServerId, Setting, Settings};
use crate::conn::{Method, NewConnection};
use crate::forward::{Answer, Stopped};
use crate::lookup::{FTP, FTP_DATA};
use crate::network::Resolution;
use crate::packet::transport::UDP;
use crate::packet::{FlowKey, Kind, Packet};
use crate::sched::Arrival;
use crate::snapshot::PlannedService;
use crate::time::ticks;
use crate::verdict::DropReason;

/// A packet that has a real server now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scheduled {
    /// Its connection; `None` for a packet that is scheduled by itself, of which
    /// nothing is kept.
    pub(super) at: Option<u32>,
    pub(super) id: RealServerId,
    /// The port it goes to.
    pub(super) port: u16,
    /// How it goes there.
    pub(super) method: Method,
}

impl Step<'_, '_> {
    /// Whether somebody who can be answered could send from this address.
    ///
    /// *Source:* RFC 1122 3.2.1.3, RFC 4291 2.5 and 2.7. The kernel takes none of
    /// these in; over IPv4 its own addresses neither.
    pub(super) fn can_be_client(&self, source: IpAddr) -> bool {
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

    /// Chooses a real server and begins a connection with it, for a packet to
    /// `asked`, as schedulers by destination see it.
    ///
    /// It ends soon unless a packet moves its state.
    pub(super) fn schedule(
        &mut self,
        flow: &FlowKey,
        service: &PlannedService,
        asked: IpAddr,
    ) -> Result<Scheduled, Stopped> {
        let chosen = match &service.persistence {
            Some(persistence) => self
                .kept(flow, service, persistence, asked)?
                .map(|(id, template)| (id, Some(template))),
            None => self.pick(flow, service, asked).map(|id| (id, None)),
        };
        let (id, template) = match chosen {
            Some(chosen) => chosen,
            None if self.may_bypass(flow, service) => (RealServerId::NONE, None),
            None => return Err(self.refusal(flow, service)),
        };
        let (address, port, method) = match self.snapshot.real_server(id) {
            Some(planned) => {
                let port = port_of(flow, service, planned);
                (planned.address, port, planned.forwarding.into())
            }
            None if id == RealServerId::NONE => (nowhere(flow), 0, Method::Bypass),
            None => return Err(DropReason::RealServerGone.into()),
        };
        let mut scheduled = Scheduled {
            at: None,
            id,
            port,
            method,
        };
        if service.one_packet && flow.protocol == UDP {
            // Those packets are counted with what is kept of them.
            if let Some(mut entry) = template.and_then(|at| self.table.entry_mut(at)) {
                entry.count_packet();
            }
            return Ok(scheduled);
        }
        let new = NewConnection {
            flow: *flow,
            real_server: id,
            address,
            port,
            method,
        };
        let now = self.now.tick();
        let deadline = now.after(ticks(UNCONFIRMED));
        let at = self.table.insert(&new, deadline, now)?;
        self.snapshot.loads.begun(id);
        if let Some(template) = template {
            self.table.control(at, template);
        }
        scheduled.at = Some(at);
        Ok(scheduled)
    }

    /// Asks the service's scheduler for a real server.
    pub(super) fn pick(
        &mut self,
        flow: &FlowKey,
        service: &PlannedService,
        asked: IpAddr,
    ) -> Option<RealServerId> {
        let (client, client_port) = flow.source();
        let arrival = Arrival {
            client,
            client_port,
            vip: asked,
            now: self.now,
        };
        let snapshot = self.snapshot;
        let state = self.schedulers.of(service, snapshot, self.stats)?;
        state.pick(&service.roster, &arrival, &*snapshot.loads)
    }

    /// What a client is told for whom there is no real server. Nothing, where it
    /// asked an address that is not the host's, as only services on marks have:
    /// the kernel cannot answer from it either.
    pub(super) fn refusal(&self, flow: &FlowKey, service: &PlannedService) -> Stopped {
        let vip = flow.addresses.destination();
        let reason = DropReason::NoRealServer;
        if service.key.address().is_none()
            && self.snapshot.network.resolve(vip) != Resolution::Local
        {
            return Stopped::Dropped(reason);
        }
        Stopped::Answered(Answer::PortUnreachable, reason)
    }
}

/// Whether a packet of no connection may begin one.
///
/// *Source:* the kernel schedules any UDP packet and any TCP segment with SYN
/// but without RST, with `sloppy_tcp` any without RST; of SCTP any packet with
/// INIT first, with `sloppy_sctp` any without ABORT; AH and ESP never.
pub(super) const fn may_begin(packet: &Packet, settings: &Settings) -> bool {
    let wanted = match packet.kind {
        Kind::Tcp { .. } => opens(packet) || settings.is_on(Setting::SloppyTcp),
        Kind::Sctp { .. } => opens(packet) || settings.is_on(Setting::SloppySctp),
        Kind::Udp => true,
        Kind::Ipsec | Kind::Cut { .. } | Kind::IcmpError | Kind::Fragment => false,
    };
    wanted && !breaks_off(packet)
}

/// Whether a packet of no connection is to a port of FTP's data. Only a
/// persistent service schedules it, and where there is no real server it is the
/// host's.
///
/// *Source:* the behaviour of `ip_vs_schedule` and `ip_vs_leave`, Linux 6.12.
pub(super) const fn is_for_ftp_data(flow: &FlowKey, service: &PlannedService) -> bool {
    service.key.port() == FTP && flow.destination_port != FTP
}

/// Whether a service leaves a packet to the host that would begin a connection:
/// one from port 20 belongs to an FTP connection that must be known already, and
/// one to a port of FTP's data to a service that keeps a client's connections
/// together. By then the defence has counted it.
pub(super) const fn leaves_to_host(flow: &FlowKey, service: &PlannedService) -> bool {
    flow.source_port == FTP_DATA || service.persistence.is_none() && is_for_ftp_data(flow, service)
}

/// How long a connection is kept of which no packet was seen yet.
const UNCONFIRMED: Duration = Duration::from_secs(3);
