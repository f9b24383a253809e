//! `-L`: what a director has, as text; one view a file.

mod connections;
mod order;
pub mod proc;
mod services;
mod settings;
mod traffic;

use std::num::NonZeroU32;

pub(super) use order::sorted;

use super::address::Shown;
use super::command::{Format, View, What};
use super::control::KernelError;
use super::legality::Act;
use super::table::Service;
use super::{Exit, Tool, messages};

impl Tool<'_> {
    /// Prints a listing.
    pub(super) fn list(&mut self, what: What, format: Format) -> Result<u8, Exit> {
        let shown = Shown {
            names: (!format.numeric).then_some(self.names),
        };
        let text = match what {
            What::Services => {
                let services = self.control.services();
                let services = if format.unsorted {
                    services
                } else {
                    sorted(services)
                };
                banner(self.control.table_size()) + &listed(&services, &format, &shown)
            }
            What::Service(key) => {
                let mut services = self.control.services();
                services.retain(|service| service.key == key);
                if services.is_empty() {
                    self.complain(messages::refusal(Act::List, KernelError::NoSuch));
                    return Err(Exit(1));
                }
                let services = if format.unsorted {
                    services
                } else {
                    sorted(services)
                };
                listed(&services, &format, &shown)
            }
            What::Connections => {
                connections::listed(&self.control.connections(), format.engines, &shown)
            }
            What::Timeouts => settings::timeouts(&self.control.timeouts()),
            What::Daemons => settings::daemons(&self.control.daemons()),
        };
        self.output.stdout.push_str(&text);
        Ok(0)
    }
}

/// The line above listings of everything.
fn banner(table_size: u32) -> String {
    format!("IP Virtual Server version 1.2.1 (size={table_size})\n")
}

/// The titles and the lines of services.
fn listed(services: &[Service], format: &Format, shown: &Shown<'_>) -> String {
    match format.view {
        View::Stats | View::Rate => traffic::listed(services, format, shown),
        view => services::listed(services, view, shown),
    }
}

/// A mark, as the tool prints it: signed.
pub(super) const fn mark(mark: NonZeroU32) -> i32 {
    mark.get().cast_signed()
}

/// The most characters of the IPv4 address and port of a service.
pub(super) const ADDRESS: usize = 33;
/// The most characters of those of a real server.
pub(super) const REAL_SERVER: usize = 28;
