//! The host itself as a real server.
//!
//! ```text
//!  direct route, tunnel:   client -> vip:port   is the host's as it is
//!  masquerade:             client -> vip:port   becomes   client -> own:port
//! ```
//!
//! Of masqueraded connections the host's own answers must come to the director
//! as well ([`Port::HOST`](crate::Port::HOST)), as those of other real servers do.

use core::net::IpAddr;

use crate::conn::Method;
use crate::forward::{self, Stopped};
use crate::packet::icmp::Quote;
use crate::packet::{Packet, PacketBuf};
use crate::snapshot::Port;
use crate::verdict::{DropReason, Verdict};

/// A client's packet whose real server is the host, at `to`.
pub(super) fn to_host(
    buf: &mut PacketBuf<'_>,
    packet: &Packet,
    method: Method,
    to: (IpAddr, u16),
) -> Result<Verdict, Stopped> {
    if method != Method::Masquerade {
        return Ok(Verdict::Host);
    }
    check_loopback(buf, to.0)?;
    Ok(forward::deliver(buf, packet, to)?)
}

/// An ICMP error about what the host sent as a real server, at `to`.
pub(super) fn error_to_host(
    buf: &mut PacketBuf<'_>,
    packet: &Packet,
    quote: &Quote,
    method: Method,
    to: (IpAddr, u16),
) -> Result<Verdict, Stopped> {
    if method != Method::Masquerade {
        return Ok(Verdict::Host);
    }
    check_loopback(buf, to.0)?;
    Ok(forward::deliver_error(buf, packet, quote, to)?)
}

/// Nothing from outside goes to a loopback address, which answers nobody there.
///
/// *Source:* RFC 1122 3.2.1.3(g), RFC 4291 2.5.3; the kernel drops it too.
fn check_loopback(buf: &PacketBuf<'_>, address: IpAddr) -> Result<(), DropReason> {
    if address.is_loopback() && buf.ingress() != Port::HOST {
        return Err(DropReason::Unreachable);
    }
    Ok(())
}
