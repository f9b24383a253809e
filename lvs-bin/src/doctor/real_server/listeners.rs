//! Does anybody on the real server serve?

use lvs_core::{ForwardingMethod, Protocol, ServiceKey};

use super::Visit;
use crate::doctor::report::Check;

pub(super) fn check(visit: &Visit<'_>) -> Check {
    let mut check = Check::new("listeners");
    for (service, real_server) in visit.services() {
        let ServiceKey::Address { protocol, address } = service.key else {
            continue;
        };
        let at = match real_server.forwarding {
            ForwardingMethod::Masquerade => real_server.address,
            ForwardingMethod::DirectRoute | ForwardingMethod::Tunnel(_) => address.ip(),
        };
        let port = real_server.port_in(&service.key);
        // Of SCTP the kernel keeps other lists; port 0 is all of them.
        if protocol == Protocol::Sctp || port == 0 || visit.server.listens(protocol, at, port) {
            continue;
        }
        let option = match protocol {
            Protocol::Udp => "--udp",
            _ => "--tcp",
        };
        let what = format!(
            "No program listens at {protocol} {}, where the service {} sends its clients.",
            std::net::SocketAddr::new(at, port),
            service.key
        );
        check.warn(
            what,
            [format!(
                "ss -lnp {option}   # start it, or bind it to that address"
            )],
        );
    }
    check
}
