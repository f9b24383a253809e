//! What a network interface says of itself: [`Nic`].

mod setup;

use std::fs;
use std::io;

use crate::error::Error;
use crate::netlink::{self, Link, Network};
use crate::queue::Checksum;
use crate::sys::ethtool::{Channels, Driver, Ethtool};

pub use setup::{Setup, Spread};

/// A network interface, as it was when it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// Its name, as people type it.
    pub name: String,
    /// The kernel's number for it in its network namespace.
    pub index: u32,
    /// Its hardware address.
    pub mac: [u8; 6],
    /// The longest packet it takes, in bytes, without the Ethernet header.
    pub mtu: u32,
    /// How many receive queues are in use. Each has a transmit queue.
    pub queues: u32,
    /// The name of its driver; empty if it does not say.
    pub driver: String,
    /// Whether frames from it may carry half-made checksums.
    pub checksum: Checksum,
}

impl Nic {
    /// Asks the interface called `name`, in the calling thread's network
    /// namespace.
    ///
    /// # Errors
    ///
    /// There is no such interface; it has no Ethernet address; it has fewer
    /// transmit than receive queues, so that some could not answer.
    pub fn named(name: &str) -> Result<Self, Error> {
        let link = Network::open().and_then(|mut network| network.link(name));
        let link = link.map_err(|error| not_found(&error).on(name))?;
        Self::of_link(link).map_err(|error| error.on(name))
    }

    /// Whether it takes the tag off frames of VLANs that the host has on it,
    /// so that XDP does not see to which VLAN they belong.
    ///
    /// Asks the kernel anew. *Cost:* a call, and reading a file.
    #[must_use]
    pub fn hides_vlans(&self) -> bool {
        let vlans = fs::read_to_string("/proc/thread-self/net/vlan/config");
        let has_vlan = vlans.is_ok_and(|text| has_vlan_on(&text, &self.name));
        let ethtool = Ethtool::open().and_then(|ethtool| ethtool.takes_tags_off(&self.name));
        has_vlan && ethtool.unwrap_or(false)
    }

    fn of_link(link: Link) -> Result<Self, Error> {
        let ethtool = Ethtool::open().map_err(|error| Error::new("ask the driver", error))?;
        let driver = ethtool.driver(&link.name).ok();
        let channels = ethtool
            .channels(&link.name)
            .unwrap_or_else(|_| queues_of_link(&link));
        Ok(Self {
            mac: link.mac.ok_or_else(no_address)?,
            queues: paired(channels)?,
            checksum: checksum_by(driver.as_ref()),
            driver: driver.map_or_else(String::new, |driver| driver.name),
            index: link.index,
            mtu: link.mtu,
            name: link.name,
        })
    }
}

/// The queues of a NIC whose driver does not count them: what sysfs shows are
/// those in use, but of one network namespace only; netlink knows every
/// namespace, but counts those that could be.
fn queues_of_link(link: &Link) -> Channels {
    let could_be = Channels {
        receive: link.receive_queues,
        transmit: link.transmit_queues,
        most: link.receive_queues.min(link.transmit_queues),
    };
    let folder = format!("/sys/class/net/{}", link.name);
    let index = fs::read_to_string(format!("{folder}/ifindex"));
    let is_this_one = index.is_ok_and(|index| index.trim() == link.index.to_string());
    let count = |prefix: &str| -> io::Result<u32> {
        let names = fs::read_dir(format!("{folder}/queues"))?;
        let names = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names.filter(|name| name.starts_with(prefix)).count() as u32)
    };
    match (is_this_one, count("rx-"), count("tx-")) {
        (true, Ok(receive), Ok(transmit)) => Channels {
            receive,
            transmit,
            ..could_be
        },
        _ => could_be,
    }
}

