//! `-L -c`: connections and clients remembered.

use std::fmt::Write;

use super::super::address::Shown;
use super::super::table::Connection;

/// The titles and the lines, in the order given; with what persistence engines
/// know if wanted.
pub(super) fn listed(connections: &[Connection], engines: bool, shown: &Shown<'_>) -> String {
    let mut text = "IPVS connection entries\n\
         pro expire state       source             virtual            destination"
        .to_owned();
    if engines {
        text.push_str("        pe name          pe_data");
    }
    text.push('\n');
    for connection in connections {
        let protocol = protocol(connection);
        let expires = connection.expires;
        let left = format!("{:02}:{:02}", expires / 60, expires % 60);
        let end = |end| shown.end(end, connection.protocol);
        let state = &connection.state;
        // Writing to a text cannot fail.
        let _ = write!(
            text,
            "{protocol:<3} {left:<6} {state:<11} {:<18} {:<18} ",
            end(connection.client),
            end(connection.service),
        );
        let destination = end(connection.destination);
        let _ = match &connection.engine {
            Some((name, data)) if engines => {
                writeln!(text, "{destination:<16} {name:<18} {data}")
            }
            _ => writeln!(text, "{destination}"),
        };
    }
    text
}

/// The protocol by its name in listings of connections.
pub(super) fn protocol(connection: &Connection) -> String {
    connection
        .protocol
        .map_or_else(|| "IP".to_owned(), |protocol| protocol.to_string())
}
