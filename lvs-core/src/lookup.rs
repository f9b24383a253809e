//! Whose packet is it: from mark, protocol, address and port to a service.

use core::net::IpAddr;
use core::num::NonZeroU32;

use alloc::vec::Vec;

use crate::config::{Family, ServiceKey};
use crate::end_table::EndTable;
use crate::packet::transport::TCP;
use crate::packet::{Addresses, FlowKey, Seed};

/// The services by what identifies them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lookup {
    /// By protocol, virtual address and port.
    addresses: EndTable,
    /// Those on marks, sorted.
    marks: Vec<(Family, NonZeroU32, u32)>,
    /// Whether any service has port 21.
    ftp: bool,
    /// Whether any service is on every port.
    every_port: bool,
}

impl Lookup {
    /// The services with these keys, each by its place.
    pub(crate) fn new(keys: impl Iterator<Item = ServiceKey>, seed: Seed) -> Self {
        let (mut addresses, mut marks) = (Vec::new(), Vec::new());
        for (index, key) in (0u32..).zip(keys) {
            match key {
                ServiceKey::Address { protocol, address } => {
                    addresses.push((protocol.number(), address.ip(), address.port(), index));
                }
                ServiceKey::Mark { family, mark } => marks.push((family, mark, index)),
            }
        }
        marks.sort_unstable();
        Self {
            ftp: addresses.iter().any(|(_, _, port, _)| *port == FTP),
            every_port: addresses.iter().any(|(_, _, port, _)| *port == 0),
            addresses: EndTable::new(&addresses, seed),
            marks,
        }
    }

    /// The place of the service a packet with this mark is addressed to.
    ///
    /// A mark goes before an address, a port before every port. In between, a
    /// TCP service on port 21 has the ports its data connections may come to.
    ///
    /// *Source:* the behaviour of `ip_vs_service_find`, Linux 6.12; unprivileged
    /// ports begin at 1024 as they do there by default. *Cost:* one look into a
    /// table, where there are such services two or three.
    pub(crate) fn service(&self, flow: &FlowKey, mark: Option<NonZeroU32>) -> Option<u32> {
        if let Some(index) = mark.and_then(|mark| self.marked(family(&flow.addresses), mark)) {
            return Some(index);
        }
        let (address, port) = flow.destination();
        let at = |port| self.addresses.get(flow.protocol, address, port);
        let data = flow.protocol == TCP && (port == FTP_DATA || port >= UNPRIVILEGED);
        at(port)
            .or_else(|| if self.ftp && data { at(FTP) } else { None })
            .or_else(|| if self.every_port { at(0) } else { None })
    }

    /// The place of the service with this very key.
    ///
    /// *Cost:* one look into a table, of marks a binary search.
    pub(crate) fn place_of(&self, key: ServiceKey) -> Option<u32> {
        match key {
            ServiceKey::Address { protocol, address } => {
                self.addresses
                    .get(protocol.number(), address.ip(), address.port())
            }
            ServiceKey::Mark { family, mark } => self.marked(family, mark),
        }
    }

    /// Whether there is any service on a mark.
    pub(crate) const fn has_marks(&self) -> bool {
        !self.marks.is_empty()
    }

    /// The virtual addresses with their protocols, some of them more than once.
    pub(crate) fn vips(&self) -> impl Iterator<Item = (IpAddr, u8)> {
        let ends = self.addresses.iter();
        ends.map(|(protocol, address, _)| (address, protocol))
    }

    fn marked(&self, family: Family, mark: NonZeroU32) -> Option<u32> {
        let key = |(family, mark, _): &(Family, NonZeroU32, u32)| (*family, *mark);
        let found = self.marks.binary_search_by_key(&(family, mark), key);
        self.marks.get(found.ok()?).map(|(.., index)| *index)
    }
}

const fn family(addresses: &Addresses) -> Family {
    match addresses {
        Addresses::V4 { .. } => Family::V4,
        Addresses::V6 { .. } => Family::V6,
    }
}

/// Where FTP clients ask.
pub(crate) const FTP: u16 = 21;
/// Where FTP servers begin data connections from.
pub(crate) const FTP_DATA: u16 = 20;
/// The first port anybody may listen on.
const UNPRIVILEGED: u16 = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Protocol, ServiceKey};
    use core::net::Ipv4Addr;

    fn flow(protocol: u8, port: u16) -> FlowKey {
        FlowKey {
            addresses: Addresses::V4 {
                source: Ipv4Addr::new(198, 51, 100, 7),
                destination: Ipv4Addr::new(192, 0, 2, 10),
            },
            source_port: 40_000,
            destination_port: port,
            protocol,
        }
    }

    fn key(protocol: Protocol, port: u16) -> ServiceKey {
        ServiceKey::Address {
            protocol,
            address: (Ipv4Addr::new(192, 0, 2, 10), port).into(),
        }
    }

    fn lookup(keys: &[ServiceKey]) -> Lookup {
        Lookup::new(keys.iter().copied(), Seed::new(3))
    }

    #[test]
    fn marks_then_ports_then_every_port() {
        let mark = NonZeroU32::new(7);
        let marked = ServiceKey::Mark {
            family: Family::V4,
            mark: mark.unwrap(),
        };
        let keys = [key(Protocol::Tcp, 80), marked, key(Protocol::Tcp, 0)];
        let all = lookup(&keys);
        assert_eq!(all.service(&flow(6, 80), mark), Some(1));
        assert_eq!(all.service(&flow(17, 9), mark), Some(1), "any protocol");
        assert_eq!(all.service(&flow(6, 80), NonZeroU32::new(8)), Some(0));
        assert_eq!(all.service(&flow(6, 80), None), Some(0));
        assert_eq!(all.service(&flow(6, 81), None), Some(2));
        assert_eq!(all.service(&flow(17, 81), None), None);
        assert_eq!(lookup(&keys[..1]).service(&flow(6, 81), None), None);
    }

    #[test]
    fn ftp_has_the_ports_of_its_data() {
        let ftp = lookup(&[key(Protocol::Tcp, 21), key(Protocol::Tcp, 0)]);
        let of = |protocol, port| ftp.service(&flow(protocol, port), None);
        assert_eq!([of(6, 20), of(6, 1024), of(6, 50_000)], [Some(0); 3]);
        assert_eq!([of(6, 22), of(6, 1023)], [Some(1); 2]);
        assert_eq!(of(17, 20), None);
    }
}
