//! How a network interface is set up: [`Setup`].

use std::collections::BTreeSet;

use super::Nic;
use crate::netlink::XdpAbilities;
use crate::sys::ethtool::{Ethtool, Flow};

/// What a NIC could do and is set to do, as far as its driver tells. To find
/// out what is wrong with it: a director works without.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// How many queues it could have; none if its driver does not say.
    pub most_queues: Option<u32>,
    /// What its driver can do with XDP; none if the kernel does not say
    /// (before Linux 6.3).
    pub xdp: Option<XdpAbilities>,
    /// The offloads that are on, by the kernel's names: `rx-gro`.
    pub offloads: BTreeSet<String>,
    /// How it spreads packets over its queues; none if its driver does not say.
    pub spread: Option<Spread>,
}

/// How a NIC spreads what it receives over its queues (RSS).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spread {
    /// The queues that get anything.
    pub queues: BTreeSet<u32>,
    /// The kinds of packets, as `ethtool -n NIC rx-flow-hash` names them
    /// (`udp4`), of which all between two addresses go to one queue, because
    /// the ports are not looked at.
    pub without_ports: Vec<&'static str>,
}

impl Nic {
    /// Asks its driver how it is set up. *Cost:* a dozen system calls.
    #[must_use]
    pub fn setup(&self) -> Setup {
        let Ok(ethtool) = Ethtool::open() else {
            return Setup::default();
        };
        let most = ethtool.channels(&self.name).map(|channels| channels.most);
        let indirection = ethtool.indirection(&self.name).ok();
        Setup {
            most_queues: most.ok().filter(|most| *most > 0),
            xdp: XdpAbilities::of(self.index).ok().flatten(),
            offloads: ethtool.features(&self.name).unwrap_or_default(),
            spread: indirection.map(|queues| Spread {
                queues: queues.into_iter().collect(),
                without_ports: without_ports(&ethtool, &self.name),
            }),
        }
    }
}

/// The kinds of packets whose ports the NIC is known not to look at.
fn without_ports(ethtool: &Ethtool, nic: &str) -> Vec<&'static str> {
    let kinds = [
        ("tcp4", Flow::TcpV4),
        ("udp4", Flow::UdpV4),
        ("tcp6", Flow::TcpV6),
        ("udp6", Flow::UdpV6),
    ];
    let by_addresses = |flow| {
        let fields = ethtool.hash_fields(nic, flow);
        fields.is_ok_and(|fields| fields.addresses && !fields.ports)
    };
    let found = kinds.into_iter().filter(|(_, flow)| by_addresses(*flow));
    found.map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_has_neither_native_xdp_nor_a_spread() {
        let setup = Nic::named("lo").unwrap().setup();
        assert_eq!(setup.spread, None);
        assert!(!setup.xdp.is_some_and(|xdp| xdp.native), "{setup:?}");
        assert!(setup.offloads.contains("loopback"), "{setup:?}");
    }
}
