//! The control side: configurations and the host's changes, into snapshots for
//! all workers.

use std::net::IpAddr;
use std::sync::Arc;

use lvs_core::network::Resolution;
use lvs_core::{Config, ForwardingMethod, Limits, Network, Planner, Snapshot};
use lvs_io::Nic;
use lvs_io::netlink::Mirror;
use lvs_io::program::{End, Steer, Steering};

use super::doorbell::Doorbell;
use super::error::DirectorError;
use super::mailbox::Publisher;
use super::surroundings;

/// Where the network comes from.
pub(super) enum Surroundings {
    /// Followed through netlink.
    Host(Box<Mirror>),
    /// Given once.
    Fixed(Arc<Network>),
}

/// Everything that is changed rarely, by one at a time.
pub(super) struct Control {
    pub(super) planner: Planner,
    pub(super) surroundings: Surroundings,
    pub(super) steering: Option<Steering>,
    pub(super) nics: Vec<Nic>,
    pub(super) workers: Vec<(Publisher, Arc<Doorbell>)>,
    pub(super) config: Arc<Config>,
    pub(super) network: Arc<Network>,
    /// In force now.
    pub(super) snapshot: Arc<Snapshot>,
}

impl Control {
    /// A control side without workers yet, and the snapshot to start them with.
    pub(super) fn new(
        limits: Limits,
        surroundings: Surroundings,
        steering: Option<Steering>,
        nics: Vec<Nic>,
        config: &Arc<Config>,
    ) -> Result<Self, DirectorError> {
        let mut planner = Planner::new(limits);
        let network = match &surroundings {
            Surroundings::Host(mirror) => Arc::new(surroundings::network(&nics, mirror.view())),
            Surroundings::Fixed(network) => network.clone(),
        };
        let snapshot = planner.plan(config, &network)?;
        let mut control = Self {
            planner,
            surroundings,
            steering,
            nics,
            workers: Vec::new(),
            config: config.clone(),
            network,
            snapshot,
        };
        control.keep_warm()?;
        Ok(control)
    }

    /// Carries out another configuration.
    ///
    /// Room for the traffic of new services is made first, as only that can be
    /// refused; that of removed ones is turned away last. Until the workers
    /// know a new service its packets go back to the host, as they did before.
    ///
    /// *Errors:* as said, with the configuration before still in force; but for
    /// [`DirectorError::WorkerStuck`].
    pub(super) fn apply(&mut self, config: &Arc<Config>) -> Result<(), DirectorError> {
        let (old, new) = (steers(&self.config), steers(config));
        self.steer(&[old.as_slice(), &new].concat())?;
        let snapshot = match self.planner.plan(config, &self.network) {
            Ok(snapshot) => snapshot,
            Err(error) => {
                self.steer(&old)?;
                return Err(error.into());
            }
        };
        self.config = config.clone();
        self.publish(snapshot)?;
        self.steer(&new)?;
        self.keep_warm()
    }

    /// Lets the traffic of the configuration in force come.
    pub(super) fn open(&mut self) -> Result<(), DirectorError> {
        self.steer(&steers(&self.config.clone()))
    }

    /// Lets no more traffic come.
    pub(super) fn close(&mut self) -> Result<(), DirectorError> {
        self.steer(&[])
    }

    /// Takes in what has changed around the director; whether anything that
    /// concerns it did.
    pub(super) fn follow(&mut self) -> Result<bool, DirectorError> {
        for (publisher, _) in &mut self.workers {
            publisher.collect();
        }
        let Surroundings::Host(mirror) = &mut self.surroundings else {
            return Ok(false);
        };
        if !mirror.poll()? {
            return Ok(false);
        }
        let network = surroundings::network(&self.nics, mirror.view());
        if network == *self.network {
            return Ok(false);
        }
        self.network = Arc::new(network);
        let snapshot = self.planner.plan(&self.config, &self.network)?;
        self.publish(snapshot)?;
        self.keep_warm()?;
        Ok(true)
    }

    /// Whether every real server can be sent to, as far as that is only a
    /// question of waiting.
    pub(super) fn is_resolved(&self) -> bool {
        self.snapshot
            .unreachable()
            .all(|(_, way)| way != Resolution::Unresolved)
    }

    /// Whether all workers work by the snapshot in force.
    pub(super) fn is_adopted(&self) -> bool {
        self.workers
            .iter()
            .all(|(publisher, _)| publisher.is_adopted())
    }

    fn publish(&mut self, snapshot: Arc<Snapshot>) -> Result<(), DirectorError> {
        for (number, (publisher, bell)) in self.workers.iter_mut().enumerate() {
            if !publisher.publish(&snapshot) {
                return Err(DirectorError::WorkerStuck(number));
            }
            bell.ring();
        }
        self.snapshot = snapshot;
        Ok(())
    }

    fn steer(&mut self, steers: &[Steer]) -> Result<(), DirectorError> {
        if let Some(steering) = &mut self.steering {
            steering.update(steers)?;
        }
        Ok(())
    }

    fn keep_warm(&mut self) -> Result<(), DirectorError> {
        if let Surroundings::Host(mirror) = &mut self.surroundings {
            let wanted = surroundings::wanted_neighbours(&self.nics, mirror.view(), &self.config);
            mirror.keep_warm(&wanted)?;
        }
        Ok(())
    }
}

/// What of the host's traffic belongs to a director that carries out `config`.
fn steers(config: &Config) -> Vec<Steer> {
    let mut steers = Vec::new();
    let steer = |protocol: u8, address: IpAddr, port: u16, end: End| Steer {
        protocol,
        address,
        port: Some(port),
        end,
    };
    for service in config.services() {
        let (protocol, address) = (service.protocol.number(), service.address);
        steers.push(steer(
            protocol,
            address.ip(),
            address.port(),
            End::Destination,
        ));
        for real_server in &service.real_servers {
            if matches!(real_server.forwarding, ForwardingMethod::Masquerade { .. }) {
                let port = real_server.port(address.port());
                steers.push(steer(protocol, real_server.address, port, End::Source));
            }
        }
    }
    steers.sort_unstable();
    steers.dedup();
    steers
}
