//! The program itself, started as an operator starts it: signals, and its end.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use lvs::world::traffic::{Held, Offer, Request, Server, http};
use lvs::world::{Family, Method, Plan, World};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::running::{Running, text};
use crate::setup::alone;
use crate::skip;

/// Whether every connection is as it should be.
fn check(held: Vec<Held>) {
    for connections in held {
        connections.round(DEADLINE).unwrap();
        for end in connections.stop() {
            assert!(end.error.is_none(), "{end:?}");
        }
    }
}

#[test]
fn reloads_lose_nothing_and_a_bad_file_changes_nothing() {
    let plan = Plan::new(Method::Masquerade);
    let Some(running) = Running::start(plan, "native") else {
        return;
    };
    let held = running.talk();
    for round in 0..20 {
        running.write(&text(&plan, "native", round % 3));
        running.signal(Signal::SIGHUP);
        running.wait_for("reloaded: 4 services");
    }
    let good = text(&plan, "native", 1);
    running.write(&good.replace("\"rr\"", "\"fastest\""));
    running.signal(Signal::SIGHUP);
    running.wait_for("not reloaded");
    running.wait_for("fastest");
    let web = Plan::web(Family::V4);
    let named = running
        .world
        .client()
        .run(|| http(web, Request::Name, DEADLINE));
    assert!(named.is_ok(), "served as before: {named:?}");
    check(held);
    running.signal(Signal::SIGUSR1);
    let shown = || {
        running
            .printed
            .lock()
            .unwrap()
            .contains("TCP 192.0.2.100:80")
    };
    within(DEADLINE, shown, "the counters are printed");
}

#[test]
fn sigterm_detaches_and_ends_well() {
    for mode in ["native", "packet"] {
        let Some(mut running) = Running::start(Plan::new(Method::Masquerade), mode) else {
            return;
        };
        check(running.talk());
        running.signal(Signal::SIGTERM);
        let status = running.child.wait().unwrap();
        assert!(status.success(), "{status}");
        host_serves(&running, mode);
    }
}

#[test]
fn what_changes_around_it_is_logged() {
    let Some(running) = Running::start(Plan::new(Method::Masquerade), "native") else {
        return;
    };
    let mut network = running.world.director().network().unwrap();
    let rip = running.world.plan().rip(0, Family::V4);
    network.set_down("back0").unwrap();
    running.wait_for("back0 is down");
    network.set_up("back0").unwrap();
    running.wait_for("back0 is up");
    // With it goes the default route, by which all else would be reachable.
    network.delete_link("front0").unwrap();
    running.wait_for("front0 does not exist any more");
    network.set_down("back0").unwrap();
    running.wait_for(&format!("real server {rip} not reachable: no route"));
}

#[test]
fn programs_read_the_log_by_fields() {
    let plan = Plan::new(Method::Masquerade);
    let text = text(&plan, "native", 1);
    let Some(running) = Running::start_as(plan, &text, &["--log-format", "json"]) else {
        return;
    };
    let told = |part: &str| {
        let line = running.wait_for(part);
        serde_json::from_str::<Value>(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    };
    let mut network = running.world.director().network().unwrap();
    network.set_down("back0").unwrap();
    let down = told("back0 is down");
    for (field, value) in [
        ("level", "WARN"),
        ("event", "link_down"),
        ("nic", "back0"),
        ("message", "back0 is down"),
    ] {
        assert_eq!(down[field], value, "{down}");
    }
    assert!(down["timestamp"].is_string(), "{down}");
    running.signal(Signal::SIGHUP);
    assert_eq!(told("reloaded")["services"], 4);
    running.write(&text.replace("\"rr\"", "\"fastest\""));
    running.signal(Signal::SIGHUP);
    let refused = told("not_reloaded");
    let why = refused["message"].as_str().unwrap();
    assert!(why.contains("fastest") && why.lines().count() > 3, "{why}");
}

/// Both would direct the same packets.
#[test]
fn a_second_one_on_the_same_nic_does_not_start() {
    let Some(running) = Running::start(Plan::new(Method::Masquerade), "native") else {
        return;
    };
    let plan = running.world.plan();
    running.write(&text(plan, "auto", 1));
    let second = running.world.director().run(|| {
        Command::new(env!("CARGO_BIN_EXE_lvs"))
            .args(["run", "--config"])
            .arg(&running.file)
            .output()
    });
    let second = second.unwrap();
    let said = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(2), "{said}");
    let owner = format!("process {} (lvs)", running.child.id());
    assert!(said.contains(&owner), "{said}");
    assert!(said.contains("mode = \"packet\""), "{said}");
}

