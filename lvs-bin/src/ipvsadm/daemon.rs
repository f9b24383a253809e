//! The daemons that tell another director of connections, as they are
//! configured and listed.

use std::net::{IpAddr, Ipv4Addr};

/// Which way connections are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DaemonRole {
    /// To others.
    Master,
    /// By others.
    Backup,
}

/// A daemon and its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// Which way connections are told.
    pub role: DaemonRole,
    /// The interface messages take.
    pub interface: String,
    /// Which directors tell each other: those with the same number.
    pub sync_id: u8,
    /// The longest message, in bytes; 0 for what the interface carries.
    pub max_length: u16,
    /// Where messages are sent.
    pub group: IpAddr,
    /// UDP port.
    pub port: u16,
    /// Time to live of messages.
    pub ttl: u8,
}

/// Where messages are sent when nothing else is said.
pub const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 81));
/// The UDP port of messages when nothing else is said.
pub const MULTICAST_PORT: u16 = 8848;
