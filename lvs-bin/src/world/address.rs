//! Who has which address in a world, in both families.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lvs_io::netlink::{Prefix, PrefixError};

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];

    /// Every address of the family.
    pub(super) const fn everything(self) -> Prefix {
        match self {
            Self::V4 => Prefix::ALL_V4,
            Self::V6 => Prefix::ALL_V6,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// A network of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lan {
    /// Between client and router.
    Far,
    /// Where the VIP is.
    Front,
    /// Behind a director with two arms.
    Back,
}

impl Lan {
    /// The address of the network's host `number`: the same digits in IPv6,
    /// `::10` beside `.10`.
    pub(super) const fn host(self, family: Family, number: u8) -> IpAddr {
        match family {
            // Documentation networks (RFC 5737) and a private one (RFC 1918).
            Family::V4 => IpAddr::V4(match self {
                Self::Far => Ipv4Addr::new(198, 51, 100, number),
                Self::Front => Ipv4Addr::new(192, 0, 2, number),
                Self::Back => Ipv4Addr::new(10, 0, 0, number),
            }),
            // The documentation prefix (RFC 3849) and a local one (RFC 4193).
            Family::V6 => {
                let [a, b, c] = match self {
                    Self::Far => [0x2001, 0xdb8, 0x51],
                    Self::Front => [0x2001, 0xdb8, 0x2],
                    Self::Back => [0xfd00, 0, 0],
                };
                let digits = [number / 100, number / 10 % 10, number % 10];
                let tail = (digits[0] as u16) << 8 | (digits[1] as u16) << 4 | digits[2] as u16;
                IpAddr::V6(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, tail))
            }
        }
    }

    /// The bridge that joins the network.
    pub(super) const fn bridge(self) -> &'static str {
        match self {
            Self::Far => "far",
            Self::Front => "front",
            Self::Back => "back",
        }
    }

    /// What the director and the router call their links to it.
    pub(super) const fn link(self) -> &'static str {
        match self {
            Self::Far => "far0",
            Self::Front => "front0",
            Self::Back => "back0",
        }
    }

    /// The address of host `number` with the network's prefix length, as an
    /// interface has it.
    pub(super) fn interface(self, family: Family, number: u8) -> Result<Prefix, PrefixError> {
        let length = match family {
            Family::V4 => 24,
            Family::V6 => 64,
        };
        Prefix::new(self.host(family, number), length)
    }
}

/// A service's port, as clients and as masqueraded real servers see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port {
    /// HTTP.
    Web,
    /// Echo, TCP and UDP.
    Echo,
}

impl Port {
    /// Where clients knock.
    pub(super) const fn at_vip(self) -> u16 {
        match self {
            Self::Web => 80,
            Self::Echo => 7,
        }
    }

    /// Where masqueraded real servers listen.
    pub(super) const fn at_rip(self) -> u16 {
        match self {
            Self::Web => 8080,
            Self::Echo => 7007,
        }
    }
}

/// The director, in every network it is in.
pub(super) const DIRECTOR: u8 = 1;
/// The router, or without one the client: on every network the way to and from
/// the rest of the world.
pub(super) const OUTSIDE: u8 = 2;
/// The client, on its network with the router.
pub(super) const FAR_CLIENT: u8 = 9;
/// The VIP, on the front network.
pub(super) const VIP: u8 = 100;
/// The first real server.
pub(super) const FIRST_REAL_SERVER: u8 = 11;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_have_the_same_digits() {
        let host = |family| Lan::Front.host(family, 123).to_string();
        assert_eq!(host(Family::V4), "192.0.2.123");
        assert_eq!(host(Family::V6), "2001:db8:2::123");
        let interface = Lan::Back.interface(Family::V6, FIRST_REAL_SERVER).unwrap();
        assert_eq!(interface.to_string(), "fd00::11/64");
    }
}
