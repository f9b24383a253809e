//! What the tool asks of a director, and the errors it may get: the kernel's.

use std::fmt;
use std::net::SocketAddr;

use lvs_core::config::SchedulerFlags;
use lvs_core::{Persistence, RealServer, ServiceKey, Timeouts};

use super::daemon::{Daemon, DaemonRole};
use super::operation::Operation;
use super::table::{Connection, Service};

/// A director, as the tool sees it. An operation that is refused has changed
/// nothing.
pub trait Control {
    /// Adds a service without real servers.
    ///
    /// *Errors:* it exists; its scheduler or engine is not found.
    fn add_service(&mut self, service: ServiceRequest) -> Result<(), KernelError>;
    /// Gives a service other settings; its real servers stay.
    ///
    /// *Errors:* no such service; its scheduler or engine is not found.
    fn edit_service(&mut self, service: ServiceRequest) -> Result<(), KernelError>;
    /// Removes a service with its real servers.
    ///
    /// *Errors:* no such service.
    fn delete_service(&mut self, key: ServiceKey) -> Result<(), KernelError>;
    /// Removes every service.
    ///
    /// *Errors:* none of its own.
    fn flush(&mut self) -> Result<(), KernelError>;
    /// Has the counters of a service and its real servers begin at zero; of
    /// everything if none is named.
    ///
    /// *Errors:* no such service.
    fn zero(&mut self, key: Option<ServiceKey>) -> Result<(), KernelError>;
    /// Adds a real server to a service.
    ///
    /// *Errors:* no such service; the real server exists; its address or
    /// thresholds are not allowed.
    fn add_server(&mut self, key: ServiceKey, real_server: RealServer) -> Result<(), KernelError>;
    /// Gives a real server other settings.
    ///
    /// *Errors:* as [`add_server`](Self::add_server); not found.
    fn edit_server(&mut self, key: ServiceKey, real_server: RealServer) -> Result<(), KernelError>;
    /// Removes a real server.
    ///
    /// *Errors:* no such service; not found.
    fn delete_server(&mut self, key: ServiceKey, at: SocketAddr) -> Result<(), KernelError>;
    /// Sets the timeouts of TCP, TCP after FIN and UDP in seconds; 0 leaves one
    /// as it is.
    ///
    /// *Errors:* none of its own.
    fn set_timeouts(&mut self, seconds: [u32; 3]) -> Result<(), KernelError>;
    /// Starts a daemon.
    ///
    /// *Errors:* it runs; no such interface; some real server is not of its
    /// service's family.
    fn start_daemon(&mut self, daemon: Daemon) -> Result<(), KernelError>;
    /// Stops a daemon.
    ///
    /// *Errors:* it does not run.
    fn stop_daemon(&mut self, role: DaemonRole) -> Result<(), KernelError>;
    /// Carries out operations in their order, each whether or not those before it
    /// were refused; what becomes of each.
    ///
    /// *Cost:* may be that of one, as the director's packets meet only what all
    /// of them come to.
    fn operate(&mut self, operations: Vec<Operation>) -> Vec<Result<(), KernelError>> {
        let operations = operations.into_iter();
        operations.map(|it| it.carry_out(self)).collect()
    }

    /// The services, in no order; their real servers newest first.
    fn services(&self) -> Vec<Service>;
    /// The connections, in no order.
    fn connections(&self) -> Vec<Connection>;
    /// Some of the connections, those from `from` on, which is the default or where
    /// the page before says; as long as nobody says otherwise, all of them.
    ///
    /// One that lives while all pages are read is on one of them, once; one that
    /// begins or ends meanwhile may be on one.
    fn connection_page(&self, _from: Cursor) -> ConnectionPage {
        ConnectionPage {
            connections: self.connections(),
            next: None,
        }
    }
    /// The timeouts.
    fn timeouts(&self) -> Timeouts;
    /// The daemons that run.
    fn daemons(&self) -> Vec<Daemon>;
    /// How many buckets the table of connections has.
    fn table_size(&self) -> u32;
}

/// Where to go on reading a director's connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The worker whose connections are read, from 0.
    pub worker: usize,
    /// The place in its table, from 0.
    pub place: usize,
}

/// A part of a director's connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionPage {
    /// Those; there may be none.
    pub connections: Vec<Connection>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<Cursor>,
}

/// A service, as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRequest {
    /// What identifies it.
    pub key: ServiceKey,
    /// The scheduler's name.
    pub scheduler: String,
    /// The scheduler's switches.
    pub flags: SchedulerFlags,
    /// Whether each datagram is scheduled by itself.
    pub one_packet: bool,
    /// For how long a client is remembered, and how much of its address counts.
    pub persistence: Option<Persistence>,
    /// The name of a persistence engine.
    pub engine: Option<String>,
}

/// Why the kernel refuses, as the C library numbers and names it on Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelError {
    /// EPERM.
    NotPermitted,
    /// ENOENT: a name or a real server is not found.
    NotFound,
    /// ESRCH: there is no such service or daemon.
    NoSuch,
    /// ENOMEM.
    NoMemory,
    /// EEXIST.
    Exists,
    /// ENODEV: there is no such interface.
    NoDevice,
    /// EINVAL.
    Invalid,
    /// ERANGE: a weight or a threshold.
    OutOfRange,
    /// ENOPROTOOPT.
    NoProtocol,
    /// EAFNOSUPPORT.
    NoFamily,
}

impl KernelError {
    /// Every error.
    pub const ALL: [Self; 10] = [
        Self::NotPermitted,
        Self::NotFound,
        Self::NoSuch,
        Self::NoMemory,
        Self::Exists,
        Self::NoDevice,
        Self::Invalid,
        Self::OutOfRange,
        Self::NoProtocol,
        Self::NoFamily,
    ];

    /// The error of a number.
    #[must_use]
    pub fn numbered(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|error| error.number() == number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::NotPermitted => 1,
            Self::NotFound => 2,
            Self::NoSuch => 3,
            Self::NoMemory => 12,
            Self::Exists => 17,
            Self::NoDevice => 19,
            Self::Invalid => 22,
            Self::OutOfRange => 34,
            Self::NoProtocol => 92,
            Self::NoFamily => 97,
        }
    }

    /// What the tool says of it, whatever was asked.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::NotPermitted => "Permission denied (you must be root)",
            Self::NotFound => "No such file or directory",
            Self::NoSuch => "No such process",
            Self::NoMemory => "Memory allocation problem",
            Self::Exists => "File exists",
            Self::NoDevice => "No such device",
            Self::Invalid => {
                "Invalid operation.  Possibly wrong module version, address not unicast, ..."
            }
            Self::OutOfRange => "Numerical result out of range",
            Self::NoProtocol => "Protocol not available",
            Self::NoFamily => "Operation not supported with specified address family",
        }
    }
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for KernelError {}
