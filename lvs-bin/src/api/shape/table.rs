//! Connections, timeouts, and what passed.

use std::net::SocketAddr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ipvsadm;

/// What passed, or what passes in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Traffic {
    /// Connections begun.
    pub connections: u64,
    /// Packets from clients.
    pub packets_in: u64,
    /// Bytes of them.
    pub bytes_in: u64,
    /// Packets to clients.
    pub packets_out: u64,
    /// Bytes of them.
    pub bytes_out: u64,
}

impl Traffic {
    /// Adds what passed elsewhere.
    pub const fn add(&mut self, other: &Self) {
        self.connections += other.connections;
        self.packets_in += other.packets_in;
        self.bytes_in += other.bytes_in;
        self.packets_out += other.packets_out;
        self.bytes_out += other.bytes_out;
    }
}

impl From<lvs_core::Traffic> for Traffic {
    fn from(of: lvs_core::Traffic) -> Self {
        Self {
            connections: of.connections,
            packets_in: of.packets_in,
            bytes_in: of.bytes_in,
            packets_out: of.packets_out,
            bytes_out: of.bytes_out,
        }
    }
}

impl From<Traffic> for lvs_core::Traffic {
    fn from(shape: Traffic) -> Self {
        Self {
            connections: shape.connections,
            packets_in: shape.packets_in,
            bytes_in: shape.bytes_in,
            packets_out: shape.packets_out,
            bytes_out: shape.bytes_out,
        }
    }
}

/// The timeouts of idle connections, seconds; where they are set, one that is
/// not given stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// TCP in ESTABLISHED.
    #[serde(default)]
    pub tcp: Option<u32>,
    /// TCP in FIN_WAIT.
    #[serde(default)]
    pub tcp_fin: Option<u32>,
    /// UDP.
    #[serde(default)]
    pub udp: Option<u32>,
}

impl From<lvs_core::Timeouts> for Timeouts {
    fn from(of: lvs_core::Timeouts) -> Self {
        let seconds = |time: Duration| u32::try_from(time.as_secs()).ok();
        Self {
            tcp: seconds(of.tcp),
            tcp_fin: seconds(of.tcp_fin),
            udp: seconds(of.udp),
        }
    }
}

impl From<Timeouts> for lvs_core::Timeouts {
    fn from(shape: Timeouts) -> Self {
        let time = |seconds: Option<u32>| Duration::from_secs(seconds.unwrap_or(0).into());
        Self {
            tcp: time(shape.tcp),
            tcp_fin: time(shape.tcp_fin),
            udp: time(shape.udp),
        }
    }
}

impl Timeouts {
    /// The seconds to set; 0 leaves one as it is.
    ///
    /// *Errors:* in words, that one is too long.
    pub(in crate::api) fn seconds(self) -> Result<[u32; 3], String> {
        let seconds = [self.tcp, self.tcp_fin, self.udp].map(Option::unwrap_or_default);
        match seconds.into_iter().find(|seconds| *seconds > LONGEST) {
            Some(seconds) => Err(format!(
                "a timeout is {seconds} seconds, but must be at most {LONGEST}, 31 days"
            )),
            None => Ok(seconds),
        }
    }
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    const ALL: [(Self, lvs_core::Protocol); 3] = [
        (Self::Tcp, lvs_core::Protocol::Tcp),
        (Self::Udp, lvs_core::Protocol::Udp),
        (Self::Sctp, lvs_core::Protocol::Sctp),
    ];

    fn of(protocol: lvs_core::Protocol) -> Option<Self> {
        let pair = Self::ALL.into_iter().find(|(_, of)| *of == protocol)?;
        Some(pair.0)
    }

    fn plain(self) -> Option<lvs_core::Protocol> {
        let pair = Self::ALL.into_iter().find(|(shape, _)| *shape == self)?;
        Some(pair.1)
    }
}

/// A connection, or a client remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// None for clients of a service on a firewall mark.
    pub protocol: Option<Protocol>,
    /// The client; of one remembered, port 0.
    pub client: SocketAddr,
    /// The virtual address.
    pub service: SocketAddr,
    /// The real server.
    pub destination: SocketAddr,
    /// The name of its state.
    pub state: String,
    /// Seconds until it ends if nothing more comes.
    pub expires: u64,
    /// What a persistence engine knows it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<Engine>,
    /// Whether another director told of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub synced: bool,
}

/// A part of the connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionPage {
    /// Those, in no order; there may be none.
    pub connections: Vec<Connection>,
    /// Where the next page begins; none after the last.
    pub next: Option<Cursor>,
}

/// Where to go on reading connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// The worker whose connections are read, from 0.
    pub worker: usize,
    /// The place in its table, from 0.
    pub place: usize,
}

impl From<ipvsadm::ConnectionPage> for ConnectionPage {
    fn from(of: ipvsadm::ConnectionPage) -> Self {
        let connections = of.connections.into_iter().map(Connection::from);
        Self {
            connections: connections.collect(),
            next: of
                .next
                .map(|ipvsadm::Cursor { worker, place }| Cursor { worker, place }),
        }
    }
}

/// What a persistence engine knows a connection by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// Its name.
    pub name: String,
    /// What it knows.
    pub data: String,
}

impl From<ipvsadm::Connection> for Connection {
    fn from(of: ipvsadm::Connection) -> Self {
        Self {
            protocol: of.protocol.and_then(Protocol::of),
            client: of.client,
            service: of.service,
            destination: of.destination,
            state: of.state.into_owned(),
            expires: of.expires,
            engine: of.engine.map(|(name, data)| Engine { name, data }),
            synced: of.synced,
        }
    }
}

impl From<Connection> for ipvsadm::Connection {
    fn from(shape: Connection) -> Self {
        Self {
            protocol: shape.protocol.and_then(Protocol::plain),
            client: shape.client,
            service: shape.service,
            destination: shape.destination,
            state: shape.state.into(),
            expires: shape.expires,
            engine: shape.engine.map(|engine| (engine.name, engine.data)),
            synced: shape.synced,
        }
    }
}

/// The longest timeout `ipvsadm` takes, seconds.
const LONGEST: u32 = 31 * 86_400;
