//! Does the director answer for the VIPs, on the right interface?

use std::net::IpAddr;

use lvs_io::netlink::Prefix;

use super::case::{Case, vips};
use super::report::{Check, Severity};

pub(super) fn check(case: &Case<'_>) -> Check {
    let mut check = Check::new("vips");
    for vip in vips(&case.settings.config) {
        if vip.is_unspecified() || vip.is_multicast() {
            nobodys(vip, &mut check);
            continue;
        }
        let links: Vec<_> = case.host.links_with(vip).map(|(link, _)| link).collect();
        let is_arm = |index| case.arms.iter().any(|arm| arm.nic.index == index);
        if links.iter().any(|link| is_arm(link.index)) {
            continue;
        }
        match links.first() {
            None => missing(case, vip, &mut check),
            Some(link) => elsewhere(case, vip, &link.name, &mut check),
        }
    }
    check
}

/// The VIP can be on no link.
fn nobodys(vip: IpAddr, check: &mut Check) {
    let what = format!(
        "No machine can have {vip}, the VIP of a service, as its own, so that no packet asks it. \
         Clients connect to another."
    );
    let configure = "address = \"VIP:PORT\"".to_owned();
    check.reconfigure(Severity::Fault, what, configure);
}

/// The VIP is on no link.
fn missing(case: &Case<'_>, vip: IpAddr, check: &mut Check) {
    if let Some(link) = case.host.link_towards(vip) {
        let what = format!(
            "Nobody here has the VIP {vip}, so that nobody answers when the others on {} ask \
             where it is. (A standby is well so: keepalived gives it the VIP when it takes over.)",
            link.name
        );
        let mend = format!("ip addr add {} dev {}", Prefix::host(vip), link.name);
        return check.fault(what, [mend]);
    }
    let Some(arm) = case.arms.first() else { return };
    let what = format!(
        "Nobody here has the VIP {vip}, and it is in no network of this host. Its packets come \
         only if the router has a route for it to here."
    );
    let mend = format!("ip addr add {} dev {}", Prefix::host(vip), arm.name());
    check.warn(what, [mend]);
}

/// The VIP is only on a link that is none of the director's.
fn elsewhere(case: &Case<'_>, vip: IpAddr, link: &str, check: &mut Check) {
    let silent =
        |arm: &&super::arm::Arm| vip.is_ipv6() || case.host.strictest(arm.name(), "arp_ignore") > 0;
    let Some(arm) = case.arms.iter().find(silent) else {
        return check.remark(format!(
            "{vip} is on {link}; the kernel answers for it on every interface."
        ));
    };
    let why = match vip {
        IpAddr::V4(_) => "as arp_ignore is set",
        IpAddr::V6(_) => "as IPv6 answers only for the addresses of the interface itself",
    };
    let on = case.host.link_towards(vip).map(|link| link.name.as_str());
    let on = on.filter(|on| case.arms.iter().any(|arm| arm.name() == *on));
    let what = format!(
        "The VIP {vip} is on {link} only, and nobody answers for it on {}, {why}. (Right for the \
         standby of two directors; the one that directs needs it there too.)",
        on.unwrap_or(arm.name())
    );
    let mend = format!(
        "ip addr add {} dev {}",
        Prefix::host(vip),
        on.unwrap_or(arm.name())
    );
    check.warn(what, [mend]);
}

#[cfg(test)]
mod tests {
    use super::super::example::whole;
    use super::*;
    use crate::config::Settings;

    #[test]
    fn an_address_that_nobody_can_have_is_told() {
        let text = "[director]\ninterfaces = [\"eth0\"]\n\
                    [[service]]\naddress = \"0.0.0.0:80\"\nprotocol = \"tcp\"\n";
        let settings = Settings::parse("example", text).unwrap();
        let checked = super::check(&whole(&settings));
        assert_eq!(checked.severity(), Severity::Fault);
        assert!(checked.findings[0].what.contains("0.0.0.0"));
    }
}
