//! Entering and removing neighbours.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::NeighbourMessage;

use super::Network;
use crate::netlink::error::Error;
use crate::netlink::neighbour;

impl Network {
    /// Enters a neighbour to stay, in place of what was known of it.
    pub fn add_neighbour(
        &mut self,
        link: &str,
        address: IpAddr,
        mac: [u8; 6],
    ) -> Result<(), Error> {
        let index = self.link(link)?.index;
        let message = neighbour::permanent(index, address, mac);
        self.enter_neighbour("add neighbour", link, address, message)
    }

    /// Has the kernel find a neighbour now and keep it resolved without
    /// traffic (`NTF_EXT_MANAGED`, Linux 5.16; an older kernel only finds it
    /// now). An entry made to stay would no longer stay.
    pub fn manage_neighbour(&mut self, link: &str, address: IpAddr) -> Result<(), Error> {
        let index = self.link(link)?.index;
        let message = neighbour::managed(index, address, false);
        self.enter_neighbour("manage neighbour", link, address, message)
    }

    /// Has the kernel find a neighbour now, as if a packet for it were waiting.
    /// Nothing but its question is sent.
    pub fn ask_for_neighbour(&mut self, link: &str, address: IpAddr) -> Result<(), Error> {
        let index = self.link(link)?.index;
        let message = neighbour::used(index, address, false);
        self.enter_neighbour("ask for neighbour", link, address, message)
    }

    /// Removes a neighbour.
    pub fn delete_neighbour(&mut self, link: &str, address: IpAddr) -> Result<(), Error> {
        let index = self.link(link)?.index;
        self.kernel.change(
            "delete neighbour",
            &format_args!("{address} on {link}"),
            RouteNetlinkMessage::DelNeighbour(neighbour::message(index, address)),
            0,
        )
    }

    fn enter_neighbour(
        &mut self,
        operation: &'static str,
        link: &str,
        address: IpAddr,
        message: NeighbourMessage,
    ) -> Result<(), Error> {
        self.kernel.change(
            operation,
            &format_args!("{address} on {link}"),
            RouteNetlinkMessage::NewNeighbour(message),
            NLM_F_CREATE | NLM_F_REPLACE,
        )
    }
}
