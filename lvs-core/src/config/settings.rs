//! The switches of the kernel's IPVS (`net.ipv4.vs.*`), by the same names and
//! with the same defaults and meaning.

use core::fmt;

/// Declares every setting once: name, default, range and meaning.
macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $default:literal, $range:expr;)+) => {
        /// One switch of the director's.
        ///
        /// *Source:* the kernel's `ipvs-sysctl` documentation; ranges and
        /// defaults as Linux 6.12 has them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Setting {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Setting {
            /// Every setting, in the order of the documentation.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// Its name, the kernel's.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// Its value where none is given.
            #[must_use]
            pub const fn default(self) -> i32 {
                match self {
                    $(Self::$variant => $default,)+
                }
            }

            /// The least and the greatest value it takes.
            #[must_use]
            pub const fn range(self) -> (i32, i32) {
                match self {
                    $(Self::$variant => $range,)+
                }
            }
        }
    };
}

/// Any number; zero is off, and all others on.
const SWITCH: (i32, i32) = (i32::MIN, i32::MAX);
/// Any number.
const ANY: (i32, i32) = (i32::MIN, i32::MAX);

settings! {
    /// Free memory below which it counts as low and automatic defences begin, pages of 4 KiB.
    AmemThreshold = "amemthresh", 1024, ANY;
    /// Every so manieth new connection is dropped while `drop_packet` is 3.
    AmDropRate = "am_droprate", 10, ANY;
    /// Nothing is directed while this director is a backup only.
    BackupOnly = "backup_only", 0, SWITCH;
    /// A packet of a service on a mark that finds no real server goes on to
    /// where it was sent.
    CacheBypass = "cache_bypass", 0, SWITCH;
    /// When a new connection may take the place of one that is ending: 0 never,
    /// 1 in TIME_WAIT and CLOSE, 2 and 3 in FIN_WAIT of one-sided connections too.
    ConnReuseMode = "conn_reuse_mode", 1, ANY;
    /// Whether netfilter is to follow connections. A director outside the
    /// kernel has no netfilter: kept and shown, and without effect.
    Conntrack = "conntrack", 0, SWITCH;
    /// Defence by dropping connections: 0 never, 1 and 2 while memory is low, 3 always.
    DropEntry = "drop_entry", 0, (0, 3);
    /// Defence by dropping new connections: 0 never, 1 and 2 while memory is low, 3 always.
    DropPacket = "drop_packet", 0, (0, 3);
    /// Niceness of the kernel's threads that work out rates. There are none here:
    /// kept and shown, and without effect.
    EstNice = "est_nice", 0, (-20, 19);
    /// Connections of a removed real server end at their next packet.
    ExpireNodestConn = "expire_nodest_conn", 0, SWITCH;
    /// Clients are not kept to a real server whose weight is 0.
    ExpireQuiescentTemplate = "expire_quiescent_template", 0, SWITCH;
    /// Packets out of a tunnel that ended at this host are left alone. They never
    /// come to a director outside the kernel: kept and shown, and as if it were on.
    IgnoreTunneled = "ignore_tunneled", 0, SWITCH;
    /// How long `lblc` remembers an unused address, seconds.
    LblcExpiration = "lblc_expiration", 86400, ANY;
    /// How long `lblcr` remembers an unused address, seconds.
    LblcrExpiration = "lblcr_expiration", 86400, ANY;
    /// Packets of a masqueraded real server's port that are of no connection
    /// are answered with port unreachable.
    NatIcmpSend = "nat_icmp_send", 0, SWITCH;
    /// Tunnels carry the inner DF and their limit is told to clients.
    PmtuDisc = "pmtu_disc", 1, SWITCH;
    /// Counters are published and rates worked out, by whoever does so.
    RunEstimation = "run_estimation", 1, SWITCH;
    /// ICMP errors about packets of no connection are scheduled as those would be.
    ScheduleIcmp = "schedule_icmp", 0, SWITCH;
    /// Defence by distrusting TCP clients: 0 never, 1 and 2 while memory is low, 3 always.
    SecureTcp = "secure_tcp", 0, (0, 3);
    /// Any TCP segment but a reset may begin a connection.
    SloppyTcp = "sloppy_tcp", 0, SWITCH;
    /// Any SCTP packet but an abort may begin a connection.
    SloppySctp = "sloppy_sctp", 0, SWITCH;
    /// Replies are routed anew by the service's address.
    SnatReroute = "snat_reroute", 1, SWITCH;
    /// Only templates are told to a backup, not the connections they rule.
    SyncPersistMode = "sync_persist_mode", 0, ANY;
    /// How many ports connections are told to a backup by; a power of two, of
    /// which no more than 64 are used.
    SyncPorts = "sync_ports", 1, (1, 1 << 30);
    /// How many messages to a backup may wait. The kernel's default is one for every
    /// 32 free pages; this is that of a host with 4 GiB free.
    SyncQueueMax = "sync_qlen_max", 32768, (0, i32::MAX);
    /// How often a connection is told to a backup again, seconds.
    SyncRefreshPeriod = "sync_refresh_period", 0, ANY;
    /// How often a message to a backup is repeated.
    SyncRetries = "sync_retries", 0, (0, 3);
    /// Buffer of the socket to a backup, bytes; 0 the host's default.
    SyncSockSize = "sync_sock_size", 0, ANY;
    /// With which of its packets a connection is first told to a backup.
    SyncThreshold = "sync_threshold", 3, (0, i32::MAX);
    /// After how many more packets it is told again.
    SyncPeriod = "sync_period", 50, (0, i32::MAX);
    /// The format connections are told to a backup in.
    SyncVersion = "sync_version", 1, (0, 1);
}

