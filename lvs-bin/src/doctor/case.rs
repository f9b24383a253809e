//! A director's host and what it is to do: [`Case`].

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};

use lvs_core::config::MarkRule;
use lvs_core::{Config, ForwardingMethod, RealServer, Service, ServiceKey};
use lvs_io::netlink::Network;
use lvs_io::{Nic, WantedMode};

use super::arm::Arm;
use super::host::Host;
use super::machine::Machine;
use crate::config::Settings;
use crate::director::surroundings::wanted_neighbours;

/// Everything a check of a director may look at.
#[derive(Clone, Debug)]
pub(super) struct Case<'s> {
    pub(super) settings: &'s Settings,
    /// The interfaces of the configuration that can be used, in its order.
    pub(super) arms: Vec<Arm>,
    /// Why the others cannot.
    pub(super) unusable: Vec<(String, String)>,
    pub(super) host: Host,
    pub(super) machine: Machine,
}

impl<'s> Case<'s> {
    /// Looks at the calling thread's host. Neighbours that the kernel does not
    /// know it is asked to find.
    pub(super) fn look(settings: &'s Settings) -> io::Result<Self> {
        let mut case = Self {
            settings,
            arms: Vec::new(),
            unusable: Vec::new(),
            host: Host::look()?,
            machine: Machine::look(),
        };
        for name in &settings.director.interfaces {
            match Arm::look(name) {
                Ok(arm) => case.arms.push(arm),
                Err(why) => case.unusable.push((name.clone(), why)),
            }
        }
        case.find_neighbours()?;
        Ok(case)
    }

    /// Waits for those that are found; the others the kernel gives up after
    /// three seconds at most, which tells nothing more.
    fn find_neighbours(&mut self) -> io::Result<()> {
        if !self.machine.is_root {
            return Ok(());
        }
        let mut network = Network::open().map_err(io::Error::other)?;
        for (link, address) in self.unresolved() {
            if let Some(link) = self.host.view.link(link) {
                // What cannot be asked for is told as what does not answer.
                let _ = network.ask_for_neighbour(&link.name, address);
            }
        }
        let end = Instant::now() + PATIENCE;
        while !self.unresolved().is_empty() && Instant::now() < end {
            thread::sleep(PATIENCE / 40);
            self.host = Host::look()?;
        }
        Ok(())
    }

    /// Neighbours that the director will send to and whose MAC is not known,
    /// by link.
    pub(super) fn unresolved(&self) -> Vec<(u32, IpAddr)> {
        let nics = self.nics();
        let mut wanted = wanted_neighbours(&nics, &self.host.view, &self.settings.config);
        wanted.retain(|(link, address)| {
            let known = self.host.view.neighbour(*link, *address);
            let asks = self.host.view.link(*link);
            asks.is_some_and(|link| link.asks_neighbours)
                && known.is_none_or(|neighbour| neighbour.mac.is_none())
        });
        wanted
    }

    /// Its NICs.
    pub(super) fn nics(&self) -> Vec<Nic> {
        self.arms.iter().map(|arm| arm.nic.clone()).collect()
    }

    /// How many workers there will be; none if they cannot be.
    pub(super) fn workers(&self) -> Option<usize> {
        let workers = self.settings.director.options().lanes(&self.nics());
        workers.ok().filter(|workers| *workers > 0)
    }

    /// Whether frames go by AF_PACKET as the configuration says.
    pub(super) fn is_packet(&self) -> bool {
        self.settings.director.mode == WantedMode::Packet
    }

    /// Whether the host's stack has merged frames before the director sees
    /// them: all ways of frames but native XDP are behind that.
    pub(super) fn comes_late(&self) -> bool {
        match self.settings.director.mode {
            WantedMode::Generic | WantedMode::Packet => true,
            WantedMode::Auto => self.arms.iter().any(Arm::lacks_native),
            WantedMode::Native => false,
        }
    }

    /// Its real servers with their services.
    pub(super) fn real_servers(&self) -> impl Iterator<Item = (&Service, &RealServer)> {
        let services = self.settings.config.services().iter();
        services.flat_map(|service| service.real_servers.iter().map(move |it| (service, it)))
    }

    /// The real servers that are masqueraded.
    pub(super) fn masquerades(&self) -> impl Iterator<Item = &RealServer> {
        let real_servers = self.real_servers().map(|(_, real_server)| real_server);
        real_servers.filter(|it| it.forwarding == ForwardingMethod::Masquerade)
    }
}

/// The addresses that clients ask for what this service serves; those of a
/// mark are as many as rules name.
pub(super) fn vips_of(config: &Config, service: &Service) -> BTreeSet<IpAddr> {
    match service.key {
        ServiceKey::Address { address, .. } => [address.ip()].into(),
        ServiceKey::Mark { mark, family } => {
            let rules = config.classifier().rules.iter();
            let marking = rules.filter(|rule| rule.mark == Some(mark));
            let addresses = marking.filter_map(MarkRule::address);
            addresses
                .filter(|address| lvs_core::Family::of(*address) == family)
                .collect()
        }
    }
}

/// The addresses that clients ask.
pub(super) fn vips(config: &Config) -> BTreeSet<IpAddr> {
    let services = config.services().iter();
    services
        .flat_map(|service| vips_of(config, service))
        .collect()
}

/// A sysctl and its value, as people type them. A dot in a link's name is a
/// slash there.
pub(super) fn sysctl(link: &str, name: &str, value: u8) -> String {
    let link = link.replace('.', "/");
    format!("sysctl -w net.ipv4.conf.{link}.{name}={value}")
}

/// Longest wait for neighbours to be found.
const PATIENCE: Duration = Duration::from_millis(1500);
