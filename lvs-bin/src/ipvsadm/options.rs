//! What the options of one command line say, evaluated from left to right as
//! they are read: the first that is wrong ends the reading, and some depend on
//! those before them.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;

use lvs_core::Protocol;
use lvs_core::config::SchedulerFlags;

use super::address::{self, End};
use super::daemon::{Daemon, DaemonRole, GROUP, MULTICAST_PORT};
use super::flags;
use super::grammar::{Misread, Reader};
use super::legality::{Act, Kind, Kinds, TunnelKind};
use super::messages::Fault;
use super::names::Names;
use super::number;

/// An option, as it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opt {
    AddService,
    EditService,
    DeleteService,
    Clear,
    List,
    Zero,
    AddServer,
    EditServer,
    DeleteServer,
    Set,
    Restore,
    Save,
    StartDaemon,
    StopDaemon,
    Help,
    Version,
    TcpService,
    UdpService,
    SctpService,
    FwmarkService,
    Ipv6,
    Scheduler,
    Persistent,
    Netmask,
    Engine,
    OnePacket,
    SchedulerFlags,
    RealServer,
    Gatewaying,
    Ipip,
    Masquerading,
    Weight,
    UpperThreshold,
    LowerThreshold,
    TunnelType,
    TunnelPort,
    TunnelNoChecksum,
    TunnelChecksum,
    TunnelRemoteChecksum,
    Numeric,
    Connection,
    Timeout,
    Daemon,
    Stats,
    Rate,
    Thresholds,
    PersistentConnections,
    TunnelInfo,
    Sort,
    NoSort,
    Exact,
    SyncId,
    SyncMaxLength,
    MulticastInterface,
    MulticastGroup,
    MulticastPort,
    MulticastTtl,
}

/// How packets are to reach a real server, before its tunnel is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Forward {
    Masquerade,
    #[default]
    DirectRoute,
    Tunnel,
}

/// A mask of clients, as it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Netmask {
    V4(Ipv4Addr),
    V6(u8),
}

/// What a command line says.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) act: Act,
    /// The options given.
    pub(super) given: Kinds,
    pub(super) protocol: Protocol,
    pub(super) service: End,
    pub(super) mark: Option<NonZeroU32>,
    /// Whether `-6` was given.
    pub(super) ipv6: bool,
    pub(super) scheduler: String,
    pub(super) flags: Option<String>,
    pub(super) scheduler_flags: SchedulerFlags,
    /// Seconds.
    pub(super) persistent: Option<u32>,
    pub(super) netmask: Netmask,
    pub(super) engine: String,
    pub(super) real_server: End,
    pub(super) forward: Forward,
    pub(super) weight: u32,
    pub(super) upper: u32,
    pub(super) lower: u32,
    pub(super) tunnel: TunnelKind,
    pub(super) tunnel_port: u16,
    pub(super) daemon: Daemon,
    /// Seconds of TCP, TCP after FIN and UDP.
    pub(super) timeouts: [u32; 3],
}

/// What is to be done.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    /// The usage.
    Help,
    /// The version.
    Version,
    /// A command.
    Act(Box<Options>),
}

/// Reads a command line.
///
/// *Errors:* the first thing wrong with it by itself; whether the options fit
/// each other is for the legality to say.
pub(super) fn read(words: &[String], names: &dyn Names) -> Result<Wanted, Fault> {
    let mut reader = Reader::new(words);
    let mut options = match command(&mut reader)? {
        Wanted::Act(options) => options,
        told => return Ok(told),
    };
    loop {
        match reader.next_option() {
            Ok(Some((option, given))) => {
                let word = reader.word();
                options.take(option, given, word, names)?;
            }
            Ok(None) => break,
            Err(Misread { word, why }) => return Err(Fault::Misread(format!("{word}: {why}"))),
        }
    }
    if options.act == Act::SetTimeouts {
        options.timeouts = timeouts(&mut reader)?;
    }
    if let Some(word) = reader.next_apart() {
        return Err(Fault::Usage(format!("unexpected argument {word}")));
    }
    if let Some(flags) = &options.flags {
        options.scheduler_flags = flags::parse(flags, &options.scheduler)?;
    }
    Ok(Wanted::Act(options))
}

