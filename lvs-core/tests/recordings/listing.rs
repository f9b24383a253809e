//! Compares what `ipvsadm` listed with what a director knows.
//!
//! The kernel's timers are coarse when far away: a connection may be listed,
//! with 00:00 left, up to an eighth of its timeout after its end. The director's
//! may end two of its ticks late.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use lvs_core::config::{ClientMask, GueChecksum};
use lvs_core::{
    Connection, ForwardingMethod, Instant, RealServer, RealServerId, Service, Thresholds, Tunnel,
};

use crate::director::Director;

/// Compares a listing of connections (`ipvsadm -Lnc`).
pub(crate) fn connections(
    printed: &str,
    director: &Director<'_>,
    now: Instant,
    slack: f64,
) -> Result<(), String> {
    let slack = Duration::from_secs_f64(slack);
    let mut mine: Vec<Connection> = director.shard.list(now).collect();
    for line in printed.lines().skip(2) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [protocol, left, state, rest @ ..] = &words[..] else {
            return Err(format!("unreadable line {line}"));
        };
        let listed = [&[*protocol, *state], rest].concat();
        let found = mine
            .iter()
            .position(|connection| shown(connection) == listed);
        match found {
            Some(place) => {
                let connection = mine.swap_remove(place);
                if !agree(left, connection.remaining, slack) {
                    let remaining = connection.remaining;
                    return Err(format!("listed {line}, but {remaining:?} remain"));
                }
            }
            None if *left == "00:00" => {}
            None => return Err(format!("listed {line}, but there is none")),
        }
    }
    // Those left over must be about to end.
    match mine.iter().find(|connection| connection.remaining > slack) {
        Some(connection) => Err(format!("{connection:?} is not listed")),
        None => Ok(()),
    }
}

/// Compares a listing of services and real servers (`ipvsadm -Ln`).
pub(crate) fn services(printed: &str, director: &Director<'_>) -> Result<(), String> {
    compare(printed, director, |service, real_server, id| {
        let method = method(real_server.forwarding);
        let (active, inactive) = director.loads().connections(id);
        let end = end(service, real_server);
        let weight = real_server.share().get();
        format!("{end} {method} {weight} {active} {inactive}")
    })
}

/// Compares the same with a column of tunnels (`ipvsadm -Ln --tun-info`).
pub(crate) fn tunnels(printed: &str, director: &Director<'_>) -> Result<(), String> {
    compare(printed, director, |service, real_server, id| {
        let method = method(real_server.forwarding);
        let tunnel = tunnel(real_server.forwarding);
        let (active, inactive) = director.loads().connections(id);
        let end = end(service, real_server);
        let weight = real_server.share().get();
        format!("{end} {method} {tunnel} {weight} {active} {inactive}")
    })
}

/// Compares the same listing with templates (`ipvsadm -Ln --persistent-conn`).
pub(crate) fn templates(printed: &str, director: &Director<'_>) -> Result<(), String> {
    compare(printed, director, |service, real_server, id| {
        let (active, inactive) = director.loads().connections(id);
        let templates = director.loads().templates(id);
        let end = end(service, real_server);
        let weight = real_server.share().get();
        format!("{end} {weight} {templates} {active} {inactive}")
    })
}

/// Compares the same listing with thresholds (`ipvsadm -Ln --thresholds`).
pub(crate) fn thresholds(printed: &str, director: &Director<'_>) -> Result<(), String> {
    compare(printed, director, |service, real_server, id| {
        let (active, inactive) = director.loads().connections(id);
        let Thresholds { upper, lower } = real_server.thresholds;
        let end = end(service, real_server);
        format!("{end} {upper} {lower} {active} {inactive}")
    })
}

/// Compares a listing of services, each real server's line made by `row`.
fn compare(
    printed: &str,
    director: &Director<'_>,
    row: impl Fn(&Service, &RealServer, RealServerId) -> String,
) -> Result<(), String> {
    let (mut listed, mut service) = (BTreeSet::new(), String::new());
    for line in printed.lines().skip(3) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["->", ref rest @ ..] => listed.insert(format!("{service} -> {}", rest.join(" "))),
            _ => {
                service = words.join(" ");
                listed.insert(service.clone())
            }
        };
    }
    let mine: BTreeSet<String> = director
        .draft
        .services
        .iter()
        .flat_map(|service| rows(service, director, &row))
        .collect();
    if mine == listed {
        return Ok(());
    }
    Err(format!("listed {listed:#?}, but there are {mine:#?}"))
}

