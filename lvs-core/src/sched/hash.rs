//! The hash by which `sh` and `dh` find a slot for an address.
//!
//! The address is folded to 32 bits (the four words of an IPv6 address by
//! exclusive or), multiplied by 2^32 less the golden ratio's share of it, and the
//! top eight bits are the slot. There is no seed: two directors choose alike.
//!
//! *Source:* the behaviour of Linux 6.12 (`hash_32` in `linux/hash.h`; Knuth,
//! The Art of Computer Programming, volume 3, section 6.4).

use core::net::IpAddr;

/// How many slots there are.
pub(super) const SLOTS: usize = 256;

/// The slot of `address` and `port`; a key without a port has port 0.
pub(super) fn slot(address: IpAddr, port: u16) -> u8 {
    let key = folded(address).wrapping_add(u32::from(port));
    (key.wrapping_mul(MULTIPLIER) >> 24) as u8
}

/// The address as 32 bits.
pub(super) fn folded(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(address) => address.to_bits(),
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            (bits >> 96) as u32 ^ (bits >> 64) as u32 ^ (bits >> 32) as u32 ^ bits as u32
        }
    }
}

/// 2^32 divided by the square of the golden ratio.
const MULTIPLIER: u32 = 0x61c8_8647;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_the_kernels() {
        let slot = |address: &str, port| slot(address.parse().unwrap(), port);
        for (address, alone, with_port_4000) in [
            ("10.0.0.100", 248, 213),
            ("10.0.0.101", 90, 55),
            ("192.0.2.1", 50, 16),
            ("192.0.2.2", 148, 113),
            ("192.0.2.3", 246, 211),
            ("192.0.2.4", 88, 53),
        ] {
            assert_eq!(slot(address, 0), alone, "{address}");
            assert_eq!(slot(address, 4000), with_port_4000, "{address}");
        }
        assert_eq!(slot("198.18.0.1", 0), 188);
        assert_eq!(slot("198.18.0.2", 0), 30);
    }

    #[test]
    fn an_ipv6_address_is_folded_by_exclusive_or() {
        let plain = slot("192.0.2.1".parse().unwrap(), 0);
        assert_eq!(slot("::c000:201".parse().unwrap(), 0), plain);
        assert_eq!(slot("c000:201::".parse().unwrap(), 0), plain);
        let cancelled = "7:7:7:7:c000:201::".parse().unwrap();
        assert_eq!(slot(cancelled, 0), plain);
    }
}
