//! Addresses of links, as plain data and as netlink messages.

use std::net::IpAddr;

use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope,
};

use super::prefix::Prefix;

/// An address of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// Index of the link it is on.
    pub link: u32,
    /// The address, and the length of the network it is in.
    pub prefix: Prefix,
    /// Whether it means something beyond its link (neither link-local nor
    /// host-only).
    pub global: bool,
    /// Whether the kernel would rather choose another as a source: this one is
    /// secondary or deprecated.
    pub second_choice: bool,
}

impl Address {
    /// The address a message tells of, usable or not.
    pub(super) fn from_message(message: &AddressMessage) -> Option<Self> {
        let mut address = None;
        let mut local = None;
        for attribute in &message.attributes {
            match attribute {
                AddressAttribute::Address(ip) => address = Some(*ip),
                AddressAttribute::Local(ip) => local = Some(*ip),
                _ => {}
            }
        }
        // On a point-to-point link IFA_ADDRESS is the other end.
        let prefix = Prefix::new(local.or(address)?, message.header.prefix_len).ok()?;
        Some(Self {
            link: message.header.index,
            prefix,
            global: message.header.scope == AddressScope::Universe,
            second_choice: flags(message).intersects(SECOND_CHOICE),
        })
    }
}

/// Whether the address a message tells of can be used. An IPv6 address cannot
/// while it is not known to be unique; it is announced again once it is.
pub(super) fn is_usable(message: &AddressMessage) -> bool {
    !flags(message).intersects(UNUSABLE)
}

/// The message that names `prefix` on the link with index `link`.
pub(super) fn message(link: u32, prefix: Prefix) -> AddressMessage {
    let address = prefix.address();
    let mut message = AddressMessage::default();
    message.header.family = family(address);
    message.header.prefix_len = prefix.length();
    message.header.index = link;
    if address.is_ipv6() {
        // Duplicate detection would keep the address unusable for a second or
        // two; whoever assigns addresses by hand has made sure already.
        message.header.flags = AddressHeaderFlags::Nodad;
    }
    message.attributes = vec![
        AddressAttribute::Local(address),
        AddressAttribute::Address(address),
    ];
    message
}

/// The kernel's name of an address's family.
pub(super) fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

/// The attribute has all flags, the header those of its one byte.
fn flags(message: &AddressMessage) -> AddressFlags {
    let all = message.attributes.iter().find_map(|it| match it {
        AddressAttribute::Flags(all) => Some(*all),
        _ => None,
    });
    all.unwrap_or_else(|| AddressFlags::from_bits_retain(message.header.flags.bits().into()))
}

const SECOND_CHOICE: AddressFlags = AddressFlags::Secondary.union(AddressFlags::Deprecated);

const UNUSABLE: AddressFlags = AddressFlags::Tentative.union(AddressFlags::Dadfailed);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_end_is_the_address() {
        let prefix: Prefix = "10.0.0.1/31".parse().unwrap();
        let mut message = message(3, prefix);
        message.attributes[1] = AddressAttribute::Address("10.0.0.0".parse().unwrap());
        let address = Address::from_message(&message).unwrap();
        assert_eq!((address.link, address.prefix), (3, prefix));
        assert!(address.global && !address.second_choice);
    }

    #[test]
    fn flags_decide_whether_and_how_it_is_used() {
        let read = |flags| {
            let mut message = message(3, "2001:db8::1/64".parse().unwrap());
            message.attributes.push(AddressAttribute::Flags(flags));
            let address = Address::from_message(&message).unwrap();
            (is_usable(&message), address.second_choice)
        };
        assert_eq!(read(AddressFlags::Permanent), (true, false));
        assert_eq!(read(AddressFlags::Deprecated), (true, true));
        assert_eq!(read(AddressFlags::Tentative), (false, false));
        assert_eq!(read(AddressFlags::Dadfailed), (false, false));
    }

    #[test]
    fn an_address_without_address_is_none() {
        let mut message = message(3, Prefix::ALL_V4);
        message.attributes.clear();
        assert_eq!(Address::from_message(&message), None);
    }
}
