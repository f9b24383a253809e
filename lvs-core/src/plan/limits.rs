//! How large a director is, and configurations that do not fit it.

use core::fmt;

/// How large a director is, fixed for its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Shards, 1 to 255.
    pub shards: u8,
    /// Services at one time.
    pub services: usize,
    /// Real servers at one time, those removed but still holding connections
    /// included.
    pub real_servers: usize,
    /// A random number, so that nobody can aim at one bucket.
    pub seed: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            shards: 1,
            services: 1024,
            real_servers: 4096,
            seed: 0,
        }
    }
}

/// A configuration that does not fit the director's [`Limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlanError {
    /// More services than the limit.
    TooManyServices {
        /// The limit.
        limit: usize,
    },
    /// More real servers than the limit, those that still hold connections included.
    TooManyRealServers {
        /// The limit.
        limit: usize,
    },
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyServices { limit } => {
                write!(
                    f,
                    "more than {limit} services: raise the limit and start anew"
                )
            }
            Self::TooManyRealServers { limit } => write!(
                f,
                "more than {limit} real servers, counting removed ones that still hold \
                 connections: raise the limit and start anew, or wait for them to end"
            ),
        }
    }
}

impl core::error::Error for PlanError {}
