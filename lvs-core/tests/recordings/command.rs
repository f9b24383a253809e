//! Reads the commands of a recording, and names those of features not built yet.

use std::net::{IpAddr, SocketAddr};

use lvs_core::{ForwardingMethod, Protocol, Scheduler, ServiceKey};

/// A command that changes the director, or lists something.
#[derive(Debug)]
pub(crate) enum Command {
    AddService(ServiceKey, Scheduler),
    EditService(ServiceKey, Scheduler),
    RemoveService(ServiceKey),
    AddRealServer(ServiceKey, Real),
    EditRealServer(ServiceKey, Real),
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
    RemoveDefaultRoute {
        ipv6: bool,
    },
    ListConnections,
    ListServices,
    ListTimeouts,
    /// Connections, packets and bytes, in full numbers.
    ListTraffic,
    /// What it prints is another program's to make.
    ListOther,
}

/// A real server as a command names it.
#[derive(Debug)]
pub(crate) struct Real {
    pub(crate) address: SocketAddr,
    pub(crate) forwarding: ForwardingMethod,
    pub(crate) weight: u32,
}

/// Reads one command line.
///
/// *Errors:* the name of a feature the director does not have yet.
pub(crate) fn parse(line: &str) -> Result<Command, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["ipvsadm", ref rest @ ..] => ipvsadm(rest),
        ["ip", "link", "set", "dev", interface, "mtu", mtu] => Ok(Command::Mtu {
            interface: interface.to_string(),
            mtu: mtu.parse().unwrap(),
        }),
        ["ip", "route", "add", "local", ..] | ["ip", "rule", ..] => Err("policy routing".into()),
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
        ["ip", "route", "get", _] => Ok(Command::ListOther),
        ["ip", "route", ..] => Err("policy routing".into()),
        ["ip", "link", ..] => Err("tunnels that end at the host".into()),
        ["nft", ..] => Err("firewall marks".into()),
        _ => Err(format!("the command {line}")),
    }
}

fn ipvsadm(words: &[&str]) -> Result<Command, String> {
    match *words {
        ["-C"] => Ok(Command::Clear),
        ["-Lnc"] => Ok(Command::ListConnections),
        ["-Ln"] => Ok(Command::ListServices),
        ["-L", "--timeout"] => Ok(Command::ListTimeouts),
        ["-Ln", "--stats", "--exact"] => Ok(Command::ListTraffic),
        ["-Sn"] | ["-Ln", "--stats" | "--rate" | "--tun-info", ..] => Ok(Command::ListOther),
        ["--set", tcp, fin, udp] => {
            let seconds = |word: &str| word.parse().unwrap();
            Ok(Command::Timeouts([
                seconds(tcp),
                seconds(fin),
                seconds(udp),
            ]))
        }
        ["--start-daemon" | "--stop-daemon", ..] => Err("synchronisation".into()),
        ["-A", "-f", ..] | ["-a", "-f", ..] => Err("firewall marks".into()),
        [act, kind, address, ref options @ ..] => {
            let protocol = match kind {
                "-t" => Protocol::Tcp,
                "-u" => Protocol::Udp,
                "--sctp-service" => return Err("SCTP".into()),
                _ => return Err(format!("the option {kind}")),
            };
            let address: SocketAddr = address.parse().unwrap();
            let key = ServiceKey { protocol, address };
            service(act, key, options)
        }
        _ => Err(format!("ipvsadm {words:?}")),
    }
}

/// A command about a service or a real server of one.
fn service(act: &str, key: ServiceKey, options: &[&str]) -> Result<Command, String> {
    match (act, options) {
        ("-A" | "-E", &["-s", scheduler]) => {
            let scheduler =
                Scheduler::named(scheduler).ok_or_else(|| format!("the scheduler {scheduler}"))?;
            Ok(match act {
                "-A" => Command::AddService(key, scheduler),
                _ => Command::EditService(key, scheduler),
            })
        }
        ("-A" | "-E", options) if options.contains(&"-p") => Err("persistence".into()),
        ("-A" | "-E", options) if options.contains(&"-b") => Err("scheduler flags".into()),
        ("-D", []) => Ok(Command::RemoveService(key)),
        ("-a", &["-r", address, ref options @ ..]) => {
            Ok(Command::AddRealServer(key, real(key, address, options)?))
        }
        ("-e", &["-r", address, ref options @ ..]) => {
            Ok(Command::EditRealServer(key, real(key, address, options)?))
        }
        ("-d", &["-r", address]) => Ok(Command::RemoveRealServer(key, address.parse().unwrap())),
        _ => Err(format!("ipvsadm {act} {options:?}")),
    }
}

/// A real server with its options.
fn real(key: ServiceKey, address: &str, options: &[&str]) -> Result<Real, String> {
    let address: SocketAddr = address.parse().unwrap();
    let mut real = Real {
        address,
        forwarding: ForwardingMethod::DirectRoute,
        weight: 1,
    };
    let mut options = options.iter();
    while let Some(option) = options.next() {
        match *option {
            "-m" => {
                real.forwarding = ForwardingMethod::Masquerade {
                    port: address.port(),
                };
            }
            "-g" => real.forwarding = ForwardingMethod::DirectRoute,
            "-i" => real.forwarding = ForwardingMethod::Tunnel,
            "-w" => real.weight = options.next().unwrap().parse().unwrap(),
            "-x" | "-y" => return Err("thresholds".into()),
            "--tun-type" => return Err(format!("{} tunnels", options.next().unwrap())),
            other => return Err(format!("the option {other}")),
        }
    }
    if real.address.is_ipv4() != key.address.is_ipv4() {
        return Err("tunnels between families".into());
    }
    Ok(real)
}
