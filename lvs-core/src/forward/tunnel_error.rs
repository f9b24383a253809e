//! ICMP errors about the director's own tunnels: routers between it and a real
//! server complain to the director, which tells the client.
//!
//! ```text
//!  in:   router -> director | icmp | quoted: director -> rip | client -> vip ...
//!  out:  vip -> client      | icmp | quoted: client -> vip ...
//! ```
//!
//! *Source:* RFC 2003 section 4. As in the kernel, only IPv4 in IPv4, in a tunnel
//! of any kind.

use core::net::{IpAddr, Ipv4Addr};

use super::address;
use super::answer::{MOST_V4, write_v4};
use super::tunnel;
use crate::network::{Hop, Network};
use crate::packet::icmp::{self, Quote};
use crate::packet::ipv4::{self, Ipv4};
use crate::packet::{Addresses, Packet, PacketBuf, ethernet};
use crate::verdict::{DropReason, Verdict};

/// What an error about a tunnel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TunnelError {
    /// Where the tunnel leads.
    pub(crate) real_server: Ipv4Addr,
    /// Protocol number and port of the tunnel.
    pub(crate) tunnel: (u8, u16),
    /// Bytes the tunnel adds.
    pub(crate) overhead: u32,
    /// The longest packet that fits, if that is what it says, bytes.
    pub(crate) mtu: Option<u32>,
    /// The client's packet inside.
    pub(crate) inner: Quote,
    /// Whether the client asked for no fragmentation.
    pub(crate) dont_fragment: bool,
    kind: u8,
    code: u8,
}

impl TunnelError {
    /// Reads an ICMP error that quotes an IP packet in a tunnel; `None` for
    /// any other.
    pub(crate) fn parse(buf: &PacketBuf<'_>, packet: &Packet) -> Option<Self> {
        let Addresses::V4 { .. } = packet.flow.addresses else {
            return None;
        };
        let [kind, code, _, _, _, _, high, low] = *buf.array(packet.l4())?;
        let outer_at = packet.l4() + icmp::HEADER;
        let outer = Ipv4::parse(buf.bytes().get(outer_at..)?).ok()?;
        if outer.fragment {
            return None;
        }
        let behind = outer_at + outer.header_length;
        let tunnel = tunnel::quoted(buf, behind, outer.protocol)?;
        let inner_at = behind + tunnel.length;
        let inner = Quote::parse_at(buf, inner_at, &packet.flow.addresses)?;
        let header = Ipv4::parse(buf.bytes().get(inner_at..)?).ok()?;
        let too_big = (kind, code) == (3, 4);
        Some(Self {
            real_server: outer.destination,
            tunnel: (outer.protocol, tunnel.port),
            overhead: (ipv4::HEADER + tunnel.length) as u32,
            mtu: too_big.then(|| u32::from(u16::from_be_bytes([high, low]))),
            inner,
            dont_fragment: header.dont_fragment,
            kind,
            code,
        })
    }

    /// What is left for the client's packet of a path that takes `mtu` bytes.
    ///
    /// The kernel tells of no less than every link takes: what the tunnel adds
    /// is counted off only where more than that is left.
    pub(crate) const fn left_of(&self, mtu: u32) -> u32 {
        if mtu > ipv4::LEAST_MTU + self.overhead {
            mtu - self.overhead
        } else {
            mtu
        }
    }
}

/// Turns the error into one to the client, as if the service had met it, that
/// names `mtu` if the packet was too big.
///
/// `id` becomes the IPv4 identification.
pub(crate) fn about_tunnel(
    buf: &mut PacketBuf<'_>,
    error: &TunnelError,
    mtu: u32,
    hop: &Hop,
    network: &Network,
    id: u16,
) -> Result<Verdict, DropReason> {
    let (IpAddr::V4(client), IpAddr::V4(vip)) = (
        error.inner.flow.addresses.source(),
        error.inner.flow.addresses.destination(),
    ) else {
        return Err(DropReason::Unreachable);
    };
    // The headers that come off are longer than those that come on.
    let header = ipv4::HEADER + icmp::HEADER;
    let l3 = error.inner.l3.saturating_sub(header);
    buf.cut_tail();
    buf.truncate(l3 + MOST_V4);
    let word = if error.mtu.is_some() { mtu & 0xffff } else { 0 };
    write_v4(buf, l3, (vip, client), (error.kind, error.code, word), id)?;
    address(buf, l3, hop, ethernet::IPV4, network)
}
