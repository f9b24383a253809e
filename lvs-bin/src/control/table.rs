//! The operator's operations on a configuration, each with exactly the errors
//! the kernel has for it. What is refused has changed nothing.
//!
//! *Source:* the behaviour of `ip_vs_ctl.c`, Linux 6.12, through netlink.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use lvs_core::network::Resolution;
use lvs_core::{
    Draft, Family, ForwardingMethod, Network, RealServer, Scheduler, Service, ServiceKey,
};

use super::Daemons;
use crate::ipvsadm::{Daemon, DaemonRole, KernelError, ServiceRequest};

/// A configuration under an operator's hands.
///
/// *Cost:* an operation takes as long as its service has real servers, but for the
/// removal of a service, which takes as long as there are services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    draft: Draft,
    daemons: Daemons,
    /// The place of each service.
    places: HashMap<ServiceKey, usize>,
}

impl Table {
    /// Begins with a configuration. Masqueraded real servers without a port get
    /// their service's, so that port 0 is only ever what an operator said.
    #[must_use]
    pub fn new(draft: Draft) -> Self {
        let mut table = Self {
            draft: with_ports(draft),
            ..Self::default()
        };
        table.place_from(0);
        table
    }

    /// Goes on with another configuration, as [`new`](Self::new) begins with it;
    /// daemons stay, and so does the count of edits of what is in both.
    pub fn replace(&mut self, draft: Draft) {
        let before = std::mem::replace(&mut self.draft, with_ports(draft));
        let edits = before.services.iter().map(|it| (it.key, it.edits));
        let edits: HashMap<_, _> = edits.collect();
        for service in &mut self.draft.services {
            service.edits = edits.get(&service.key).copied().unwrap_or_default();
        }
        self.draft.is_backup = before.is_backup;
        self.places.clear();
        self.place_from(0);
    }

    /// What the operations so far come to.
    #[must_use]
    pub const fn draft(&self) -> &Draft {
        &self.draft
    }

    /// The same, for settings that are no operation of this table.
    pub const fn draft_mut(&mut self) -> &mut Draft {
        &mut self.draft
    }

    /// The daemons wanted.
    #[must_use]
    pub const fn daemons(&self) -> &Daemons {
        &self.daemons
    }

    /// Adds a service.
    ///
    /// *Errors:* [`Exists`](KernelError::Exists);
    /// [`NotFound`](KernelError::NotFound) for its scheduler or engine;
    /// [`Invalid`](KernelError::Invalid) for what a director cannot serve.
    pub fn add_service(&mut self, asked: &ServiceRequest) -> Result<(), KernelError> {
        if self.position(asked.key).is_some() {
            return Err(KernelError::Exists);
        }
        let service = service(asked)?;
        service.check().map_err(|_| KernelError::Invalid)?;
        self.places.insert(service.key, self.draft.services.len());
        self.draft.services.push(service);
        Ok(())
    }

    /// Replaces the settings of a service.
    ///
    /// *Errors:* [`NoSuch`](KernelError::NoSuch) service; else as for
    /// [`add_service`](Self::add_service).
    pub fn edit_service(&mut self, asked: &ServiceRequest) -> Result<(), KernelError> {
        let place = self.position(asked.key).ok_or(KernelError::NoSuch)?;
        let edited = service(asked)?;
        self.change(place, |service| {
            let real_servers = std::mem::take(&mut service.real_servers);
            *service = Service {
                real_servers,
                settings: service.settings,
                edits: service.edits,
                ..edited
            };
        })
    }

    /// Removes a service.
    ///
    /// *Errors:* [`NoSuch`](KernelError::NoSuch) service.
    pub fn delete_service(&mut self, key: ServiceKey) -> Result<(), KernelError> {
        let place = self.position(key).ok_or(KernelError::NoSuch)?;
        self.draft.services.remove(place);
        self.places.remove(&key);
        self.place_from(place);
        Ok(())
    }

    /// Removes every service.
    pub fn flush(&mut self) {
        self.draft.services.clear();
        self.places.clear();
    }

    /// Adds a real server.
    ///
    /// *Errors:* [`NoSuch`](KernelError::NoSuch) service;
    /// [`OutOfRange`](KernelError::OutOfRange) for its thresholds or weight;
    /// [`Exists`](KernelError::Exists); [`Invalid`](KernelError::Invalid) for an
    /// address that is not one host's by `network`, or not of the service's
    /// family where it must be.
    pub fn add_server(
        &mut self,
        key: ServiceKey,
        real_server: RealServer,
        network: &Network,
    ) -> Result<(), KernelError> {
        let place = self.position(key).ok_or(KernelError::NoSuch)?;
        self.allow_family(key, &real_server)?;
        allow_numbers(&real_server)?;
        if self.server(place, end(&real_server)).is_some() {
            return Err(KernelError::Exists);
        }
        allow_address(real_server.address, network)?;
        self.change(place, |service| service.real_servers.push(real_server))
    }