fn killed_under_load(mode: &str) {
    let plan = Plan::new(Method::Masquerade);
    let Some(mut running) = Running::start(plan, mode) else {
        return;
    };
    let held = running.talk();
    running.signal(Signal::SIGKILL);
    let killed = Instant::now();
    running.child.wait().unwrap();
    host_serves(&running, mode);
    let took = killed.elapsed();
    assert!(
        took < Duration::from_secs(1),
        "the host was back after {took:?}"
    );
    // Their connections are lost with the director that masqueraded them.
    drop(held);
}

/// The host's own stack answers on the VIP, and nothing of the director is
/// left on it.
fn host_serves(running: &Running, mode: &str) {
    let world = &running.world;
    let offers = Family::BOTH.map(|family| Offer::Http(Plan::web(family)));
    let _host = Server::start(world.director(), "host", &offers).unwrap();
    for family in Family::BOTH {
        let web = Plan::web(family);
        let asked = world.client().run(|| http(web, Request::Name, DEADLINE));
        assert_eq!(asked.unwrap(), "host", "{mode} {family}");
    }
    let shown = world
        .director()
        .run(|| {
            Command::new("ip")
                .args(["-details", "link", "show"])
                .output()
        })
        .unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("front0"), "{shown}");
    for left in ["xdp", "tun "] {
        assert!(!shown.contains(left), "{mode}: {left} is left\n{shown}");
    }
}

/// Waits until something is so.
fn within(deadline: Duration, so: impl Fn() -> bool, what: &str) {
    let end = Instant::now() + deadline;
    while !so() {
        assert!(Instant::now() < end, "{what}: not within {deadline:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn killed_in_native_mode_the_host_is_as_before() {
    killed_under_load("native");
}

#[test]
fn killed_in_generic_mode_the_host_is_as_before() {
    killed_under_load("generic");
}

#[test]
fn killed_in_packet_mode_the_host_is_as_before() {
    killed_under_load("packet");
}

/// Rules that lead to a director which is gone lead nowhere, until the next one
/// takes them away.
#[test]
fn rules_for_own_servers_do_not_outlive_the_next_director() {
    let plan = Plan::new(Method::Masquerade);
    let own = SocketAddr::new(Plan::dip(Family::V4), 8081);
    let service = SocketAddr::new(Plan::vip(Family::V4), 81);
    let text = text(&plan, "native", 1)
        + &format!(
            "[[service]]\naddress = \"{service}\"\nprotocol = \"tcp\"\nscheduler = \"rr\"\n\
             [[service.real_server]]\naddress = \"{own}\"\nforwarding = \"m\"\n"
        );
    let Some(mut running) = Running::start_with(plan, &text) else {
        return;
    };
    let _host = Server::start(running.world.director(), "host", &[Offer::Http(own)]).unwrap();
    let rules = |running: &Running| {
        let mut network = running.world.director().network().unwrap();
        network.rules().unwrap()
    };
    let served = |running: &Running, at| {
        let ask = || http(at, Request::Name, DEADLINE);
        assert_eq!(running.world.client().run(ask).unwrap(), "host", "{at}");
    };
    served(&running, service);
    running.signal(Signal::SIGKILL);
    running.child.wait().unwrap();
    let left = rules(&running);
    assert_eq!(left.len(), 2, "TCP from its port, and ICMP");
    served(&running, own);

    running.start_again();
    served(&running, service);
    served(&running, own);
    let mut now = rules(&running);
    assert_eq!(now.len(), left.len());
    now.retain(|rule| left.contains(rule));
    assert_eq!(now, [], "those of the one before are gone");
    running.signal(Signal::SIGTERM);
    assert!(running.child.wait().unwrap().success());
    assert_eq!(rules(&running), []);
}

/// The example of the README, on a link of a namespace.
#[test]
fn the_embedding_example_runs() {
    let tests = std::env::current_exe().unwrap();
    let example = tests.ancestors().nth(2).unwrap().join("examples/embed");
    if !example.exists() {
        skip::say("the example embed is not built: cargo test -p lvs-bin builds it");
        return;
    }
    let Some(_alone) = alone() else { return };
    let world = World::build(Plan::new(Method::DirectRoute)).unwrap();
    let ran = world
        .director()
        .run(|| embed(&example, world.plan().director_links()[0]))
        .unwrap();
    for part in [
        "TCP 192.0.2.10:80",
        "10.0.0.11:80",
        "10.9.0.12:80",
        "10.0.0.13:8080",
    ] {
        assert!(ran.contains(part), "{part} is not in:\n{ran}");
    }
}

fn embed(example: &Path, link: &str) -> io::Result<String> {
    let ran = Command::new(example).arg(link).output()?;
    if ran.status.success() {
        return Ok(String::from_utf8_lossy(&ran.stdout).into_owned());
    }
    Err(io::Error::other(
        String::from_utf8_lossy(&ran.stderr).into_owned(),
    ))
}

const DEADLINE: Duration = Duration::from_secs(20);
