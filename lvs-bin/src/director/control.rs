//! The control side: configurations and the host's changes, into snapshots for
//! all workers.

use std::sync::Arc;

use lvs_core::network::Resolution;
use lvs_core::{Config, Limits, Network, Planner, Snapshot};
use lvs_io::Nic;
use lvs_io::netlink::Mirror;
use lvs_io::program::{Steer, Steering};

use super::doorbell::Doorbell;
use super::error::DirectorError;
use super::mailbox::Publisher;
use super::steers::{steers, unsteered};
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
        control.keep_warm();
        Ok(control)
    }

    /// Carries out another configuration.
    ///
    /// Room for the traffic of new services is made first, as only that can be
    /// refused; that of removed ones is turned away last. Until the workers
    /// know a new service its packets go back to the host, as they did before.
    ///
    /// *Errors:* as said, with the configuration before still in force; but for
    /// [`DirectorError::WorkerStuck`]. What goes wrong once it is in force is
    /// only logged.
    pub(super) fn apply(&mut self, config: &Arc<Config>) -> Result<(), DirectorError> {
        let old = steers(&self.config, &self.snapshot);
        let both = [old.as_slice(), &steers(config, &self.snapshot)].concat();
        self.steer(&both)?;
        let snapshot = match self.planner.plan(config, &self.network) {
            Ok(snapshot) => snapshot,
            Err(error) => {
                self.steer(&old)?;
                return Err(error.into());
            }
        };
        self.config = config.clone();
        self.publish(snapshot)?;
        if let Err(error) = self.steer(&steers(&self.config, &self.snapshot)) {
            tracing::warn!("traffic of removed services comes until the next change: {error}");
        }
        self.warn_of_unsteered();
        self.keep_warm();
        Ok(())
    }

    /// Lets the traffic of the configuration in force come.
    pub(super) fn open(&mut self) -> Result<(), DirectorError> {
        self.warn_of_unsteered();
        self.steer(&steers(&self.config, &self.snapshot))
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
        self.keep_warm();
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

    /// Tells of services on marks that the steering program cannot know in full.
    fn warn_of_unsteered(&self) {
        if self.steering.is_some() {
            for service in unsteered(&self.config) {
                tracing::warn!(
                    "service {service}: a rule that marks its packets names no single \
                     destination: those packets stay the host's in AF_XDP mode"
                );
            }
        }
    }

    /// Asks the kernel to keep the neighbours resolved. It goes on without: what
    /// passes keeps them so, but after a pause the first packets are dropped.
    fn keep_warm(&mut self) {
        if let Surroundings::Host(mirror) = &mut self.surroundings {
            let wanted = surroundings::wanted_neighbours(&self.nics, mirror.view(), &self.config);
            if let Err(error) = mirror.keep_warm(&wanted) {
                tracing::warn!("neighbours are not kept resolved: {error}");
            }
        }
    }
}

/// Why nothing can be sent by a way, for people.
pub(super) const fn why_unreachable(way: Resolution) -> &'static str {
    match way {
        Resolution::Hop(_) => "it can be reached",
        Resolution::Unresolved => {
            "its link address, or its gateway's, is not known yet: does it answer ARP or \
             neighbour solicitations?"
        }
        Resolution::Unreachable => "no route leads to it by the director's interfaces",
        Resolution::Local => "it is the director itself",
    }
}
