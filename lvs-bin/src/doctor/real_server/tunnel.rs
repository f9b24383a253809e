//! Does the real server take packets out of their tunnel?

use std::collections::BTreeSet;

use lvs_core::config::Tunnel;
use lvs_core::{Family, ForwardingMethod, Protocol};
use lvs_io::netlink::Link;

use super::Visit;
use crate::doctor::report::Check;

/// The device at the end of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Device {
    /// The one that the kernel makes, for tunnels from anywhere.
    name: &'static str,
    /// What `ip link add type` calls others that can do the same.
    kind: &'static str,
    /// The module that has it.
    module: &'static str,
}

pub(super) fn check(visit: &Visit<'_>) -> Check {
    let mut check = Check::new("tunnel");
    let mut devices = BTreeSet::new();
    for (service, real_server) in visit.services() {
        let ForwardingMethod::Tunnel(tunnel) = real_server.forwarding else {
            continue;
        };
        let inner = service.key.family();
        devices.insert((device(tunnel, inner, visit.address.is_ipv4()), inner));
        if let Tunnel::Gue { port, .. } = tunnel {
            takes_udp(visit, port, &mut check);
        }
    }
    for (device, inner) in devices {
        check_device(visit, device, inner, &mut check);
    }
    check.findings.dedup_by(|one, other| one.what == other.what);
    check
}

fn device(tunnel: Tunnel, inner: Family, over_v4: bool) -> Device {
    let (name, kind, module) = match (tunnel, over_v4, inner) {
        (Tunnel::Gre { .. }, true, _) => ("gre0", "gre", "ip_gre"),
        (Tunnel::Gre { .. }, false, _) => ("ip6gre0", "ip6gre", "ip6_gre"),
        // What comes in UDP goes on to the same devices.
        (_, true, Family::V4) => ("tunl0", "ipip", "ipip"),
        (_, true, Family::V6) => ("sit0", "sit", "sit"),
        (_, false, _) => ("ip6tnl0", "ip6tnl", "ip6_tunnel"),
    };
    Device { name, kind, module }
}

fn check_device(visit: &Visit<'_>, device: Device, inner: Family, check: &mut Check) {
    let Device { name, kind, module } = device;
    let is_one = |link: &&Link| link.name == name || link.kind.as_deref() == Some(kind);
    let found: Vec<_> = visit.server.view.links().filter(is_one).collect();
    let Some(link) = found.iter().find(|link| link.up).or(found.first()) else {
        let what = format!(
            "It has no device that takes packets out of the tunnel ({name}, or another of kind \
             {kind}), and answers that it does not know the protocol."
        );
        let mends = [
            format!("modprobe {module}"),
            format!("ip link set dev {name} up"),
        ];
        return check.fault(what, mends);
    };
    if !link.up {
        let what = format!(
            "{} is down: what comes out of the tunnel is dropped.",
            link.name
        );
        check.fault(what, [format!("ip link set dev {} up", link.name)]);
    }
    if inner == Family::V4 {
        check_sources(visit, link, check);
    }
}

/// No way back to a client leads by the tunnel's device.
fn check_sources(visit: &Visit<'_>, link: &Link, check: &mut Check) {
    let mut addresses = visit.server.view.addresses();
    let has_address = addresses.any(|it| it.link == link.index && it.prefix.address().is_ipv4());
    let why = match visit.server.strictest(&link.name, "rp_filter") {
        0 => return,
        // Without an address the kernel does not look for a way.
        LOOSE if has_address => return,
        LOOSE => "the loose one wants an address on it",
        _ => "the way back to clients is by another device",
    };
    let name = &link.name;
    let what = format!(
        "The check of sources (rp_filter) drops what comes out of the tunnel by {name}: {why}."
    );
    let mend = format!(
        "sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.{}.rp_filter=0",
        name.replace('.', "/")
    );
    check.fault(what, [mend]);
}

/// The kernel's end of a tunnel in UDP is a socket like any other.
fn takes_udp(visit: &Visit<'_>, port: u16, check: &mut Check) {
    if visit.server.listens(Protocol::Udp, visit.address, port) {
        return;
    }
    let what = format!("Nobody takes the tunnel's packets from UDP port {port}.");
    let six = if visit.address.is_ipv6() { " -6" } else { "" };
    let mends = [
        "modprobe fou".to_owned(),
        format!("ip fou add port {port} gue{six}"),
    ];
    check.fault(what, mends);
}

const LOOSE: i64 = 2;
