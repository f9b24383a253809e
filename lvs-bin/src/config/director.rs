//! `[director]`, `[fragments]` and `[timeouts]`.

use std::ops::RangeInclusive;
use std::time::Duration;

use lvs_core::FragmentLimits;
use lvs_core::config::Timeouts;
use lvs_io::{Options, WantedMode};

use super::fields::{Fields, Given, Reading};
use crate::director::DirectorOptions;

/// How a director runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectorSettings {
    /// Names of the interfaces it serves; at least one, none twice.
    pub interfaces: Vec<String>,
    /// How frames come in.
    pub mode: WantedMode,
    /// How many workers; `None` for as many as there are processors, or queues
    /// of the interface that has fewest.
    pub workers: Option<usize>,
    /// Connections that can be kept at once, over all workers.
    pub connections: usize,
    /// Services there can be at once.
    pub services: usize,
    /// Real servers there can be at once, removed ones that still hold connections
    /// included.
    pub real_servers: usize,
    /// What may be kept of fragments, and for how long.
    pub fragments: FragmentLimits,
}

impl DirectorSettings {
    /// What to open: its interfaces, in its mode, for its workers.
    #[must_use]
    pub fn options(&self) -> Options {
        let mut options = Options::new(self.interfaces.iter().map(String::as_str));
        options.mode = self.mode;
        options.workers = self.workers;
        options
    }
}

/// Reads `[director]`.
pub(super) fn settings<'t>(
    file: &Fields<'t>,
    reading: &mut Reading<'t>,
) -> Option<DirectorSettings> {
    let known = [
        "interfaces",
        "mode",
        "workers",
        "connections",
        "services",
        "real_servers",
    ];
    let help = "add a section [director] with interfaces = [\"eth0\"]";
    file.require("director", help, reading);
    let fragments = fragments(file, reading);
    let fields = file.table("director", &known, reading)?;
    let help = "name the interfaces to serve, as in interfaces = [\"eth0\"]";
    fields.require("interfaces", help, reading);
    let interfaces = fields.strings("interfaces", reading);
    let help = "leave it out for one worker per processor";
    let workers = fields.number("workers", WORKERS, help, reading);
    let help = "each takes some 200 bytes of memory, used or not";
    let connections = fields.number("connections", CONNECTIONS, help, reading);
    let defaults = DirectorOptions::default();
    let help = format!("leave it out for {}", defaults.services);
    let services = fields.number("services", SERVICES, &help, reading);
    let help = format!("leave it out for {}", defaults.real_servers);
    let real_servers = fields.number("real_servers", REAL_SERVERS, &help, reading);
    Some(DirectorSettings {
        mode: fields.choice("mode", &MODES, reading).unwrap_or_default(),
        workers: workers.map(|workers| workers.value as usize),
        connections: connections.map_or(DEFAULT_CONNECTIONS, |given| given.value as usize),
        services: services.map_or(defaults.services, |given| given.value as usize),
        real_servers: real_servers.map_or(defaults.real_servers, |given| given.value as usize),
        fragments,
        interfaces: checked_interfaces(&fields, interfaces?, reading),
    })
}

/// Reads `[fragments]`; what is not given keeps its default.
fn fragments<'t>(file: &Fields<'t>, reading: &mut Reading<'t>) -> FragmentLimits {
    let mut limits = FragmentLimits::LINUX;
    let known = ["memory", "ipv4_time", "ipv6_time"];
    let Some(fields) = file.table("fragments", &known, reading) else {
        return limits;
    };
    let help = format!("bytes; leave it out for {}", limits.memory);
    if let Some(bytes) = fields.number("memory", FRAGMENT_MEMORY, &help, reading) {
        limits.memory = bytes.value as usize;
    }
    for (name, time) in [
        ("ipv4_time", &mut limits.ipv4_time),
        ("ipv6_time", &mut limits.ipv6_time),
    ] {
        let help = format!("seconds; leave it out for {}", time.as_secs());
        if let Some(seconds) = fields.number(name, FRAGMENT_TIME, &help, reading) {
            *time = Duration::from_secs(seconds.value);
        }
    }
    limits
}

/// Reads `[timeouts]`; what is not given keeps its default.
pub(super) fn timeouts<'t>(file: &Fields<'t>, reading: &mut Reading<'t>) -> Timeouts {
    let mut timeouts = Timeouts::default();
    let Some(fields) = file.table("timeouts", &["tcp", "tcp_fin", "udp"], reading) else {
        return timeouts;
    };
    for (name, timeout) in [
        ("tcp", &mut timeouts.tcp),
        ("tcp_fin", &mut timeouts.tcp_fin),
        ("udp", &mut timeouts.udp),
    ] {
        let help = format!("seconds; leave it out for {}", timeout.as_secs());
        if let Some(seconds) = fields.number(name, SECONDS, &help, reading) {
            *timeout = Duration::from_secs(seconds.value);
        }
    }
    timeouts
}

fn checked_interfaces(
    fields: &Fields<'_>,
    given: Given<Vec<Given<&str>>>,
    reading: &mut Reading<'_>,
) -> Vec<String> {
    let place = fields.place("interfaces");
    if given.value.is_empty() {
        let what = "interfaces is empty, but must name at least one";
        let help = "name the interfaces to serve, as in [\"eth0\"]";
        reading.fault(given.span, place.as_str(), what, help);
    }
    let mut names: Vec<String> = Vec::new();
    for Given { value, span } in given.value {
        if !is_interface_name(value) {
            let what = format!(
                "{value:?} cannot be an interface: a name has 1 to 15 characters, \
                 none of them a blank, a slash or a colon"
            );
            let help = "write the name that `ip link` shows";
            reading.fault(span, place.as_str(), what, help);
        } else if names.iter().any(|earlier| earlier == value) {
            let what = format!("{value:?} is named twice, but an interface is served once");
            reading.fault(span, place.as_str(), what, "remove one");
        } else {
            names.push(value.to_owned());
        }
    }
    names
}

/// Source: `dev_valid_name` in the kernel's net/core/dev.c.
fn is_interface_name(name: &str) -> bool {
    (1..=15).contains(&name.len())
        && name != "."
        && name != ".."
        && !name.contains(|c: char| c == '/' || c == ':' || c.is_whitespace())
}

const MODES: [(&str, WantedMode); 4] = [
    ("auto", WantedMode::Auto),
    ("native", WantedMode::Native),
    ("generic", WantedMode::Generic),
    ("packet", WantedMode::Packet),
];
/// A director has as many shards at most.
const WORKERS: RangeInclusive<u64> = 1..=255;
const CONNECTIONS: RangeInclusive<u64> = 1..=1_000_000_000;
const SERVICES: RangeInclusive<u64> = 1..=1_000_000;
const REAL_SERVERS: RangeInclusive<u64> = 1..=10_000_000;
const DEFAULT_CONNECTIONS: usize = 1_000_000;
/// From a datagram as long as they get to 64 GiB.
const FRAGMENT_MEMORY: RangeInclusive<u64> = 1 << 16..=1 << 36;
/// No datagram lives longer (RFC 791 section 3.2).
const FRAGMENT_TIME: RangeInclusive<u64> = 1..=255;
/// 31 days, the longest that ipvsadm takes.
const SECONDS: RangeInclusive<u64> = 1..=31 * 86_400;
