//! What a director has, as plain data to be listed.

use std::borrow::Cow;
use std::net::SocketAddr;

use lvs_core::config::SchedulerFlags;
use lvs_core::{ForwardingMethod, Persistence, Protocol, ServiceKey, Thresholds, Traffic};

/// A service with its real servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
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
    /// The name of its persistence engine.
    pub engine: Option<String>,
    /// What passed since the counters were zeroed.
    pub traffic: Traffic,
    /// What passes in a second.
    pub rates: Traffic,
    /// Newest first.
    pub real_servers: Vec<RealServer>,
}

/// A real server of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealServer {
    /// Where it is.
    pub address: SocketAddr,
    /// How packets reach it.
    pub forwarding: ForwardingMethod,
    /// Its share.
    pub weight: u32,
    /// How many connections it takes at most.
    pub thresholds: Thresholds,
    /// Connections that are active.
    pub active: u32,
    /// Connections that are not.
    pub inactive: u32,
    /// Clients remembered.
    pub persistent: u32,
    /// What passed since the counters were zeroed.
    pub traffic: Traffic,
    /// What passes in a second.
    pub rates: Traffic,
}

/// A connection, or a client remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// `None` for clients of a service of a firewall mark.
    pub protocol: Option<Protocol>,
    /// The client; of one remembered, what its address has in common with
    /// others, and port 0.
    pub client: SocketAddr,
    /// The virtual address.
    pub service: SocketAddr,
    /// The real server.
    pub destination: SocketAddr,
    /// The name of its state.
    pub state: Cow<'static, str>,
    /// Seconds until it ends if nothing more comes.
    pub expires: u64,
    /// The name of the persistence engine and what it knows it by.
    pub engine: Option<(String, String)>,
    /// Whether another director told of it.
    pub synced: bool,
}
