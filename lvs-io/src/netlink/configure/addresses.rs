//! Giving links addresses and taking them away.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;

use super::Network;
use crate::netlink::address;
use crate::netlink::error::Error;
use crate::netlink::prefix::Prefix;

impl Network {
    /// Gives a link an address, host bits included. For an IPv6 address nobody
    /// is asked whether he has it already; on a link that is up, the kernel
    /// takes packets to it some milliseconds later.
    pub fn add_address(&mut self, link: &str, prefix: Prefix) -> Result<(), Error> {
        let index = self.link(link)?.index;
        self.kernel.change(
            "add address",
            &format_args!("{prefix} to {link}"),
            RouteNetlinkMessage::NewAddress(address::message(index, prefix)),
            NLM_F_CREATE | NLM_F_EXCL,
        )
    }

    /// Takes an address from a link.
    pub fn remove_address(&mut self, link: &str, prefix: Prefix) -> Result<(), Error> {
        let index = self.link(link)?.index;
        self.kernel.change(
            "remove address",
            &format_args!("{prefix} from {link}"),
            RouteNetlinkMessage::DelAddress(address::message(index, prefix)),
            0,
        )
    }
}
