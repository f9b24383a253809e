//! Are the interfaces there, and do they carry packets?

use super::case::Case;
use super::report::{Check, Severity};

pub(super) fn check(case: &Case<'_>) -> Check {
    let mut check = Check::new("interfaces");
    for (name, why) in &case.unusable {
        let what = format!("{name} is named in interfaces, but cannot be served: {why}.");
        check.fault(what, ["ip -br link".to_owned()]);
    }
    for arm in &case.arms {
        let name = arm.name();
        let Some(link) = case.host.view.link(arm.nic.index) else {
            continue;
        };
        if !link.up {
            let what = format!("{name} is down: nothing comes in or goes out by it.");
            check.fault(what, [format!("ip link set dev {name} up")]);
        } else if !link.running {
            let what = format!(
                "{name} is up but has no carrier: the cable or the port at its other end is dead."
            );
            check.fault(what, [format!("ip -s link show dev {name}")]);
        }
        if let Some(of) = link.port_of.and_then(|of| case.host.view.link(of)) {
            let what = format!(
                "{name} is a port of {of}, which has the addresses and the routes, so the director \
                 has no way out by {name}. Serve {of} instead.",
                of = of.name
            );
            let write = format!("interfaces = [\"{}\"]", of.name);
            check.reconfigure(Severity::Warning, what, write);
        }
    }
    check
}
