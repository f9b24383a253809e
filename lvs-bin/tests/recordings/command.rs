//! Reads the commands of a recording that are not `ipvsadm`'s: those that change
//! the host the director is on, and its netfilter rules that mark packets.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use lvs_core::config::{MarkRule, Prefix};

/// A command that changes the host of the director, or nothing.
#[derive(Debug)]
pub(crate) enum Command {
    /// An interface takes packets of another length from now on.
    Mtu {
        interface: String,
        mtu: u32,
    },
    AddRoute {
        prefix: IpAddr,
        length: u8,
        gateway: IpAddr,
        interface: String,
    },
    /// A default route in a table of its own.
    AddDefaultRoute {
        gateway: IpAddr,
        table: u32,
    },
    /// Packets from an address go by that table.
    AddRule {
        source: IpAddr,
        table: u32,
    },
    /// Addresses the host has from now on.
    AddLocal {
        prefix: IpAddr,
        length: u8,
    },
    /// The host takes IPv4 packets out of IPv4 tunnels that end at this address.
    AddTunnelEnd(IpAddr),
    RemoveDefaultRoute {
        ipv6: bool,
    },
    /// Packets that are marked from now on.
    Mark(MarkRule),
    /// The host takes in what carries a mark.
    TakeMarked,
    /// What it changes or shows is none of a recording's.
    Nothing,
}

/// Reads one command line.
///
/// *Errors:* what is not understood.
pub(crate) fn parse(line: &str) -> Result<Command, String> {
    if let Some(script) = line.strip_prefix("nft ") {
        return mark(script).map(Command::Mark);
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["ip", "link", "set", "dev", interface, "mtu", mtu] => Ok(Command::Mtu {
            interface: interface.to_string(),
            mtu: mtu.parse().unwrap(),
        }),
        ["ip", "link", "add", _, "type", "ipip", "local", end] => {
            Ok(Command::AddTunnelEnd(end.parse().unwrap()))
        }
        ["ip", "link", "set", _, "up"] => Ok(Command::Nothing),
        ["ip", "route", "add", "local", prefix, "dev", "lo"] => {
            let (prefix, length) = prefix.split_once('/').unwrap();
            Ok(Command::AddLocal {
                prefix: prefix.parse().unwrap(),
                length: length.parse().unwrap(),
            })
        }
        [
            "ip",
            "route",
            "add",
            prefix,
            "via",
            gateway,
            "dev",
            interface,
        ] => {
            let (prefix, length) = prefix.split_once('/').unwrap();
            Ok(Command::AddRoute {
                prefix: prefix.parse().unwrap(),
                length: length.parse().unwrap(),
                gateway: gateway.parse().unwrap(),
                interface: interface.to_string(),
            })
        }
        [
            "ip",
            "route",
            "add",
            "default",
            "via",
            gateway,
            "table",
            table,
        ] => Ok(Command::AddDefaultRoute {
            gateway: gateway.parse().unwrap(),
            table: table.parse().unwrap(),
        }),
        ["ip", "rule", "add", "from", source, "lookup", table] => Ok(Command::AddRule {
            source: source.parse().unwrap(),
            table: table.parse().unwrap(),
        }),
        ["ip", "route", "del", "default"] => Ok(Command::RemoveDefaultRoute { ipv6: false }),
        ["ip", "-6", "route", "del", "default"] => Ok(Command::RemoveDefaultRoute { ipv6: true }),
        ["ip", "rule", "add", "fwmark", _, "lookup", _] => Ok(Command::TakeMarked),
        ["ip", "route", "add", "local", _, "dev", "lo", "table", _] | ["ip", "route", "get", _] => {
            Ok(Command::Nothing)
        }
        _ => Err(format!("the command {line}")),
    }
}

/// Reads a netfilter script that marks packets.
fn mark(script: &str) -> Result<MarkRule, String> {
    let unknown = || format!("the script {script}");
    let (_, rule) = script
        .split_once("add rule inet m p ")
        .ok_or_else(unknown)?;
    let (fits, mark) = rule
        .trim_end_matches('"')
        .split_once("meta mark set ")
        .ok_or_else(unknown)?;
    let mut marked = MarkRule {
        mark: NonZeroU32::new(mark.trim().parse().map_err(|_| unknown())?),
        ..MarkRule::default()
    };
    let words: Vec<&str> = fits.split_whitespace().collect();
    match words[..] {
        [] => {}
        [protocol @ ("tcp" | "udp"), "dport", ref ports @ ..] => {
            marked.protocol = Some(if protocol == "tcp" { 6 } else { 17 });
            let ports = ports.iter().map(|port| port.trim_end_matches(','));
            let ports = ports.filter_map(|port| port.parse::<u16>().ok());
            marked.destination_ports = ports.map(|port| RangeInclusive::new(port, port)).collect();
        }
        ["ip" | "ip6", "daddr", prefix] => {
            let (address, length) = prefix.split_once('/').ok_or_else(unknown)?;
            marked.destination = Some(Prefix {
                address: address.parse().unwrap(),
                length: length.parse().unwrap(),
            });
        }
        _ => return Err(unknown()),
    }
    Ok(marked)
}