    /// Replaces the settings of a real server.
    ///
    /// *Errors:* [`NoSuch`](KernelError::NoSuch) service;
    /// [`OutOfRange`](KernelError::OutOfRange);
    /// [`NotFound`](KernelError::NotFound).
    pub fn edit_server(
        &mut self,
        key: ServiceKey,
        real_server: RealServer,
    ) -> Result<(), KernelError> {
        let place = self.position(key).ok_or(KernelError::NoSuch)?;
        self.allow_family(key, &real_server)?;
        allow_numbers(&real_server)?;
        let at = self.server(place, end(&real_server));
        let at = at.ok_or(KernelError::NotFound)?;
        self.change(place, |service| {
            service.real_servers[at] = real_server;
            service.edits = service.edits.wrapping_add(1);
        })
    }

    /// Removes a real server.
    ///
    /// *Errors:* [`NoSuch`](KernelError::NoSuch) service;
    /// [`NotFound`](KernelError::NotFound).
    pub fn delete_server(&mut self, key: ServiceKey, at: SocketAddr) -> Result<(), KernelError> {
        let place = self.position(key).ok_or(KernelError::NoSuch)?;
        let at = self.server(place, at).ok_or(KernelError::NotFound)?;
        self.draft.services[place].real_servers.remove(at);
        Ok(())
    }

    /// Sets the timeouts of TCP, TCP after FIN and UDP, in seconds; 0 leaves one
    /// as it is.
    pub fn set_timeouts(&mut self, seconds: [u32; 3]) {
        let timeouts = &mut self.draft.timeouts;
        let kept = [&mut timeouts.tcp, &mut timeouts.tcp_fin, &mut timeouts.udp];
        for (timeout, seconds) in kept.into_iter().zip(seconds) {
            if seconds > 0 {
                *timeout = Duration::from_secs(seconds.into());
            }
        }
    }

    /// Starts a daemon; `carries` is how many bytes a packet may have on its
    /// interface, `None` if there is no such interface.
    ///
    /// *Errors:* [`NoDevice`](KernelError::NoDevice);
    /// [`Exists`](KernelError::Exists);
    /// [`Invalid`](KernelError::Invalid) while a real server is not of its
    /// service's family, whose connections no message can tell.
    pub fn start_daemon(
        &mut self,
        mut daemon: Daemon,
        carries: Option<u32>,
    ) -> Result<(), KernelError> {
        let mixed = self.draft.services.iter().any(|service| {
            let family = service.key.family();
            let mut real_servers = service.real_servers.iter();
            real_servers.any(|real_server| Family::of(real_server.address) != family)
        });
        if mixed {
            return Err(KernelError::Invalid);
        }
        let carries = carries.ok_or(KernelError::NoDevice)?;
        if daemon.max_length == 0 {
            let headers = match Family::of(daemon.group) {
                Family::V4 => 20 + 8,
                Family::V6 => 40 + 8,
            };
            let length = carries.saturating_sub(headers);
            daemon.max_length = u16::try_from(length).unwrap_or(u16::MAX);
        }
        self.daemons.start(daemon)?;
        self.draft.is_backup = self.daemons.is_backup();
        Ok(())
    }

    /// Stops a daemon.
    ///
    /// *Errors:* [`NoSuch`](KernelError::NoSuch) daemon.
    pub fn stop_daemon(&mut self, role: DaemonRole) -> Result<(), KernelError> {
        self.daemons.stop(role)?;
        self.draft.is_backup = self.daemons.is_backup();
        Ok(())
    }

    /// Whether there is such a service.
    #[must_use]
    pub fn has(&self, key: ServiceKey) -> bool {
        self.places.contains_key(&key)
    }

    fn position(&self, key: ServiceKey) -> Option<usize> {
        self.places.get(&key).copied()
    }

    /// Notes the places of services from one on.
    fn place_from(&mut self, first: usize) {
        let moved = self.draft.services.iter().enumerate().skip(first);
        self.places.extend(moved.map(|(place, it)| (it.key, place)));
    }

    /// The place of a real server in a service.
    fn server(&self, place: usize, at: SocketAddr) -> Option<usize> {
        let mut real_servers = self.draft.services[place].real_servers.iter();
        real_servers.position(|it| end(it) == at)
    }

