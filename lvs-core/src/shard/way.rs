//! The way of a packet: to a real server, or back to a client.

use core::net::IpAddr;

use super::decide::Step;
use crate::config::{ForwardingMethod, RealServerId, Setting, Tunnel};
use crate::conn::Method;
use crate::forward::{Answer, Forwarding, Outer, Stopped, ToRealServer};
use crate::network::{Hop, Resolution};
use crate::snapshot::PlannedRealServer;
use crate::verdict::DropReason;

impl<'s> Step<'s, '_> {
    /// How to send to a real server; `None` when the host itself is the real
    /// server.
    ///
    /// *Errors:* a real server without a route is told to the sender.
    #[inline]
    pub(super) fn to_real_server(
        &self,
        id: RealServerId,
        planned: &'s PlannedRealServer,
        port: u16,
        method: Method,
    ) -> Result<Option<ToRealServer<'s>>, Stopped> {
        let Resolution::Hop(hop) = &planned.way else {
            return without_hop(planned.way);
        };
        let (forwarding, mtu) = match method {
            Method::Masquerade => (Forwarding::Masquerade, hop.mtu),
            Method::DirectRoute | Method::Bypass => (Forwarding::DirectRoute, hop.mtu),
            Method::Tunnel => {
                let mtu = self.snapshot.paths.limit(id, hop.mtu, self.now.tick());
                (Forwarding::Tunnel(self.outer(planned)), mtu)
            }
        };
        Ok(Some(ToRealServer {
            address: &planned.address,
            port,
            forwarding,
            hop,
            mtu,
        }))
    }

    /// What the next packet through a tunnel to a real server is put into.
    fn outer(&self, planned: &PlannedRealServer) -> Outer<'s> {
        let (snapshot, id) = (self.snapshot, self.outer_id.get().wrapping_add(1));
        self.outer_id.set(id);
        Outer {
            // A tunnel is what its real server is configured for now.
            tunnel: match planned.forwarding {
                ForwardingMethod::Tunnel(tunnel) => tunnel,
                _ => Tunnel::Ipip,
            },
            seed: &snapshot.seed,
            id,
            discovers_mtu: snapshot.settings_for(planned).is_on(Setting::PmtuDisc),
        }
    }

    /// The way back to a connection's client, by the routes: replies are routed
    /// like any packet, with `snat_reroute` as if the service had sent them and
    /// without as what real servers send. While the next machine's link address is not known,
    /// which the kernel would ask for now, they go the way the client's came.
    ///
    /// *Errors:* [`DropReason::Unreachable`] where no route leads or one
    /// refuses, as in the kernel (ip_forward.c and route.c, Linux 6.12), and
    /// where one leads by a NIC the director does not serve: the host would not
    /// take a reply from it that bears the VIP, which is an address of its own.
    #[inline]
    pub(super) fn hop_to_client(&mut self, at: u32, client: IpAddr) -> Result<Hop, DropReason> {
        let generation = self.snapshot.generation;
        let entry = self.table.entry(at).ok_or(DropReason::Unreachable)?;
        match entry.client_hop(generation) {
            Some(hop) => Ok(hop),
            None => self.resolve_client(at, client),
        }
    }

    /// Works out the way back to a connection's client, and notes it there.
    #[inline(never)]
    fn resolve_client(&mut self, at: u32, client: IpAddr) -> Result<Hop, DropReason> {
        let entry = self.table.entry(at).ok_or(DropReason::Unreachable)?;
        let settings = self.snapshot.settings_of(entry.real_server());
        let passes_as_it_came =
            entry.method() == Method::Masquerade && !settings.is_on(Setting::SnatReroute);
        let source = if passes_as_it_came {
            entry.real_server_address()
        } else {
            entry.flow().addresses.destination()
        };
        let hop = match self.snapshot.network.resolve_from(source, client) {
            Resolution::Hop(hop) => hop,
            Resolution::Local | Resolution::Unreachable => return Err(DropReason::Unreachable),
            Resolution::Unresolved => {
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
            entry.set_client_hop(&hop, self.snapshot.generation);
        }
        Ok(hop)
    }
}

/// What becomes of a packet to a real server that no hop leads to.
#[cold]
fn without_hop<'s>(way: Resolution) -> Result<Option<ToRealServer<'s>>, Stopped> {
    match way {
        Resolution::Local => Ok(None),
        Resolution::Hop(_) => Err(DropReason::Unreachable.into()),
        Resolution::Unresolved => Err(DropReason::NextHopUnresolved.into()),
        Resolution::Unreachable => Err(Stopped::Answered(
            Answer::HostUnreachable,
            DropReason::Unreachable,
        )),
    }
}
