//! Having the kernel send what some of the machine's own servers send by a device
//! of the director's: [`Detour`].

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::netlink::{Error, Network, Prefix, Route, Rule};
use crate::punt::Punt;

/// An end of packets that the machine itself sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnEnd {
    /// The IP protocol.
    pub protocol: u8,
    /// Their source address.
    pub address: IpAddr,
    /// Their source port; every one where there is none.
    pub port: Option<u16>,
}

/// The detour by a [`Punt`] that packets of some ends take: a policy rule for
/// each, and a table with nothing but a route into the device.
///
/// ```text
///  server on 10.0.0.1:8080 ──> rule from 10.0.0.1, TCP, port 8080
///     ──> table of the device ──> default route ──> Punt ──> director
/// ```
///
/// Rules go before those of others, but behind the table of the machine's own
/// addresses: what the machine says to itself stays inside. What was marked with
/// [`Rule::EXEMPT`] is not meant.
///
/// Dropping it removes the rules; the routes go with the device. What a process
/// that was killed had left, the next one removes that opens a detour, in the
/// same network namespace: rules with a table whose device is gone. They do
/// nothing meanwhile.
///
/// With strict `rp_filter` on a NIC the kernel takes packets to such an end only
/// from the device, as it expects packets from where it would answer.
pub struct Detour {
    network: Network,
    /// The device's index.
    link: u32,
    /// Longest packet that goes by it, bytes.
    mtu: u32,
    rules: BTreeSet<Rule>,
    has_routes: bool,
}

impl Detour {
    /// A detour that nothing takes yet, for packets of up to `mtu` bytes. What
    /// others have left is removed.
    ///
    /// # Errors
    ///
    /// The kernel's rules cannot be read.
    pub fn open(punt: &Punt, mtu: u32) -> Result<Self, Error> {
        let mut network = Network::open()?;
        let link = network.link(punt.name())?.index;
        let links: BTreeSet<u32> = network
            .links()?
            .iter()
            .map(|link| table(link.index))
            .collect();
        for rule in network.rules()? {
            // A device that was just made has no rules but by an earlier one of
            // its number.
            if rule.table == table(link) || !links.contains(&rule.table) {
                // If it is gone by now, that is as well.
                let _ = network.delete_rule(&rule);
            }
        }
        Ok(Self {
            network,
            link,
            mtu,
            rules: BTreeSet::new(),
            has_routes: false,
        })
    }

    /// Has what exactly these ends send take the detour, and what else the
    /// machine says about them: its ICMP errors come from their address alone.
    ///
    /// # Errors
    ///
    /// The first rule or route that the kernel refused. All others are as asked
    /// for; the refused is asked for again by the next call.
    pub fn set(&mut self, ends: impl IntoIterator<Item = OwnEnd>) -> Result<(), Error> {
        let mut wanted = BTreeSet::new();
        for OwnEnd {
            protocol,
            address,
            port,
        } in ends
        {
            let rule = |protocol, port| Rule {
                source: address,
                protocol,
                port,
                table: table(self.link),
            };
            let icmp = if address.is_ipv4() { ICMP } else { ICMP_V6 };
            wanted.extend([rule(protocol, port), rule(icmp, None)]);
        }
        let mut outcome = match wanted.is_empty() {
            true => Ok(()),
            false => self.add_routes(),
        };
        for rule in wanted.difference(&self.rules.clone()) {
            let added = self.network.add_rule(rule);
            if added.is_ok() {
                self.rules.insert(*rule);
            }
            outcome = outcome.and(added);
        }
        for rule in self.rules.clone().difference(&wanted) {
            let removed = self.network.delete_rule(rule);
            self.rules.remove(rule);
            outcome = outcome.and(removed);
        }
        outcome
    }

    /// Makes the routes into the device, of both families where there are both.
    fn add_routes(&mut self) -> Result<(), Error> {
        if self.has_routes {
            return Ok(());
        }
        let mut add = |prefix| {
            let route = Route {
                table: table(self.link),
                mtu: Some(self.mtu),
                ..Route::on_link(prefix, self.link)
            };
            self.network.replace_route(&route)
        };
        let (v4, v6) = (add(Prefix::ALL_V4), add(Prefix::ALL_V6));
        self.has_routes = v4.is_ok() && v6.is_ok();
        v4.or(v6)
    }
}

impl Drop for Detour {
    fn drop(&mut self) {
        for rule in &self.rules {
            // Nobody is left to hear of a failure.
            let _ = self.network.delete_rule(rule);
        }
    }
}

/// The table of the device with this index: a number nobody else has a use for,
/// and one for each device.
const fn table(link: u32) -> u32 {
    TABLES | link & 0xffff
}

/// "lv", and the index of a device.
const TABLES: u32 = 0x6c76_0000;
const ICMP: u8 = 1;
const ICMP_V6: u8 = 58;
