//! [`show`]: worlds one after the other, with a director in each.

use std::io::{self, Write};
use std::time::Instant;

use super::drawing::Drawing;
use super::trial::Trial;
use crate::world::{Family, Plan, World};

/// Builds the world of each plan, starts a director in it, sends traffic
/// through, and writes to `out` what it looked like and what became of it.
/// Returns whether everything passed.
///
/// `start` runs in the director's namespace; what it returns is the director,
/// which is dropped before its world. `account` says afterwards what the
/// director did, in lines.
///
/// Errors: a world cannot be built, a director cannot be started, or `out`
/// cannot be written. Traffic that fails is no error; it is told.
pub fn show<D: Send>(
    plans: &[Plan],
    out: &mut impl Write,
    start: impl Fn(&World) -> io::Result<D> + Sync,
    account: impl Fn(&D) -> String,
) -> io::Result<bool> {
    let begun = Instant::now();
    let mut all_passed = true;
    for plan in plans {
        writeln!(out, "{}\n", title(plan))?;
        writeln!(out, "{}", Drawing(plan))?;
        let world = World::build(*plan)?;
        let director = world.director().run(|| start(&world))?;
        let mut failures = Vec::new();
        for family in Family::BOTH {
            let trial = Trial::run(&world, family)?;
            write!(out, "{trial}")?;
            failures.append(&mut trial.failures(plan.real_servers));
        }
        for line in account(&director).lines() {
            writeln!(out, "  {line}")?;
        }
        for failure in &failures {
            writeln!(out, "  {} FAILED: {failure}", plan.method)?;
        }
        writeln!(out)?;
        all_passed &= failures.is_empty();
    }
    let verdict = match all_passed {
        true => "Everything passed",
        false => "Something FAILED",
    };
    writeln!(out, "{verdict}, in {:.1} s.", begun.elapsed().as_secs_f64())?;
    Ok(all_passed)
}

fn title(plan: &Plan) -> String {
    let name = format!("── {} ", plan.method);
    let line = "─".repeat(72 - name.chars().count());
    format!("{name}{line}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privileges::{Work, check_privileges};
    use crate::world::Method;

    /// What `show` writes of a world with so many real servers, of which the
    /// director knows the first alone.
    fn shown(real_servers: u8) -> Option<(bool, String)> {
        if let Err(lacking) = check_privileges(Work::Demo).unwrap() {
            crate::skip::say(lacking);
            return None;
        }
        let plan = Plan {
            real_servers,
            ..Plan::new(Method::DirectRoute)
        };
        let mut out = Vec::new();
        let account = |(): &()| "packets 1\ndrops 2".to_owned();
        let passed = show(&[plan], &mut out, stand_in, account).unwrap();
        Some((passed, String::from_utf8(out).unwrap()))
    }

    /// Has the router send the VIP's packets straight to the real server.
    fn stand_in(world: &World) -> io::Result<()> {
        let real_server = world.real_servers()[0].namespace();
        let link = real_server.network()?.link("lan0");
        let mac = link.ok().and_then(|link| link.mac).unwrap();
        let mut network = world.router().unwrap().network()?;
        for family in Family::BOTH {
            network
                .add_neighbour("front0", Plan::vip(family), mac)
                .map_err(io::Error::other)?;
        }
        Ok(())
    }

    #[test]
    fn what_passes_is_shown_with_its_picture_and_account() {
        let Some((passed, text)) = shown(1) else {
            return;
        };
        assert!(passed, "{text}");
        assert!(text.contains("VIP 192.0.2.100"), "{text}");
        assert!(
            text.contains("UDP echoes         60 of 60   rs1 60"),
            "{text}"
        );
        assert!(text.contains("\n  packets 1\n  drops 2\n"), "{text}");
        assert!(text.contains("Everything passed"), "{text}");
    }

    #[test]
    fn what_fails_is_told() {
        let Some((passed, text)) = shown(2) else {
            return;
        };
        assert!(!passed);
        assert!(text.contains("60 of 60   rs1 60\n"), "{text}");
        let which = "direct-route FAILED: IPv6: only 1 of 2 real servers had a share";
        assert!(text.contains(which), "{text}");
    }
}
