//! Replies take the way that a policy rule on the VIP says.

use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

use lvs::lvs_io::WantedMode;
use lvs::world::traffic::{Request, http};
use lvs::world::{Family, Method, Plan, World};

use crate::setup::Setup;

/// Runs `ip` on the director's machine; what it prints.
fn ip(world: &World, family: Family, arguments: &str) -> String {
    let family = match family {
        Family::V4 => "-4",
        Family::V6 => "-6",
    };
    let run = || {
        let arguments = arguments.split_whitespace();
        Command::new("ip").arg(family).args(arguments).output()
    };
    let ran = world.director().run(run).unwrap();
    assert!(ran.status.success(), "{arguments}: {ran:?}");
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
fn replies_follow_a_rule_on_their_source() {
    let plan = Plan::new(Method::Masquerade);
    let Some(setup) = Setup::new(plan, WantedMode::Native, 1) else {
        return;
    };
    let world = &setup.world;
    for family in Family::BOTH {
        let asked = |deadline| {
            let ask = || http(Plan::web(family), Request::Name, deadline);
            world.client().run(ask)
        };
        let until = |what: &str, wanted: fn(&io::Result<String>) -> bool| {
            let end = Instant::now() + DEADLINE;
            while !wanted(&asked(Duration::from_millis(300))) {
                assert!(Instant::now() < end, "{family}: {what}");
            }
        };
        assert!(asked(DEADLINE).is_ok(), "{family}: as usual");
        let default = ip(world, family, "route show default");
        let default = default.lines().next().unwrap();
        let vip = Plan::vip(family);
        ip(world, family, &format!("route add {default} table 77"));
        ip(world, family, &format!("rule add from {vip} lookup 77"));
        ip(world, family, &format!("route del {default}"));
        until("by the rule", Result::is_ok);
        ip(world, family, &format!("rule del from {vip} lookup 77"));
        until("no way without", Result::is_err);
        ip(world, family, &format!("rule add from {vip} lookup 77"));
        until("by the rule again", Result::is_ok);
        ip(world, family, &format!("route del {default} table 77"));
        until("no way in the table", Result::is_err);
        ip(world, family, &format!("route add {default}"));
        until("the main table's", Result::is_ok);
    }
}

const DEADLINE: Duration = Duration::from_secs(20);
