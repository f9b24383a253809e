//! Making, changing, finding and removing links.

use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};

use super::Network;
use crate::netlink::error::Error;
use crate::netlink::link::Link;

/// One end of a veth pair to be made.
#[derive(Clone, Copy, Debug)]
pub struct VethEnd<'a> {
    name: &'a str,
    queues: u32,
    mtu: Option<u32>,
    mac: Option<[u8; 6]>,
    namespace: Option<BorrowedFd<'a>>,
}

impl<'a> VethEnd<'a> {
    /// An end called `name` with one queue, the kernel's MTU and a random MAC.
    pub fn new(name: &'a str) -> Self {
        Self {
            name,
            queues: 1,
            mtu: None,
            mac: None,
            namespace: None,
        }
    }

    /// Gives it `count` receive and as many transmit queues.
    ///
    /// A native XDP program attaches only to an end with at least as many
    /// receive queues as the other end has transmit queues.
    #[must_use]
    pub fn queues(self, count: u32) -> Self {
        Self {
            queues: count,
            ..self
        }
    }

    /// Gives it an MTU, in bytes.
    #[must_use]
    pub fn mtu(self, bytes: u32) -> Self {
        Self {
            mtu: Some(bytes),
            ..self
        }
    }

    /// Gives it a MAC.
    #[must_use]
    pub fn mac(self, mac: [u8; 6]) -> Self {
        Self {
            mac: Some(mac),
            ..self
        }
    }

    /// Puts it into another network namespace than the one it is made in.
    #[must_use]
    pub fn namespace(self, namespace: BorrowedFd<'a>) -> Self {
        Self {
            namespace: Some(namespace),
            ..self
        }
    }

    fn message(&self) -> LinkMessage {
        let mut message = named(self.name);
        let attributes = &mut message.attributes;
        attributes.push(LinkAttribute::NumTxQueues(self.queues));
        attributes.push(LinkAttribute::NumRxQueues(self.queues));
        attributes.extend(self.mtu.map(LinkAttribute::Mtu));
        attributes.extend(self.mac.map(|mac| LinkAttribute::Address(mac.to_vec())));
        let descriptor = self.namespace.map(|namespace| namespace.as_raw_fd());
        attributes.extend(descriptor.map(LinkAttribute::NetNsFd));
        message
    }
}

impl Network {
    /// Makes a veth pair; both ends start out down.
    pub fn add_veth(&mut self, one: &VethEnd<'_>, other: &VethEnd<'_>) -> Result<(), Error> {
        let mut message = one.message();
        message.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(other.message()))),
        ]));
        self.kernel.change(
            "add veth pair",
            &format_args!("{} and {}", one.name, other.name),
            RouteNetlinkMessage::NewLink(message),
            NLM_F_CREATE | NLM_F_EXCL,
        )
    }

    /// Makes a bridge without ports.
    pub fn add_bridge(&mut self, name: &str) -> Result<(), Error> {
        let mut message = named(name);
        let info = LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]);
        message.attributes.push(info);
        self.kernel.change(
            "add bridge",
            &name,
            RouteNetlinkMessage::NewLink(message),
            NLM_F_CREATE | NLM_F_EXCL,
        )
    }

    /// Makes `port` a port of the bridge `bridge`.
    pub fn add_to_bridge(&mut self, port: &str, bridge: &str) -> Result<(), Error> {
        let index = self.link(bridge)?.index;
        let mut message = named(port);
        message.attributes.push(LinkAttribute::Controller(index));
        self.set("add port to bridge", port, message)
    }

    /// Moves a link to another network namespace. It loses its addresses, its
    /// routes and its index, and is down there.
    pub fn move_link(&mut self, name: &str, namespace: BorrowedFd<'_>) -> Result<(), Error> {
        let mut message = named(name);
        let descriptor = LinkAttribute::NetNsFd(namespace.as_raw_fd());
        message.attributes.push(descriptor);
        self.set("move link", name, message)
    }

    /// Sets a link up.
    pub fn set_up(&mut self, name: &str) -> Result<(), Error> {
        self.set_flag("set up", name, LinkFlags::Up, true)
    }

    /// Sets a link down. The kernel takes its routes and, unless told to keep
    /// them, its IPv6 addresses.
    pub fn set_down(&mut self, name: &str) -> Result<(), Error> {
        self.set_flag("set down", name, LinkFlags::Up, false)
    }

    /// Lets a link take frames for any MAC, or only those for its own.
    pub fn set_promiscuous(&mut self, name: &str, promiscuous: bool) -> Result<(), Error> {
        self.set_flag("set promiscuity of", name, LinkFlags::Promisc, promiscuous)
    }

    /// Sets a link's MAC.
    pub fn set_mac(&mut self, name: &str, mac: [u8; 6]) -> Result<(), Error> {
        let mut message = named(name);
        message
            .attributes
            .push(LinkAttribute::Address(mac.to_vec()));
        self.set("set MAC of", name, message)
    }

    /// Sets a link's MTU, in bytes.
    pub fn set_mtu(&mut self, name: &str, bytes: u32) -> Result<(), Error> {
        let mut message = named(name);
        message.attributes.push(LinkAttribute::Mtu(bytes));
        self.set("set MTU of", name, message)
    }

    /// Sets how many packets may wait to be sent by a link.
    pub fn set_queue_length(&mut self, name: &str, packets: u32) -> Result<(), Error> {
        let mut message = named(name);
        message.attributes.push(LinkAttribute::TxQueueLen(packets));
        self.set("set queue length of", name, message)
    }

    /// Removes a link; of a veth pair, both ends, wherever the other is.
    pub fn delete_link(&mut self, name: &str) -> Result<(), Error> {
        let message = RouteNetlinkMessage::DelLink(named(name));
        self.kernel.change("delete link", &name, message, 0)
    }

    /// Finds a link by name.
    pub fn link(&mut self, name: &str) -> Result<Link, Error> {
        let message = RouteNetlinkMessage::GetLink(named(name));
        let answer = self.kernel.ask("find link", &name, message)?;
        let link = match &answer {
            RouteNetlinkMessage::NewLink(message) => Link::from_message(message),
            _ => None,
        };
        link.ok_or_else(|| {
            let cause = std::io::ErrorKind::InvalidData.into();
            Error::new("find link", &name, cause)
        })
    }

    fn set_flag(
        &mut self,
        operation: &'static str,
        name: &str,
        flag: LinkFlags,
        on: bool,
    ) -> Result<(), Error> {
        let mut message = named(name);
        message.header.change_mask = flag;
        if on {
            message.header.flags = flag;
        }
        self.set(operation, name, message)
    }

    fn set(
        &mut self,
        operation: &'static str,
        name: &str,
        message: LinkMessage,
    ) -> Result<(), Error> {
        let message = RouteNetlinkMessage::SetLink(message);
        self.kernel.change(operation, &name, message, 0)
    }
}

fn named(name: &str) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(name.into()));
    message
}
