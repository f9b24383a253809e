//! Do packets that a tunnel has made longer fit their way?

use std::collections::BTreeMap;
use std::net::IpAddr;

use lvs_core::ForwardingMethod;
use lvs_io::netlink::Resolution;

use super::case::Case;
use super::report::Check;

pub(super) fn check(case: &Case<'_>) -> Check {
    let mut check = Check::new("mtu");
    for (service, real_server) in case.real_servers() {
        let address = real_server.address;
        let Resolution::Via(hop) = case.host.view.resolve(address) else {
            continue;
        };
        let overhead = match real_server.forwarding {
            ForwardingMethod::Tunnel(tunnel) => tunnel.overhead(address),
            ForwardingMethod::Masquerade | ForwardingMethod::DirectRoute => 0,
        };
        let is_v4 = service.key.family() == lvs_core::Family::V4;
        let longest = longest_from_clients(case, is_v4);
        let fits = hop.mtu.saturating_sub(overhead);
        if fits < longest {
            let link = case.host.view.link(hop.link);
            let link = link.map_or("?", |link| link.name.as_str());
            let short = Short {
                longest,
                fits,
                overhead,
                way: hop.mtu,
                link,
            };
            tell(case, address, &short, is_v4, &mut check);
        }
    }
    // Many services mostly have the same real servers.
    let mut seen = BTreeMap::new();
    check
        .findings
        .retain(|finding| seen.insert(finding.what.clone(), ()).is_none());
    check
}

/// A way that is too short, in bytes.
struct Short<'c> {
    longest: u32,
    fits: u32,
    overhead: u32,
    way: u32,
    link: &'c str,
}

fn tell(case: &Case<'_>, address: IpAddr, short: &Short<'_>, is_v4: bool, check: &mut Check) {
    let Short {
        longest,
        fits,
        overhead,
        way,
        link,
    } = short;
    let why = match overhead {
        0 => String::new(),
        bytes => format!(", as the tunnel adds {bytes}"),
    };
    let what = format!(
        "Clients' packets may have {longest} bytes, but only {fits} fit on the way to the real \
         server {address} by {link} (MTU {way}){why}. Longer ones are answered by ICMP, and \
         clients behind a filter that eats it hang."
    );
    let enough = longest + overhead;
    let wider = format!("ip link set dev {link} mtu {enough}   # and all else on that link");
    // Header of IP and of TCP.
    let headers = if is_v4 { 40 } else { 60 };
    let smaller = format!(
        "ip route change default via GATEWAY advmss {}   # or this, on the real server",
        fits.saturating_sub(headers)
    );
    match narrowed(case, link, *longest, is_v4) {
        Some(route) => check.warn(what, [wider, route, smaller]),
        None => check.warn(what, [wider, smaller]),
    }
}

/// Where clients come by the link that is made wider, their way stays as long
/// as it is.
fn narrowed(case: &Case<'_>, link: &str, longest: u32, is_v4: bool) -> Option<String> {
    let route = case.host.default_route(any(is_v4))?;
    let hop = route.next_hops.first()?;
    let is_same = case.host.view.link(hop.link)?.name == link;
    let family = if is_v4 { "" } else { "-6 " };
    let gateway = hop.gateway?;
    (is_same && route.mtu != Some(longest))
        .then(|| format!("ip {family}route change default via {gateway} dev {link} mtu {longest}"))
}

/// The longest packets that come from clients: those of the way to them, and
/// where none leads to all of them, of the director's widest link.
fn longest_from_clients(case: &Case<'_>, is_v4: bool) -> u32 {
    let widest = case.arms.iter().map(|arm| arm.nic.mtu).max().unwrap_or(0);
    let Some(route) = case.host.default_route(any(is_v4)) else {
        return widest;
    };
    let link = route.next_hops.first();
    let link = link.and_then(|hop| case.host.view.link(hop.link));
    let mtu = link.map_or(widest, |link| link.mtu);
    route.mtu.map_or(mtu, |own| own.min(mtu))
}

fn any(is_v4: bool) -> IpAddr {
    match is_v4 {
        true => std::net::Ipv4Addr::UNSPECIFIED.into(),
        false => std::net::Ipv6Addr::UNSPECIFIED.into(),
    }
}
