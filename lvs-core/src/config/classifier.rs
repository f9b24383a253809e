//! Firewall marks: which packets carry which.
//!
//! Marks are the director's own: what `iptables -j MARK` or nftables do before
//! kernel IPVS sees a packet, a list of rules does here.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::num::NonZeroU32;
use core::ops::RangeInclusive;

use crate::packet::Mac;
use crate::snapshot::Port;

/// The rules that mark packets, in order; the first that fits decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Classifier {
    /// In order.
    pub rules: Vec<MarkRule>,
}

/// Which packets get a mark: those that fit every part that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MarkRule {
    /// The mark they get; `None` leaves them without one, which shields them
    /// from later rules.
    pub mark: Option<NonZeroU32>,
    /// The NIC they come in on.
    pub interface: Option<Port>,
    /// The link address they come from.
    pub source_mac: Option<MacMatch>,
    /// Where they come from.
    pub source: Option<Prefix>,
    /// Where they are sent.
    pub destination: Option<Prefix>,
    /// IP protocol number.
    pub protocol: Option<u8>,
    /// Ports they come from: one of these.
    pub source_ports: Vec<RangeInclusive<u16>>,
    /// Ports they are sent to: one of these. Packets without ports fit only
    /// where none are given.
    pub destination_ports: Vec<RangeInclusive<u16>>,
}

/// A link address, or every other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacMatch {
    /// The address.
    pub mac: Mac,
    /// Whether all but this one fit.
    pub not: bool,
}

/// Addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// The address; bits beyond the length do not count.
    pub address: IpAddr,
    /// How many leading bits count.
    pub length: u8,
}
