//! The way of a packet: to a real server, or back to a client.

use core::net::IpAddr;

use super::decide::Step;
use crate::config::{ForwardingMethod, RealServerId, Setting, Tunnel};
use crate::conn::Method;
use crate::forward::{Answer, Outer, Stopped, ToRealServer};
use crate::network::{Hop, Resolution};
use crate::snapshot::PlannedRealServer;
use crate::verdict::DropReason;

impl<'s> Step<'s, '_> {
    /// How to send to a real server; `None` when the host itself is the real
    /// server.
    ///
    /// *Errors:* a real server without a route is told to the sender.
    pub(super) fn to_real_server(
        &self,
        id: RealServerId,
        planned: &'s PlannedRealServer,
        port: u16,
        method: Method,
    ) -> Result<Option<ToRealServer<'s>>, Stopped> {
        let hop = match &planned.way {
            Resolution::Hop(hop) => hop,
            Resolution::Unresolved => return Err(DropReason::NextHopUnresolved.into()),
            Resolution::Local => return Ok(None),
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
        let snapshot = self.snapshot;
        let mut outer = Outer {
            seed: &snapshot.seed,
            id: 0,
            discovers_mtu: true,
        };
        let mut mtu = hop.mtu;
        if let ForwardingMethod::Tunnel(_) = forwarding {
            outer.id = self.outer_id.get().wrapping_add(1);
            self.outer_id.set(outer.id);
            let settings = snapshot.settings_of(Some(planned));
            outer.discovers_mtu = settings.is_on(Setting::PmtuDisc);
            mtu = snapshot.paths.limit(id, mtu, self.now.tick());
        }
        Ok(Some(ToRealServer {
            address: &planned.address,
            port,
            forwarding,
            hop,
            mtu,
            outer,
        }))
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
    pub(super) fn hop_to_client(&mut self, at: u32, client: IpAddr) -> Result<Hop, DropReason> {
        let generation = self.snapshot.generation;
        let entry = self.table.entry(at).ok_or(DropReason::Unreachable)?;
        if let Some(hop) = entry.client_hop(generation) {
            return Ok(hop);
        }
        let planned = self.snapshot.real_server(entry.real_server());
        let settings = self.snapshot.settings_of(planned);
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
            entry.set_client_hop(&hop, generation);
        }
        Ok(hop)
    }
}
