//! How large a director is, and configurations that do not fit it.

use core::fmt;
use core::time::Duration;

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
    /// What may be kept of fragments.
    pub fragments: FragmentLimits,
    /// A random number, so that nobody can aim at one bucket.
    pub seed: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            shards: 1,
            services: 1024,
            real_servers: 4096,
            fragments: FragmentLimits::default(),
            seed: 0,
        }
    }
}

/// How many fragments are kept while the rest of their datagrams is on its way,
/// and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentLimits {
    /// Memory for them, all shards together, bytes; each gets its share, and no
    /// less than four of the longest datagrams take, 384 KiB. The kernel's
    /// `ipfrag_high_thresh`.
    pub memory: usize,
    /// How long the fragments of an IPv4 datagram are waited for: the kernel's
    /// `ipfrag_time`.
    pub ipv4_time: Duration,
    /// How long those of an IPv6 datagram are (RFC 8200 section 4.5).
    pub ipv6_time: Duration,
}

impl FragmentLimits {
    /// Those of Linux: 4 MiB, 30 s and 60 s.
    pub const LINUX: Self = Self {
        memory: 4 << 20,
        ipv4_time: Duration::from_secs(30),
        ipv6_time: Duration::from_secs(60),
    };
}

impl Default for FragmentLimits {
    fn default() -> Self {
        Self::LINUX
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
                    "more than {limit} services: raise the limit `services` and start anew"
                )
            }
            Self::TooManyRealServers { limit } => write!(
                f,
                "more than {limit} real servers, counting removed ones that still hold \
                 connections: raise the limit `real_servers` and start anew, or wait for them \
                 to end"
            ),
        }
    }
}

impl core::error::Error for PlanError {}
