//! Packet classes: what kind of packet is measured.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One kind of packet: which way it goes through the director, and its headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// How, and in which direction, it is forwarded.
    pub way: Way,
    /// Its IP version.
    pub family: Family,
    /// Its transport protocol.
    pub transport: Transport,
    /// Its length.
    pub size: Size,
}

/// How a packet is forwarded, and in which direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A client's packet, direct routing.
    DirectRoute,
    /// A client's packet, tunnelling.
    Tunnel,
    /// A client's packet, masquerading.
    MasqueradeRequest,
    /// A real server's packet, masquerading.
    MasqueradeReply,
}

/// An IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// A frame's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 64 bytes, or the shortest there is: 74 for TCP over IPv6.
    Short,
    /// 1514 bytes: an IP packet of 1500.
    Mtu,
}

impl Class {
    /// A class of short TCP packets.
    #[must_use]
    pub const fn short_tcp(way: Way, family: Family) -> Self {
        Self {
            way,
            family,
            transport: Transport::Tcp,
            size: Size::Short,
        }
    }

    /// The same going another way.
    #[must_use]
    pub const fn going(self, way: Way) -> Self {
        Self { way, ..self }
    }

    /// Bytes of a frame, Ethernet header included, without check sequence.
    #[must_use]
    pub const fn frame_length(&self) -> usize {
        match self.size {
            Size::Mtu => 1514,
            Size::Short if self.headers() > 64 => self.headers(),
            Size::Short => 64,
        }
    }

    /// Bytes of the Ethernet, IP and transport headers.
    #[must_use]
    pub const fn headers(&self) -> usize {
        self.transport_offset()
            + match self.transport {
                Transport::Tcp => 20,
                Transport::Udp => 8,
            }
    }

    /// Where the transport header begins in the frame.
    #[must_use]
    pub const fn transport_offset(&self) -> usize {
        match self.family {
            Family::V4 => 14 + 20,
            Family::V6 => 14 + 40,
        }
    }

    /// The virtual address.
    #[must_use]
    pub const fn vip(&self) -> IpAddr {
        match self.family {
            Family::V4 => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10)),
            Family::V6 => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xff, 0, 0, 0, 0, 0x10)),
        }
    }

    /// The address of real server `index`, below [`REAL_SERVERS`].
    #[must_use]
    pub const fn rip(&self, index: usize) -> IpAddr {
        let last = 11 + index as u8;
        match self.family {
            Family::V4 => IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)),
            Family::V6 => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x20, 0, 0, 0, 0, last as u16)),
        }
    }

    /// Client and port of a flow: 2^16 clients, and as many ports of each as
    /// it takes.
    #[must_use]
    pub const fn client(&self, flow: u32) -> (u32, u16) {
        let base = match self.family {
            Family::V4 => 0xc612_0000,
            Family::V6 => 0,
        };
        let port = 1024 + (flow >> 16) * 37;
        (base | (flow & 0xffff), port as u16)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = match self.way {
            Way::DirectRoute => "direct_route",
            Way::Tunnel => "tunnel",
            Way::MasqueradeRequest => "masquerade_request",
            Way::MasqueradeReply => "masquerade_reply",
        };
        write!(f, "{way}/{}", Headers(*self))
    }
}

/// A class's headers and length, whichever way it goes; prints as `tcp4/64B`.
#[derive(Clone, Copy, Debug)]
pub struct Headers(pub Class);

impl fmt::Display for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match self.0.transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        };
        let family = match self.0.family {
            Family::V4 => 4,
            Family::V6 => 6,
        };
        write!(f, "{transport}{family}/{}B", self.0.frame_length())
    }
}

/// How many flows there are: `1k` is 1024 of them, `1M` 1,048,576.
pub const FLOWS: [(&str, u32); 2] = [("1k", 1 << 10), ("1M", 1 << 20)];
/// Real servers of the one service.
pub const REAL_SERVERS: usize = 16;
/// The service's port.
pub const SERVICE_PORT: u16 = 80;
/// The real servers' port where they are masqueraded.
pub const REAL_SERVER_PORT: u16 = 8080;
