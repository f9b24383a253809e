//! Do the real server's answers find their way to the client?

use std::net::IpAddr;

use lvs_io::netlink::RouteKind;

use super::{Visit, is_masqueraded, takes_the_vip};
use crate::doctor::host::Host;
use crate::doctor::report::Check;

pub(super) fn check(visit: &Visit<'_>) -> Check {
    let mut check = Check::new("route");
    for is_v4 in [true, false] {
        let family = |vips: std::collections::BTreeSet<IpAddr>| {
            vips.into_iter().find(|vip| vip.is_ipv4() == is_v4)
        };
        if let Some(vip) = family(visit.vips(is_masqueraded)) {
            by_the_director(visit, vip, &mut check);
        }
        if let Some(vip) = family(visit.vips(takes_the_vip)) {
            past_the_director(visit, vip, &mut check);
        }
    }
    check
}

/// The gateway to everywhere.
fn gateway(server: &Host, like: IpAddr) -> Option<IpAddr> {
    let route = server.default_route(like)?;
    let hops = route.next_hops.iter();
    let mut gateways = hops.filter_map(|hop| hop.gateway);
    (route.kind == RouteKind::Unicast).then(|| gateways.next())?
}

/// Answers of who is masqueraded must pass the director, to get the VIP's
/// address back.
fn by_the_director(visit: &Visit<'_>, vip: IpAddr, check: &mut Check) {
    let gateway = gateway(visit.server, vip);
    let Some(director) = visit.director else {
        match gateway {
            Some(gateway) => check.remark(format!(
                "Its gateway is {gateway}, which must be the director."
            )),
            None => check.fault(NOT_BACK.to_owned(), [replace(vip, "THE_DIRECTOR")]),
        }
        return;
    };
    if gateway.is_some_and(|gateway| director.is_own(gateway)) {
        return;
    }
    let own = director.view.addresses().map(|address| address.prefix);
    let near = own.filter(|own| own.contains(visit.address) && own.address() != visit.address);
    let near = near.map(|own| own.address().to_string()).next();
    let what = match gateway {
        Some(other) => format!(
            "Its default route is by {other}, which is not the director: its answers reach \
             clients with its own address, and clients refuse them."
        ),
        None => NOT_BACK.to_owned(),
    };
    check.fault(
        what,
        [replace(vip, near.as_deref().unwrap_or("THE_DIRECTOR"))],
    );
}

/// Answers of who has the VIP itself must not: the director's kernel drops what
/// comes in its own name.
fn past_the_director(visit: &Visit<'_>, vip: IpAddr, check: &mut Check) {
    let Some(route) = visit.server.default_route(vip) else {
        return check.fault(NOT_BACK.to_owned(), [replace(vip, "ROUTER")]);
    };
    let by = route.next_hops.first().and_then(|hop| hop.gateway);
    let is_director = |gateway: &IpAddr| visit.director.is_some_and(|it| it.is_own(*gateway));
    if let Some(director) = by.filter(is_director) {
        let what = format!(
            "Its default route is by the director ({director}), whose kernel drops answers that \
             come from the VIP {vip}, as that is its own address."
        );
        check.fault(what, [replace(vip, "ROUTER")]);
    }
}

fn replace(like: IpAddr, by: &str) -> String {
    let family = if like.is_ipv4() { "" } else { "-6 " };
    format!("ip {family}route replace default via {by}")
}

const NOT_BACK: &str = "It has no default route: its answers do not get to clients that are not \
                        on its own network.";
