//! Which traffic a director asks for.

use core::num::NonZeroU32;

use super::Shard;
use crate::packet::icmp::Quote;
use crate::packet::{FlowKey, Kind, Packet, PacketBuf};
use crate::snapshot::Snapshot;

impl Shard<'_> {
    /// Whether a packet is of the traffic its snapshot asks for: to a service,
    /// from a masqueraded real server's port, a fragment that may be of one, or
    /// an ICMP error about one.
    ///
    /// For callers whose source of packets gives the director everything: the
    /// host has what is not asked for already, and must not get it twice.
    ///
    /// *Cost:* that of parsing; for packets with verdict
    /// [`Host`](crate::Verdict::Host) only.
    pub fn claims(&self, buf: &mut PacketBuf<'_>) -> bool {
        let mut packet = Packet::NONE;
        if packet.read(buf, None).is_err() {
            return false;
        }
        match packet.kind {
            Kind::Tcp { .. } | Kind::Udp | Kind::Sctp { .. } | Kind::Ipsec => {
                let mark = self
                    .snapshot
                    .config
                    .classifier()
                    .mark(buf.ingress(), &packet);
                asks_for(&self.snapshot, &packet.flow, mark)
            }
            Kind::Fragment => self.snapshot.may_be_of_a_service(&packet.flow),
            Kind::IcmpError => Quote::parse(buf, &packet)
                .is_some_and(|quote| asks_for(&self.snapshot, &quote.flow.reversed(), None)),
        }
    }
}

/// Whether a flow is one to a service, or from a masqueraded real server's port.
pub(super) fn asks_for(snapshot: &Snapshot, flow: &FlowKey, mark: Option<NonZeroU32>) -> bool {
    snapshot.service(flow, mark).is_some() || snapshot.masqueraded_reply(flow).is_some()
}
