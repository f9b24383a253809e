//! An address with a prefix length, as addresses and routes are written.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An address and how many of its leading bits name the network: `10.0.0.1/24`.
///
/// As an interface's address it keeps its host bits; a route's prefix has
/// none ([`Prefix::network`] clears them).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

impl Prefix {
    /// Everything in IPv4, `0.0.0.0/0`.
    pub const ALL_V4: Prefix = Prefix {
        address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        length: 0,
    };

    /// Everything in IPv6, `::/0`.
    pub const ALL_V6: Prefix = Prefix {
        address: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        length: 0,
    };

    /// The prefix of `length` bits around `address`.
    ///
    /// Errors: [`PrefixError`] if the address does not have that many bits.
    pub fn new(address: IpAddr, length: u8) -> Result<Self, PrefixError> {
        if length <= width(address) {
            Ok(Self { address, length })
        } else {
            Err(PrefixError)
        }
    }

    /// The prefix that holds `address` alone.
    pub fn host(address: IpAddr) -> Self {
        Self {
            address,
            length: width(address),
        }
    }

    /// The address, host bits included.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits name the network.
    pub fn length(&self) -> u8 {
        self.length
    }

    /// The same prefix without host bits.
    pub fn network(&self) -> Self {
        Self {
            address: masked(self.address, self.length),
            length: self.length,
        }
    }

    /// Whether `address` lies in this network; never across families.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4()
            && masked(address, self.length) == masked(self.address, self.length)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    /// Reads `address/length`; an address alone is the prefix of all its bits.
    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| PrefixError)?;
        match length {
            Some(length) => Self::new(address, length.parse().map_err(|_| PrefixError)?),
            None => Ok(Self::host(address)),
        }
    }
}

/// A prefix that does not exist: no address, or more bits than it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixError;

impl fmt::Display for PrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an address with a prefix length, such as 10.0.0.1/24")
    }
}

impl std::error::Error for PrefixError {}

/// How many bits an address of this family has.
fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// `address` with all but its first `length` bits cleared.
pub(super) fn masked(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn reads_what_it_writes() {
        for text in [
            "10.1.2.3/24",
            "0.0.0.0/0",
            "2001:db8::1/64",
            "::/0",
            "::1/128",
        ] {
            assert_eq!(prefix(text).to_string(), text);
        }
        assert_eq!(prefix("10.1.2.3"), prefix("10.1.2.3/32"));
        assert_eq!(prefix("::1"), prefix("::1/128"));
    }

    #[test]
    fn refuses_what_is_no_prefix() {
        for text in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "eth0/24",
        ] {
            assert_eq!(text.parse::<Prefix>(), Err(PrefixError), "{text}");
        }
    }

    #[test]
    fn network_clears_host_bits_at_both_ends() {
        assert_eq!(prefix("10.1.2.3/24").network(), prefix("10.1.2.0/24"));
        assert_eq!(prefix("10.1.2.3/0").network(), Prefix::ALL_V4);
        assert_eq!(prefix("10.1.2.3/32").network(), prefix("10.1.2.3/32"));
        assert_eq!(prefix("2001:db8::1/0").network(), Prefix::ALL_V6);
        assert_eq!(
            prefix("2001:db8:1::1/33").network(),
            prefix("2001:db8::/33")
        );
    }

    #[test]
    fn contains_only_its_own_family() {
        assert!(prefix("10.1.2.3/8").contains("10.200.0.1".parse().unwrap()));
        assert!(!prefix("10.1.2.3/16").contains("10.2.0.1".parse().unwrap()));
        assert!(!Prefix::ALL_V4.contains("::1".parse().unwrap()));
        assert!(Prefix::ALL_V6.contains("2001:db8::1".parse().unwrap()));
    }
}