/// Whether the kernel's list of VLAN interfaces (`name | id | link` in lines)
/// has one on `link`.
fn has_vlan_on(list: &str, link: &str) -> bool {
    let links = list.lines().filter_map(|line| line.rsplit_once('|'));
    links.into_iter().any(|(_, on)| on.trim() == link)
}

fn paired(channels: Channels) -> Result<u32, Error> {
    if channels.transmit < channels.receive {
        let advice = "it has fewer transmit than receive queues; \
                      type: ethtool -L NIC rx N tx N, or combined N";
        return Err(Error::new("count its queues", io::Error::other(advice)));
    }
    Ok(channels.receive.max(1))
}

/// A sender on the same machine leaves the checksum to its NIC; if that is
/// virtual, nobody makes it on the way. So only a NIC on a bus that is a real
/// one vouches for checksums.
fn checksum_by(driver: Option<&Driver>) -> Checksum {
    match driver {
        Some(driver) if !driver.bus.is_empty() && !VIRTUAL.contains(&&driver.name[..]) => {
            Checksum::Whole
        }
        _ => Checksum::MaybePartial,
    }
}

fn not_found(error: &netlink::Error) -> Error {
    let source = match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::other(error.to_string()),
    };
    Error::new("find the network interface", source)
}

fn no_address() -> Error {
    let source = io::Error::other("it has none; a director needs an Ethernet interface");
    Error::new("read its hardware address", source)
}

/// Drivers that name a bus though they, or the hypervisor behind them, pass
/// frames of the same machine on as they were left.
const VIRTUAL: [&str; 6] = ["virtio_net", "vif", "hv_netvsc", "vmxnet3", "tun", "bridge"];

#[cfg(test)]
mod tests {
    use super::*;

    fn driver(name: &str, bus: &str) -> Driver {
        Driver {
            name: name.into(),
            bus: bus.into(),
        }
    }

    #[test]
    fn only_real_nics_vouch_for_checksums() {
        let whole = driver("ixgbe", "0000:01:00.0");
        assert_eq!(checksum_by(Some(&whole)), Checksum::Whole);
        for doubtful in [
            driver("veth", ""),
            driver("tun", "tap"),
            driver("virtio_net", "0000:00:03.0"),
        ] {
            assert_eq!(checksum_by(Some(&doubtful)), Checksum::MaybePartial);
        }
        assert_eq!(checksum_by(None), Checksum::MaybePartial);
    }

    #[test]
    fn vlans_are_found_by_the_link_they_are_on() {
        let list = "VLAN Dev name    | VLAN ID\n\
                    Name-Type: VLAN_NAME_TYPE_RAW_PLUS_VID_NO_PAD\n\
                    eth0.7         | 7  | eth0\n";
        assert!(has_vlan_on(list, "eth0"));
        assert!(!has_vlan_on(list, "eth1") && !has_vlan_on("", "eth0"));
    }

    #[test]
    fn every_receive_queue_needs_a_transmit_queue() {
        let channels = |receive, transmit| Channels {
            receive,
            transmit,
            most: 8,
        };
        assert_eq!(paired(channels(2, 4)).unwrap(), 2);
        assert_eq!(
            paired(channels(0, 0)).unwrap(),
            1,
            "some count none for one"
        );
        let error = paired(channels(4, 2)).unwrap_err();
        assert!(error.to_string().contains("ethtool -L"), "{error}");
    }

    #[test]
    fn a_nic_that_is_not_there_is_named() {
        let error = Nic::named("no-such-nic").unwrap_err();
        assert_eq!(error.nic(), Some("no-such-nic"));
        assert_eq!(error.os().raw_os_error(), Some(libc::ENODEV));
    }

    #[test]
    fn the_loopback_interface_has_one_queue_and_no_driver_to_vouch() {
        let nic = Nic::named("lo").unwrap();
        assert_eq!((nic.queues, nic.checksum), (1, Checksum::MaybePartial));
        assert!(nic.mtu >= 1500 && nic.index > 0);
    }
}