impl Setting {
    /// The setting of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|setting| setting.name() == name)
    }

    /// Whether a service may have a value of its own. The others are of things
    /// that services have together: memory, rates, what is told to a backup.
    #[must_use]
    pub const fn is_per_service(self) -> bool {
        match self {
            Self::AmDropRate
            | Self::CacheBypass
            | Self::ConnReuseMode
            | Self::DropEntry
            | Self::DropPacket
            | Self::ExpireNodestConn
            | Self::ExpireQuiescentTemplate
            | Self::LblcExpiration
            | Self::LblcrExpiration
            | Self::NatIcmpSend
            | Self::PmtuDisc
            | Self::ScheduleIcmp
            | Self::SecureTcp
            | Self::SloppyTcp
            | Self::SloppySctp
            | Self::SnatReroute => true,
            Self::AmemThreshold
            | Self::BackupOnly
            | Self::Conntrack
            | Self::EstNice
            | Self::IgnoreTunneled
            | Self::RunEstimation
            | Self::SyncPersistMode
            | Self::SyncPorts
            | Self::SyncQueueMax
            | Self::SyncRefreshPeriod
            | Self::SyncRetries
            | Self::SyncSockSize
            | Self::SyncThreshold
            | Self::SyncPeriod
            | Self::SyncVersion => false,
        }
    }

    const fn index(self) -> usize {
        self as usize
    }
}

/// Why a setting was not given a value. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettingError {
    /// It does not take this value.
    OutOfRange {
        /// Which setting.
        setting: Setting,
        /// The value given.
        value: i32,
    },
    /// It is the whole director's, and was given to a service.
    OfDirector(Setting),
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::OutOfRange { setting, value } => {
                let (least, greatest) = setting.range();
                let name = setting.name();
                write!(f, "{name} = {value}: must be {least} to {greatest}")?;
                if setting == Setting::SyncPorts {
                    f.write_str(" and a power of two")?;
                }
                Ok(())
            }
            Self::OfDirector(setting) => write!(
                f,
                "{} is the whole director's: no service has its own",
                setting.name()
            ),
        }
    }
}

impl core::error::Error for SettingError {}

/// Every setting with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings([i32; Setting::ALL.len()]);

impl Default for Settings {
    fn default() -> Self {
        Self(Setting::ALL.map(Setting::default))
    }
}

