//! Which options a command may have, must have, and may not have together.

use super::messages::Fault;
use super::options::Opt;

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    AddService,
    EditService,
    DeleteService,
    Flush,
    List,
    AddServer,
    DeleteServer,
    EditServer,
    SetTimeouts,
    StartDaemon,
    StopDaemon,
    Restore,
    Save,
    Zero,
}

impl Act {
    /// Its name in messages.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::AddService => "add-service",
            Self::EditService => "edit-service",
            Self::DeleteService => "delete-service",
            Self::Flush => "flush",
            Self::List => "list",
            Self::AddServer => "add-server",
            Self::DeleteServer => "delete-server",
            Self::EditServer => "edit-server",
            Self::SetTimeouts => "set",
            Self::StartDaemon => "start-daemon",
            Self::StopDaemon => "stop-daemon",
            Self::Restore => "restore",
            Self::Save => "save",
            Self::Zero => "zero",
        }
    }
}

/// What may be given once: an option, or one of several that exclude each
/// other. The order is that in which the tool looks at them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Numeric,
    Connection,
    Service,
    Scheduler,
    Persistent,
    Netmask,
    RealServer,
    Forward,
    Weight,
    UpperThreshold,
    LowerThreshold,
    MulticastInterface,
    Timeout,
    Daemon,
    Stats,
    Rate,
    Thresholds,
    PersistentConnections,
    NoSort,
    SyncId,
    Exact,
    OnePacket,
    Engine,
    SchedulerFlags,
    MulticastGroup,
    MulticastPort,
    MulticastTtl,
    SyncMaxLength,
    TunnelInfo,
    TunnelType,
    TunnelPort,
    TunnelNoChecksum,
    TunnelChecksum,
    TunnelRemoteChecksum,
}

impl Kind {
    /// All of them, in order.
    const ALL: [Self; 34] = [
        Self::Numeric,
        Self::Connection,
        Self::Service,
        Self::Scheduler,
        Self::Persistent,
        Self::Netmask,
        Self::RealServer,
        Self::Forward,
        Self::Weight,
        Self::UpperThreshold,
        Self::LowerThreshold,
        Self::MulticastInterface,
        Self::Timeout,
        Self::Daemon,
        Self::Stats,
        Self::Rate,
        Self::Thresholds,
        Self::PersistentConnections,
        Self::NoSort,
        Self::SyncId,
        Self::Exact,
        Self::OnePacket,
        Self::Engine,
        Self::SchedulerFlags,
        Self::MulticastGroup,
        Self::MulticastPort,
        Self::MulticastTtl,
        Self::SyncMaxLength,
        Self::TunnelInfo,
        Self::TunnelType,
        Self::TunnelPort,
        Self::TunnelNoChecksum,
        Self::TunnelChecksum,
        Self::TunnelRemoteChecksum,
    ];

    /// What an option counts as; `None` for those that may be repeated and for
    /// commands.
    pub(super) const fn of(option: Opt) -> Option<Self> {
        Some(match option {
            Opt::TcpService | Opt::UdpService | Opt::SctpService | Opt::FwmarkService => {
                Self::Service
            }
            Opt::Gatewaying | Opt::Ipip | Opt::Masquerading => Self::Forward,
            Opt::Scheduler => Self::Scheduler,
            Opt::Persistent => Self::Persistent,
            Opt::Netmask => Self::Netmask,
            Opt::Engine => Self::Engine,
            Opt::OnePacket => Self::OnePacket,
            Opt::SchedulerFlags => Self::SchedulerFlags,
            Opt::RealServer => Self::RealServer,
            Opt::Weight => Self::Weight,
            Opt::UpperThreshold => Self::UpperThreshold,
            Opt::LowerThreshold => Self::LowerThreshold,
            Opt::TunnelType => Self::TunnelType,
            Opt::TunnelPort => Self::TunnelPort,
            Opt::TunnelNoChecksum => Self::TunnelNoChecksum,
            Opt::TunnelChecksum => Self::TunnelChecksum,
            Opt::TunnelRemoteChecksum => Self::TunnelRemoteChecksum,
            Opt::Numeric => Self::Numeric,
            Opt::Connection => Self::Connection,
            Opt::Timeout => Self::Timeout,
            Opt::Daemon => Self::Daemon,
            Opt::Stats => Self::Stats,
            Opt::Rate => Self::Rate,
            Opt::Thresholds => Self::Thresholds,
            Opt::PersistentConnections => Self::PersistentConnections,
            Opt::TunnelInfo => Self::TunnelInfo,
            Opt::NoSort => Self::NoSort,
            Opt::Exact => Self::Exact,
            Opt::SyncId => Self::SyncId,
            Opt::SyncMaxLength => Self::SyncMaxLength,
            Opt::MulticastInterface => Self::MulticastInterface,
            Opt::MulticastGroup => Self::MulticastGroup,
            Opt::MulticastPort => Self::MulticastPort,
            Opt::MulticastTtl => Self::MulticastTtl,
            _ => return None,
        })
    }

