//! Connections as `ipvsadm` lists them.

use std::net::SocketAddr;

use lvs_core::{Connection, Protocol};

use crate::ipvsadm;

impl From<&Connection> for ipvsadm::Connection {
    fn from(connection: &Connection) -> Self {
        let flow = connection.flow;
        let end = |(address, port)| SocketAddr::new(address, port);
        Self {
            protocol: protocol(flow.protocol),
            client: end(flow.source()),
            service: end(flow.destination()),
            destination: end((connection.address, connection.port)),
            state: state(connection).into(),
            expires: connection.remaining.as_secs(),
            // There are no persistence engines, and nothing is synchronised.
            engine: None,
            synced: false,
        }
    }
}

/// The protocol that a connection of this number is listed with.
fn protocol(number: u8) -> Option<Protocol> {
    match number {
        0 => None,
        6 => Some(Protocol::Tcp),
        132 => Some(Protocol::Sctp),
        _ => Some(Protocol::Udp),
    }
}

const fn state(connection: &Connection) -> &'static str {
    match (connection.template, connection.assured) {
        (true, true) => "ASSURED",
        (true, false) => "NONE",
        (false, _) => connection.state.name(),
    }
}
