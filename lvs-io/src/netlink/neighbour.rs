//! Neighbours (who has which MAC on a link), as plain data and as netlink
//! messages.

use std::net::IpAddr;

use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourExtFlags, NeighbourFlags, NeighbourMessage,
    NeighbourState,
};

use super::address::family;

/// A neighbour: an address reachable on a link without a router between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Neighbour {
    /// Index of the link it is on.
    pub link: u32,
    /// Its address.
    pub address: IpAddr,
    /// Its MAC; none while the kernel does not know it, or no longer trusts it.
    pub mac: Option<[u8; 6]>,
    /// Whether someone entered it by hand, to stay.
    pub permanent: bool,
    /// Whether the kernel keeps it resolved without traffic
    /// (`NTF_EXT_MANAGED`).
    pub managed: bool,
    /// Whether a control plane entered it (`NTF_EXT_LEARNED`).
    pub learned: bool,
    /// Who set it last, by the kernel's number (`RTPROT_*`); zero if nobody
    /// said.
    pub protocol: u8,
}

impl Neighbour {
    /// The neighbour a message tells of; none if it tells of something else: a
    /// bridge's forwarding entry, an address answered for others, or a group
    /// of hosts, whose MAC is computed and not announced.
    pub(super) fn from_message(message: &NeighbourMessage) -> Option<Self> {
        let header = &message.header;
        if header.flags.contains(NeighbourFlags::Proxy) {
            return None;
        }
        let mut address = None;
        let mut mac = None;
        let mut managed = false;
        let mut protocol = 0;
        for attribute in &message.attributes {
            match attribute {
                NeighbourAttribute::Destination(NeighbourAddress::Inet(ip)) => {
                    address = Some(IpAddr::V4(*ip));
                }
                NeighbourAttribute::Destination(NeighbourAddress::Inet6(ip)) => {
                    address = Some(IpAddr::V6(*ip));
                }
                NeighbourAttribute::LinkLayerAddress(bytes) => mac = bytes[..].try_into().ok(),
                NeighbourAttribute::ExtFlags(flags) => {
                    managed = flags.contains(NeighbourExtFlags::Managed);
                }
                NeighbourAttribute::Protocol(who) => protocol = u8::from(*who),
                _ => {}
            }
        }
        let is_group = |mac: [u8; 6]| mac[0] & 1 != 0;
        if header.state == NeighbourState::Noarp && mac.is_none_or(is_group) {
            return None;
        }
        Some(Self {
            link: header.ifindex,
            address: address?,
            mac: mac.filter(|_| is_trusted(header.state)),
            permanent: header.state == NeighbourState::Permanent,
            managed,
            learned: header.flags.contains(NeighbourFlags::ExtLearned),
            protocol,
        })
    }

    /// Whether it is one that a [`Mirror`](super::Mirror) has the kernel manage.
    pub(super) fn is_kept_warm(&self) -> bool {
        self.managed && self.protocol == PROTOCOL
    }

    /// Whether it is more than a question without an answer. The kernel does
    /// not announce such, and forgets them in time.
    pub(super) fn is_known(&self) -> bool {
        self.mac.is_some() || self.permanent || self.managed || self.learned
    }
}

/// The message that names a neighbour, and nothing about it.
pub(super) fn message(link: u32, address: IpAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = family(address);
    message.header.ifindex = link;
    message.attributes = vec![NeighbourAttribute::Destination(address.into())];
    message
}

/// The message that enters a neighbour by hand, to stay.
pub(super) fn permanent(link: u32, address: IpAddr, mac: [u8; 6]) -> NeighbourMessage {
    let mut message = message(link, address);
    message.header.state = NeighbourState::Permanent;
    message
        .attributes
        .push(NeighbourAttribute::LinkLayerAddress(mac.to_vec()));
    message
}

/// The message that asks the kernel to resolve a neighbour now and, if it
/// knows how (Linux 5.16), to keep it resolved.
///
/// An older kernel passes over the flag it does not know and acts on
/// `NTF_USE`; a newer one lets `NTF_EXT_MANAGED` decide, and neither changes
/// the entry's state (net/core/neighbour.c, `__neigh_update`).
pub(super) fn managed(link: u32, address: IpAddr, learned: bool) -> NeighbourMessage {
    let mut message = used(link, address, learned);
    message
        .attributes
        .push(NeighbourAttribute::ExtFlags(NeighbourExtFlags::Managed));
    message
}

