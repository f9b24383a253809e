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
        let addresses = &packet.flow.addresses;
        match packet.kind {
            Kind::Tcp { .. } | Kind::Udp => {
                let mark = self
                    .snapshot
                    .config
                    .classifier()
                    .mark(buf.ingress(), &packet);
                asks_for(&self.snapshot, &packet.flow, mark)
            }
            Kind::Fragment => {
                self.snapshot.is_vip(addresses.destination())
                    || self.snapshot.is_masqueraded_address(addresses.source())
            }
            Kind::IcmpError => Quote::parse(buf, &packet)
                .is_some_and(|quote| asks_for(&self.snapshot, &quote.flow.reversed(), None)),
        }
    }
}

fn asks_for(snapshot: &Snapshot, flow: &FlowKey, mark: Option<NonZeroU32>) -> bool {
    snapshot.service(flow, mark).is_some() || snapshot.masqueraded_reply(flow).is_some()
}
