//! The place the tests play in: who is there, at which addresses, on which port.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use lvs_core::network::{Interface, Neighbour, Network, Route, Way};
use lvs_core::{Port, Protocol, Scheduler, Service};

use super::frame::{Frame, Mac};
use super::packet::{Packet, tcp, udp};

/// Port 0 of the director, towards the clients.
pub(crate) const OUTSIDE: Mac = [2, 0, 0, 0, 0, 1];
/// Port 1 of the director, towards the real servers.
pub(crate) const INSIDE: Mac = [2, 0, 0, 0, 0, 2];
/// The gateway before the clients.
pub(crate) const GATEWAY: Mac = [2, 0, 0, 0, 1, 254];

/// The link address of a real server.
pub(crate) const fn server_mac(number: u8) -> Mac {
    [2, 0, 0, 0, 2, number]
}

/// Everyone's addresses in one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Family {
    /// For names of scenarios.
    pub(crate) name: &'static str,
    /// A client.
    pub(crate) client: SocketAddr,
    /// The virtual service, port 80.
    pub(crate) web: SocketAddr,
    /// The director's own address on port 0.
    pub(crate) outside: IpAddr,
    /// The director's own address on port 1.
    pub(crate) inside: IpAddr,
    /// The gateway before the clients.
    pub(crate) gateway: IpAddr,
    /// Some router further out.
    pub(crate) router: IpAddr,
    /// Bytes of an IP header.
    pub(crate) header: u32,
}

/// The place in IPv4.
pub(crate) const V4: Family = Family {
    name: "IPv4",
    client: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)), 40_000),
    web: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10)), 80),
    outside: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    inside: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
    gateway: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 254)),
    router: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)),
    header: 20,
};

/// The place in IPv6.
pub(crate) const V6: Family = Family {
    name: "IPv6",
    client: SocketAddr::new(v6([0x2001, 0xdb8, 0xc, 0, 0, 0, 0, 7]), 40_000),
    web: SocketAddr::new(v6([0x2001, 0xdb8, 0xff, 0, 0, 0, 0, 0x10]), 80),
    outside: v6([0x2001, 0xdb8, 0xff, 0, 0, 0, 0, 1]),
    inside: v6([0x2001, 0xdb8, 0x20, 0, 0, 0, 0, 1]),
    gateway: v6([0xfe80, 0, 0, 0, 0, 0, 0, 0xfe]),
    router: v6([0x2001, 0xdb8, 0x99, 0, 0, 0, 0, 9]),
    header: 40,
};

/// Both.
pub(crate) const FAMILIES: [Family; 2] = [V4, V6];

const fn v6(words: [u16; 8]) -> IpAddr {
    let [a, b, c, d, e, f, g, h] = words;
    IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h))
}

impl Family {
    /// The virtual address.
    pub(crate) const fn vip(&self) -> IpAddr {
        self.web.ip()
    }

    /// A real server's address.
    pub(crate) fn real(&self, number: u8) -> IpAddr {
        match self.inside {
            IpAddr::V4(_) => Ipv4Addr::new(10, 0, 0, number).into(),
            IpAddr::V6(_) => v6([0x2001, 0xdb8, 0x20, 0, 0, 0, 0, u16::from(number)]),
        }
    }

    /// A real server's address with a port.
    pub(crate) fn real_at(&self, number: u8, port: u16) -> SocketAddr {
        SocketAddr::new(self.real(number), port)
    }

    /// Another client, or the same from another port.
    pub(crate) fn client_at(&self, number: u8, port: u16) -> SocketAddr {
        let address = match self.inside {
            IpAddr::V4(_) => Ipv4Addr::new(198, 51, 100, number).into(),
            IpAddr::V6(_) => v6([0x2001, 0xdb8, 0xc, 0, 0, 0, 0, u16::from(number)]),
        };
        SocketAddr::new(address, port)
    }

    /// The service at [`web`](Self::web), real servers in turn, none yet.
    pub(crate) fn service(&self, protocol: Protocol) -> Service {
        Service::new(protocol, self.web, Scheduler::RoundRobin)
    }
}

/// The first packet of a connection.
pub(crate) fn first(protocol: Protocol, from: SocketAddr, to: SocketAddr) -> Packet {
    match protocol {
        Protocol::Tcp => tcp(from, to).syn().tcp_options(&[2, 4, 5, 0xb4]),
        _ => udp(from, to),
    }
}

/// The first packet that comes back.
pub(crate) fn reply(protocol: Protocol, from: SocketAddr, to: SocketAddr) -> Packet {
    match protocol {
        Protocol::Tcp => tcp(from, to).syn().ack().tcp_options(&[2, 4, 5, 0xb4]),
        _ => udp(from, to).data(b"hello yourself"),
    }
}

/// A packet that arrives from the clients' side.
pub(crate) fn from_client(packet: &Packet) -> Frame {
    Frame::new(Port(0), GATEWAY, OUTSIDE, packet)
}

