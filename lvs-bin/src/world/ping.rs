//! Whether a host answers: ICMP echo.

use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

/// Sends one echo request to `address` and waits for the reply.
///
/// Errors: `TimedOut` after `deadline`; or what a router or the kernel said.
///
/// Source: RFC 792, RFC 4443 section 4.1. The kernel gives the identifier and
/// the checksum (its "ping socket").
pub fn ping(address: IpAddr, deadline: Duration) -> io::Result<()> {
    let (domain, protocol, kind) = match address {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4, 8),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6, 128),
    };
    let mut socket = Socket::new(domain, Type::DGRAM, Some(protocol))?;
    socket.set_read_timeout(Some(deadline))?;
    socket.connect(&SocketAddr::new(address, 0).into())?;
    let request = [kind, 0, 0, 0, 0, 0, 0, 1, b'l', b'v', b's'];
    socket.send(&request)?;
    let mut reply = [0; 64];
    let length = socket
        .read(&mut reply)
        .map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => io::Error::new(
                io::ErrorKind::TimedOut,
                format!("{address} did not answer within {deadline:?}"),
            ),
            _ => error,
        })?;
    if reply[8..length.max(8)] == request[8..] {
        Ok(())
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{address} answered something else"),
        ))
    }
}