/// The command, which is the first option.
fn command(reader: &mut Reader<'_>) -> Result<Wanted, Fault> {
    let (option, given) = match reader.next_option() {
        Ok(Some(first)) => first,
        Ok(None) | Err(_) => return Err(Fault::TryHelp),
    };
    let act = match option {
        Opt::AddService => Act::AddService,
        Opt::EditService => Act::EditService,
        Opt::DeleteService => Act::DeleteService,
        Opt::Clear => Act::Flush,
        Opt::List => Act::List,
        Opt::Zero => Act::Zero,
        Opt::AddServer => Act::AddServer,
        Opt::EditServer => Act::EditServer,
        Opt::DeleteServer => Act::DeleteServer,
        Opt::Set => Act::SetTimeouts,
        Opt::Restore => Act::Restore,
        Opt::Save => Act::Save,
        Opt::StartDaemon => Act::StartDaemon,
        Opt::StopDaemon => Act::StopDaemon,
        Opt::Help => return Ok(Wanted::Help),
        Opt::Version => return Ok(Wanted::Version),
        _ => return Err(Fault::TryHelp),
    };
    let mut options = Options::new(act);
    options.daemon.role = match (act, given) {
        (_, Some("backup")) => DaemonRole::Backup,
        (_, Some("master")) => DaemonRole::Master,
        (Act::StartDaemon, _) => {
            return Err(Fault::usage("illegal start-daemon parameter specified"));
        }
        (Act::StopDaemon, _) => return Err(Fault::usage("illegal start_daemon specified")),
        _ => DaemonRole::Master,
    };
    Ok(Wanted::Act(Box::new(options)))
}

/// The three words of `--set`.
fn timeouts(reader: &mut Reader<'_>) -> Result<[u32; 3], Fault> {
    let mut words = [""; 3];
    for word in &mut words {
        let missing = || Fault::usage("--set option requires 3 timeout values");
        *word = reader.next_apart().ok_or_else(missing)?;
    }
    let [tcp, fin, udp] = words;
    Ok([timeout(tcp, 0)?, timeout(fin, 0)?, timeout(udp, 0)?])
}

fn timeout(word: &str, least: i64) -> Result<u32, Fault> {
    let wrong = || Fault::Usage(format!("invalid timeout value `{word}' specified"));
    number::within(word, least, MAX_TIMEOUT).ok_or_else(wrong)
}

impl Options {
    fn new(act: Act) -> Self {
        Self {
            act,
            given: Kinds::default(),
            protocol: Protocol::Tcp,
            service: End::default(),
            mark: None,
            ipv6: false,
            scheduler: String::new(),
            flags: None,
            scheduler_flags: SchedulerFlags::default(),
            persistent: None,
            netmask: Netmask::V4(Ipv4Addr::BROADCAST),
            engine: String::new(),
            real_server: End::default(),
            forward: Forward::default(),
            weight: 1,
            upper: 0,
            lower: 0,
            tunnel: TunnelKind::Ipip,
            tunnel_port: 0,
            daemon: Daemon {
                role: DaemonRole::Master,
                interface: INTERFACE.to_owned(),
                sync_id: 0,
                max_length: 0,
                group: GROUP,
                port: MULTICAST_PORT,
                ttl: 1,
            },
            timeouts: [0; 3],
        }
    }

    /// Takes one option; `word` is the word it was read from last.
    fn take(
        &mut self,
        option: Opt,
        given: Option<&str>,
        word: &str,
        names: &dyn Names,
    ) -> Result<(), Fault> {
        let Some(kind) = Kind::of(option) else {
            return match option {
                Opt::Sort => Ok(()),
                Opt::Ipv6 => self.ipv6(),
                _ => Err(Fault::Usage(format!("invalid option `{word}'"))),
            };
        };
        if !self.given.insert(kind) {
            let name = kind.name();
            return Err(Fault::Usage(format!("multiple '{name}' options specified")));
        }
        let text = given.unwrap_or_default();
        match option {
            Opt::TcpService => self.service(Protocol::Tcp, text, names),
            Opt::UdpService => self.service(Protocol::Udp, text, names),
            Opt::SctpService => self.service(Protocol::Sctp, text, names),
            Opt::FwmarkService => self.mark(text),
            Opt::Scheduler => {
                self.scheduler = text.to_owned();
                Ok(())
            }
            Opt::SchedulerFlags => {
                self.flags = Some(text.to_owned());
                Ok(())
            }
            Opt::Engine => {
                self.engine = text.to_owned();
                Ok(())
            }
            Opt::Persistent => {
                let seconds = given.map_or(Ok(DEFAULT_PERSISTENCE), |word| timeout(word, 1))?;
                self.persistent = Some(seconds);
                Ok(())
            }
            Opt::Netmask => self.netmask(text, names),
            _ => self.take_for_server(option, text, names),
        }
    }

