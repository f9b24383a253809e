//! What the tool says when it does not do what it was told, with the exit
//! status for each.

use std::fmt;

use super::control::KernelError;
use super::legality::Act;

/// What ends a command before the kernel is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A word that is no option, or an argument too many or missing.
    Misread(String),
    /// No command.
    TryHelp,
    /// Anything else that is wrong with the words.
    Usage(String),
}

impl Fault {
    pub(super) fn usage(text: &str) -> Self {
        Self::Usage(text.to_owned())
    }

    /// The exit status.
    pub(super) const fn status(&self) -> u8 {
        match self {
            Self::Misread(_) | Self::TryHelp => REFUSED,
            Self::Usage(_) => 2,
        }
    }

    /// Whether a restore goes on with the next line.
    pub(super) const fn goes_on(&self) -> bool {
        matches!(self, Self::Misread(_))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misread(text) | Self::Usage(text) => f.write_str(text),
            Self::TryHelp => {
                f.write_str("Try `ipvsadm -h' or 'ipvsadm --help' for more information.")
            }
        }
    }
}

/// The text for an error of the kernel's, which depends on what was asked.
///
/// *Source:* the behaviour of libipvs 1.31, `ipvs_strerror`.
pub(super) const fn refusal(act: Act, error: KernelError) -> &'static str {
    use KernelError as E;
    match (act, error) {
        (Act::AddService, E::Exists) => "Service already exists",
        (Act::AddService | Act::EditService, E::NotFound) => {
            "Scheduler or persistence engine not found"
        }
        (Act::EditService | Act::DeleteService | Act::Zero | Act::List, E::NoSuch) => {
            "No such service"
        }
        (Act::AddServer | Act::EditServer | Act::DeleteServer, E::NoSuch) => "Service not defined",
        (Act::AddServer, E::Exists) => "Destination already exists",
        (Act::EditServer | Act::DeleteServer, E::NotFound) => "No such destination",
        (Act::StartDaemon, E::Exists) => "Daemon has already run",
        (Act::StopDaemon, E::NoSuch) => "No daemon is running",
        (_, error) => error.text(),
    }
}

/// The exit status when the kernel refuses: -1.
pub(super) const REFUSED: u8 = 255;

/// The version, as the tool tells it.
pub(super) const VERSION: &str = "ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)\n";

/// What follows the version in the help.
pub(super) const USAGE: &str = include_str!("usage.txt");
