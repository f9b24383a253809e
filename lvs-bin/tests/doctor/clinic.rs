//! A world to break things in, and the doctor in it.

use std::fmt::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lvs::config::Settings;
use lvs::doctor::{Place, Section, Severity};
use lvs::lvs_io::netlink::{Network, Prefix, Route, VethEnd};
use lvs::privileges::{Work, check_privileges};
use lvs::world::{Family, Method, Namespace, Plan, World};

use crate::skip;

/// A world, and the configuration of a director in it.
pub(crate) struct Clinic {
    pub world: World,
    pub text: String,
    _alone: MutexGuard<'static, ()>,
}

static ALONE: Mutex<()> = Mutex::new(());

impl Clinic {
    /// The usual world of a method, with all of it as it should be; `None`,
    /// with the reason printed, where worlds cannot be built.
    pub(crate) fn whole(method: Method) -> Option<Self> {
        if let Err(lacking) = check_privileges(Work::Demo).unwrap() {
            skip::say(lacking);
            return None;
        }
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = Plan {
            real_servers: 1,
            ..Plan::new(method)
        };
        let world = World::build(plan).unwrap();
        match method {
            Method::Masquerade => {
                world.director().set("ipv4/ip_forward", "1").unwrap();
                world
                    .director()
                    .set("ipv6/conf/all/forwarding", "1")
                    .unwrap();
            }
            Method::DirectRoute => {}
            Method::Tunnel => {
                make_room(&mut world.director().network().unwrap());
                for name in ["tunl0", "ip6tnl0"] {
                    add_device(world.real_servers()[0].namespace(), name);
                }
            }
        }
        Some(Self {
            text: text(&plan),
            world,
            _alone: alone,
        })
    }

    /// The director's network namespace, to break things in.
    pub(crate) fn director(&self) -> Network {
        self.world.director().network().unwrap()
    }

    /// The real server's.
    pub(crate) fn server(&self) -> &Namespace {
        self.world.real_servers()[0].namespace()
    }

    /// What is said of the director.
    pub(crate) fn of_director(&self) -> Section {
        let settings = Settings::parse("clinic", &self.text).unwrap();
        let looked = self
            .world
            .director()
            .run(|| lvs::doctor::director(&settings));
        looked.unwrap()
    }

    /// What is said of the real server, by its IPv4 address.
    pub(crate) fn of_real_server(&self) -> Section {
        self.of_real_server_by(Family::V4)
    }

    /// What is said of the real server, by its address of this family.
    pub(crate) fn of_real_server_by(&self, family: Family) -> Section {
        let settings = Settings::parse("clinic", &self.text).unwrap();
        let rip = self.world.real_servers()[0].rip(family);
        let place = place(self.server());
        let director = self.world.director();
        let looked = director.run(|| lvs::doctor::real_server(&settings, rip, &place));
        looked.unwrap()
    }
}

pub(crate) fn place(namespace: &Namespace) -> Place {
    Place::named(&path(namespace))
}

/// By which this process, and those it starts, can enter it.
pub(crate) fn path(namespace: &Namespace) -> String {
    let descriptor = namespace.as_fd().as_raw_fd();
    format!("/proc/{}/fd/{descriptor}", std::process::id())
}

/// Checks that nothing is wrong but what these checks look at.
#[track_caller]
pub(crate) fn assert_well(section: &Section, but: &[&str]) {
    for check in &section.checks {
        let is_meant = !but.contains(&check.name);
        assert!(!is_meant || check.findings.is_empty(), "{check:#?}");
    }
}

/// Checks that this is said by this check, and to be typed, among all it says.
#[track_caller]
pub(crate) fn assert_said(
    section: &Section,
    name: &'static str,
    severity: Severity,
    words: &str,
    mend: &str,
) {
    let check = section.check(name);
    let said = check.findings.iter().any(|finding| {
        finding.severity == severity
            && finding.what.contains(words)
            && finding
                .mend
                .iter()
                .chain(&finding.configure)
                .any(|line| line.contains(mend))
    });
    assert!(said, "{check:#?}");
}

/// Both families, with a TCP and a UDP service each.
fn text(plan: &Plan) -> String {
    let links = plan.director_links();
    let mut text = format!("[director]\ninterfaces = {links:?}\nworkers = 1\nconnections = 1000\n");
    let (forwarding, ports) = match plan.method {
        Method::Masquerade => ("masquerade", [":8080", ":7007"]),
        Method::DirectRoute => ("direct-route", ["", ""]),
        Method::Tunnel => ("tunnel", ["", ""]),
    };
    for family in Family::BOTH {
        let rip = plan.rip(0, family);
        for (service, protocol, port) in [
            (Plan::web(family), "tcp", ports[0]),
            (Plan::echo(family), "udp", ports[1]),
        ] {
            let at = match (port, family) {
                ("", _) => rip.to_string(),
                (port, Family::V4) => format!("{rip}{port}"),
                (port, Family::V6) => format!("[{rip}]{port}"),
            };
            writeln!(
                text,
                "[[service]]\naddress = \"{service}\"\nprotocol = \"{protocol}\"\n\
                 [[service.real_server]]\naddress = \"{at}\"\nforwarding = \"{forwarding}\""
            )
            .unwrap();
        }
    }
    text
}

/// Lets the link carry what a tunnel adds, while clients' packets stay as long
/// as they are.
pub(crate) fn make_room(network: &mut Network) {
    network.set_mtu("front0", 1540).unwrap();
    let all = [Prefix::ALL_V4, Prefix::ALL_V6];
    let routes = network.routes().unwrap();
    for mut route in routes {
        if all.contains(&route.prefix) && route.table == Route::MAIN {
            route.mtu = Some(1500);
            network.replace_route(&route).unwrap();
        }
    }
}

/// Stands in for the kernel's tunnel device, which not every kernel has.
fn add_device(namespace: &Namespace, name: &str) {
    let mut network = namespace.network().unwrap();
    let other = format!("{name}-end");
    network
        .add_veth(&VethEnd::new(name), &VethEnd::new(&other))
        .unwrap();
    network.set_up(name).unwrap();
}