    /// Its name in messages.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Numeric => "numeric",
            Self::Connection => "connection",
            Self::Service => "service-address",
            Self::Scheduler => "scheduler",
            Self::Persistent => "persistent",
            Self::Netmask => "netmask",
            Self::RealServer => "real-server",
            Self::Forward => "forwarding-method",
            Self::Weight => "weight",
            Self::UpperThreshold => "u-threshold",
            Self::LowerThreshold => "l-threshold",
            Self::MulticastInterface => "mcast-interface",
            Self::Timeout => "timeout",
            Self::Daemon => "daemon",
            Self::Stats => "stats",
            Self::Rate => "rate",
            Self::Thresholds => "thresholds",
            Self::PersistentConnections => "persistent-conn",
            Self::NoSort => "nosort",
            Self::SyncId => "syncid",
            Self::Exact => "exact",
            Self::OnePacket => "ops",
            Self::Engine => "pe",
            Self::SchedulerFlags => "sched-flags",
            Self::MulticastGroup => "mcast-group",
            Self::MulticastPort => "mcast-port",
            Self::MulticastTtl => "mcast-ttl",
            Self::SyncMaxLength => "sync-maxlen",
            Self::TunnelInfo => "tun-info",
            Self::TunnelType => "tun-type",
            Self::TunnelPort => "tun-port",
            Self::TunnelNoChecksum => "tun-nocsum",
            Self::TunnelChecksum => "tun-csum",
            Self::TunnelRemoteChecksum => "tun-remcsum",
        }
    }
}

/// A set of what was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kinds(u64);

impl Kinds {
    /// Adds one; whether it was not there before.
    pub(super) const fn insert(&mut self, kind: Kind) -> bool {
        let new = !self.has(kind);
        self.0 |= 1 << kind as u8;
        new
    }

    pub(super) const fn has(self, kind: Kind) -> bool {
        self.0 >> kind as u8 & 1 == 1
    }

    pub(super) fn has_any(self, kinds: &[Kind]) -> bool {
        kinds.iter().any(|kind| self.has(*kind))
    }
}

/// What a command or a type of tunnel says to an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Required,
    Allowed,
    /// At most one of these.
    Alternative,
    Illegal,
}

/// Checks the options of a command.
///
/// *Errors:* the first, in the order of [`Kind`], that is missing, illegal or
/// one too many.
pub(super) fn check(act: Act, given: Kinds) -> Result<(), Fault> {
    let name = act.name();
    check_by(given, &Kind::ALL, |kind| rule(act, kind), name, "command")
}

/// Checks the options of a tunnel.
///
/// *Errors:* as [`check`].
pub(super) fn check_tunnel(tunnel: TunnelKind, given: Kinds) -> Result<(), Fault> {
    let name = tunnel.name();
    check_by(
        given,
        &TUNNEL,
        |kind| tunnel.rule(kind),
        name,
        "tunnel type",
    )
}

/// The options of tunnels.
pub(super) const TUNNEL: [Kind; 5] = [
    Kind::TunnelType,
    Kind::TunnelPort,
    Kind::TunnelNoChecksum,
    Kind::TunnelChecksum,
    Kind::TunnelRemoteChecksum,
];

