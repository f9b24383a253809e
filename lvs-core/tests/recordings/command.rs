//! Reads the commands of a recording.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use lvs_core::config::{ClientMask, GueChecksum, MarkRule, Prefix};
use lvs_core::{
    Family, ForwardingMethod, Persistence, Protocol, RealServer, Scheduler, Service, ServiceKey,
    Thresholds, Tunnel,
};

/// A command that changes the director, or lists something.
#[derive(Debug)]
pub(crate) enum Command {
    /// Without its real servers.
    AddService(Service),
    /// Without its real servers, which stay.
    EditService(Service),
    RemoveService(ServiceKey),
    AddRealServer(ServiceKey, RealServer),
    EditRealServer(ServiceKey, RealServer),
    RemoveRealServer(ServiceKey, SocketAddr),
    /// Every service goes.
    Clear,
    /// Seconds of TCP, TCP after FIN, and UDP; zero leaves one as it is.
    Timeouts([u64; 3]),
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
    ListConnections,
    ListServices,
    /// With how many templates name each real server.
    ListTemplates,
    /// What each tunnel wraps packets in as well.
    ListTunnels,
    /// With the thresholds of each real server.
    ListThresholds,
    ListTimeouts,
    /// What passed so far is not counted any more: at one service, or at all.
    Zero(Option<ServiceKey>),
    /// Connections, packets and bytes, in full numbers.
    ListTraffic,
    /// What it prints is not compared yet.
    ListOther,
}

