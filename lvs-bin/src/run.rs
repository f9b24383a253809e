//! `lvs run`: a director by a configuration file, until it is told to stop.
//!
//! SIGHUP reads the file again; a file with faults changes nothing. SIGTERM and
//! SIGINT send what is in hand, detach from the NICs and end. SIGUSR1 prints
//! the counters.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lvs_io::{Capabilities, Mode, Nic, Queues};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::api::{ServeError, Server};
use crate::config::{self, ControlSettings, Faults, Settings};
use crate::control::{KeepError, Keeper};
use crate::director::{Director, DirectorError, DirectorOptions};
use crate::metrics;
use crate::privileges::{Lacking, Work, check_privileges};

/// Why `lvs run` could not start or go on.
#[derive(Debug)]
pub enum RunError {
    /// The configuration file has faults.
    Faults(Faults),
    /// The process lacks privileges.
    Lacking(Lacking),
    /// What it may do cannot be found out.
    Unknown(io::Error),
    /// The machine or the limits refused.
    Director(DirectorError),
    /// Signals cannot be received.
    Signals(io::Error),
    /// The control API cannot be served.
    Control(ServeError),
    /// The metrics cannot be served.
    Metrics(metrics::ServeError),
}

impl std::fmt::Display for RunError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Faults(faults) => faults.fmt(f),
            Self::Lacking(lacking) => lacking.fmt(f),
            Self::Unknown(error) => write!(f, "finding out the privileges: {error}"),
            Self::Director(error) => write!(f, "{error}"),
            Self::Signals(error) => write!(f, "receiving signals: {error}"),
            Self::Control(error) => error.fmt(f),
            Self::Metrics(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RunError {}

impl From<DirectorError> for RunError {
    fn from(error: DirectorError) -> Self {
        Self::Director(error)
    }
}

impl From<Faults> for RunError {
    fn from(faults: Faults) -> Self {
        Self::Faults(faults)
    }
}

/// Only reads the file, and says what it would do.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn check(path: &Path) -> Result<String, RunError> {
    let settings = Settings::read(path)?;
    let services = settings.config.services();
    let real_servers: usize = services
        .iter()
        .map(|service| service.real_servers.len())
        .sum();
    Ok(format!(
        "{}: {}, {}, on {}",
        path.display(),
        counted(services.len(), "service"),
        counted(real_servers, "real server"),
        settings.director.interfaces.join(", "),
    ))
}

/// So many of something.
fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

/// Directs by the file at `path` until a signal ends it.
///
/// # Errors
///
/// What keeps it from starting.
pub fn run(path: &Path) -> Result<(), RunError> {
    let text = config::text(path)?;
    let settings = Settings::parse(&path.display().to_string(), &text)?;
    check_privileges(Work::Directing)
        .map_err(RunError::Unknown)?
        .map_err(RunError::Lacking)?;
    end_with_any_thread();
    // Before anything is attached, so that no signal is missed.
    let mut signals =
        Signals::new([SIGHUP, SIGINT, SIGTERM, SIGUSR1]).map_err(RunError::Signals)?;
    let director = Arc::new(start(&settings)?);
    let control = settings.control.clone();
    let metrics = settings.metrics.clone();
    let keeper = Keeper::new(director.clone(), path, text, settings);
    let keeper = Arc::new(Mutex::new(keeper));
    let server = Server::start(&control, keeper.clone()).map_err(RunError::Control)?;
    let exporter = metrics
        .map(|settings| metrics::Server::start(settings.listen, director.clone()))
        .transpose()
        .map_err(RunError::Metrics)?;
    let running = Running {
        director,
        keeper,
        control,
    };
    if let Some(exporter) = &exporter {
        let address = exporter.address();
        tracing::info!(event = "metrics_served", %address, "metrics at http://{address}/metrics");
    }
    running.announce();
    for signal in &mut signals {
        match signal {
            SIGHUP => running.reload(),
            SIGUSR1 => running.print_stats(),
            _ => break,
        }
    }
    let unsaved = lock(&running.keeper).unsaved();
    if !unsaved.is_empty() {
        tracing::warn!(
            event = "unsaved",
            "not in the file, and not there at the next start:
{unsaved}"
        );
    }
    tracing::info!(event = "stopping", "stopping");
    drop((server, exporter));
    Ok(())
}

