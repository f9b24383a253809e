//! Do the director's packets reach the real servers and the gateways?

use std::collections::BTreeSet;
use std::net::IpAddr;

use lvs_core::{ForwardingMethod, RealServer};
use lvs_io::netlink::{NextHop, Resolution};

use super::case::Case;
use super::report::{Check, Severity};

pub(super) fn check(case: &Case<'_>) -> Check {
    let mut check = Check::new("neighbours");
    let mut seen = BTreeSet::new();
    for (_, real_server) in case.real_servers() {
        let direct = real_server.forwarding == ForwardingMethod::DirectRoute;
        if seen.insert((real_server.address, direct)) {
            check_way(case, real_server, &mut check);
        }
    }
    for (link, address) in case.unresolved() {
        let name = case.host.view.link(link).map_or("?", |link| &link.name);
        if !case.machine.is_root {
            check.remark(format!(
                "The link address of {address} on {name} is not known, and only root may ask."
            ));
            continue;
        }
        let who = match seen.contains(&(address, true)) || seen.contains(&(address, false)) {
            true => "The real server",
            false => "The gateway",
        };
        let what = format!(
            "{who} {address} does not answer on {name} when asked for its link address: it is \
             off, in another network or VLAN, or another address is meant."
        );
        let ask = match address {
            IpAddr::V4(_) => format!("arping -c 3 -I {name} {address}"),
            IpAddr::V6(_) => format!("ping -c 3 {address}%{name}"),
        };
        check.fault(
            what,
            [ask, format!("ip neigh show to {address} dev {name}")],
        );
    }
    check
}

fn check_way(case: &Case<'_>, real_server: &RealServer, check: &mut Check) {
    let address = real_server.address;
    match case.host.view.resolve(address) {
        Resolution::Via(hop) => check_hop(case, real_server, &hop, check),
        Resolution::Unreachable => {
            let what = format!("No route leads to the real server {address}.");
            check.fault(what, [format!("ip route add {address} via GATEWAY")]);
        }
        Resolution::Local if real_server.forwarding == ForwardingMethod::Masquerade => {
            let what = format!(
                "The real server {address} is this host itself, which cannot be masqueraded: its \
                 answers do not pass the director. Direct routing can."
            );
            check.reconfigure(
                Severity::Fault,
                what,
                "forwarding = \"direct-route\"".to_owned(),
            );
        }
        Resolution::Local => {
            check.remark(format!("The real server {address} is this host itself."))
        }
    }
}

fn check_hop(case: &Case<'_>, real_server: &RealServer, hop: &NextHop, check: &mut Check) {
    let address = real_server.address;
    if !case.arms.iter().any(|arm| arm.nic.index == hop.link) {
        let link = case.host.view.link(hop.link);
        let link = link.map_or("?", |link| &link.name);
        let mut interfaces = case.settings.director.interfaces.clone();
        interfaces.push(link.to_owned());
        let what = format!(
            "The way to the real server {address} is by {link}, which the director does not serve, \
             so it cannot send there."
        );
        check.reconfigure(
            Severity::Fault,
            what,
            format!("interfaces = {interfaces:?}"),
        );
    } else if real_server.forwarding == ForwardingMethod::DirectRoute && hop.next_hop != address {
        let what = format!(
            "The real server {address} is reached by direct routing, but is behind the gateway \
             {}, which sees a packet for the VIP and sends it back here.",
            hop.next_hop
        );
        check.reconfigure(
            Severity::Warning,
            what,
            "forwarding = \"tunnel\"".to_owned(),
        );
    }
}
