//! An operator's hands on a running director: [`Operator`].

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lvs_core::{Config, Draft, RealServer, Service, ServiceKey, Setting, Timeouts};
use lvs_io::Nic;

use super::accounts::{Accounts, Change, Passed};
use super::stretches::stretches;
use super::worker_loads::WorkerLoads;
use super::{Counted, Estimator, Table};
use crate::director::{self, Director, DirectorError, RealServerStats};
use crate::ipvsadm::{
    self, Connection, ConnectionPage, Control, Cursor, Daemon, DaemonRole, KernelError, Operation,
    ServiceRequest,
};

/// A running director, as an operator changes and lists it.
///
/// It is the only one that changes the director's configuration: what others
/// [`apply`](Director::apply) besides is replaced with the next operation.
///
/// *Cost:* operations that come together are put in force together, so that many
/// cost little more than one; workers notice a single change.
pub struct Operator {
    director: Arc<Director>,
    table: Table,
    accounts: Accounts,
    began: Instant,
    worker_loads: WorkerLoads,
}

impl Operator {
    /// Takes a director in hand, with the configuration it has.
    #[must_use]
    pub fn new(director: Arc<Director>) -> Self {
        let table = Table::new(director.config().draft().clone());
        Self {
            director,
            table,
            accounts: Accounts::default(),
            began: Instant::now(),
            worker_loads: WorkerLoads::default(),
        }
    }

    /// The director.
    #[must_use]
    pub const fn director(&self) -> &Arc<Director> {
        &self.director
    }

    /// The configuration as it is now.
    #[must_use]
    pub const fn table(&self) -> &Table {
        &self.table
    }

    /// Looks at the counters; to be called every [`PERIOD`](super::PERIOD).
    pub fn tick(&mut self) {
        let stats = self.director.stats();
        let worked = stats.per_worker_latency.iter();
        let worked = worked.map(|latency| latency.turn.sum());
        self.worker_loads.look(Instant::now(), worked);
        let settings = &self.table.draft().settings;
        if settings.is_on(Setting::RunEstimation) {
            self.accounts.tick(passed(stats.real_servers));
        }
    }