    /// Takes one option of a real server or a daemon.
    fn take_for_server(&mut self, option: Opt, text: &str, names: &dyn Names) -> Result<(), Fault> {
        let within = |least, most, wrong| {
            number::within(text, least, most).ok_or_else(|| Fault::usage(wrong))
        };
        match option {
            Opt::RealServer => return self.real_server(text, names),
            Opt::Gatewaying => self.forward = Forward::DirectRoute,
            Opt::Ipip => self.forward = Forward::Tunnel,
            Opt::Masquerading => self.forward = Forward::Masquerade,
            Opt::Weight => self.weight = within(0, INT_MAX, "illegal weight specified")?,
            Opt::UpperThreshold => {
                self.upper = within(0, INT_MAX, "illegal u_threshold specified")?;
            }
            Opt::LowerThreshold => {
                self.lower = within(0, INT_MAX, "illegal l_threshold specified")?;
            }
            Opt::TunnelType => {
                let wrong = || Fault::usage("illegal tunnel type specified");
                self.tunnel = TunnelKind::named(text).ok_or_else(wrong)?;
            }
            Opt::TunnelPort => {
                self.tunnel_port = within(1, 65535, "illegal tunnel port specified")? as u16;
            }
            Opt::SyncId => self.daemon.sync_id = within(0, 255, "illegal syncid specified")? as u8,
            Opt::SyncMaxLength => {
                let length = within(1, MAX_LENGTH, "illegal sync-maxlen specified")?;
                self.daemon.max_length = length as u16;
            }
            Opt::MulticastInterface => self.daemon.interface = text.to_owned(),
            Opt::MulticastGroup => self.daemon.group = group(text)?,
            Opt::MulticastPort => {
                self.daemon.port = within(1, 65535, "illegal mcast-port specified")? as u16;
            }
            Opt::MulticastTtl => {
                self.daemon.ttl = within(1, 255, "illegal mcast-ttl specified")? as u8;
            }
            _ => {}
        }
        Ok(())
    }

    fn service(&mut self, protocol: Protocol, text: &str, names: &dyn Names) -> Result<(), Fault> {
        self.protocol = protocol;
        let wrong = || Fault::usage("illegal virtual server address[:port] specified");
        self.service = address::end(text, protocol, names).ok_or_else(wrong)?;
        if matches!(self.service.address, Some(IpAddr::V6(_))) {
            self.netmask = Netmask::V6(128);
        }
        Ok(())
    }

    fn mark(&mut self, text: &str) -> Result<(), Fault> {
        let wrong = || Fault::Usage(format!("invalid fwmark value `{text}' specified"));
        let mark = number::within(text, 1, i64::from(u32::MAX)).and_then(NonZeroU32::new);
        self.mark = Some(mark.ok_or_else(wrong)?);
        Ok(())
    }

    fn ipv6(&mut self) -> Result<(), Fault> {
        if self.mark.is_none() {
            // The tool ends this message with a line end of its own.
            return Err(Fault::usage("-6 used before -f\n"));
        }
        self.ipv6 = true;
        self.netmask = Netmask::V6(128);
        Ok(())
    }

    fn netmask(&mut self, text: &str, names: &dyn Names) -> Result<(), Fault> {
        let serves_ipv6 = self.ipv6 || matches!(self.service.address, Some(IpAddr::V6(_)));
        self.netmask = if serves_ipv6 {
            let length = number::leading(text);
            let length = u8::try_from(length).ok().filter(|n| (1..=128).contains(n));
            Netmask::V6(length.ok_or_else(|| Fault::usage("illegal ipv6 netmask specified"))?)
        } else {
            let mask = address::ipv4(text, names);
            let wrong = || Fault::usage("illegal virtual server persistent mask specified");
            Netmask::V4(mask.ok_or_else(wrong)?)
        };
        Ok(())
    }

    fn real_server(&mut self, text: &str, names: &dyn Names) -> Result<(), Fault> {
        let wrong = || Fault::usage("illegal real server address[:port] specified");
        // Ports have names by protocol, and no protocol is known before the
        // service is.
        let end = if self.given.has(Kind::Service) {
            address::end(text, self.protocol, names)
        } else {
            address::end_without_names(text, names)
        };
        self.real_server = end.ok_or_else(wrong)?;
        if self.real_server.port.is_none() {
            self.real_server.port = self.service.port;
        }
        Ok(())
    }
}

/// A multicast address.
fn group(text: &str) -> Result<IpAddr, Fault> {
    let (family, group) = if text.contains(':') {
        ("IPv6", text.parse().ok().map(IpAddr::V6))
    } else {
        ("IPv4", text.parse().ok().map(IpAddr::V4))
    };
    let wrong = || Fault::Usage(format!("invalid {family} mcast-group `{text}'"));
    group.filter(IpAddr::is_multicast).ok_or_else(wrong)
}

/// The longest timeout, in seconds: a month.
const MAX_TIMEOUT: i64 = 31 * 24 * 60 * 60;
/// How long `-p` without a number remembers a client, in seconds.
const DEFAULT_PERSISTENCE: u32 = 360;
/// The largest number of the C type the kernel keeps weights in.
const INT_MAX: i64 = i32::MAX as i64;
/// The longest sync message: a datagram less its headers.
const MAX_LENGTH: i64 = 65535 - 20 - 8;
/// The interface of a daemon when none is named.
const INTERFACE: &str = "eth0";
