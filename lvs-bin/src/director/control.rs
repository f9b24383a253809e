//! The control side: configurations and the host's changes, into snapshots for
//! all workers.

use std::sync::Arc;
use std::time::Instant as Clock;

use lvs_core::network::Resolution;
use lvs_core::{Config, Limits, Network, Planner, Snapshot};
use lvs_io::netlink::Mirror;
use lvs_io::program::{Steer, Steering};
use lvs_io::{Detour, Nic, Punt};

use super::doorbell::Doorbell;
use super::error::DirectorError;
use super::mailbox::Publisher;
use super::steers::{own_ends, steers, unsteered};
use super::surroundings;
use super::witness::{LinkState, Links, News, Seen, Witness};

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
    /// By which the host's own masqueraded servers are heard.
    detour: Option<Detour>,
    witness: Witness,
    pub(super) nics: Vec<Nic>,
    pub(super) workers: Vec<(Publisher, Arc<Doorbell>)>,
    pub(super) config: Arc<Config>,
    pub(super) network: Arc<Network>,
    /// Whether the host has announced what is not in `network` yet.
    is_behind: bool,
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
            detour: None,
            witness: Witness::default(),
            nics,
            workers: Vec::new(),
            config: config.clone(),
            network,
            is_behind: false,
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
    /// *Errors:* as said, with the configuration before still in force with
    /// every worker. What goes wrong once it is in force is only logged.
    pub(super) fn apply(&mut self, config: &Arc<Config>) -> Result<(), DirectorError> {
        self.await_room()?;
        if let Some(steering) = &mut self.steering {
            steering.admit(&steers(config, &self.snapshot))?;
        }
        let snapshot = match self.planner.plan(config, &self.network) {
            Ok(snapshot) => snapshot,
            Err(error) => {
                self.steer(&steers(&self.config, &self.snapshot))?;
                return Err(error.into());
            }
        };
        self.config = config.clone();
        self.publish(snapshot);
        if let Err(error) = self.steer(&steers(&self.config, &self.snapshot)) {
            tracing::warn!("traffic of removed services comes until the next change: {error}");
        }
        self.warn_of_unserved();
        self.keep_warm();
        Ok(())
    }

    /// Lets the traffic of the configuration in force come.
    pub(super) fn open(&mut self) -> Result<(), DirectorError> {
        // What is so at the start, whoever starts it asks for.
        self.witness.begin(self.seen(self.links()));
        self.warn_of_unserved();
        self.take_detour(&self.snapshot.clone());
        self.steer(&steers(&self.config, &self.snapshot))
    }

    /// Makes ready to hear what the host's own servers send. It goes on without:
    /// their answers are not masqueraded then.
    pub(super) fn prepare_detour(&mut self, punt: &Punt) {
        let shortest = self.nics.iter().map(|nic| nic.mtu).min();
        match Detour::open(punt, shortest.unwrap_or(u32::MAX)) {
            Ok(detour) => self.detour = Some(detour),
            Err(error) => tracing::warn!("masqueraded servers on this host are not heard: {error}"),
        }
    }

    /// Has what the host's own servers send come, by the snapshot that the
    /// workers get next: before the first of their connections begins.
    fn take_detour(&mut self, snapshot: &Snapshot) {
        if let Some(detour) = &mut self.detour
            && let Err(error) = detour.set(own_ends(snapshot))
        {
            tracing::warn!("masqueraded servers on this host are not heard: {error}");
        }
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
        self.is_behind |= mirror.poll()?;
        if !self.is_behind {
            return Ok(false);
        }
        let network = Arc::new(surroundings::network(&self.nics, mirror.view()));
        if !self.rewire(network)? {
            return Ok(false);
        }
        self.keep_warm();
        Ok(true)
    }

    /// Carries out the configuration in force on another network; whether it
    /// is another.
    ///
    /// *Errors:* the workers go on by the one before, and the next call finds
    /// the difference still.
    fn rewire(&mut self, network: Arc<Network>) -> Result<bool, DirectorError> {
        let differs = *network != *self.network;
        if differs {
            self.await_room()?;
            let snapshot = self.planner.plan(&self.config, &network)?;
            self.network = network;
            self.publish(snapshot);
            self.tell_macs();
        }
        self.is_behind = false;
        Ok(differs)
    }

    /// What has changed around the director since it was told last.
    pub(super) fn news(&mut self, now: Clock) -> Vec<News> {
        let links = self.links();
        if self.witness.knows(&links, self.snapshot.generation()) {
            return Vec::new();
        }
        let seen = self.seen(links);
        self.witness.news(seen, now)
    }

    fn links(&self) -> Links {
        match &self.surroundings {
            Surroundings::Host(mirror) => {
                let state = |nic: &Nic| LinkState::of(mirror.view().link(nic.index));
                let links = self.nics.iter().map(|nic| (nic.name.clone(), state(nic)));
                links.collect()
            }
            Surroundings::Fixed(_) => Vec::new(),
        }
    }

    fn seen(&self, links: Links) -> Seen {
        let real_servers = self.snapshot.real_servers();
        let mut real_servers: Vec<_> = real_servers.map(|(_, address, _, _)| address).collect();
        real_servers.sort_unstable();
        Seen {
            links,
            generation: self.snapshot.generation(),
            real_servers,
            unreachable: self
                .snapshot
                .unreachable()
                .map(|(address, way)| (address, why_unreachable(way)))
                .collect(),
        }
    }

    /// Whether every real server can be sent to, as far as that is only a
    /// question of waiting.
    pub(super) fn is_resolved(&self) -> bool {
        self.snapshot
            .unreachable()
            .all(|(_, way)| way != Resolution::Unresolved)
    }

    /// Makes sure that every worker can be given a snapshot, before one is
    /// planned: each worker must get each that is.
    fn await_room(&mut self) -> Result<(), DirectorError> {
        for (number, (publisher, _)) in self.workers.iter_mut().enumerate() {
            if !publisher.await_room() {
                return Err(DirectorError::WorkerStuck(number));
            }
        }
        Ok(())
    }

    fn publish(&mut self, snapshot: Arc<Snapshot>) {
        self.take_detour(&snapshot);
        for (publisher, bell) in &mut self.workers {
            publisher.publish(&snapshot);
            bell.ring();
        }
        self.snapshot = snapshot;
    }

    fn steer(&mut self, steers: &[Steer]) -> Result<(), DirectorError> {
        if let Some(steering) = &mut self.steering {
            steering.update(steers)?;
        }
        Ok(())
    }

    /// Tells of services whose packets do not come: those on addresses that are
    /// not the host's, and those on marks that the steering program cannot know
    /// in full.
    fn warn_of_unserved(&self) {
        for service in self.snapshot.unreached() {
            let why = if service.is_nobodys() {
                "no machine can have the address, so that no packet asks it; give it the one that \
                 clients connect to"
            } else {
                "the address is not this machine's: packets to it are routed as any others until \
                 it is; type: ip address add, on lo for example"
            };
            tracing::warn!(event = "service_unreached", %service, "service {service}: {why}");
        }
        if self.steering.is_some() {
            for service in unsteered(&self.config) {
                tracing::warn!(
                    event = "service_unsteered",
                    %service,
                    "service {service}: a rule that marks its packets names no single \
                     destination: those packets stay the host's in AF_XDP mode"
                );
            }
        }
    }

    /// Tells the steering program what MACs the NICs have by now.
    fn tell_macs(&self) {
        let Some(steering) = &self.steering else {
            return;
        };
        let ports = (0..).map(lvs_core::Port).take(self.nics.len());
        for (nic, port) in ports.enumerate() {
            let Some(interface) = self.network.interface(port) else {
                continue;
            };
            if let Err(error) = steering.set_mac(nic, interface.mac) {
                tracing::warn!("frames to the NIC's new MAC are not steered: {error}");
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
        Resolution::Local => "nothing from outside can be sent to a loopback address",
    }
}

#[cfg(test)]
mod tests {
    use super::super::mailbox::{Inbox, mailbox};
    use super::*;
    use lvs_core::{Scheduler, Service};

    fn with_workers(count: usize) -> (Control, Vec<Inbox>) {
        let (limits, config) = (Limits::default(), Config::new([]).unwrap());
        let surroundings = Surroundings::Fixed(Arc::default());
        let mut control = Control::new(limits, surroundings, None, Vec::new(), &config).unwrap();
        let mut inboxes = Vec::new();
        for _ in 0..count {
            let (publisher, inbox) = mailbox();
            let bell = Arc::new(Doorbell::new().unwrap());
            control.workers.push((publisher, bell));
            inboxes.push(inbox);
        }
        (control, inboxes)
    }

    /// Has the worker take all it was given; the generation of the last.
    fn adopt_all(inbox: &Inbox) -> Option<u64> {
        let taken = std::iter::from_fn(|| inbox.deliver());
        let retire = |snapshot: Arc<Snapshot>| {
            let generation = snapshot.generation();
            inbox.retire(snapshot);
            generation
        };
        taken.map(retire).last()
    }

    #[test]
    fn with_one_worker_stuck_none_gets_what_is_refused() {
        let (mut control, inboxes) = with_workers(2);
        let empty = Config::new([]).unwrap();
        let refused = std::iter::from_fn(|| {
            let outcome = control.apply(&empty).err();
            adopt_all(&inboxes[0]);
            Some(outcome)
        });
        let stuck = refused.flatten().next().unwrap();
        assert!(matches!(stuck, DirectorError::WorkerStuck(1)), "{stuck}");
        let in_force = control.snapshot.generation();
        let vip = "192.0.2.10:80".parse().unwrap();
        let other = Config::new([Service::tcp(vip, Scheduler::RoundRobin)]).unwrap();
        assert!(control.apply(&other).is_err());
        assert_eq!(
            adopt_all(&inboxes[0]),
            None,
            "not the one that is not stuck"
        );
        assert_eq!(control.config, empty);
        assert_eq!(control.snapshot.generation(), in_force);
        adopt_all(&inboxes[1]);
        control.apply(&other).unwrap();
        for inbox in &inboxes {
            assert_eq!(adopt_all(inbox), Some(in_force + 1), "none is left out");
        }
    }

    #[test]
    fn a_network_that_could_not_be_published_is_tried_again() {
        let (mut control, inboxes) = with_workers(1);
        let empty = Config::new([]).unwrap();
        while control.apply(&empty).is_ok() {}
        let refusing = lvs_core::network::Route {
            prefix: [0, 0, 0, 0].into(),
            length: 0,
            way: lvs_core::network::Way::Unreachable,
        };
        let network = Arc::new(Network::new(Vec::new(), [refusing], []));
        assert!(control.rewire(network.clone()).is_err());
        adopt_all(&inboxes[0]);
        assert!(control.rewire(network.clone()).unwrap());
        assert_eq!(
            control.snapshot.generation(),
            adopt_all(&inboxes[0]).unwrap()
        );
        assert!(!control.rewire(network).unwrap(), "it is in force");
    }
}
