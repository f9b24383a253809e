//! The recorded director as `ipvsadm` sees it: the operator's table changes it,
//! and what it lists is what the shard has.

use std::net::SocketAddr;

use lvs::control::Counted;
use lvs::ipvsadm::{self, Control, Daemon, DaemonRole, KernelError, ServiceRequest};
use lvs_core::{Connection, RealServer, RealServerId, Service, ServiceKey, Timeouts, Traffic};

use crate::counters::passed;
use crate::director::Director;
use crate::listing::TimeLeft;

impl Director<'_> {
    /// What passed at all services, and what passes in a second.
    pub(crate) fn total(&self) -> (Traffic, Traffic) {
        let all = self.counters.shown(Counted::All);
        (all.traffic(), all.rates())
    }

    /// What has passed by now.
    pub(crate) fn counted(&self) -> Traffic {
        self.counters.total(&self.shard)
    }

    /// Has the shard work by what was changed.
    fn put_in_force(&mut self) -> Result<(), KernelError> {
        self.publish().map_err(|_| KernelError::NoMemory)
    }

    /// The number of a real server.
    fn number(&self, key: ServiceKey, at: SocketAddr) -> Option<RealServerId> {
        let mut all = self.shard.snapshot().real_servers();
        all.find(|(of, address, port, _)| (*of, *address, *port) == (key, at.ip(), at.port()))
            .map(|(.., id)| id)
    }

    fn listed_service(&self, service: &Service) -> ipvsadm::Service {
        let key = service.key;
        let shown = self.counters.shown(Counted::Service(key));
        let newest_first = service.real_servers.iter().rev();
        ipvsadm::Service {
            key,
            scheduler: service.scheduler.name().to_owned(),
            flags: service.flags,
            one_packet: service.one_packet,
            persistence: service.persistence,
            engine: self.engines.get(&key).cloned(),
            traffic: shown.traffic(),
            rates: shown.rates(),
            real_servers: newest_first.map(|it| self.listed(key, it)).collect(),
        }
    }

    fn listed(&self, key: ServiceKey, real_server: &RealServer) -> ipvsadm::RealServer {
        let at = SocketAddr::new(real_server.address, real_server.port_in(&key));
        let id = self.number(key, at);
        let (active, inactive) = id.map_or((0, 0), |id| self.loads().connections(id));
        let shown = self.counters.shown(Counted::RealServer(key, at));
        ipvsadm::RealServer {
            address: SocketAddr::new(real_server.address, real_server.port),
            forwarding: real_server.forwarding,
            weight: real_server.share().get(),
            thresholds: real_server.thresholds,
            active,
            inactive,
            persistent: id.map_or(0, |id| self.loads().templates(id)),
            traffic: shown.traffic(),
            rates: shown.rates(),
        }
    }

    /// A connection as it is listed, unless it may have ended by now.
    fn listed_connection(&self, connection: &Connection) -> Option<ipvsadm::Connection> {
        let remaining = match self.shown {
            TimeLeft::Most => connection.remaining + self.slack,
            TimeLeft::Least => connection.remaining.checked_sub(self.slack)?,
        };
        Some(ipvsadm::Connection::from(&Connection {
            remaining,
            ..*connection
        }))
    }
}

impl Control for Director<'_> {
    fn add_service(&mut self, mut service: ServiceRequest) -> Result<(), KernelError> {
        let (key, engine) = (service.key, service.engine.take_if(|name| name == "sip"));
        self.table.add_service(&service)?;
        self.engines.extend(engine.map(|name| (key, name)));
        self.put_in_force()
    }

    fn edit_service(&mut self, mut service: ServiceRequest) -> Result<(), KernelError> {
        let (key, engine) = (service.key, service.engine.take_if(|name| name == "sip"));
        self.table.edit_service(&service)?;
        self.engines.remove(&key);
        self.engines.extend(engine.map(|name| (key, name)));
        self.put_in_force()
    }

    fn delete_service(&mut self, key: ServiceKey) -> Result<(), KernelError> {
        self.table.delete_service(key)?;
        self.engines.remove(&key);
        self.counters.forget(&[key], &self.shard);
        self.put_in_force()
    }

    fn flush(&mut self) -> Result<(), KernelError> {
        let services = self.table.draft().services.iter();
        let services: Vec<_> = services.map(|service| service.key).collect();
        self.counters.forget(&services, &self.shard);
        self.table.flush();
        self.engines.clear();
        self.put_in_force()
    }

    fn zero(&mut self, key: Option<ServiceKey>) -> Result<(), KernelError> {
        let mut services = self.table.draft().services.iter();
        if key.is_some_and(|key| !services.any(|service| service.key == key)) {
            return Err(KernelError::NoSuch);
        }
        self.counters.zero(key);
        Ok(())
    }

    fn add_server(&mut self, key: ServiceKey, real_server: RealServer) -> Result<(), KernelError> {
        let at = SocketAddr::new(real_server.address, real_server.port_in(&key));
        let network = self.network.clone();
        self.table.add_server(key, real_server, &network)?;
        self.put_in_force()?;
        if let Some(id) = self.number(key, at) {
            let before = passed(&self.shard, id);
            self.counters.begin(key, at, before);
        }
        Ok(())
    }

    fn edit_server(&mut self, key: ServiceKey, real_server: RealServer) -> Result<(), KernelError> {
        self.table.edit_server(key, real_server)?;
        self.put_in_force()
    }

    fn delete_server(&mut self, key: ServiceKey, at: SocketAddr) -> Result<(), KernelError> {
        self.table.delete_server(key, at)?;
        if let Some(id) = self.number(key, at) {
            let so_far = passed(&self.shard, id);
            self.counters.keep(key, &so_far);
        }
        self.put_in_force()
    }

    fn set_timeouts(&mut self, seconds: [u32; 3]) -> Result<(), KernelError> {
        self.table.set_timeouts(seconds);
        self.put_in_force()
    }

    fn start_daemon(&mut self, daemon: Daemon) -> Result<(), KernelError> {
        let carries = self.mtu(&daemon.interface);
        self.table.start_daemon(daemon, carries)?;
        self.put_in_force()
    }

    fn stop_daemon(&mut self, role: DaemonRole) -> Result<(), KernelError> {
        self.table.stop_daemon(role)?;
        self.put_in_force()
    }

    fn services(&self) -> Vec<ipvsadm::Service> {
        let services = self.table.draft().services.iter();
        services.map(|it| self.listed_service(it)).collect()
    }

    fn connections(&self) -> Vec<ipvsadm::Connection> {
        let connections = self.shard.list(self.now);
        connections
            .filter_map(|it| self.listed_connection(&it))
            .collect()
    }

    fn timeouts(&self) -> Timeouts {
        self.table.draft().timeouts
    }

    fn daemons(&self) -> Vec<Daemon> {
        self.table.daemons().iter().cloned().collect()
    }

    fn table_size(&self) -> u32 {
        4096
    }
}