fn check_by(
    given: Kinds,
    kinds: &[Kind],
    rule: impl Fn(Kind) -> Rule,
    name: &str,
    what: &str,
) -> Result<(), Fault> {
    let mut first: Option<Kind> = None;
    for kind in kinds {
        let option = kind.name();
        let wrong = match (rule(*kind), given.has(*kind)) {
            (Rule::Required, false) => {
                format!("You need to supply the '{option}' option for the '{name}' {what}")
            }
            (Rule::Illegal, true) => format!("Illegal '{option}' option with the '{name}' {what}"),
            (Rule::Alternative, true) => match first.replace(*kind) {
                None => continue,
                Some(before) => format!(
                    "The option '{option}' conflicts with the '{}' option in the '{name}' {what}",
                    before.name()
                ),
            },
            _ => continue,
        };
        return Err(Fault::Usage(wrong));
    }
    Ok(())
}

fn rule(act: Act, kind: Kind) -> Rule {
    use Kind as K;
    match (act, kind) {
        (
            Act::AddService
            | Act::EditService
            | Act::DeleteService
            | Act::AddServer
            | Act::EditServer
            | Act::DeleteServer,
            K::Service,
        )
        | (Act::AddServer | Act::EditServer | Act::DeleteServer, K::RealServer) => Rule::Required,
        (
            Act::AddService | Act::EditService,
            K::Scheduler
            | K::Persistent
            | K::Netmask
            | K::OnePacket
            | K::Engine
            | K::SchedulerFlags,
        )
        | (
            Act::AddServer | Act::EditServer,
            K::Forward
            | K::Weight
            | K::UpperThreshold
            | K::LowerThreshold
            | K::TunnelType
            | K::TunnelPort
            | K::TunnelNoChecksum
            | K::TunnelChecksum
            | K::TunnelRemoteChecksum,
        )
        | (
            Act::List,
            K::Numeric
            | K::Stats
            | K::Rate
            | K::Thresholds
            | K::PersistentConnections
            | K::NoSort
            | K::SyncId
            | K::Exact
            | K::TunnelInfo,
        )
        | (
            Act::StartDaemon,
            K::MulticastInterface
            | K::SyncId
            | K::MulticastGroup
            | K::MulticastPort
            | K::MulticastTtl
            | K::SyncMaxLength,
        )
        | (Act::StopDaemon, K::SyncId)
        | (Act::Save, K::Numeric)
        | (Act::Zero, K::Service) => Rule::Allowed,
        (Act::List, K::Connection | K::Service | K::Timeout | K::Daemon) => Rule::Alternative,
        _ => Rule::Illegal,
    }
}

/// A type of tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TunnelKind {
    Ipip,
    Gue,
    Gre,
}

impl TunnelKind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ipip => "ipip",
            Self::Gue => "gue",
            Self::Gre => "gre",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        let all = [Self::Ipip, Self::Gue, Self::Gre];
        all.into_iter().find(|kind| kind.name() == name)
    }

    const fn rule(self, kind: Kind) -> Rule {
        match (self, kind) {
            (_, Kind::TunnelType) => Rule::Allowed,
            (Self::Gue, Kind::TunnelPort) => Rule::Required,
            (Self::Gue | Self::Gre, Kind::TunnelNoChecksum | Kind::TunnelChecksum)
            | (Self::Gue, Kind::TunnelRemoteChecksum) => Rule::Alternative,
            _ => Rule::Illegal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(given: &[Kind]) -> Kinds {
        let mut kinds = Kinds::default();
        for kind in given {
            kinds.insert(*kind);
        }
        kinds
    }

    #[test]
    fn every_kind_is_listed_in_its_place() {
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place, "{kind:?}");
        }
    }

    #[test]
    fn the_first_fault_in_order_is_told() {
        let told = |act, given: &[Kind]| check(act, kinds(given)).unwrap_err().to_string();
        assert_eq!(
            told(Act::AddServer, &[Kind::Scheduler]),
            "You need to supply the 'service-address' option for the 'add-server' command"
        );
        assert_eq!(
            told(Act::AddServer, &[Kind::Scheduler, Kind::Numeric]),
            "Illegal 'numeric' option with the 'add-server' command"
        );
        assert_eq!(
            told(Act::List, &[Kind::Daemon, Kind::Connection]),
            "The option 'daemon' conflicts with the 'connection' option in the 'list' command"
        );
        let all = [Kind::Connection, Kind::PersistentConnections, Kind::Numeric];
        assert!(check(Act::List, kinds(&all)).is_ok());
    }
}
