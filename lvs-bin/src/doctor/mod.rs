//! `lvs doctor`: looks at the running system and says what is wrong with it for
//! a configuration, in plain words, with what to type.
//!
//! One file a family of checks. A check is a function from what was seen (a
//! `Case` of a director's host, a `Visit` to a real server) to what is to be
//! said of it. Only `host`, `arm` and `machine` look, which changes nothing but
//! that the kernel is asked to find neighbours it does not know. It speaks to no
//! running director, and mends nothing itself.

mod arm;
mod case;
mod command;
mod driver;
#[cfg(test)]
mod example;
mod forwarding;
mod host;
mod interfaces;
mod machine;
mod memory;
mod mtu;
mod namespace;
mod neighbours;
mod offloads;
mod ports;
mod processors;
mod queues;
mod real_server;
mod report;
mod rp_filter;
mod spread;
mod vips;

use std::io;
use std::net::IpAddr;

pub use command::{Asked, doctor};
pub use namespace::Place;
pub use report::{Check, Finding, Report, Section, Severity};

use crate::config::Settings;
use case::Case;
use host::Host;
use real_server::Visit;

/// Looks at this thread's host as a director of `settings`.
///
/// *Errors:* the kernel could not be asked.
///
/// *Cost:* some dozen system calls for each interface, and up to two seconds if
/// neighbours must be found.
pub fn director(settings: &Settings) -> io::Result<Section> {
    let case = Case::look(settings)?;
    let checks = DIRECTOR.iter().map(|check| check(&case)).collect();
    Ok(Section::new("director", checks))
}

/// Looks at the real server at `address`, in whose network namespace `place`
/// is, as `settings` would use it. This thread's host is its director, unless
/// it is the real server itself.
///
/// *Errors:* the namespace cannot be entered; the kernel could not be asked.
pub fn real_server(settings: &Settings, address: IpAddr, place: &Place) -> io::Result<Section> {
    let director = match place {
        Place::Here => None,
        Place::Namespace(_) => Some(Host::look()?),
    };
    let server = place.run(Host::look)?;
    let visit = Visit::new(settings, address, &server, director.as_ref());
    let checks = real_server::CHECKS.iter().map(|check| check(&visit));
    Ok(Section::new(
        &format!("real server {address}"),
        checks.collect(),
    ))
}

/// In the order in which a frame meets what they look at.
const DIRECTOR: [fn(&Case<'_>) -> Check; 13] = [
    interfaces::check,
    driver::check,
    queues::check,
    spread::check,
    offloads::check,
    vips::check,
    ports::check,
    neighbours::check,
    mtu::check,
    forwarding::check,
    rp_filter::check,
    memory::check,
    processors::check,
];
