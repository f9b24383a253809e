//! Persistence: a client's connections go to one real server for a while.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use super::Family;

/// For how long, and how much of a client's address counts.
///
/// *Source:* ipvsadm(8), `-p` and `-M`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Persistence {
    /// How long a client is remembered after its last new connection; whole
    /// seconds.
    pub timeout: Duration,
    /// Which clients count as one; `None` takes each by itself.
    pub mask: Option<ClientMask>,
}

/// Which part of a client's address counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientMask {
    /// The bits set, which need not be in one piece.
    V4(Ipv4Addr),
    /// So many leading bits, 1 to 128.
    V6(u8),
}

impl ClientMask {
    /// What counts of a client's address; all of it in the other family.
    pub(crate) fn of(self, client: IpAddr) -> IpAddr {
        match (client, self) {
            (IpAddr::V4(v4), Self::V4(mask)) => (v4 & mask).into(),
            (IpAddr::V6(v6), Self::V6(length)) => {
                let beyond = u128::MAX.checked_shr(u32::from(length)).unwrap_or(0);
                Ipv6Addr::from_bits(v6.to_bits() & !beyond).into()
            }
            _ => client,
        }
    }
}

impl Persistence {
    /// Remembers each client by itself for `timeout`.
    #[must_use]
    pub const fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            mask: None,
        }
    }

    /// The same for clients that look alike through a mask.
    #[must_use]
    pub const fn mask(mut self, mask: ClientMask) -> Self {
        self.mask = Some(mask);
        self
    }

    /// What is remembered of a client's address.
    #[must_use]
    pub fn masked(&self, client: IpAddr) -> IpAddr {
        self.mask.map_or(client, |mask| mask.of(client))
    }

    /// Whether the mask is one of this family.
    pub(super) const fn fits(&self, family: Family) -> bool {
        match (self.mask, family) {
            (None, _) | (Some(ClientMask::V4(_)), Family::V4) => true,
            (Some(ClientMask::V6(length)), Family::V6) => length >= 1 && length <= 128,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_takes_away_what_does_not_count() {
        let hour = Persistence::new(Duration::from_secs(3600));
        let v4 = |text: &str| text.parse::<Ipv4Addr>().unwrap();
        let client = IpAddr::from(v4("198.51.100.77"));
        assert_eq!(hour.masked(client), client);
        let net = hour.mask(ClientMask::V4(v4("255.255.255.0")));
        assert_eq!(net.masked(client), IpAddr::from(v4("198.51.100.0")));
        let gaps = hour.mask(ClientMask::V4(v4("255.0.255.1")));
        assert_eq!(gaps.masked(client), IpAddr::from(v4("198.0.100.1")));
        let six: IpAddr = "2001:db8:c:1:2::7".parse().unwrap();
        let prefix = |length| hour.mask(ClientMask::V6(length)).masked(six);
        assert_eq!(prefix(64), "2001:db8:c:1::".parse::<IpAddr>().unwrap());
        assert_eq!(prefix(128), six);
    }
}
