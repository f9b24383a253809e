//! A connection that begins: what must be known, and how it is written down.

use core::net::IpAddr;

use super::entry::{EntryMut, MASQUERADE, Method, OTHER_FAMILY, TUNNEL, USED, V6};
use crate::config::RealServerId;
use crate::packet::{Addresses, FlowKey};

/// A connection that is about to begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewConnection {
    /// From the client to the service.
    pub(crate) flow: FlowKey,
    pub(crate) real_server: RealServerId,
    /// Where the real server is: address and port; of the flow's family, but in tunnels.
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    pub(crate) method: Method,
}

impl NewConnection {
    /// The flow of the real server's replies, if they carry its own address.
    pub(crate) fn reply_flow(&self) -> Option<FlowKey> {
        if !matches!(self.method, Method::Masquerade) {
            return None;
        }
        let addresses = match (self.address, self.flow.addresses) {
            (IpAddr::V4(rip), Addresses::V4 { source, .. }) => Addresses::V4 {
                source: rip,
                destination: source,
            },
            (IpAddr::V6(rip), Addresses::V6 { source, .. }) => Addresses::V6 {
                source: rip,
                destination: source,
            },
            // Only tunnels lead to the other family.
            _ => return None,
        };
        Some(FlowKey {
            addresses,
            source_port: self.port,
            destination_port: self.flow.source_port,
            protocol: self.flow.protocol,
        })
    }
}

impl EntryMut<'_> {
    /// Overwrites whatever lay there with a connection that begins.
    pub(crate) fn begin(&mut self, new: &NewConnection) {
        let [hot, far] = &mut *self.0;
        *hot = [0; 8];
        let mut flags = USED;
        match new.flow.addresses {
            Addresses::V4 {
                source,
                destination,
            } => {
                hot[0] = u64::from(source.to_bits()) << 32 | u64::from(destination.to_bits());
            }
            Addresses::V6 {
                source,
                destination,
            } => {
                flags |= V6;
                for (at, address) in [(0, source), (2, destination)] {
                    far[at] = (address.to_bits() >> 64) as u64;
                    far[at + 1] = address.to_bits() as u64;
                }
            }
        }
        flags |= match new.method {
            Method::Masquerade => MASQUERADE,
            Method::Tunnel => TUNNEL,
            Method::DirectRoute => 0,
            Method::Bypass => MASQUERADE | TUNNEL,
        };
        if new.address.is_ipv6() != (flags & V6 != 0) {
            flags |= OTHER_FAMILY;
        }
        hot[1] = new.flow.ports() << 24 | flags;
        hot[2] = u64::from(new.port) << 16;
        match new.address {
            IpAddr::V4(rip) => hot[2] |= u64::from(rip.to_bits()) << 32,
            IpAddr::V6(rip) => {
                far[4] = (rip.to_bits() >> 64) as u64;
                far[5] = rip.to_bits() as u64;
            }
        }
        hot[3] = u64::from(new.real_server.0) << 32;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::entry::Entry;
    use super::*;
    use crate::conn::tcp::TcpState;
    use core::net::Ipv4Addr;

    pub(in super::super) fn new_v4(method: Method) -> NewConnection {
        NewConnection {
            flow: FlowKey {
                addresses: Addresses::V4 {
                    source: Ipv4Addr::new(198, 51, 100, 7),
                    destination: Ipv4Addr::new(192, 0, 2, 10),
                },
                source_port: 40_000,
                destination_port: 80,
                protocol: 6,
            },
            real_server: RealServerId(77),
            address: Ipv4Addr::new(10, 0, 0, 11).into(),
            port: 8080,
            method,
        }
    }

    pub(in super::super) fn new_v6(method: Method) -> NewConnection {
        NewConnection {
            flow: FlowKey {
                addresses: Addresses::V6 {
                    source: "2001:db8:c::7".parse().unwrap(),
                    destination: "2001:db8:ff::80".parse().unwrap(),
                },
                ..new_v4(method).flow
            },
            address: "2001:db8:20::11".parse().unwrap(),
            ..new_v4(method)
        }
    }

    #[test]
    fn what_begins_reads_back_in_dirty_memory() {
        let masquerade = Method::Masquerade;
        for method in [masquerade, Method::DirectRoute, Method::Tunnel] {
            let mut mixed = [new_v4(Method::Tunnel), new_v6(Method::Tunnel)];
            (mixed[0].address, mixed[1].address) = (mixed[1].address, mixed[0].address);
            for new in [new_v4(method), new_v6(method), mixed[0], mixed[1]] {
                let mut lines = [[0xa5a5_a5a5_a5a5_a5a5; 8]; 2];
                EntryMut(&mut lines).begin(&new);
                let entry = Entry(&lines);
                assert_eq!(entry.flow(), new.flow);
                assert_eq!(entry.real_server(), new.real_server);
                assert_eq!(entry.real_server_address(), new.address);
                assert_eq!(entry.real_server_port(), 8080);
                assert_eq!(entry.method(), new.method);
                assert_eq!(entry.reply_flow(), new.reply_flow());
                assert_eq!((entry.packets(), entry.tcp_state()), (0, TcpState::None));
            }
        }
    }

    #[test]
    fn only_masqueraded_replies_carry_the_real_server() {
        for new in [new_v4(Method::DirectRoute), new_v6(Method::Tunnel)] {
            assert_eq!(new.reply_flow(), None);
        }
    }
}
