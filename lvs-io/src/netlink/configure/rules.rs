//! Entering and removing policy rules.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;

use super::Network;
use crate::netlink::error::Error;
use crate::netlink::rule::Rule;

impl Network {
    /// Enters a rule; refused if there is the same already.
    pub fn add_rule(&mut self, rule: &Rule) -> Result<(), Error> {
        let message = RouteNetlinkMessage::NewRule(rule.message());
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        self.kernel.change("add rule", &told(rule), message, flags)
    }

    /// Removes a rule.
    pub fn delete_rule(&mut self, rule: &Rule) -> Result<(), Error> {
        let message = RouteNetlinkMessage::DelRule(rule.message());
        self.kernel.change("delete rule", &told(rule), message, 0)
    }
}

fn told(rule: &Rule) -> String {
    let port = rule
        .port
        .map_or(String::new(), |port| format!(" port {port}"));
    format!("from {} protocol {}{port}", rule.source, rule.protocol)
}
