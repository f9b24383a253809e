//! Which traffic a director asks for.

use core::num::NonZeroU32;

use super::Shard;
use crate::config::MarkRule;
use crate::packet::icmp::Quote;
use crate::packet::{FlowKey, Kind, Packet, PacketBuf};
use crate::snapshot::Snapshot;

impl Shard<'_> {
    /// Whether a packet is of the traffic its snapshot asks for: to a service,
    /// from a masqueraded real server's port, a fragment that may be of one, or
    /// an ICMP error about one.
    ///
    /// For callers whose source of packets gives the director everything: the
    /// host has what is not asked for already, and must not get it twice. What a
    /// rule marks is asked for by the address and the ports it names: whatever
    /// else it looks at is not seen before the packet is here.
    ///
    /// *Cost:* that of parsing, and of the rules that mark; for packets with verdict
    /// [`Host`](crate::Verdict::Host) only.
    pub fn claims(&self, buf: &mut PacketBuf<'_>) -> bool {
        let mut packet = Packet::NONE;
        if packet.read(buf, None).is_err() {
            return false;
        }
        match packet.kind {
            Kind::Tcp { .. }
            | Kind::Udp
            | Kind::Sctp { .. }
            | Kind::Ipsec
            | Kind::Cut { has_ports: true } => {
                may_be_asked_for(&self.snapshot, &packet.flow, Ports::Known)
            }
            Kind::Cut { has_ports: false } => false,
            Kind::Fragment => may_be_asked_for(&self.snapshot, &packet.flow, Ports::Unknown),
            Kind::IcmpError => Quote::parse(buf, &packet).is_some_and(|quote| {
                may_be_asked_for(&self.snapshot, &quote.flow.reversed(), Ports::Known)
            }),
        }
    }
}

/// Whether a flow has ports, or is a fragment's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ports {
    Known,
    Unknown,
}

/// Whether a flow looks like one to a service, or from a masqueraded real
/// server, by nothing but protocol, addresses and ports.
fn may_be_asked_for(snapshot: &Snapshot, flow: &FlowKey, ports: Ports) -> bool {
    let by_address = match ports {
        Ports::Known => asks_for(snapshot, flow, None),
        Ports::Unknown => snapshot.may_be_of_a_service(flow),
    };
    let named = |rule: &MarkRule| {
        let serves = |mark| snapshot.service(flow, Some(mark)).is_some();
        names(rule, flow, ports) && rule.mark.is_some_and(serves)
    };
    by_address || snapshot.config.classifier().rules.iter().any(named)
}

/// Whether a rule names the address a flow is to, its protocol and its port.
fn names(rule: &MarkRule, flow: &FlowKey, ports: Ports) -> bool {
    rule.address() == Some(flow.addresses.destination())
        && rule.protocol.is_none_or(|it| it == flow.protocol)
        && (ports == Ports::Unknown
            || rule
                .single_ports()
                .is_none_or(|mut named| named.any(|port| port == flow.destination_port)))
}

/// Whether a flow is one to a service, or from a masqueraded real server's port.
pub(super) fn asks_for(snapshot: &Snapshot, flow: &FlowKey, mark: Option<NonZeroU32>) -> bool {
    snapshot.asked_for(flow, mark).is_some() || snapshot.masqueraded_reply(flow).is_some()
}
