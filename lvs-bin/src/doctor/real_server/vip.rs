//! Does the real server take the VIP's packets, and only those?

use std::net::IpAddr;

use lvs_io::netlink::Prefix;

use super::{Visit, is_masqueraded, takes_the_vip};
use crate::doctor::report::Check;

pub(super) fn check(visit: &Visit<'_>) -> Check {
    let mut check = Check::new("vip");
    for vip in visit.vips(takes_the_vip) {
        if !visit.server.is_own(vip) {
            let what = format!(
                "It does not have the VIP {vip}, and drops what the director sends it for that."
            );
            check.fault(what, [format!("ip addr add {} dev lo", Prefix::host(vip))]);
        }
        for (link, prefix) in visit.server.links_with(vip) {
            if link.loopback && prefix != Prefix::host(vip) {
                let what = format!(
                    "The VIP is on lo as {prefix}, by which all of {} is this machine itself: it \
                     can speak to none of them.",
                    prefix.network()
                );
                let mends = [
                    format!("ip addr del {prefix} dev lo"),
                    format!("ip addr add {} dev lo", Prefix::host(vip)),
                ];
                check.fault(what, mends);
            }
        }
    }
    for vip in visit.vips(is_masqueraded) {
        must_be_elsewhere(visit, vip, &mut check);
    }
    check
}

/// Who is masqueraded gets packets to its own address.
fn must_be_elsewhere(visit: &Visit<'_>, vip: IpAddr, check: &mut Check) {
    if visit.vips(takes_the_vip).contains(&vip) {
        return;
    }
    for (link, prefix) in visit.server.links_with(vip) {
        let what = format!(
            "It has the VIP {vip} on {}, though it is masqueraded: it answers in the director's \
             place when others ask who has it, and what it sends to the VIP never leaves it.",
            link.name
        );
        check.fault(what, [format!("ip addr del {prefix} dev {}", link.name)]);
    }
}
