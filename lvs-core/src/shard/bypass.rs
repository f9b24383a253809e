//! Bypassing: packets of services on marks that have no real server go on to
//! where they were sent, as when transparent caches are down.
//!
//! *Source:* the behaviour of `ip_vs_leave` and `ip_vs_bypass_xmit`, Linux 6.12.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::decide::Step;
use crate::config::Setting;
use crate::forward::{self, Forwarding, Stopped, ToRealServer};
use crate::network::Resolution;
use crate::packet::{FlowKey, Packet, PacketBuf};
use crate::snapshot::PlannedService;
use crate::verdict::{DropReason, Verdict};

impl Step<'_, '_> {
    /// Whether a packet that finds no real server goes on to where it was sent:
    /// with `cache_bypass`, on a mark, and to a unicast address. In IPv4 it must
    /// not be the host's; in IPv6 the kernel does not ask, and such packets end
    /// with a connection to nowhere.
    pub(super) fn may_bypass(&self, flow: &FlowKey, service: &PlannedService) -> bool {
        let destination = flow.addresses.destination();
        service.settings.is_on(Setting::CacheBypass)
            && service.key.address().is_none()
            && !destination.is_multicast()
            && (destination.is_ipv6()
                || self.snapshot.network.resolve(destination) != Resolution::Local)
    }

    /// Sends a packet on to where it was sent.
    #[cold]
    #[inline(never)]
    pub(super) fn bypass(
        &self,
        buf: &mut PacketBuf<'_>,
        packet: &Packet,
    ) -> Result<Verdict, Stopped> {
        let address = packet.flow.addresses.destination();
        let network = &self.snapshot.network;
        let hop = match network.resolve(address) {
            Resolution::Hop(hop) => hop,
            Resolution::Unresolved => return Err(DropReason::NextHopUnresolved.into()),
            Resolution::Local | Resolution::Unreachable => {
                return Err(DropReason::Unreachable.into());
            }
        };
        let to = ToRealServer {
            address: &address,
            port: 0,
            forwarding: Forwarding::DirectRoute,
            hop: &hop,
            mtu: hop.mtu,
        };
        forward::request(buf, packet, &to, network)
    }
}

/// The address of no real server, of the packet's family.
pub(super) const fn nowhere(flow: &FlowKey) -> IpAddr {
    match flow.addresses.source() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}
