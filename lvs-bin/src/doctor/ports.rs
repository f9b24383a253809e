//! Does a program of the host listen where a service is?

use lvs_core::ServiceKey;

use super::case::Case;
use super::report::Check;

pub(super) fn check(case: &Case<'_>) -> Check {
    let mut check = Check::new("ports");
    for service in case.settings.config.services() {
        let ServiceKey::Address { protocol, address } = service.key else {
            continue;
        };
        // Where this host is a real server too, the listener is the service.
        let serves_itself = service
            .real_servers
            .iter()
            .any(|real_server| case.host.is_own(real_server.address));
        let taken = case.host.listens(protocol, address.ip(), address.port());
        if taken && !serves_itself {
            let what = format!(
                "A program of this host listens where the service {} is. Clients of the VIP will \
                 never reach it: lvs gets their packets first.",
                service.key
            );
            let mend = format!(
                "ss -lnp {} sport = :{}   # who it is; stop it, or bind it to another address",
                match protocol {
                    lvs_core::Protocol::Udp => "--udp",
                    _ => "--tcp",
                },
                address.port()
            );
            check.warn(what, [mend]);
        }
    }
    check
}