/// Compares a listing of what passed at each real server
/// (`ipvsadm -Ln --stats --exact`).
pub(crate) fn traffic(printed: &str, director: &Director<'_>) -> Result<(), String> {
    let mut listed: Vec<String> = printed
        .lines()
        .skip(3)
        .filter_map(|line| line.trim_start().strip_prefix("-> "))
        .map(|row| row.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let row = |(_, address, port, id)| {
        let traffic = director.traffic(id);
        format!(
            "{} {} {} {} {} {}",
            SocketAddr::new(address, port),
            traffic.connections,
            traffic.packets_in,
            traffic.packets_out,
            traffic.bytes_in,
            traffic.bytes_out
        )
    };
    let mut mine: Vec<String> = director.shard.snapshot().real_servers().map(row).collect();
    listed.sort();
    mine.sort();
    if mine == listed {
        return Ok(());
    }
    Err(format!("listed {listed:#?}, but there are {mine:#?}"))
}

/// Compares the listing of timeouts (`ipvsadm -L --timeout`).
pub(crate) fn timeouts(printed: &str, director: &Director<'_>) -> Result<(), String> {
    let timeouts = director.draft.timeouts;
    let [tcp, fin, udp] = [timeouts.tcp, timeouts.tcp_fin, timeouts.udp].map(|t| t.as_secs());
    let mine = format!("Timeout (tcp tcpfin udp): {tcp} {fin} {udp}");
    if printed.trim() == mine {
        return Ok(());
    }
    Err(format!("listed {printed}, but it is {mine}"))
}

/// A connection as the words of its line, but for the time left.
fn shown(connection: &Connection) -> Vec<String> {
    let flow = connection.flow;
    let end = |(address, port)| SocketAddr::new(address, port).to_string();
    let protocol = match flow.protocol {
        0 => "IP",
        6 => "TCP",
        132 => "SCTP",
        _ => "UDP",
    };
    let state = match (connection.template, connection.assured) {
        (true, true) => "ASSURED",
        (true, false) => "NONE",
        _ => connection.state.name(),
    };
    vec![
        protocol.to_string(),
        state.to_string(),
        end(flow.source()),
        end(flow.destination()),
        end((connection.address, connection.port)),
    ]
}

/// Whether minutes and seconds could be what remains.
fn agree(left: &str, remaining: Duration, slack: Duration) -> bool {
    let (minutes, seconds) = left.split_once(':').unwrap();
    let listed = minutes.parse::<u64>().unwrap() * 60 + seconds.parse::<u64>().unwrap();
    let earliest = remaining.saturating_sub(slack).as_secs();
    let latest = (remaining + slack).as_secs();
    (earliest..=latest).contains(&listed)
}

/// A service as the words of its line.
fn named(service: &Service) -> String {
    let flags = flags(service);
    let mut name = format!("{} {}{flags}", service.key, service.scheduler.name());
    if let Some(persistence) = service.persistence {
        name += &format!(" persistent {}", persistence.timeout.as_secs());
        match persistence.mask {
            Some(ClientMask::V4(mask)) if mask != Ipv4Addr::BROADCAST => {
                name += &format!(" mask {mask}");
            }
            Some(ClientMask::V6(length)) if length < 128 => name += &format!(" mask {length}"),
            _ => {}
        }
    }
    if service.one_packet {
        name += " ops";
    }
    name
}

/// What ipvsadm says of a forwarding method.
const fn method(forwarding: ForwardingMethod) -> &'static str {
    match forwarding {
        ForwardingMethod::Masquerade => "Masq",
        ForwardingMethod::DirectRoute => "Route",
        ForwardingMethod::Tunnel(_) => "Tunnel",
    }
}

/// What ipvsadm says of a tunnel.
fn tunnel(forwarding: ForwardingMethod) -> String {
    let ForwardingMethod::Tunnel(tunnel) = forwarding else {
        return "n/a".into();
    };
    match tunnel {
        Tunnel::Ipip => "ipip".into(),
        Tunnel::Gue { port, checksum } => {
            let checksum = match checksum {
                GueChecksum::None => "-c",
                GueChecksum::Full => "+c",
                GueChecksum::Remote => "r+c",
            };
            format!("gue:{port}:{checksum}")
        }
        Tunnel::Gre { checksum } => format!("gre:{}c", if checksum { '+' } else { '-' }),
    }
}

/// A service and its real servers as the words of their lines.
fn rows(
    service: &Service,
    director: &Director<'_>,
    row: impl Fn(&Service, &RealServer, RealServerId) -> String,
) -> Vec<String> {
    let name = named(service);
    let snapshot = director.shard.snapshot();
    let ids = snapshot
        .real_servers()
        .filter(|(key, ..)| *key == service.key());
    let real_servers = ids.map(|(_, address, port, id)| {
        let same = |rs: &&RealServer| rs.address == address && rs.port_in(&service.key) == port;
        let real_server = service.real_servers.iter().find(same).unwrap();
        format!("{name} -> {}", row(service, real_server, id))
    });
    std::iter::once(name.clone()).chain(real_servers).collect()
}

fn end(service: &Service, real_server: &RealServer) -> SocketAddr {
    SocketAddr::new(real_server.address, real_server.port_in(&service.key))
}

/// The switches of a service's scheduler, after a space if there are any.
fn flags(service: &Service) -> String {
    let names = match service.scheduler.name() {
        "sh" => ["sh-fallback", "sh-port", "flag-3"],
        "mh" => ["mh-fallback", "mh-port", "flag-3"],
        _ => ["flag-1", "flag-2", "flag-3"],
    };
    let flags = service.flags;
    let on = names
        .iter()
        .zip([flags.fallback, flags.port, flags.third])
        .filter_map(|(name, on)| on.then_some(*name));
    match on.collect::<Vec<_>>().join(",") {
        none if none.is_empty() => none,
        some => format!(" ({some})"),
    }
}