impl Settings {
    /// The value of a setting.
    #[must_use]
    pub const fn get(&self, setting: Setting) -> i32 {
        self.0[setting.index()]
    }

    /// Whether a switch is on.
    #[must_use]
    pub const fn is_on(&self, setting: Setting) -> bool {
        self.get(setting) != 0
    }

    /// Gives a setting another value.
    ///
    /// *Errors:* [`SettingError`]; the value stays.
    pub fn set(&mut self, setting: Setting, value: i32) -> Result<(), SettingError> {
        checked(setting, value)?;
        self.0[setting.index()] = value;
        Ok(())
    }
}

/// Values that hold for one service instead of the director's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overrides {
    values: [i32; Setting::ALL.len()],
    /// A bit for each setting that is given.
    given: u64,
}

impl Default for Overrides {
    fn default() -> Self {
        Self::NONE
    }
}

impl Overrides {
    /// None: everything as the director has it.
    pub const NONE: Self = Self {
        values: [0; Setting::ALL.len()],
        given: 0,
    };

    /// The value given for a setting, if there is one.
    #[must_use]
    pub const fn get(&self, setting: Setting) -> Option<i32> {
        if self.given >> setting.index() & 1 == 1 {
            Some(self.values[setting.index()])
        } else {
            None
        }
    }

    /// Gives a setting a value for this service.
    ///
    /// *Errors:* [`SettingError`]; nothing has changed.
    pub fn set(&mut self, setting: Setting, value: i32) -> Result<(), SettingError> {
        if !setting.is_per_service() {
            return Err(SettingError::OfDirector(setting));
        }
        checked(setting, value)?;
        self.values[setting.index()] = value;
        self.given |= 1 << setting.index();
        Ok(())
    }

    /// The director's settings with these in their place.
    #[must_use]
    pub fn over(&self, director: &Settings) -> Settings {
        Settings(Setting::ALL.map(|setting| {
            let given = self.get(setting);
            given.unwrap_or_else(|| director.get(setting))
        }))
    }
}

fn checked(setting: Setting, value: i32) -> Result<(), SettingError> {
    let (least, greatest) = setting.range();
    let power = setting != Setting::SyncPorts || (value > 0 && value.count_ones() == 1);
    if (least..=greatest).contains(&value) && power {
        Ok(())
    } else {
        Err(SettingError::OutOfRange { setting, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_again_and_defaults_are_taken() {
        let mut settings = Settings::default();
        for setting in Setting::ALL {
            assert_eq!(Setting::named(setting.name()), Some(setting));
            assert_eq!(settings.set(setting, setting.default()), Ok(()));
        }
        assert_eq!(settings, Settings::default());
        assert_eq!(Setting::named("timeout_tcp"), None);
    }

    #[test]
    fn a_refused_value_changes_nothing() {
        let mut settings = Settings::default();
        let value = 4;
        let setting = Setting::DropEntry;
        let refused = Err(SettingError::OutOfRange { setting, value });
        assert_eq!(settings.set(setting, value), refused);
        assert!(settings.set(Setting::SyncPorts, 3).is_err());
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn a_service_has_its_own_where_given() {
        let mut own = Overrides::NONE;
        own.set(Setting::SloppyTcp, 1).unwrap();
        let settings = own.over(&Settings::default());
        assert!(settings.is_on(Setting::SloppyTcp));
        assert!(!settings.is_on(Setting::SloppySctp));
        assert_eq!(own.get(Setting::SloppySctp), None);
    }

    #[test]
    fn what_services_have_together_is_not_one_service_s() {
        let mut own = Overrides::NONE;
        for setting in Setting::ALL {
            let set = own.set(setting, setting.default());
            let of_director = Err(SettingError::OfDirector(setting));
            assert_eq!(
                set,
                if setting.is_per_service() {
                    Ok(())
                } else {
                    of_director
                }
            );
            assert_eq!(own.get(setting).is_some(), setting.is_per_service());
        }
    }
}
