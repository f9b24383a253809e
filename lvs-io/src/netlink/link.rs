//! Links (network interfaces), as plain data read from netlink messages.

use netlink_packet_route::AddressFamily;
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkInfo, LinkMessage, LinkXdp};

/// A network interface as the kernel describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number for it, unique in its namespace while it exists.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// What it is, where it is made of software: `veth`, `ipip`.
    pub kind: Option<String>,
    /// Its hardware address; none where it is not of six bytes.
    pub mac: Option<[u8; 6]>,
    /// The longest packet it takes, in bytes, without the Ethernet header.
    pub mtu: u32,
    /// Whether it is set up.
    pub up: bool,
    /// Whether it could carry packets now (up, and the other side too).
    pub running: bool,
    /// Whether neighbours on it are found by asking (ARP, neighbour discovery).
    pub asks_neighbours: bool,
    /// Whether it is the loopback interface.
    pub loopback: bool,
    /// Index of the bridge or bond it is a port of.
    pub port_of: Option<u32>,
    /// The kernel's number for the XDP program that is attached to it.
    pub xdp_program: Option<u32>,
    /// How many receive queues it has.
    pub receive_queues: u32,
    /// How many transmit queues it has.
    pub transmit_queues: u32,
}

impl Link {
    /// The link a message tells of; none if the message is of another kind,
    /// such as a bridge's about its ports.
    pub(super) fn from_message(message: &LinkMessage) -> Option<Self> {
        if message.header.interface_family != AddressFamily::Unspec {
            return None;
        }
        let flags = message.header.flags;
        let mut link = Self {
            index: message.header.index,
            name: String::new(),
            kind: None,
            mac: None,
            mtu: 0,
            up: flags.contains(LinkFlags::Up),
            running: flags.contains(LinkFlags::Running),
            asks_neighbours: !flags.intersects(LinkFlags::Noarp | LinkFlags::Loopback),
            loopback: flags.contains(LinkFlags::Loopback),
            port_of: None,
            xdp_program: None,
            receive_queues: 1,
            transmit_queues: 1,
        };
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name.clone_from(name),
                LinkAttribute::Address(mac) => link.mac = mac[..].try_into().ok(),
                LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
                LinkAttribute::LinkInfo(info) => {
                    link.kind = info.iter().find_map(|part| match part {
                        LinkInfo::Kind(kind) => Some(kind.to_string()),
                        _ => None,
                    });
                }
                LinkAttribute::Controller(index) => link.port_of = Some(*index),
                LinkAttribute::Xdp(xdp) => {
                    link.xdp_program = xdp.iter().find_map(|part| match part {
                        LinkXdp::ProgId(id) => Some(*id),
                        _ => None,
                    });
                }
                LinkAttribute::NumRxQueues(count) => link.receive_queues = *count,
                LinkAttribute::NumTxQueues(count) => link.transmit_queues = *count,
                _ => {}
            }
        }
        Some(link)
    }
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::link::InfoKind;

    use super::*;

    fn message() -> LinkMessage {
        let mut message = LinkMessage::default();
        message.header.index = 7;
        message.header.flags = LinkFlags::Up | LinkFlags::Noarp;
        message.attributes = vec![
            LinkAttribute::IfName("eth0".into()),
            LinkAttribute::Address(vec![2, 0, 0, 0, 0, 1]),
            LinkAttribute::Mtu(9000),
            LinkAttribute::Controller(4),
            LinkAttribute::NumRxQueues(2),
            LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::IpIp)]),
        ];
        message
    }

    #[test]
    fn reads_what_matters() {
        let link = Link::from_message(&message()).unwrap();
        assert_eq!((link.index, &link.name[..]), (7, "eth0"));
        assert_eq!((link.mac, link.mtu), (Some([2, 0, 0, 0, 0, 1]), 9000));
        assert!(link.up && !link.running && !link.asks_neighbours && !link.loopback);
        assert_eq!((link.port_of, link.receive_queues), (Some(4), 2));
        assert_eq!(link.kind.as_deref(), Some("ipip"));
    }

    #[test]
    fn a_bridge_s_word_about_a_port_is_no_link() {
        let mut message = message();
        message.header.interface_family = AddressFamily::Bridge;
        assert_eq!(Link::from_message(&message), None);
    }

    #[test]
    fn a_long_hardware_address_is_no_mac() {
        let mut message = message();
        message.attributes.push(LinkAttribute::Address(vec![0; 20]));
        assert_eq!(Link::from_message(&message).unwrap().mac, None);
    }
}