    fn allow_family(&self, key: ServiceKey, real_server: &RealServer) -> Result<(), KernelError> {
        let mixed = Family::of(real_server.address) != key.family();
        let tunnels = matches!(real_server.forwarding, ForwardingMethod::Tunnel(_));
        if mixed && (!tunnels || self.daemons.iter().next().is_some()) {
            return Err(KernelError::Invalid);
        }
        Ok(())
    }

    /// Changes a service to one that the director can serve, or not at all.
    fn change(
        &mut self,
        place: usize,
        change: impl FnOnce(&mut Service),
    ) -> Result<(), KernelError> {
        let service = &mut self.draft.services[place];
        let mut changed = service.clone();
        change(&mut changed);
        changed.check().map_err(|_| KernelError::Invalid)?;
        *service = changed;
        Ok(())
    }
}

/// A configuration whose masqueraded real servers have ports.
fn with_ports(mut draft: Draft) -> Draft {
    for service in &mut draft.services {
        let key = service.key;
        for real_server in &mut service.real_servers {
            real_server.port = real_server.port_in(&key);
        }
    }
    draft
}

/// A service as it is asked for.
fn service(asked: &ServiceRequest) -> Result<Service, KernelError> {
    let scheduler = Scheduler::named(&asked.scheduler).ok_or(KernelError::NotFound)?;
    if asked.engine.is_some() {
        return Err(KernelError::NotFound);
    }
    let mut service = Service::keyed(asked.key, scheduler);
    service.flags = asked.flags;
    service.one_packet = asked.one_packet;
    service.persistence = asked.persistence;
    Ok(service)
}

/// Where a real server is, as the operator named it.
const fn end(real_server: &RealServer) -> SocketAddr {
    SocketAddr::new(real_server.address, real_server.port)
}

fn allow_numbers(real_server: &RealServer) -> Result<(), KernelError> {
    let thresholds = real_server.thresholds;
    if thresholds.lower > thresholds.upper {
        return Err(KernelError::OutOfRange);
    }
    Ok(())
}

/// Refuses what is not one host's address.
fn allow_address(address: IpAddr, network: &Network) -> Result<(), KernelError> {
    let unicast = match address {
        IpAddr::V4(v4) => !(v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast()),
        IpAddr::V6(v6) => {
            is_unicast(v6) && !v6.is_unicast_link_local() || is_local(address, network)
        }
    };
    if unicast {
        Ok(())
    } else {
        Err(KernelError::Invalid)
    }
}

/// Whether an IPv6 address is one host's: an IPv4 one in it is none.
fn is_unicast(address: Ipv6Addr) -> bool {
    !address.is_unspecified() && !address.is_multicast() && address.to_ipv4_mapped().is_none()
}

