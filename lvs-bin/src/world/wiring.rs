//! Links between the machines of a world.

use std::io;
use std::os::fd::AsFd;

use lvs_io::netlink::{Network, Prefix, Route, VethEnd};

use super::Namespace;
use super::address::{Family, Lan};

/// What all links of a world have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cable {
    pub(super) queues: u32,
    pub(super) mtu: u32,
}

/// A namespace full of bridges, one for each network that has more than two
/// machines. It has no address and answers nobody.
#[derive(Debug)]
pub(super) struct Switch {
    namespace: Namespace,
    cable: Cable,
    /// Ports so far, for their names.
    ports: u32,
}

impl Switch {
    pub(super) fn new(cable: Cable) -> io::Result<Self> {
        let namespace = Namespace::new("switch")?;
        namespace.set("ipv6/conf/default/disable_ipv6", "1")?;
        Ok(Self {
            namespace,
            cable,
            ports: 0,
        })
    }

    /// Makes the bridge `bridge`.
    pub(super) fn add_bridge(&self, bridge: &str) -> io::Result<()> {
        let mut network = self.namespace.network()?;
        network.add_bridge(bridge).map_err(io::Error::other)?;
        network.set_up(bridge).map_err(io::Error::other)
    }

    /// Connects `machine` to `bridge` by a new link that it calls `link`.
    pub(super) fn plug(&mut self, bridge: &str, machine: &Namespace, link: &str) -> io::Result<()> {
        let port = format!("port{}", self.ports);
        self.ports += 1;
        self.cable.lay((machine, link), (&self.namespace, &port))?;
        let mut network = self.namespace.network()?;
        network
            .add_to_bridge(&port, bridge)
            .map_err(io::Error::other)
    }
}

impl Cable {
    /// Connects two machines; both ends are up.
    pub(super) fn lay(
        self,
        (one, link): (&Namespace, &str),
        (other, other_link): (&Namespace, &str),
    ) -> io::Result<()> {
        let end = |name| VethEnd::new(name).queues(self.queues).mtu(self.mtu);
        let mut here = one.network()?;
        let mut there = other.network()?;
        here.add_veth(&end(link), &end(other_link).namespace(other.as_fd()))
            .and_then(|()| here.set_up(link))
            .and_then(|()| there.set_up(other_link))
            .map_err(io::Error::other)
    }
}

/// Gives `link` the address of host `number` of `lan`, in both families.
pub(super) fn give_address(
    network: &mut Network,
    link: &str,
    lan: Lan,
    number: u8,
) -> io::Result<()> {
    for family in Family::BOTH {
        let prefix = lan.interface(family, number).map_err(io::Error::other)?;
        network
            .add_address(link, prefix)
            .map_err(io::Error::other)?;
    }
    Ok(())
}

/// Gives `link` the VIP of both families, for this machine alone.
pub(super) fn give_vip(network: &mut Network, link: &str) -> io::Result<()> {
    for family in Family::BOTH {
        network
            .add_address(link, Prefix::host(super::Plan::vip(family)))
            .map_err(io::Error::other)?;
    }
    Ok(())
}

/// Sends everything else by host `number` of `lan`, in both families.
pub(super) fn give_gateway(network: &mut Network, lan: Lan, number: u8) -> io::Result<()> {
    for family in Family::BOTH {
        let route = Route::via(family.everything(), lan.host(family, number));
        network.add_route(&route).map_err(io::Error::other)?;
    }
    Ok(())
}

/// Has the machine speak to `lan` as host `number`, also in IPv6, where the
/// VIP's longer prefix would otherwise win (RFC 6724 section 5, rule 8): a real
/// server that has the VIP itself would never answer.
pub(super) fn prefer_source(network: &mut Network, lan: Lan, number: u8) -> io::Result<()> {
    let link = network.link(lan.link()).map_err(io::Error::other)?;
    let own = lan
        .interface(Family::V6, number)
        .map_err(io::Error::other)?;
    let mut route = Route::on_link(own, link.index);
    route.metric = 1;
    route.source = Some(own.address());
    network.add_route(&route).map_err(io::Error::other)
}