    /// How long it has had the director in hand.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.began.elapsed()
    }

    /// The part of its time that each worker had work, from 0 to 1, between the
    /// last two looks at the counters; none before the second.
    #[must_use]
    pub fn worker_loads(&self) -> &[f64] {
        self.worker_loads.loads()
    }

    /// What has passed at all services there are and were, and passes, as of the
    /// last look at the counters.
    #[must_use]
    pub fn total(&self) -> Estimator {
        self.accounts.shown(Counted::All)
    }

    /// Has the director work by another configuration. Daemons stay.
    ///
    /// # Errors
    ///
    /// The director refuses it; the running one stays in force.
    pub fn replace(&mut self, draft: Draft) -> Result<(), DirectorError> {
        let mut table = self.table.clone();
        table.replace(draft);
        let config = Config::checked(table.draft().clone())?;
        self.apply(config)?;
        self.table = table;
        Ok(())
    }

    /// Has the director work by another configuration, and the accounts go on.
    fn apply(&mut self, config: Arc<Config>) -> Result<(), DirectorError> {
        let change = Change::between(&self.director.config(), &config);
        let before = self.director.snapshot();
        self.director.apply(config)?;
        if change.takes_away() {
            // Nothing passes there any more.
            let all = self.director.real_servers(&before);
            self.accounts.take_away(&change, passed(all));
        }
        if change.brings() {
            let all = self.director.stats().real_servers;
            self.accounts.bring(&change, &passed(all));
        }
        Ok(())
    }

    /// Carries out operations of which none undoes another.
    fn together(&mut self, operations: Vec<Operation>) -> Vec<Result<(), KernelError>> {
        let before = self.table.clone();
        let done: Vec<_> = operations
            .iter()
            .map(|operation| self.change(operation.clone()))
            .collect();
        let Err(error) = self.put_in_force() else {
            return done;
        };
        // The director cannot have all of them. Which of them it can have shows
        // one by one.
        self.table = before;
        match operations.len() {
            0 | 1 => vec![Err(error)],
            _ => {
                let each = operations.into_iter();
                each.flat_map(|operation| self.together(vec![operation]))
                    .collect()
            }
        }
    }

    /// Changes the table.
    fn change(&mut self, operation: Operation) -> Result<(), KernelError> {
        use Operation as O;
        match operation {
            O::AddService(service) => self.table.add_service(&service),
            O::EditService(service) => self.table.edit_service(&service),
            O::DeleteService(key) => self.table.delete_service(key),
            O::Flush => {
                self.table.flush();
                Ok(())
            }
            O::Zero(key) => {
                if key.is_some_and(|key| !self.table.has(key)) {
                    return Err(KernelError::NoSuch);
                }
                self.accounts.zero(key);
                Ok(())
            }
            O::AddServer(key, real_server) => {
                let network = self.director.network();
                self.table.add_server(key, real_server, &network)
            }
            O::EditServer(key, real_server) => self.table.edit_server(key, real_server),
            O::DeleteServer(key, at) => self.table.delete_server(key, at),
            O::SetTimeouts(seconds) => {
                self.table.set_timeouts(seconds);
                Ok(())
            }
            O::StartDaemon(daemon) => {
                let carries = self.carries(&daemon.interface);
                self.table.start_daemon(daemon, carries)
            }
            O::StopDaemon(role) => self.table.stop_daemon(role),
        }
    }

    /// Has the director work by the table.
    fn put_in_force(&mut self) -> Result<(), KernelError> {
        let draft = self.table.draft();
        if draft == self.director.config().draft() {
            return Ok(());
        }
        let refused = |error: &dyn std::error::Error| {
            let event = "change_refused";
            tracing::warn!(event, "an operator's change is refused: {error}");
        };
        let config = Config::checked(draft.clone()).map_err(|error| {
            refused(&error);
            KernelError::Invalid
        })?;
        let services = config.services().len();
        self.apply(config).map_err(|error| {
            refused(&error);
            KernelError::NoMemory
        })?;
        tracing::info!(
            event = "changed",
            services,
            "an operator's change is in force, services: {services}"
        );
        Ok(())
    }

    /// How many bytes a packet may have on an interface, if there is such a one.
    fn carries(&self, interface: &str) -> Option<u32> {
        let mut nics = self.director.nics().into_iter();
        let nic = nics.find(|nic| nic.name == interface);
        nic.or_else(|| Nic::named(interface).ok())
            .map(|nic| nic.mtu)
    }

    /// A single operation.
    fn one(&mut self, operation: Operation) -> Result<(), KernelError> {
        self.operate(vec![operation]).pop().unwrap_or(Ok(()))
    }

    fn listed_service(&self, service: &Service, loads: &Loads) -> ipvsadm::Service {
        let key = service.key;
        let shown = self.accounts.shown(Counted::Service(key));
        let newest_first = service.real_servers.iter().rev();
        ipvsadm::Service {
            key,
            scheduler: service.scheduler.name().to_owned(),
            flags: service.flags,
            one_packet: service.one_packet,
            persistence: service.persistence,
            engine: None,
            traffic: shown.traffic(),
            rates: shown.rates(),
            real_servers: newest_first.map(|it| self.listed(key, it, loads)).collect(),
        }
    }

    fn listed(
        &self,
        key: ServiceKey,
        real_server: &RealServer,
        loads: &Loads,
    ) -> ipvsadm::RealServer {
        let at = SocketAddr::new(real_server.address, real_server.port_in(&key));
        let load = loads.get(&(key, at));
        let shown = self.accounts.shown(Counted::RealServer(key, at));
        ipvsadm::RealServer {
            address: SocketAddr::new(real_server.address, real_server.port),
            forwarding: real_server.forwarding,
            weight: real_server.share().get(),
            thresholds: real_server.thresholds,
            active: load.map_or(0, |load| load.active),
            inactive: load.map_or(0, |load| load.inactive),
            persistent: load.map_or(0, |load| load.persistent),
            traffic: shown.traffic(),
            rates: shown.rates(),
        }
    }
}