fn is_local(address: IpAddr, network: &Network) -> bool {
    matches!(network.resolve(address), Resolution::Local)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lvs_core::{Thresholds, Tunnel};

    fn key(text: &str) -> ServiceKey {
        Service::tcp(text.parse().unwrap(), Scheduler::RoundRobin).key
    }

    fn asked(key: ServiceKey, scheduler: &str) -> ServiceRequest {
        ServiceRequest {
            key,
            scheduler: scheduler.to_owned(),
            flags: Default::default(),
            one_packet: false,
            persistence: None,
            engine: None,
        }
    }

    fn masquerade(text: &str) -> RealServer {
        RealServer::masquerade(text.parse().unwrap())
    }

    /// A table of one service with one real server.
    fn table() -> Table {
        let mut table = Table::default();
        let web = key("192.0.2.1:80");
        table.add_service(&asked(web, "rr")).unwrap();
        let network = Network::default();
        table
            .add_server(web, masquerade("10.0.0.1:80"), &network)
            .unwrap();
        table
    }

    /// The error of an operation, which has changed nothing.
    fn refused(operate: impl FnOnce(&mut Table) -> Result<(), KernelError>) -> KernelError {
        let mut table = table();
        let before = table.clone();
        let error = operate(&mut table).unwrap_err();
        assert_eq!(table, before);
        error
    }

    #[test]
    fn services_are_refused_with_the_kernels_errors() {
        let (web, other) = (key("192.0.2.1:80"), key("192.0.2.1:81"));
        let mut sip = asked(other, "rr");
        sip.engine = Some("sip".into());
        let add = |asked: &ServiceRequest| refused(|table| table.add_service(asked));
        assert_eq!(add(&asked(web, "nosuch")), KernelError::Exists);
        assert_eq!(add(&asked(other, "nosuch")), KernelError::NotFound);
        assert_eq!(add(&sip), KernelError::NotFound);
        let edit = |asked: &ServiceRequest| refused(|table| table.edit_service(asked));
        assert_eq!(edit(&asked(other, "nosuch")), KernelError::NoSuch);
        assert_eq!(edit(&asked(web, "nosuch")), KernelError::NotFound);
        assert_eq!(
            refused(|table| table.delete_service(other)),
            KernelError::NoSuch
        );
    }

    #[test]
    fn real_servers_are_refused_with_the_kernels_errors() {
        let (web, other) = (key("192.0.2.1:80"), key("192.0.2.1:81"));
        let crossed = Thresholds { upper: 0, lower: 1 };
        let add = |key, real_server: RealServer| {
            refused(|table| table.add_server(key, real_server, &Network::default()))
        };
        let there = || masquerade("10.0.0.1:80");
        assert_eq!(add(other, there()), KernelError::NoSuch);
        assert_eq!(add(web, there()), KernelError::Exists);
        assert_eq!(
            add(web, there().thresholds(crossed)),
            KernelError::OutOfRange
        );
        assert_eq!(
            add(web, masquerade("[2001:db8::1]:80")),
            KernelError::Invalid
        );
        let tunnel = |address: &str| {
            let forwarding = ForwardingMethod::Tunnel(Tunnel::Ipip);
            RealServer::new(address.parse().unwrap(), forwarding)
        };
        for no_host in [
            "0.0.0.0:80",
            "224.0.0.1:80",
            "255.255.255.255:80",
            "[ff02::5]:80",
            "[fe80::5]:80",
            "[::]:80",
            "[::ffff:10.0.0.1]:80",
        ] {
            assert_eq!(add(web, tunnel(no_host)), KernelError::Invalid, "{no_host}");
        }
        let edit = |key, real_server| refused(|table| table.edit_server(key, real_server));
        assert_eq!(edit(other, there()), KernelError::NoSuch);
        assert_eq!(edit(web, masquerade("10.0.0.1:81")), KernelError::NotFound);
        let at = "10.0.0.1:81".parse().unwrap();
        assert_eq!(
            refused(|table| table.delete_server(web, at)),
            KernelError::NotFound
        );
    }

    #[test]
    fn an_edit_replaces_everything_but_the_real_servers() {
        let mut table = table();
        let web = key("192.0.2.1:80");
        table.edit_service(&asked(web, "wlc")).unwrap();
        let service = &table.draft().services[0];
        assert_eq!(service.scheduler, Scheduler::WeightedLeastConnection);
        assert_eq!(service.real_servers, [masquerade("10.0.0.1:80")]);
    }

    #[test]
    fn edits_of_real_servers_are_counted_though_nothing_changes() {
        let mut table = table();
        let web = key("192.0.2.1:80");
        for edits in 1..3 {
            table.edit_server(web, masquerade("10.0.0.1:80")).unwrap();
            table.edit_service(&asked(web, "wrr")).unwrap();
            assert_eq!(table.draft().services[0].edits, edits);
        }
    }

    fn daemon(role: DaemonRole) -> Daemon {
        Daemon {
            role,
            interface: "eth0".into(),
            sync_id: 0,
            max_length: 0,
            group: crate::ipvsadm::GROUP,
            port: crate::ipvsadm::MULTICAST_PORT,
            ttl: 1,
        }
    }

    #[test]
    fn a_backup_is_one_until_its_daemon_is_stopped() {
        let mut table = table();
        for (role, is_backup) in [(DaemonRole::Master, false), (DaemonRole::Backup, true)] {
            table.start_daemon(daemon(role), Some(1500)).unwrap();
            assert_eq!(table.draft().is_backup, is_backup, "{role:?}");
        }
        table.stop_daemon(DaemonRole::Backup).unwrap();
        assert!(!table.draft().is_backup);
    }

    #[test]
    fn daemons_and_mixed_families_exclude_each_other() {
        let daemon = || daemon(DaemonRole::Master);
        let mut table = table();
        assert_eq!(
            table.start_daemon(daemon(), None),
            Err(KernelError::NoDevice)
        );
        table.start_daemon(daemon(), Some(1500)).unwrap();
        assert_eq!(table.daemons().iter().next().unwrap().max_length, 1472);
        assert_eq!(
            table.start_daemon(daemon(), Some(1500)),
            Err(KernelError::Exists)
        );
        let other = RealServer::tunnel("2001:db8::1".parse().unwrap());
        let web = key("192.0.2.1:80");
        let add = |table: &mut Table| table.add_server(web, other.clone(), &Network::default());
        assert_eq!(add(&mut table), Err(KernelError::Invalid));
        table.stop_daemon(DaemonRole::Master).unwrap();
        assert_eq!(
            table.stop_daemon(DaemonRole::Master),
            Err(KernelError::NoSuch)
        );
        add(&mut table).unwrap();
        assert_eq!(
            table.start_daemon(daemon(), Some(1500)),
            Err(KernelError::Invalid)
        );
    }
}
