//! The worlds the tests play in, and waiting for what must happen in them.

use std::fs;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use lvs_io::netlink::{Mirror, Network, NextHop, Prefix, Resolution, VethEnd, View};

use crate::namespace::Namespace;

pub(crate) const NEAR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0xa];
pub(crate) const FAR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0xb];

pub(crate) fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Runs `test` in a namespace with the veth pair `a`-`b`, both up.
pub(crate) fn with_pair(test: impl FnOnce(&mut Network) + Send) {
    let Some(namespace) = Namespace::new() else {
        return;
    };
    namespace.run(|| {
        let mut network = Network::open().unwrap();
        let (a, b) = (VethEnd::new("a"), VethEnd::new("b"));
        network.add_veth(&a, &b).unwrap();
        network.set_up("a").unwrap();
        network.set_up("b").unwrap();
        test(&mut network);
    });
}

/// Runs `test` in a namespace whose link `a` (10.0.0.1, 2001:db8::1) leads to
/// the link `b` (10.0.0.2, 2001:db8::2) of another, which it is given.
pub(crate) fn with_far(test: impl FnOnce(&mut Network, &Namespace) + Send) {
    let (Some(near), Some(far)) = (Namespace::new(), Namespace::new()) else {
        return;
    };
    near.run(|| {
        let mut network = Network::open().unwrap();
        let a = VethEnd::new("a").mac(NEAR_MAC);
        let b = VethEnd::new("b").mac(FAR_MAC).namespace(far.as_fd());
        network.add_veth(&a, &b).unwrap();
        // Neighbours are believed at once when they change.
        for family in ["ipv4", "ipv6"] {
            sysctl(&format!("{family}/neigh/a/locktime"), "0");
        }
        set_up(&mut network, "a", ["10.0.0.1/24", "2001:db8::1/64"]);
        far.run(|| {
            let mut network = Network::open().unwrap();
            // A new MAC is told to everyone.
            sysctl("ipv4/conf/b/arp_notify", "1");
            sysctl("ipv6/conf/b/ndisc_notify", "1");
            set_up(&mut network, "b", ["10.0.0.2/24", "2001:db8::2/64"]);
        });
        // The far end too must be done with its worker.
        far.run(await_local);
        await_local();
        test(&mut network, &far);
    });
}

/// Waits until the kernel's worker has entered the routes to this end's IPv6
/// addresses.
fn await_local() {
    let mut mirror = Mirror::open().unwrap();
    until(&mut mirror, "all addresses are local", |view| {
        view.addresses()
            .all(|address| view.resolve(address.prefix.address()) == Resolution::Local)
    });
}

fn set_up(network: &mut Network, link: &str, addresses: [&str; 2]) {
    network.set_up(link).unwrap();
    for address in addresses {
        network.add_address(link, prefix(address)).unwrap();
    }
}

/// Writes a setting of the calling thread's network namespace.
pub(crate) fn sysctl(path: &str, value: &str) {
    let path = format!("/proc/sys/net/{path}");
    fs::write(&path, value).unwrap_or_else(|error| panic!("{path}: {error}"));
}

/// Polls until `holds`, or fails with `what` after a generous time.
pub(crate) fn until(mirror: &mut Mirror, what: &str, mut holds: impl FnMut(&View) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        mirror.poll().unwrap();
        if holds(mirror.view()) {
            return;
        }
        if Instant::now() >= deadline {
            panic!("never: {what}; {}", lines(mirror.view()).join("\n"));
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Polls until the mirror shows what a fresh one shows.
pub(crate) fn until_true_to_life(mirror: &mut Mirror) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        mirror.poll().unwrap();
        let truth = Mirror::open().unwrap();
        if mirror.view() == truth.view() {
            return;
        }
        if Instant::now() >= deadline {
            let (shown, real) = (lines(mirror.view()), lines(truth.view()));
            let only = |these: &[String], those: &[String]| {
                let lines = these.iter().filter(|line| !those.contains(line));
                lines.cloned().collect::<Vec<_>>().join("\n")
            };
            let (false_lines, missing) = (only(&shown, &real), only(&real, &shown));
            panic!("the mirror shows\n{false_lines}\nand not\n{missing}\n(or in another order)");
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// A view in lines, to show and to compare.
fn lines(view: &View) -> Vec<String> {
    let links = view.links().map(|link| format!("{link:?}"));
    let addresses = view.addresses().map(|address| format!("{address:?}"));
    let neighbours = view.neighbours().map(|neighbour| format!("{neighbour:?}"));
    let mut routes: Vec<_> = view.routes().collect();
    // Stable: those to one prefix stay in their order.
    routes.sort_by_key(|route| route.prefix);
    let routes = routes.into_iter().map(|route| format!("{route:?}"));
    links
        .chain(addresses)
        .chain(neighbours)
        .chain(routes)
        .collect()
}

/// The next hop to `to`, which must have one.
pub(crate) fn next_hop(view: &View, to: &str) -> NextHop {
    match view.resolve(address(to)) {
        Resolution::Via(next_hop) => next_hop,
        other => panic!("{to} resolves to {other:?} in\n{}", lines(view).join("\n")),
    }
}
