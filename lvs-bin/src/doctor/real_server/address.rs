//! Is this the real server that is meant?

use super::Visit;
use crate::doctor::report::{Check, Severity};

pub(super) fn check(visit: &Visit<'_>) -> Check {
    let mut check = Check::new("address");
    let address = visit.address;
    if visit.services().next().is_none() {
        let what = format!("The configuration names no real server {address}.");
        let write = format!("[[service.real_server]] with address = \"{address}\"");
        check.reconfigure(Severity::Fault, what, write);
    }
    if !visit.server.is_own(address) {
        let what = format!(
            "Nobody in this network namespace has the address {address}: it is another machine's, \
             or the address is missing."
        );
        check.fault(
            what,
            [format!("ip addr add {address}/LENGTH dev INTERFACE")],
        );
    }
    check
}
