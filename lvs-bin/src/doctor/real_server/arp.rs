//! Does the real server keep silent when others ask who has the VIP?

use std::net::IpAddr;

use lvs_io::netlink::Prefix;

use super::{Visit, is_direct, takes_the_vip};
use crate::doctor::report::Check;

pub(super) fn check(visit: &Visit<'_>) -> Check {
    let mut check = Check::new("arp");
    let direct = visit.vips(is_direct);
    let all = visit.vips(takes_the_vip);
    for vip in &all {
        on_asked_link(visit, *vip, &mut check);
    }
    // Far away, at the end of a tunnel, nobody asks for the VIP.
    let asked = all
        .iter()
        .filter(|vip| visit.server.is_own(**vip))
        .find(|vip| vip.is_ipv4() && (direct.contains(*vip) || is_near(visit, **vip)));
    if let Some(vip) = asked {
        answers(visit, *vip, &mut check);
        announces(visit, *vip, &mut check);
    }
    check
}

/// Whether the VIP is in the network of one of the real server's links.
fn is_near(visit: &Visit<'_>, vip: IpAddr) -> bool {
    visit.server.link_towards(vip).is_some()
}

/// For an address of the very link no setting but one keeps the kernel silent.
fn on_asked_link(visit: &Visit<'_>, vip: IpAddr, check: &mut Check) {
    for (link, prefix) in visit.server.links_with(vip) {
        let mute = vip.is_ipv4() && visit.server.strictest(&link.name, "arp_ignore") == NEVER;
        if !link.asks_neighbours || mute {
            continue;
        }
        let what = format!(
            "The VIP {vip} is on {}, where it answers when others ask who has the VIP: packets \
             come to it past the director.",
            link.name
        );
        let mends = [
            format!("ip addr del {prefix} dev {}", link.name),
            format!("ip addr add {} dev lo", Prefix::host(vip)),
        ];
        check.fault(what, mends);
    }
}

fn answers(visit: &Visit<'_>, vip: IpAddr, check: &mut Check) {
    let speaks = |link: &&lvs_io::netlink::Link| {
        !SILENT.contains(&visit.server.strictest(&link.name, "arp_ignore"))
    };
    if let Some(link) = visit.asked_links().find(speaks) {
        let what = format!(
            "It answers on {} when others ask who has the VIP {vip} (arp_ignore): clients' packets \
             then come to it past the director, or to whoever answers first.",
            link.name
        );
        check.fault(
            what,
            ["sysctl -w net.ipv4.conf.all.arp_ignore=1".to_owned()],
        );
    }
}

fn announces(visit: &Visit<'_>, vip: IpAddr, check: &mut Check) {
    let announces = |link: &&lvs_io::netlink::Link| {
        visit.server.strictest(&link.name, "arp_announce") != OWN_OF_THE_LINK
    };
    if let Some(link) = visit.asked_links().find(announces) {
        let what = format!(
            "It asks on {} in the name of the VIP {vip} (arp_announce), by which the router learns \
             that the VIP is here, and sends packets past the director.",
            link.name
        );
        check.fault(
            what,
            ["sysctl -w net.ipv4.conf.all.arp_announce=2".to_owned()],
        );
    }
}

/// Values of `arp_ignore` with which an address of `lo` is not answered for.
///
/// *Source:* Documentation/networking/ip-sysctl.rst.
const SILENT: [i64; 3] = [1, 2, NEVER];
const NEVER: i64 = 8;
/// The value of `arp_announce` by which only addresses of the link are named.
const OWN_OF_THE_LINK: i64 = 2;