/// What has passed at each real server.
fn passed(all: Vec<RealServerStats>) -> Passed {
    let each = all.into_iter();
    each.map(|it| ((it.service, it.address), it.traffic))
        .collect()
}

/// What each real server has to do at the moment.
type Loads = HashMap<(ServiceKey, SocketAddr), RealServerStats>;

impl Control for Operator {
    fn add_service(&mut self, service: ServiceRequest) -> Result<(), KernelError> {
        self.one(Operation::AddService(service))
    }

    fn edit_service(&mut self, service: ServiceRequest) -> Result<(), KernelError> {
        self.one(Operation::EditService(service))
    }

    fn delete_service(&mut self, key: ServiceKey) -> Result<(), KernelError> {
        self.one(Operation::DeleteService(key))
    }

    fn flush(&mut self) -> Result<(), KernelError> {
        self.one(Operation::Flush)
    }

    fn zero(&mut self, key: Option<ServiceKey>) -> Result<(), KernelError> {
        self.one(Operation::Zero(key))
    }

    fn add_server(&mut self, key: ServiceKey, real_server: RealServer) -> Result<(), KernelError> {
        self.one(Operation::AddServer(key, real_server))
    }

    fn edit_server(&mut self, key: ServiceKey, real_server: RealServer) -> Result<(), KernelError> {
        self.one(Operation::EditServer(key, real_server))
    }

    fn delete_server(&mut self, key: ServiceKey, at: SocketAddr) -> Result<(), KernelError> {
        self.one(Operation::DeleteServer(key, at))
    }

    fn set_timeouts(&mut self, seconds: [u32; 3]) -> Result<(), KernelError> {
        self.one(Operation::SetTimeouts(seconds))
    }

    fn start_daemon(&mut self, daemon: Daemon) -> Result<(), KernelError> {
        self.one(Operation::StartDaemon(daemon))
    }

    fn stop_daemon(&mut self, role: DaemonRole) -> Result<(), KernelError> {
        self.one(Operation::StopDaemon(role))
    }

    fn operate(&mut self, operations: Vec<Operation>) -> Vec<Result<(), KernelError>> {
        let mut done = Vec::with_capacity(operations.len());
        for stretch in stretches(operations) {
            done.extend(self.together(stretch));
        }
        done
    }

    fn services(&self) -> Vec<ipvsadm::Service> {
        let real_servers = self.director.stats().real_servers;
        let each = real_servers.into_iter();
        let loads = each.map(|it| ((it.service, it.address), it)).collect();
        let services = self.table.draft().services.iter();
        services.map(|it| self.listed_service(it, &loads)).collect()
    }

    fn connections(&self) -> Vec<Connection> {
        let pages = self.director.connection_pages();
        let read = pages.filter_map(|page| {
            page.inspect_err(|error| {
                tracing::warn!("connections are missing in a listing: {error}")
            })
            .ok()
        });
        let connections = read.flat_map(|page| page.connections);
        connections.map(|it| Connection::from(&it)).collect()
    }

    fn connection_page(&self, from: Cursor) -> ConnectionPage {
        let Cursor { worker, place } = from;
        let page = self.director.connections(worker, place);
        let page = page.unwrap_or_else(|error| {
            tracing::warn!("connections are missing in a listing: {error}");
            director::ConnectionPage::default()
        });
        let on = |place| Cursor { worker, place };
        let after = Cursor {
            worker: worker.saturating_add(1),
            place: 0,
        };
        let is_last = after.worker >= self.director.workers();
        ConnectionPage {
            connections: page.connections.iter().map(Connection::from).collect(),
            next: page.next.map(on).or((!is_last).then_some(after)),
        }
    }

    fn timeouts(&self) -> Timeouts {
        self.table.draft().timeouts
    }

    fn daemons(&self) -> Vec<Daemon> {
        self.table.daemons().iter().cloned().collect()
    }

    fn table_size(&self) -> u32 {
        u32::try_from(self.director.capacity()).unwrap_or(u32::MAX)
    }
}
