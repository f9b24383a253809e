//! What can go wrong when a director starts or is changed.

use std::{fmt, io};

use lvs_core::{ConfigError, PlanError, TooLittleMemory};

/// A director could not be started or changed. What ran before runs on.
#[non_exhaustive]
pub enum DirectorError {
    /// A rule of the configuration is broken.
    Config(ConfigError),
    /// The configuration does not fit the director's limits.
    Plan(PlanError),
    /// The machine refused a queue or the steering program.
    Machine(lvs_io::Error),
    /// The steering program refused.
    Steering(lvs_io::program::Error),
    /// The kernel's routes and neighbours cannot be followed.
    Netlink(lvs_io::netlink::Error),
    /// Memory for connections could not be had.
    Memory(io::Error),
    /// The memory does not hold a single connection.
    TooLittleMemory(TooLittleMemory),
    /// A worker's thread could not be started.
    Thread(io::Error),
    /// There is no lane to serve, or more than 255.
    Lanes(usize),
    /// A worker does not take up changes any more.
    WorkerStuck(usize),
}

impl fmt::Display for DirectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => write!(f, "configuration: {error}"),
            Self::Plan(error) => write!(f, "configuration: {error}"),
            Self::Machine(error) => error.fmt(f),
            Self::Steering(error) => write!(f, "steering program: {error}"),
            Self::Netlink(error) => write!(f, "routes and neighbours: {error}"),
            Self::Memory(error) => write!(
                f,
                "memory for the connection tables: {error}: ask for fewer connections"
            ),
            Self::TooLittleMemory(error) => {
                write!(
                    f,
                    "memory for the connection tables: {error}: ask for more connections"
                )
            }
            Self::Thread(error) => write!(f, "starting a worker: {error}"),
            Self::Lanes(lanes) => write!(f, "{lanes} lanes to serve: 1 to 255 are possible"),
            Self::WorkerStuck(worker) => {
                write!(
                    f,
                    "worker {worker} takes up no changes: stop the director and start anew"
                )
            }
        }
    }
}

/// What is displayed: a `main` that returns its error, as an embedder's may,
/// prints this, and the variants say nothing more.
impl fmt::Debug for DirectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for DirectorError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(error) => Some(error),
            Self::Plan(error) => Some(error),
            Self::Machine(error) => Some(error),
            Self::Steering(error) => Some(error),
            Self::Netlink(error) => Some(error),
            Self::Memory(error) | Self::Thread(error) => Some(error),
            Self::TooLittleMemory(error) => Some(error),
            Self::Lanes(_) | Self::WorkerStuck(_) => None,
        }
    }
}

macro_rules! from {
    ($($variant:ident: $error:ty,)+) => {
        $(impl From<$error> for DirectorError {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        })+
    };
}

from! {
    Config: ConfigError,
    Plan: PlanError,
    Machine: lvs_io::Error,
    Steering: lvs_io::program::Error,
    Netlink: lvs_io::netlink::Error,
    TooLittleMemory: TooLittleMemory,
}