/// The same, with the mark by which whoever comes later knows it for ours.
pub(super) fn kept_warm(link: u32, address: IpAddr, learned: bool) -> NeighbourMessage {
    let mut message = managed(link, address, learned);
    message
        .attributes
        .push(NeighbourAttribute::Protocol(PROTOCOL.into()));
    message
}

/// The message that makes a managed neighbour an ordinary one again: a use
/// without the managed flag clears the flag and leaves the state alone.
///
/// `learned` must be what it was, or this would clear that flag too.
pub(super) fn used(link: u32, address: IpAddr, learned: bool) -> NeighbourMessage {
    let mut message = message(link, address);
    message.header.flags = NeighbourFlags::Use;
    if learned {
        message.header.flags |= NeighbourFlags::ExtLearned;
    }
    message
}

/// The mark of neighbours kept warm: a number for user space that nobody has
/// taken in `RTPROT_*` (linux/rtnetlink.h). The kernel keeps it (Linux 5.0) and
/// asks nothing of it.
const PROTOCOL: u8 = 0x6c;

/// Whether the kernel itself would send to the MAC of an entry in this state
/// (`NUD_VALID`). Stale is trusted: it is confirmed by using it.
fn is_trusted(state: NeighbourState) -> bool {
    matches!(
        state,
        NeighbourState::Reachable
            | NeighbourState::Stale
            | NeighbourState::Delay
            | NeighbourState::Probe
            | NeighbourState::Permanent
            | NeighbourState::Noarp
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

    fn address() -> IpAddr {
        "10.0.0.2".parse().unwrap()
    }

    #[test]
    fn a_permanent_entry_reads_back() {
        let neighbour = Neighbour::from_message(&permanent(4, address(), MAC)).unwrap();
        assert_eq!((neighbour.link, neighbour.address), (4, address()));
        assert_eq!(neighbour.mac, Some(MAC));
        assert!(neighbour.permanent && !neighbour.managed && !neighbour.learned);
    }

    #[test]
    fn a_failed_entry_has_no_mac() {
        let mut message = permanent(4, address(), MAC);
        for (state, trusted) in [
            (NeighbourState::Failed, false),
            (NeighbourState::Incomplete, false),
            (NeighbourState::None, false),
            (NeighbourState::Stale, true),
            (NeighbourState::Probe, true),
        ] {
            message.header.state = state;
            let neighbour = Neighbour::from_message(&message).unwrap();
            assert_eq!(neighbour.mac.is_some(), trusted, "{state}");
        }
    }

    #[test]
    fn a_group_of_hosts_is_no_neighbour() {
        let group = [0x33, 0x33, 0, 0, 0, 1];
        let mut message = permanent(4, "ff02::1".parse().unwrap(), group);
        message.header.state = NeighbourState::Noarp;
        assert_eq!(Neighbour::from_message(&message), None);
        message.attributes[1] = NeighbourAttribute::LinkLayerAddress(MAC.to_vec());
        assert!(Neighbour::from_message(&message).is_some(), "entered so");
    }

    #[test]
    fn flags_read_back() {
        let neighbour = Neighbour::from_message(&managed(4, address(), true)).unwrap();
        assert!(neighbour.managed && neighbour.learned);
        let neighbour = Neighbour::from_message(&used(4, address(), false)).unwrap();
        assert!(!neighbour.managed && !neighbour.learned);
    }

    #[test]
    fn what_is_kept_warm_is_told_from_what_others_manage() {
        let read = |message| Neighbour::from_message(&message).unwrap();
        assert!(read(kept_warm(4, address(), false)).is_kept_warm());
        assert!(!read(managed(4, address(), false)).is_kept_warm());
        assert!(!read(used(4, address(), false)).is_kept_warm());
    }

    #[test]
    fn a_proxied_address_is_no_neighbour() {
        let mut message = permanent(4, address(), MAC);
        message.header.flags = NeighbourFlags::Proxy;
        assert_eq!(Neighbour::from_message(&message), None);
    }
}
