//! Does the host's check of sources refuse what comes by the other interface?

use std::net::Ipv4Addr;

use super::case::{Case, sysctl};
use super::report::Check;

/// What the director forwards is not checked, and the device by which it gives
/// packets back to the host it takes care of itself. What is left is what comes
/// to the host past the director.
pub(super) fn check(case: &Case<'_>) -> Check {
    let mut check = Check::new("rp_filter");
    let default = case.host.default_route(Ipv4Addr::UNSPECIFIED.into());
    let Some(default) = default.filter(|_| case.arms.len() > 1) else {
        return check;
    };
    for arm in &case.arms {
        let leads_out = default
            .next_hops
            .iter()
            .any(|hop| hop.link == arm.nic.index);
        let name = arm.name();
        if !leads_out && case.host.strictest(name, "rp_filter") == STRICT {
            let what = format!(
                "{name} refuses packets from clients, as the way back to them is by another \
                 interface: pings, errors of routers and all else that is this host's are lost \
                 if they come by {name}."
            );
            check.warn(what, [sysctl(name, "rp_filter", LOOSE)]);
        }
    }
    check
}

/// Values of `rp_filter`; the larger of the interface's and the one for all
/// counts.
const STRICT: i64 = 1;
const LOOSE: u8 = 2;
