//! A command with everything it needs, made of options that fit each other.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use lvs_core::config::{ClientMask, GueChecksum};
use lvs_core::{Family, ForwardingMethod, Persistence, RealServer, ServiceKey, Thresholds, Tunnel};

use super::control::ServiceRequest;
use super::legality::{self, Act, Kind, TunnelKind};
use super::messages::Fault;
use super::operation::Operation;
use super::options::{Forward, Netmask, Options};

/// What is to be done, once it is known to make sense.
#[derive(Clone, Debug)]
pub(super) enum Command {
    Operate(Operation),
    List(What, Format),
    Save { numeric: bool },
    Restore,
}

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Services,
    Service(ServiceKey),
    Connections,
    Timeouts,
    Daemons,
}

/// How it is listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Format {
    /// Numbers instead of names.
    pub(super) numeric: bool,
    /// In the kernel's order.
    pub(super) unsorted: bool,
    /// Counters in full.
    pub(super) exact: bool,
    /// The columns.
    pub(super) view: View,
    /// Whether what persistence engines know is listed with connections.
    pub(super) engines: bool,
}

/// The columns of a listing of services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum View {
    #[default]
    Plain,
    Stats,
    Rate,
    Thresholds,
    PersistentConnections,
    TunnelInfo,
}

impl Command {
    /// Checks that options fit each other, and makes a command of them.
    ///
    /// *Errors:* the first rule broken.
    pub(super) fn new(options: &Options) -> Result<Self, Fault> {
        let act = options.act;
        legality::check(act, options.given)?;
        let operation = match act {
            Act::AddService => Operation::AddService(request(options)?),
            Act::EditService => Operation::EditService(request(options)?),
            Act::DeleteService => Operation::DeleteService(key(options)),
            Act::Flush => Operation::Flush,
            Act::Zero => Operation::Zero(options.given.has(Kind::Service).then(|| key(options))),
            Act::AddServer => Operation::AddServer(key(options), real_server(options)?),
            Act::EditServer => Operation::EditServer(key(options), real_server(options)?),
            Act::DeleteServer => Operation::DeleteServer(key(options), place(options)),
            Act::SetTimeouts => Operation::SetTimeouts(options.timeouts),
            Act::StartDaemon => Operation::StartDaemon(options.daemon.clone()),
            Act::StopDaemon => Operation::StopDaemon(options.daemon.role),
            Act::List => return list(options),
            Act::Save => {
                let numeric = options.given.has(Kind::Numeric);
                return Ok(Self::Save { numeric });
            }
            Act::Restore => return Ok(Self::Restore),
        };
        Ok(Self::Operate(operation))
    }
}

/// What identifies the service.
fn key(options: &Options) -> ServiceKey {
    match options.mark {
        Some(mark) => ServiceKey::Mark {
            family: if options.ipv6 { Family::V6 } else { Family::V4 },
            mark,
        },
        None => ServiceKey::Address {
            protocol: options.protocol,
            address: SocketAddr::new(
                options.service.address.unwrap_or(NOWHERE),
                options.service.port.unwrap_or(0),
            ),
        },
    }
}

fn request(options: &Options) -> Result<ServiceRequest, Fault> {
    let key = key(options);
    if key.address().is_some_and(|end| end.port() == 0) && options.persistent.is_none() {
        let text = "Zero port specified for non-persistent service";
        return Err(Fault::usage(text));
    }
    let one_packet = options.given.has(Kind::OnePacket);
    let for_udp = matches!(key.protocol(), None | Some(lvs_core::Protocol::Udp));
    if one_packet && !for_udp {
        let text = "One-Packet Scheduling is only for UDP virtual services";
        return Err(Fault::usage(text));
    }
    let mask = match options.netmask {
        Netmask::V4(Ipv4Addr::BROADCAST) | Netmask::V6(128) => None,
        Netmask::V4(mask) => Some(ClientMask::V4(mask)),
        Netmask::V6(length) => Some(ClientMask::V6(length)),
    };
    let persistence = options.persistent.map(|seconds| Persistence {
        timeout: Duration::from_secs(seconds.into()),
        mask,
    });
    let scheduler = if options.scheduler.is_empty() {
        "wlc"
    } else {
        &options.scheduler
    };
    Ok(ServiceRequest {
        key,
        scheduler: scheduler.to_owned(),
        flags: options.scheduler_flags,
        one_packet,
        persistence,
        engine: Some(options.engine.clone()).filter(|name| !name.is_empty()),
    })
}

