//! IP in IP: nothing lies between the two headers.
//!
//! ```text
//!  | outer ip, protocol 4 or 41 | ip | ...
//! ```
//!
//! *Source:* RFC 2003 (IPv4 in IPv4), RFC 4213 (IPv6 in IPv4), RFC 2473 (both in
//! IPv6).

use crate::packet::Addresses;
use crate::packet::transport::IPIP;

/// The number of a packet of this family as a payload.
pub(super) const fn protocol(inner: &Addresses) -> u8 {
    match inner {
        Addresses::V4 { .. } => IPIP,
        Addresses::V6 { .. } => IPV6,
    }
}

/// IP protocol number of IPv6 in IP.
const IPV6: u8 = 41;
