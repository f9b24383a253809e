//! A real server, looked at from inside: is it set up for the forwarding method
//! by which the director reaches it?

mod address;
mod arp;
mod listeners;
mod route;
mod tunnel;
mod vip;

use std::collections::BTreeSet;
use std::net::IpAddr;

use lvs_core::{ForwardingMethod, RealServer, Service};
use lvs_io::netlink::Link;

use super::case::vips_of;
use super::host::Host;
use super::report::Check;
use crate::config::Settings;

/// Everything a check of a real server may look at.
#[derive(Clone, Debug)]
pub(super) struct Visit<'v> {
    settings: &'v Settings,
    /// Its address (RIP).
    address: IpAddr,
    /// Its own host.
    server: &'v Host,
    /// The director's, if that can be seen.
    director: Option<&'v Host>,
}

impl<'v> Visit<'v> {
    pub(super) const fn new(
        settings: &'v Settings,
        address: IpAddr,
        server: &'v Host,
        director: Option<&'v Host>,
    ) -> Self {
        Self {
            settings,
            address,
            server,
            director,
        }
    }

    /// The services it is a real server of, and how.
    fn services(&self) -> impl Iterator<Item = (&'v Service, &'v RealServer)> {
        let address = self.address;
        let services = self.settings.config.services().iter();
        services.flat_map(move |service| {
            let real_servers = service.real_servers.iter();
            let own = real_servers.filter(move |it| it.address == address);
            own.map(move |it| (service, it))
        })
    }

    /// The VIPs of services it is a real server of by a method that fits.
    fn vips(&self, fits: impl Fn(ForwardingMethod) -> bool) -> BTreeSet<IpAddr> {
        self.services()
            .filter(|(_, real_server)| fits(real_server.forwarding))
            .flat_map(|(service, _)| vips_of(&self.settings.config, service))
            .collect()
    }

    /// Its links on which others may ask who has an address.
    fn asked_links(&self) -> impl Iterator<Item = &'v Link> {
        let links = self.server.view.links();
        links.filter(|link| link.up && link.asks_neighbours)
    }
}

/// In the order in which a packet meets what they look at.
pub(super) const CHECKS: [fn(&Visit<'_>) -> Check; 6] = [
    address::check,
    arp::check,
    tunnel::check,
    vip::check,
    listeners::check,
    route::check,
];

const fn takes_the_vip(method: ForwardingMethod) -> bool {
    !matches!(method, ForwardingMethod::Masquerade)
}

const fn is_direct(method: ForwardingMethod) -> bool {
    matches!(method, ForwardingMethod::DirectRoute)
}

const fn is_masqueraded(method: ForwardingMethod) -> bool {
    matches!(method, ForwardingMethod::Masquerade)
}