/// Where the real server is.
fn place(options: &Options) -> SocketAddr {
    SocketAddr::new(
        options.real_server.address.unwrap_or(NOWHERE),
        options.real_server.port.unwrap_or(0),
    )
}

fn real_server(options: &Options) -> Result<RealServer, Fault> {
    let (key, mut place) = (key(options), place(options));
    let tunnels = options.forward == Forward::Tunnel;
    // Nothing rewrites the port on these ways.
    if options.mark.is_none() && options.forward != Forward::Masquerade {
        place.set_port(key.port());
    }
    if Family::of(place.ip()) != key.family() && !tunnels {
        let text = "Different address family is allowed only for tunneling servers";
        return Err(Fault::usage(text));
    }
    if tunnels {
        legality::check_tunnel(options.tunnel, options.given)?;
    } else if options.given.has_any(&legality::TUNNEL) {
        return Err(Fault::usage("Tunnel options conflict with forward method"));
    }
    let forwarding = match options.forward {
        Forward::Masquerade => ForwardingMethod::Masquerade,
        Forward::DirectRoute => ForwardingMethod::DirectRoute,
        Forward::Tunnel => ForwardingMethod::Tunnel(tunnel(options)),
    };
    let thresholds = Thresholds {
        upper: options.upper,
        lower: options.lower,
    };
    Ok(RealServer::new(place, forwarding)
        .weight(options.weight)
        .thresholds(thresholds))
}

fn tunnel(options: &Options) -> Tunnel {
    match options.tunnel {
        TunnelKind::Ipip => Tunnel::Ipip,
        TunnelKind::Gre => Tunnel::Gre {
            checksum: options.given.has(Kind::TunnelChecksum),
        },
        TunnelKind::Gue => Tunnel::Gue {
            port: options.tunnel_port,
            checksum: if options.given.has(Kind::TunnelChecksum) {
                GueChecksum::Full
            } else if options.given.has(Kind::TunnelRemoteChecksum) {
                GueChecksum::Remote
            } else {
                GueChecksum::None
            },
        },
    }
}

fn list(options: &Options) -> Result<Command, Fault> {
    let given = options.given;
    let has = |kind| given.has(kind);
    let others = given.has_any(&[Kind::Connection, Kind::Timeout, Kind::Daemon]);
    let settings = given.has_any(&[Kind::Timeout, Kind::Daemon]);
    if others && given.has_any(&[Kind::Stats, Kind::Rate, Kind::Thresholds])
        || settings && has(Kind::PersistentConnections)
    {
        return Err(Fault::usage("options conflicts in the list command"));
    }
    let what = if has(Kind::Connection) {
        What::Connections
    } else if has(Kind::Service) {
        What::Service(key(options))
    } else if has(Kind::Timeout) {
        What::Timeouts
    } else if has(Kind::Daemon) {
        What::Daemons
    } else {
        What::Services
    };
    let views = [
        (Kind::Stats, View::Stats),
        (Kind::Rate, View::Rate),
        (Kind::Thresholds, View::Thresholds),
        (Kind::PersistentConnections, View::PersistentConnections),
        (Kind::TunnelInfo, View::TunnelInfo),
    ];
    let view = views.into_iter().find(|(kind, _)| has(*kind));
    let format = Format {
        numeric: has(Kind::Numeric),
        unsorted: has(Kind::NoSort),
        exact: has(Kind::Exact),
        view: view.map_or(View::Plain, |(_, view)| view),
        engines: has(Kind::PersistentConnections),
    };
    Ok(Command::List(what, format))
}

/// What is there before an address is given.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
