//! Which rule chooses a real server, and what may be switched in it.

/// Which rule chooses a real server for a new connection.
///
/// The names in brackets are those of ipvsadm. The rules themselves are in
/// `sched/`, one a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheduler {
    /// Each in turn (`rr`).
    RoundRobin,
    /// Each in turn, as often as its weight says (`wrr`).
    WeightedRoundRobin,
    /// The least loaded (`lc`).
    LeastConnection,
    /// The least loaded for its weight (`wlc`).
    #[default]
    WeightedLeastConnection,
    /// By the address asked for, and for a new one the least loaded (`lblc`).
    LocalityLeastConnection,
    /// The same with several real servers to an address that needs them (`lblcr`).
    ReplicatedLocalityLeastConnection,
    /// By the client's address (`sh`).
    SourceHashing,
    /// By the virtual address (`dh`).
    DestinationHashing,
    /// By the client's address, so that few clients move (`mh`).
    MaglevHashing,
    /// Whoever would be the least loaded with one more (`sed`).
    ShortestExpectedDelay,
    /// Somebody idle, or else as `sed` (`nq`).
    NeverQueue,
    /// The heaviest that takes any (`fo`).
    WeightedFailover,
    /// The heaviest that is not full (`ovf`).
    WeightedOverflow,
    /// The less loaded of two drawn by weight (`twos`).
    TwoChoices,
    /// Nobody is chosen (`none`): the service has no scheduler.
    None,
}

impl Scheduler {
    /// Every scheduler that chooses somebody, in the order of the documentation.
    pub const ALL: [Self; 14] = [
        Self::RoundRobin,
        Self::WeightedRoundRobin,
        Self::LeastConnection,
        Self::WeightedLeastConnection,
        Self::LocalityLeastConnection,
        Self::ReplicatedLocalityLeastConnection,
        Self::SourceHashing,
        Self::DestinationHashing,
        Self::MaglevHashing,
        Self::ShortestExpectedDelay,
        Self::NeverQueue,
        Self::WeightedFailover,
        Self::WeightedOverflow,
        Self::TwoChoices,
    ];

    /// Its short name, as in ipvsadm.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "rr",
            Self::WeightedRoundRobin => "wrr",
            Self::LeastConnection => "lc",
            Self::WeightedLeastConnection => "wlc",
            Self::LocalityLeastConnection => "lblc",
            Self::ReplicatedLocalityLeastConnection => "lblcr",
            Self::SourceHashing => "sh",
            Self::DestinationHashing => "dh",
            Self::MaglevHashing => "mh",
            Self::ShortestExpectedDelay => "sed",
            Self::NeverQueue => "nq",
            Self::WeightedFailover => "fo",
            Self::WeightedOverflow => "ovf",
            Self::TwoChoices => "twos",
            Self::None => "none",
        }
    }

    /// The scheduler of this short name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter().chain([Self::None]);
        all.find(|scheduler| scheduler.name() == name)
    }
}

/// Switches of a scheduler, numbered as in the kernel.
///
/// What each does is the scheduler's: `sh` and `mh` know the first two, the
/// others keep and list them and do as ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SchedulerFlags {
    /// `flag-1`: `sh` and `mh` look further when the real server they hash to
    /// takes no connections.
    pub fallback: bool,
    /// `flag-2`: `sh` and `mh` hash the client's port too.
    pub port: bool,
    /// `flag-3`: no scheduler knows it.
    pub third: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_again() {
        for scheduler in Scheduler::ALL.into_iter().chain([Scheduler::None]) {
            assert_eq!(Scheduler::named(scheduler.name()), Some(scheduler));
        }
        assert_eq!(Scheduler::named("WLC"), None);
    }
}
