//! Services and real servers by weights, connections, thresholds, clients
//! remembered or tunnels.

use std::fmt::Write;

use lvs_core::config::{ClientMask, GueChecksum};
use lvs_core::{Family, ForwardingMethod, ServiceKey, Tunnel};

use super::super::address::Shown;
use super::super::command::View;
use super::super::flags;
use super::super::table::{RealServer, Service};
use super::{ADDRESS, REAL_SERVER, mark};

/// The titles and the lines of services.
pub(super) fn listed(services: &[Service], view: View, shown: &Shown<'_>) -> String {
    let mut text = titles(view).to_owned();
    for service in services {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{} {}", named(&service.key, shown), settings(service));
        for real_server in &service.real_servers {
            let protocol = service.key.protocol();
            let end = shown.end_within(real_server.address, protocol, REAL_SERVER);
            let _ = writeln!(text, "  -> {end:<28} {}", columns(real_server, view));
        }
    }
    text
}

const fn titles(view: View) -> &'static str {
    match view {
        View::Thresholds => {
            "Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn \n  \
             -> RemoteAddress:Port\n"
        }
        View::PersistentConnections => {
            "Prot LocalAddress:Port            Weight    PersistConn ActiveConn InActConn \n  \
             -> RemoteAddress:Port\n"
        }
        View::TunnelInfo => {
            "Prot LocalAddress:Port Scheduler Flags\n  \
             -> RemoteAddress:Port           Forward TunnelInfo    Weight ActiveConn InActConn\n"
        }
        View::Plain | View::Stats | View::Rate => {
            "Prot LocalAddress:Port Scheduler Flags\n  \
             -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n"
        }
    }
}

/// A service as it is named.
pub(super) fn named(key: &ServiceKey, shown: &Shown<'_>) -> String {
    match key {
        ServiceKey::Address { protocol, address } => {
            let end = shown.end_within(*address, Some(*protocol), ADDRESS);
            format!("{:<4} {end}", protocol.to_string())
        }
        ServiceKey::Mark { family, mark: of } => {
            let ipv6 = match family {
                Family::V4 => "",
                Family::V6 => " IPv6",
            };
            format!("FWM  {}{ipv6}", mark(*of))
        }
    }
}

/// The scheduler and what is switched on.
fn settings(service: &Service) -> String {
    let mut text = service.scheduler.clone();
    // Writing to a text cannot fail.
    if let Some(flags) = flags::shown(service.flags, &service.scheduler) {
        let _ = write!(text, " ({flags})");
    }
    if let Some(persistence) = service.persistence {
        let _ = write!(text, " persistent {}", persistence.timeout.as_secs());
        match persistence.mask {
            None => {}
            Some(ClientMask::V4(mask)) => {
                let _ = write!(text, " mask {mask}");
            }
            Some(ClientMask::V6(length)) => {
                let _ = write!(text, " mask {length}");
            }
        }
    }
    if let Some(engine) = &service.engine {
        let _ = write!(text, " pe {engine}");
    }
    if service.one_packet {
        text.push_str(" ops");
    }
    text
}

/// A real server's line after its address.
fn columns(real_server: &RealServer, view: View) -> String {
    let RealServer {
        weight,
        active,
        inactive,
        ..
    } = real_server;
    let method = method(real_server.forwarding);
    match view {
        View::Thresholds => {
            let thresholds = real_server.thresholds;
            let (upper, lower) = (thresholds.upper, thresholds.lower);
            format!("{upper:<10} {lower:<10} {active:<10} {inactive:<10}")
        }
        View::PersistentConnections => {
            let persistent = real_server.persistent;
            format!("{weight:<9} {persistent:<11} {active:<10} {inactive:<10}")
        }
        View::TunnelInfo => {
            let tunnel = tunnel(real_server.forwarding);
            format!("{method:<7} {tunnel:<13} {weight:<6} {active:<10} {inactive:<10}")
        }
        View::Plain | View::Stats | View::Rate => {
            format!("{method:<7} {weight:<6} {active:<10} {inactive:<10}")
        }
    }
}

/// A forwarding method by its name in listings.
pub(super) const fn method(forwarding: ForwardingMethod) -> &'static str {
    match forwarding {
        ForwardingMethod::Masquerade => "Masq",
        ForwardingMethod::DirectRoute => "Route",
        ForwardingMethod::Tunnel(_) => "Tunnel",
    }
}

fn tunnel(forwarding: ForwardingMethod) -> String {
    match forwarding {
        ForwardingMethod::Tunnel(Tunnel::Ipip) => "ipip".to_owned(),
        ForwardingMethod::Tunnel(Tunnel::Gre { checksum: false }) => "gre:-c".to_owned(),
        ForwardingMethod::Tunnel(Tunnel::Gre { checksum: true }) => "gre:+c".to_owned(),
        ForwardingMethod::Tunnel(Tunnel::Gue { port, checksum }) => {
            let checksum = match checksum {
                GueChecksum::None => "-c",
                GueChecksum::Full => "+c",
                GueChecksum::Remote => "r+c",
            };
            format!("gue:{port}:{checksum}")
        }
        ForwardingMethod::Masquerade | ForwardingMethod::DirectRoute => "n/a".to_owned(),
    }
}
