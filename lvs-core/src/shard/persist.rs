//! Persistence: a client goes where its template says.
//!
//! ```text
//!  client ──> masked ──> template ──> real server ──> connection
//!                 └ none, or of no use ──> the scheduler's choice, a new one
//! ```
//!
//! *Source:* the behaviour of `ip_vs_sched_persist`, Linux 6.12.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::decide::Step;
use crate::config::{Persistence, RealServerId, ServiceKey, Setting, Weight};
use crate::conn::NewConnection;
use crate::lookup::FTP;
use crate::packet::{Addresses, FlowKey};
use crate::snapshot::{PlannedRealServer, PlannedService};
use crate::time::ticks;
use crate::verdict::DropReason;

impl Step<'_, '_> {
    /// The real server of a client of a persistent service, and the template
    /// that says so; `None` when it has none and there is none to have.
    ///
    /// *Errors:* no room for a template.
    pub(super) fn kept(
        &mut self,
        flow: &FlowKey,
        service: &PlannedService,
        persistence: &Persistence,
        asked: IpAddr,
    ) -> Result<Option<(RealServerId, u32)>, DropReason> {
        let key = key_of(flow, service, persistence);
        let now = self.now.tick();
        if let Some(at) = self.table.find_template(&key) {
            if let Some(id) = self.usable(at, service) {
                self.table.renew(at, now);
                return Ok(Some((id, at)));
            }
            self.table.invalidate(at);
        }
        let Some(id) = self.pick(flow, service, asked) else {
            return Ok(None);
        };
        let planned = self
            .snapshot
            .real_server(id)
            .ok_or(DropReason::RealServerGone)?;
        let new = NewConnection {
            flow: key,
            real_server: id,
            address: planned.address,
            port: if key.destination_port == 0 {
                0
            } else {
                planned.port
            },
            method: planned.forwarding.into(),
        };
        let lifetime = ticks(persistence.timeout);
        let at = self.table.insert_template(&new, lifetime, now)?;
        self.snapshot.loads.add_template(id, 1);
        Ok(Some((id, at)))
    }

    /// The real server a template names, if clients are still kept to it.
    fn usable(&self, at: u32, service: &PlannedService) -> Option<RealServerId> {
        let id = self.table.entry(at)?.real_server();
        let planned = self.snapshot.real_server(id)?;
        let quiet = planned.weight == Weight::ZERO
            && service.settings.is_on(Setting::ExpireQuiescentTemplate);
        (!quiet).then_some(id)
    }
}

/// What a template is found by: the part of the client's address that counts,
/// and the service. Port 0 stands for every port, as with FTP and its data;
/// services on marks have the mark for an address, and every protocol.
fn key_of(flow: &FlowKey, service: &PlannedService, persistence: &Persistence) -> FlowKey {
    let client = persistence.masked(flow.addresses.source());
    let own_port = flow.destination_port == service.key.port() && flow.destination_port != FTP;
    let mark = match service.key {
        ServiceKey::Mark { mark, .. } => Some(mark.get()),
        ServiceKey::Address { .. } => None,
    };
    let addresses = match (client, flow.addresses) {
        (IpAddr::V4(source), Addresses::V4 { destination, .. }) => Addresses::V4 {
            source,
            destination: mark.map_or(destination, Ipv4Addr::from_bits),
        },
        (IpAddr::V6(source), Addresses::V6 { destination, .. }) => Addresses::V6 {
            source,
            destination: mark.map_or(destination, |mark| {
                Ipv6Addr::from_bits(u128::from(mark) << 96)
            }),
        },
        // A mask does not change the family.
        (_, addresses) => addresses,
    };
    FlowKey {
        addresses,
        source_port: 0,
        destination_port: if own_port { flow.destination_port } else { 0 },
        protocol: if mark.is_some() { 0 } else { flow.protocol },
    }
}

/// The port a connection's packets go to.
///
/// A persistent service changes its own port only: what comes to another keeps
/// its port.
pub(super) const fn port_of(
    flow: &FlowKey,
    service: &PlannedService,
    planned: &PlannedRealServer,
) -> u16 {
    let asked = flow.destination_port;
    let keeps = service.persistence.is_some() && asked != service.key.port();
    match planned.port {
        0 => asked,
        _ if keeps => asked,
        port => port,
    }
}