/// A packet that leaves towards the clients.
pub(crate) fn to_client(packet: &Packet) -> Frame {
    Frame::new(Port(0), OUTSIDE, GATEWAY, packet)
}

/// A packet that arrives from a real server.
pub(crate) fn from_server(number: u8, packet: &Packet) -> Frame {
    Frame::new(Port(1), server_mac(number), INSIDE, packet)
}

/// A packet that leaves towards a real server.
pub(crate) fn to_server(number: u8, packet: &Packet) -> Frame {
    Frame::new(Port(1), INSIDE, server_mac(number), packet)
}

/// How the place is wired.
#[derive(Clone, Debug)]
pub(crate) struct Wiring {
    /// MTU of port 0.
    pub(crate) outside_mtu: u32,
    /// MTU of port 1.
    pub(crate) inside_mtu: u32,
    /// The VLAN of the clients' side.
    pub(crate) outside_vlan: Option<u16>,
    /// The VLAN of the real servers' side.
    pub(crate) inside_vlan: Option<u16>,
    /// Whether there is a route to the clients.
    pub(crate) default_route: bool,
    /// Whether there is a route to the real servers.
    pub(crate) server_route: bool,
    /// Whether the client's address is the director's own.
    pub(crate) own_client: bool,
    /// Whether the director has addresses of its own.
    pub(crate) own_addresses: bool,
    /// Further addresses of the director's own.
    pub(crate) further: Vec<IpAddr>,
    /// The gateway's link address; unknown without.
    pub(crate) gateway: Option<Mac>,
    /// Real servers whose link address is not known.
    pub(crate) silent: Vec<u8>,
    /// Real servers have the link address of the one so much further.
    pub(crate) server_mac_shift: u8,
}

impl Default for Wiring {
    fn default() -> Self {
        Self {
            outside_mtu: 1500,
            inside_mtu: 1500,
            outside_vlan: None,
            inside_vlan: None,
            default_route: true,
            server_route: true,
            own_client: false,
            own_addresses: true,
            further: Vec::new(),
            gateway: Some(GATEWAY),
            silent: Vec::new(),
            server_mac_shift: 0,
        }
    }
}

impl Wiring {
    /// The network as the director would copy it from its host.
    pub(crate) fn network(&self) -> Network {
        let mut routes = Vec::new();
        let mut neighbours = Vec::new();
        for family in FAMILIES {
            routes.extend(self.routes(&family));
            neighbours.extend(self.neighbours(&family));
        }
        routes.extend(self.further.iter().copied().map(Route::local));
        Network::new(
            vec![
                self.interface(OUTSIDE, self.outside_mtu, V4.outside, V6.outside),
                self.interface(INSIDE, self.inside_mtu, V4.inside, V6.inside),
            ],
            routes,
            neighbours,
        )
    }

    fn interface(&self, mac: Mac, mtu: u32, ipv4: IpAddr, ipv6: IpAddr) -> Interface {
        let (ipv4, ipv6) = match (ipv4, ipv6) {
            (IpAddr::V4(v4), IpAddr::V6(v6)) if self.own_addresses => (Some(v4), Some(v6)),
            _ => (None, None),
        };
        Interface {
            mac,
            mtu,
            ipv4,
            ipv6,
        }
    }

    fn routes(&self, family: &Family) -> Vec<Route> {
        let whole = if family.vip().is_ipv4() { 32 } else { 128 };
        let out = |port: u8, gateway| Way::Out {
            port: Port(port),
            vlan: [self.outside_vlan, self.inside_vlan][usize::from(port)],
            gateway,
            source: None,
            mtu: None,
        };
        let route = |prefix, length, way| Route {
            prefix,
            length,
            way,
        };
        let mut routes = vec![
            Route::local(family.vip()),
            Route::local(family.outside),
            Route::local(family.inside),
        ];
        if self.default_route {
            let nowhere = match family.vip() {
                IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            };
            routes.push(route(nowhere, 0, out(0, Some(family.gateway))));
        }
        if self.own_client {
            routes.push(Route::local(family.client.ip()));
        }
        let length = if whole == 32 { 24 } else { 64 };
        let way = if self.server_route {
            out(1, None)
        } else {
            Way::Unreachable
        };
        routes.push(route(family.inside, length, way));
        routes
    }

    fn neighbours(&self, family: &Family) -> Vec<Neighbour> {
        let gateway = self.gateway.map(|mac| Neighbour {
            address: family.gateway,
            port: Port(0),
            vlan: self.outside_vlan,
            mac,
        });
        let servers = (2..250u8).filter(|number| !self.silent.contains(number));
        let servers = servers.map(|number| Neighbour {
            address: family.real(number),
            port: Port(1),
            vlan: self.inside_vlan,
            mac: server_mac(number.wrapping_add(self.server_mac_shift)),
        });
        gateway.into_iter().chain(servers).collect()
    }
}