impl Command {
    /// Whether it only lists something.
    pub(crate) const fn lists(&self) -> bool {
        matches!(
            self,
            Self::ListConnections
                | Self::ListServices
                | Self::ListTimeouts
                | Self::ListTraffic
                | Self::ListOther
        )
    }
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
        ["ipvsadm", ref rest @ ..] => ipvsadm(rest),
        ["ip", "link", "set", "dev", interface, "mtu", mtu] => Ok(Command::Mtu {
            interface: interface.to_string(),
            mtu: mtu.parse().unwrap(),
        }),
        ["ip", "link", "add", _, "type", "ipip", "local", end] => {
            Ok(Command::AddTunnelEnd(end.parse().unwrap()))
        }
        ["ip", "link", "set", _, "up"] => Ok(Command::ListOther),
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
        ["ip", "route", "del", "default"] => Ok(Command::RemoveDefaultRoute { ipv6: false }),
        ["ip", "-6", "route", "del", "default"] => Ok(Command::RemoveDefaultRoute { ipv6: true }),
        // What carries a mark is the director's wherever it is sent.
        ["ip", "rule", "add", "fwmark", _, "lookup", _]
        | ["ip", "route", "add", "local", _, "dev", "lo", "table", _]
        | ["ip", "route", "get", _] => Ok(Command::ListOther),
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

fn ipvsadm(words: &[&str]) -> Result<Command, String> {
    match *words {
        ["-C"] => return Ok(Command::Clear),
        ["-Lnc"] => return Ok(Command::ListConnections),
        ["-Ln"] => return Ok(Command::ListServices),
        ["-Ln", "--persistent-conn"] => return Ok(Command::ListTemplates),
        ["-Ln", "--thresholds"] => return Ok(Command::ListThresholds),
        ["-Z"] => return Ok(Command::Zero(None)),
        ["-Ln", "--tun-info"] => return Ok(Command::ListTunnels),
        ["-L", "--timeout"] => return Ok(Command::ListTimeouts),
        ["-Ln", "--stats", "--exact"] => return Ok(Command::ListTraffic),
        ["-Sn"] | ["-Ln" | "-Lnc", ..] => return Ok(Command::ListOther),
        ["--set", tcp, fin, udp] => {
            let seconds = |word: &str| word.parse().unwrap();
            let all = [seconds(tcp), seconds(fin), seconds(udp)];
            return Ok(Command::Timeouts(all));
        }
        ["--start-daemon" | "--stop-daemon", ..] | ["-L", "--daemon"] => {
            return Err("synchronisation".into());
        }
        _ => {}
    }
    let unknown = || format!("ipvsadm {words:?}");
    let [act, kind, whom, rest @ ..] = words else {
        return Err(unknown());
    };
    let address = |protocol| ServiceKey::Address {
        protocol,
        address: whom.parse().unwrap(),
    };
    let (key, options) = match (*kind, rest) {
        ("-t", _) => (address(Protocol::Tcp), rest),
        ("-u", _) => (address(Protocol::Udp), rest),
        ("--sctp-service", _) => (address(Protocol::Sctp), rest),
        ("-f", ["-6", rest @ ..]) => (marked(Family::V6, whom), rest),
        ("-f", _) => (marked(Family::V4, whom), rest),
        _ => return Err(unknown()),
    };
    match (*act, options) {
        ("-A", _) => Ok(Command::AddService(service(key, options)?)),
        ("-E", _) => Ok(Command::EditService(service(key, options)?)),
        ("-Z", []) => Ok(Command::Zero(Some(key))),
        ("-D", []) => Ok(Command::RemoveService(key)),
        ("-a", ["-r", address, options @ ..]) => {
            real_server(address, options).map(|made| Command::AddRealServer(key, made))
        }
        ("-e", ["-r", address, options @ ..]) => {
            real_server(address, options).map(|made| Command::EditRealServer(key, made))
        }
        ("-d", ["-r", address]) => Ok(Command::RemoveRealServer(key, end(address))),
        _ => Err(unknown()),
    }
}

/// An address, with a port or without.
fn end(text: &str) -> SocketAddr {
    let address = |text: &str| text.trim_matches(['[', ']']).parse().unwrap();
    text.parse()
        .unwrap_or_else(|_| SocketAddr::new(address(text), 0))
}

fn marked(family: Family, mark: &str) -> ServiceKey {
    ServiceKey::Mark {
        family,
        mark: mark.parse().unwrap(),
    }
}

/// A service with its options.
fn service(key: ServiceKey, options: &[&str]) -> Result<Service, String> {
    let mut service = Service::keyed(key, Scheduler::WeightedLeastConnection);
    let mut options = options.iter().copied().peekable();
    while let Some(option) = options.next() {
        match option {
            "-s" => {
                let name = options.next().unwrap();
                service.scheduler =
                    Scheduler::named(name).ok_or_else(|| format!("the scheduler {name}"))?;
            }
            "-p" => {
                let given = options.next_if(|word| !word.starts_with('-'));
                let seconds = given.map_or(360, |word| word.parse().unwrap());
                service.persistence = Some(Persistence::new(Duration::from_secs(seconds)));
            }
            "-M" => {
                let mask = options.next().unwrap();
                let mask = match key.family() {
                    Family::V4 => ClientMask::V4(mask.parse().unwrap()),
                    Family::V6 => ClientMask::V6(mask.parse().unwrap()),
                };
                service.persistence = service.persistence.map(|kept| kept.mask(mask));
            }
            "-o" => service.one_packet = true,
            "-b" => {
                for flag in options.next().unwrap().split(',') {
                    match flag {
                        "sh-fallback" | "mh-fallback" | "flag-1" => service.flags.fallback = true,
                        "sh-port" | "mh-port" | "flag-2" => service.flags.port = true,
                        "flag-3" => service.flags.third = true,
                        _ => return Err(format!("the flag {flag}")),
                    }
                }
            }
            "--pe" => return Err("persistence engines".into()),
            other => return Err(format!("the option {other}")),
        }
    }
    Ok(service)
}

/// A real server with its options.
fn real_server(address: &str, options: &[&str]) -> Result<RealServer, String> {
    let (mut forwarding, mut tunnel) = (ForwardingMethod::DirectRoute, Tunnel::Ipip);
    let (mut weight, mut thresholds) = (1, Thresholds::default());
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let mut number = || options.next().unwrap().parse().unwrap();
        match *option {
            "-m" => forwarding = ForwardingMethod::Masquerade,
            "-g" => forwarding = ForwardingMethod::DirectRoute,
            "-i" => forwarding = ForwardingMethod::Tunnel(Tunnel::Ipip),
            "-w" => weight = number(),
            "-x" => thresholds.upper = number(),
            "-y" => thresholds.lower = number(),
            "--tun-type" => match *options.next().unwrap() {
                "gre" => tunnel = Tunnel::Gre { checksum: false },
                "gue" => {
                    tunnel = Tunnel::Gue {
                        port: 0,
                        checksum: GueChecksum::None,
                    };
                }
                _ => {}
            },
            "--tun-port" => {
                let given = number() as u16;
                if let Tunnel::Gue { port, .. } = &mut tunnel {
                    *port = given;
                }
            }
            "--tun-nocsum" => {}
            "--tun-csum" | "--tun-remcsum" => match &mut tunnel {
                Tunnel::Gue { checksum, .. } if *option == "--tun-csum" => {
                    *checksum = GueChecksum::Full;
                }
                Tunnel::Gue { checksum, .. } => *checksum = GueChecksum::Remote,
                Tunnel::Gre { checksum } => *checksum = true,
                Tunnel::Ipip => return Err("a checksum with ipip".into()),
            },
            other => return Err(format!("the option {other}")),
        }
    }
    if let ForwardingMethod::Tunnel(of) = &mut forwarding {
        *of = tunnel;
    }
    Ok(RealServer::new(end(address), forwarding)
        .weight(weight)
        .thresholds(thresholds))
}
