//! The ARP problem of direct routing: real servers that have the VIP on `lo`
//! and answer for it take clients past the director.

use std::io;
use std::process::Command;
use std::time::Duration;

use lvs::lvs_io::WantedMode;
use lvs::world::traffic::{Request, http};
use lvs::world::{Family, Method, Plan};

use crate::setup::Setup;
use crate::skip;

/// How many of so many requests crossed the director, each after asking anew
/// who has the VIP. `lock_time` 0 makes the router believe whoever answers
/// last, 100 whoever answers first.
fn through_the_director(quiet: bool, lock_time: &str) -> Option<u64> {
    let plan = Plan {
        quiet,
        ..Plan::new(Method::DirectRoute)
    };
    let setup = Setup::new(plan, WantedMode::Native, 1)?;
    let world = &setup.world;
    let router = world.router().unwrap();
    let vip = Plan::vip(Family::V4);
    router.set("ipv4/neigh/front0/locktime", lock_time).unwrap();
    for _ in 0..REQUESTS {
        // There is none before the first question.
        let _ = router.network().unwrap().delete_neighbour("front0", vip);
        let web = Plan::web(Family::V4);
        let named = world.client().run(|| http(web, Request::Name, DEADLINE));
        assert!(named.is_ok(), "{named:?}");
    }
    let stats = setup.stats();
    Some(stats.shards.opened)
}

#[test]
fn real_servers_that_answer_for_the_vip_take_clients_past_the_director() {
    let mut crossed = Vec::new();
    for lock_time in ["0", "100"] {
        let Some(quiet) = through_the_director(true, lock_time) else {
            return;
        };
        assert_eq!(quiet, REQUESTS, "arp_ignore and arp_announce are set");
        crossed.extend(through_the_director(false, lock_time));
    }
    assert!(
        crossed.iter().any(|crossed| *crossed < REQUESTS),
        "without arp_ignore and arp_announce some go past the director: {crossed:?}"
    );
}

#[test]
fn curl_is_served_by_direct_routing() {
    if Command::new("curl").arg("--version").output().is_err() {
        skip::say("needs the curl command (package curl)");
        return;
    }
    let Some(setup) = Setup::new(Plan::new(Method::DirectRoute), WantedMode::Native, 1) else {
        return;
    };
    for family in Family::BOTH {
        let url = format!("http://{}/bytes/{BODY}", Plan::web(family));
        let fetched = setup.world.client().run(|| fetch(&url)).unwrap();
        assert_eq!(fetched.len(), BODY, "{url}");
    }
    assert_eq!(setup.stats().shards.opened, 2);
    setup.check_nothing_dropped();
}

/// What curl gets.
fn fetch(url: &str) -> io::Result<Vec<u8>> {
    let fetched = Command::new("curl")
        .args(["--silent", "--show-error", "--fail", "--globoff"])
        .args(["--noproxy", "*", "--max-time", "20", url])
        .output()?;
    if fetched.status.success() {
        return Ok(fetched.stdout);
    }
    Err(io::Error::other(
        String::from_utf8_lossy(&fetched.stderr).into_owned(),
    ))
}

const REQUESTS: u64 = 8;
const BODY: usize = 3_000_000;
const DEADLINE: Duration = Duration::from_secs(20);
