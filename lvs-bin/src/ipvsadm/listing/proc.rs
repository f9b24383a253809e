//! The texts of the kernel's files: `/proc/net/ip_vs`, `ip_vs_conn`,
//! `ip_vs_conn_sync` and `ip_vs_stats`.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use lvs_core::config::ClientMask;
use lvs_core::{ServiceKey, Traffic};

use super::super::table::{Connection, Service};
use super::banner;
use super::connections::protocol;
use super::services::method;

/// `ip_vs`: the services in the order given, their real servers newest first.
/// `ticks` are those of the kernel in a second.
#[must_use]
pub fn services(services: &[Service], table_size: u32, ticks: u64) -> String {
    let mut text = banner(table_size)
        + "Prot LocalAddress:Port Scheduler Flags\n  \
           -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n";
    for service in services {
        text.push_str(&service_line(service, ticks));
        for real_server in &service.real_servers {
            // Writing to a text cannot fail.
            let _ = writeln!(
                text,
                "  -> {}      {:<7} {:<6} {:<10} {:<10}",
                end(real_server.address),
                method(real_server.forwarding),
                real_server.weight,
                real_server.active,
                real_server.inactive
            );
        }
    }
    text
}

fn service_line(service: &Service, ticks: u64) -> String {
    let scheduler = &service.scheduler;
    let one_packet = if service.one_packet { "ops " } else { "" };
    let mut line = match service.key {
        ServiceKey::Address { protocol, address } if address.is_ipv6() => {
            format!("{protocol}  {} {scheduler} ", end(address))
        }
        ServiceKey::Address { protocol, address } => {
            format!("{protocol}  {} {scheduler} {one_packet} ", end(address))
        }
        ServiceKey::Mark { mark, .. } => format!("FWM  {mark:08X} {scheduler} {one_packet}"),
    };
    if let Some(persistence) = service.persistence {
        let timeout = persistence.timeout.as_secs() * ticks;
        let mask = match persistence.mask {
            Some(ClientMask::V4(mask)) => mask.to_bits(),
            // The kernel keeps a length where a mask has its bytes.
            Some(ClientMask::V6(length)) => u32::from(length).swap_bytes(),
            None if service.key.family() == lvs_core::Family::V6 => 128u32.swap_bytes(),
            None => u32::MAX,
        };
        // Writing to a text cannot fail.
        let _ = write!(line, "persistent {timeout} {mask:08X}");
    }
    line.push('\n');
    line
}

/// `ip_vs_conn`: the connections in the order given.
#[must_use]
pub fn connections(connections: &[Connection]) -> String {
    let mut text =
        "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n"
            .to_owned();
    for connection in connections {
        let engine = match &connection.engine {
            Some((name, data)) => format!(" {name} {data}"),
            None => String::new(),
        };
        let ends = ends(connection);
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{ends} {:>7}{engine}", connection.expires);
    }
    text
}

/// `ip_vs_conn_sync`: the connections in the order given, and who told of them.
#[must_use]
pub fn connections_by_origin(connections: &[Connection]) -> String {
    let mut text =
        "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Origin Expires\n".to_owned();
    for connection in connections {
        let origin = if connection.synced { "SYNC" } else { "LOCAL" };
        let ends = ends(connection);
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{ends} {origin:<6} {:>7}", connection.expires);
    }
    text
}

fn ends(connection: &Connection) -> String {
    format!(
        "{:<3} {} {} {} {:<11}",
        protocol(connection),
        apart(connection.client),
        apart(connection.service),
        apart(connection.destination),
        connection.state
    )
}

/// `ip_vs_stats`: what passed at all services since the counters were zeroed,
/// and what passes in a second.
#[must_use]
pub fn stats(traffic: &Traffic, rates: &Traffic) -> String {
    format!(
        "   Total Incoming Outgoing         Incoming         Outgoing\n   \
         Conns  Packets  Packets            Bytes            Bytes\n{}\n \
         Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s\n{}",
        numbers(traffic),
        numbers(rates)
    )
}

fn numbers(traffic: &Traffic) -> String {
    format!(
        "{:8X} {:8X} {:8X} {:16X} {:16X}\n",
        traffic.connections,
        traffic.packets_in,
        traffic.packets_out,
        traffic.bytes_in,
        traffic.bytes_out
    )
}

/// `ip_vs_stats_percpu`: what each processor has counted, never zeroed, then
/// what passed and passes in a second as in [`stats`].
#[must_use]
pub fn stats_by_processor(processors: &[Traffic], traffic: &Traffic, rates: &Traffic) -> String {
    let mut text = "       Total Incoming Outgoing         Incoming         Outgoing\n\
         CPU    Conns  Packets  Packets            Bytes            Bytes\n"
        .to_owned();
    for (number, counted) in processors.iter().enumerate() {
        // Writing to a text cannot fail.
        let _ = write!(text, "{number:3X} {}", numbers(counted));
    }
    text + &format!(
        "  ~ {}\n     Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s\n    {}",
        numbers(traffic),
        numbers(rates)
    )
}

/// An address and port; IPv6 addresses in full and in brackets.
fn end(end: SocketAddr) -> String {
    let address = address(end.ip());
    match end {
        SocketAddr::V4(_) => format!("{address}:{:04X}", end.port()),
        SocketAddr::V6(_) => format!("[{address}]:{:04X}", end.port()),
    }
}

/// The same apart from each other.
fn apart(end: SocketAddr) -> String {
    format!("{} {:04X}", address(end.ip()), end.port())
}

fn address(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => format!("{:08X}", v4.to_bits()),
        IpAddr::V6(v6) => v6.segments().map(|word| format!("{word:04x}")).join(":"),
    }
}
