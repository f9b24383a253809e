//! A packet of no connection: whether it begins one, and with whom.

use core::net::IpAddr;
use core::time::Duration;

use super::decide::{Step, breaks_off, opens};
use crate::config::{RealServerId, Setting, Settings};
use crate::conn::NewConnection;
use crate::forward::{Answer, Stopped};
use crate::network::Resolution;
use crate::packet::{FlowKey, Kind, Packet};
use crate::sched::Arrival;
use crate::snapshot::PlannedService;
use crate::time::ticks;
use crate::verdict::DropReason;

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

    /// Chooses a real server and begins a connection with it.
    ///
    /// It ends soon unless a packet moves its state.
    pub(super) fn schedule(
        &mut self,
        flow: &FlowKey,
        service: &PlannedService,
    ) -> Result<(u32, RealServerId), Stopped> {
        if self.drops_new(&service.settings) {
            return Err(DropReason::Defence.into());
        }
        let (client, client_port) = flow.source();
        let vip = flow.addresses.destination();
        let arrival = Arrival {
            client,
            client_port,
            vip,
            now: self.now,
        };
        let loads = &*self.snapshot.loads;
        let refused = Stopped::Answered(Answer::PortUnreachable, DropReason::NoRealServer);
        let id = self
            .schedulers
            .get_mut(service.slot as usize)
            .and_then(Option::as_mut)
            .and_then(|state| state.pick(&service.roster, &arrival, loads))
            .ok_or(refused)?;
        let planned = self
            .snapshot
            .real_server(id)
            .ok_or(DropReason::RealServerGone)?;
        let new = NewConnection {
            flow: *flow,
            real_server: id,
            address: planned.address,
            port: planned.port,
            method: planned.forwarding.into(),
        };
        let now = self.now.tick();
        let deadline = now.after(ticks(UNCONFIRMED));
        let at = self.table.insert(&new, deadline, now)?;
        loads.begun(self.id.index(), id);
        Ok((at, id))
    }
}

/// Whether a packet of no connection may begin one.
///
/// *Source:* the kernel schedules any UDP packet and any TCP segment with SYN
/// but without RST, with `sloppy_tcp` any without RST; of SCTP any packet with
/// INIT first, with `sloppy_sctp` any without ABORT; AH and ESP never; packets from port 20
/// belong to an FTP connection that must be known already.
pub(super) const fn may_begin(packet: &Packet, settings: &Settings) -> bool {
    let wanted = match packet.kind {
        Kind::Tcp { .. } => opens(packet) || settings.is_on(Setting::SloppyTcp),
        Kind::Sctp { .. } => opens(packet) || settings.is_on(Setting::SloppySctp),
        Kind::Udp => true,
        Kind::Ipsec | Kind::IcmpError | Kind::Fragment => false,
    };
    wanted && !breaks_off(packet) && packet.flow.source_port != FTP_DATA
}

/// How long a connection is kept of which no packet was seen yet.
const UNCONFIRMED: Duration = Duration::from_secs(3);
pub(super) const FTP_DATA: u16 = 20;