/// Has a panic of any thread end the process. Without one of its workers a
/// director would lose part of the traffic; without the process, the kernel
/// detaches everything and the host carries on.
fn end_with_any_thread() {
    let say = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        say(panic);
        std::process::abort();
    }));
}

/// Opens the queues the settings name and starts a director on them.
fn start(settings: &Settings) -> Result<Director, DirectorError> {
    let queues = Queues::open(&settings.director.options())?;
    let options = DirectorOptions {
        connections: settings.director.connections,
        services: settings.director.services,
        real_servers: settings.director.real_servers,
        fragments: settings.director.fragments,
        ..DirectorOptions::default()
    };
    Director::start_with(queues, settings.config.clone(), &options)
}

/// A director and the hands on it.
struct Running {
    director: Arc<Director>,
    keeper: Arc<Mutex<Keeper>>,
    control: ControlSettings,
}

impl Running {
    fn announce(&self) {
        for way in self.director.ways() {
            tracing::info!(event = "nic_served", "{way}");
        }
        for nic in self.blind_to_vlans() {
            tracing::warn!(
                event = "vlan_tags_hidden",
                nic,
                "{nic} takes VLAN tags off before XDP sees them, and answers into its VLANs \
                 would go out without; type: ethtool -K {nic} rxvlan off"
            );
        }
        for unreachable in self.director.unreachable() {
            let event = "real_server_unreachable";
            tracing::warn!(event, "real server not reachable: {unreachable}");
        }
        if let Some(socket) = &self.control.socket {
            let socket = socket.display();
            tracing::info!(event = "controlled", %socket, "controlled at {socket}");
        }
        if let Some(address) = self.control.tcp {
            tracing::warn!(
                event = "controlled",
                %address,
                "controlled at {address} by whoever reaches it"
            );
        }
        let services = self.director.config().services().len();
        tracing::info!(
            event = "directing",
            services,
            "directing {}",
            counted(services, "service")
        );
    }

    /// NICs of whose frames XDP sees no VLAN tag, though the host has VLANs on
    /// them. A packet socket is told of the tag.
    fn blind_to_vlans(&self) -> Vec<String> {
        let is_packet = |by: &Capabilities| by.mode == Mode::Packet;
        if self.director.capabilities().iter().any(is_packet) {
            return Vec::new();
        }
        let nics = self.director.nics().into_iter();
        nics.filter(Nic::hides_vlans).map(|nic| nic.name).collect()
    }

    /// Prints the counters; where nobody reads them any more, nothing.
    fn print_stats(&self) {
        let _ = write!(io::stdout().lock(), "{}", self.director.stats());
    }

    /// Takes up the file as it is now, or says why not and goes on as before.
    fn reload(&self) {
        match lock(&self.keeper).reload() {
            Ok(taken) => {
                if taken.needs_restart {
                    tracing::warn!(
                        event = "restart_needed",
                        "changes in [director], [control], [metrics] and [fragments] take effect at \
                         the next start"
                    );
                }
                let services = taken.services;
                tracing::info!(
                    event = "reloaded",
                    services,
                    "reloaded: {}",
                    counted(services, "service")
                );
            }
            Err(error) => {
                // Faults are several lines, and begin on one of their own.
                let space = match error {
                    KeepError::Faults(_) | KeepError::Unsaved(_) => "\n",
                    _ => " ",
                };
                tracing::error!(
                    event = "not_reloaded",
                    "not reloaded, the running configuration stays:{space}{error}"
                );
            }
        }
    }
}

/// Whoever panicked with it in hand has ended the process.
fn lock(keeper: &Mutex<Keeper>) -> MutexGuard<'_, Keeper> {
    keeper.lock().unwrap_or_else(PoisonError::into_inner)
}
