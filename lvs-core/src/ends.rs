//! Where replies of masqueraded real servers come from, and who owns them.

use alloc::vec::Vec;
use core::net::IpAddr;

use crate::config::ServiceKey;
use crate::end_table::EndTable;
use crate::packet::{FlowKey, Seed};
use crate::steer::Owner;

/// The ends masqueraded real servers reply from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ends {
    /// By protocol, address and port, each 0 for any; the address by its place.
    table: EndTable,
    /// Each address, sorted.
    addresses: Vec<IpAddr>,
    /// Each address with each of its protocols, 0 for any, sorted.
    protocols: Vec<(IpAddr, u8)>,
    /// By the place of the address: how the owners of connections with it are found.
    owners: Vec<Vec<Owner>>,
    /// Those that refuse, by protocol, address and port.
    refusing: EndTable,
}

/// A real server that is masqueraded, or was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End<'n> {
    pub(crate) service: ServiceKey,
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    /// Whether the service's connections keep their own ports.
    pub(crate) keeps_ports: bool,
    /// How owners of its connections are found.
    pub(crate) owners: &'n [Owner],
    /// Whether what it sends from its port is refused where it is of no connection
    /// (`nat_icmp_send`).
    pub(crate) refuses: bool,
}

impl Ends {
    pub(crate) fn new(ends: &[End<'_>], seed: Seed) -> Self {
        let mut addresses: Vec<_> = ends.iter().map(|end| end.address).collect();
        addresses.sort_unstable();
        addresses.dedup();
        let mut owners = alloc::vec![Vec::new(); addresses.len()];
        let (mut entries, mut refusing) = (Vec::new(), Vec::new());
        for end in ends {
            let Ok(place) = addresses.binary_search(&end.address) else {
                continue;
            };
            for owner in end.owners {
                if !owners[place].contains(owner) {
                    owners[place].push(*owner);
                }
            }
            let protocol = end.service.protocol().map_or(0, |it| it.number());
            entries.push((protocol, end.address, end.port, place as u32));
            if end.keeps_ports {
                entries.push((protocol, end.address, 0, place as u32));
            }
            if end.refuses && end.port != 0 {
                refusing.push((protocol, end.address, end.port, place as u32));
            }
        }
        for list in [&mut entries, &mut refusing] {
            list.sort_unstable();
            list.dedup();
        }
        let protocol = |(protocol, address, ..): &(u8, IpAddr, u16, u32)| (*address, *protocol);
        let mut protocols: Vec<_> = entries.iter().map(protocol).collect();
        protocols.sort_unstable();
        protocols.dedup();
        Self {
            table: EndTable::new(&entries, seed),
            addresses,
            protocols,
            owners,
            refusing: EndTable::new(&refusing, seed),
        }
    }

    /// How owners of the connection are found which a packet may be a reply of;
    /// `None` for what comes from no masqueraded real server's port.
    pub(crate) fn owners(&self, flow: &FlowKey) -> Option<&[Owner]> {
        let (address, port) = flow.source();
        if !self.has_address(address) {
            return None;
        }
        let place = [(flow.protocol, port), (flow.protocol, 0), (0, port), (0, 0)]
            .into_iter()
            .find_map(|(protocol, port)| self.table.get(protocol, address, port))?;
        self.owners.get(place as usize).map(Vec::as_slice)
    }

    /// Whether a packet comes from the very port of a real server whose packets
    /// of no connection are refused.
    pub(crate) fn refuses(&self, flow: &FlowKey) -> bool {
        let (address, port) = flow.source();
        [flow.protocol, 0]
            .iter()
            .any(|protocol| self.refusing.get(*protocol, address, port).is_some())
    }

    /// Whether any real server has this address for a service of this protocol,
    /// or of any.
    pub(crate) fn has_address_of(&self, address: IpAddr, protocol: u8) -> bool {
        [protocol, 0]
            .iter()
            .any(|protocol| self.protocols.binary_search(&(address, *protocol)).is_ok())
    }

    /// Whether any real server has this address.
    fn has_address(&self, address: IpAddr) -> bool {
        self.addresses.binary_search(&address).is_ok()
    }

    /// Protocol, address and port of each; protocol and port 0 for any.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u8, IpAddr, u16)> {
        self.table.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Family, Protocol};
    use crate::packet::Addresses;
    use core::net::Ipv4Addr;
    use core::num::NonZeroU32;

    fn reply(last: u8, port: u16, protocol: u8) -> FlowKey {
        FlowKey {
            addresses: Addresses::V4 {
                source: Ipv4Addr::new(10, 0, 0, last),
                destination: Ipv4Addr::new(198, 51, 100, 7),
            },
            source_port: port,
            destination_port: 40_000,
            protocol,
        }
    }

    #[test]
    fn a_reply_may_come_from_any_port_where_ports_are_kept() {
        let address = |protocol, port| ServiceKey::Address {
            protocol,
            address: (Ipv4Addr::new(192, 0, 2, 10), port).into(),
        };
        let mark = ServiceKey::Mark {
            family: Family::V4,
            mark: NonZeroU32::MIN,
        };
        let end = |service, last, port, keeps_ports, owners| End {
            service,
            address: [10, 0, 0, last].into(),
            port,
            keeps_ports,
            owners,
            refuses: false,
        };
        let refusing = |end| End {
            refuses: true,
            ..end
        };
        let client = &[Owner::ByClient(None)][..];
        let port = &[Owner::ByPort][..];
        let ends = Ends::new(
            &[
                refusing(end(address(Protocol::Tcp, 80), 1, 8080, false, port)),
                refusing(end(address(Protocol::Tcp, 0), 2, 0, true, client)),
                end(mark, 3, 0, true, client),
                refusing(end(mark, 1, 99, false, client)),
                end(address(Protocol::Udp, 80), 1, 8082, false, port),
            ],
            Seed::new(1),
        );
        let both = &[Owner::ByPort, Owner::ByClient(None)][..];
        assert_eq!(ends.owners(&reply(1, 8080, 6)), Some(both));
        assert_eq!(ends.owners(&reply(1, 8081, 6)), None);
        assert_eq!(ends.owners(&reply(1, 99, 17)), Some(both), "any protocol");
        assert_eq!(ends.owners(&reply(2, 12345, 6)), Some(client));
        assert_eq!(ends.owners(&reply(2, 12345, 17)), None);
        assert_eq!(ends.owners(&reply(3, 12345, 17)), Some(client));
        assert_eq!(ends.owners(&reply(4, 80, 6)), None);
        assert!(ends.refuses(&reply(1, 8080, 6)) && ends.refuses(&reply(1, 99, 6)));
        assert!(!ends.refuses(&reply(1, 8080, 17)) && !ends.refuses(&reply(2, 12345, 6)));
        assert!(!ends.refuses(&reply(1, 8082, 17)), "not asked for");
        let has = |last: u8, protocol| ends.has_address_of([10, 0, 0, last].into(), protocol);
        assert!(has(2, 6) && !has(2, 17) && has(3, 17) && !has(4, 6));
    }
}
