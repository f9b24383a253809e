//! Daemons that tell another director of connections.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ipvsadm::{self, DaemonRole, GROUP, MULTICAST_PORT};

/// Which way connections are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// To others.
    Master,
    /// By others.
    Backup,
}

impl From<DaemonRole> for Role {
    fn from(of: DaemonRole) -> Self {
        match of {
            DaemonRole::Master => Self::Master,
            DaemonRole::Backup => Self::Backup,
        }
    }
}

impl From<Role> for DaemonRole {
    fn from(shape: Role) -> Self {
        match shape {
            Role::Master => Self::Master,
            Role::Backup => Self::Backup,
        }
    }
}

/// A daemon and its settings; what is not given is as `ipvsadm` has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Daemon {
    /// Which way connections are told.
    pub role: Role,
    /// The interface messages take.
    pub interface: String,
    /// Which directors tell each other: those with the same number.
    #[serde(default)]
    pub sync_id: u8,
    /// The longest message, in bytes; 0 for what the interface carries.
    #[serde(default)]
    pub max_length: u16,
    /// Where messages are sent.
    #[serde(default = "group")]
    pub group: IpAddr,
    /// UDP port.
    #[serde(default = "port")]
    pub port: u16,
    /// Time to live of messages.
    #[serde(default = "ttl")]
    pub ttl: u8,
}

const fn group() -> IpAddr {
    GROUP
}

const fn port() -> u16 {
    MULTICAST_PORT
}

const fn ttl() -> u8 {
    1
}

impl From<ipvsadm::Daemon> for Daemon {
    fn from(of: ipvsadm::Daemon) -> Self {
        Self {
            role: of.role.into(),
            interface: of.interface,
            sync_id: of.sync_id,
            max_length: of.max_length,
            group: of.group,
            port: of.port,
            ttl: of.ttl,
        }
    }
}

impl From<Daemon> for ipvsadm::Daemon {
    fn from(shape: Daemon) -> Self {
        Self {
            role: shape.role.into(),
            interface: shape.interface,
            sync_id: shape.sync_id,
            max_length: shape.max_length,
            group: shape.group,
            port: shape.port,
            ttl: shape.ttl,
        }
    }
}
