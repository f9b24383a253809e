//! What `ethtool` switches.

use std::io;
use std::process::Command;

use lvs::doctor::Severity::{Fault, Warning};
use lvs::world::Method;

use crate::clinic::{Clinic, assert_said, assert_well};
use crate::skip;

/// Types `ethtool` in the director's namespace; whether there is one.
#[track_caller]
fn ethtool(clinic: &Clinic, arguments: &[&str]) -> bool {
    let director = clinic.world.director();
    match director.run(|| Command::new("ethtool").args(arguments).output()) {
        Ok(ran) => {
            let said = String::from_utf8_lossy(&ran.stderr);
            assert!(ran.status.success(), "ethtool {arguments:?}: {said}");
            true
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            skip::say("ethtool is not installed");
            false
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn packets_that_the_host_merges() {
    let Some(mut clinic) = Clinic::whole(Method::DirectRoute) else {
        return;
    };
    if !ethtool(&clinic, &["-K", "front0", "gro", "on"]) {
        return;
    }
    // Native XDP comes before.
    assert_well(&clinic.of_director(), &["memory"]);
    let native = clinic.text.clone();
    clinic.text = native.replace("workers = 1", "workers = 1\nmode = \"packet\"");
    let said = clinic.of_director();
    let mend = "ethtool -K front0 gro off";
    assert_said(&said, "offloads", Warning, "merges TCP packets", mend);
    let offload = "rx-udp-gro-forwarding";
    assert!(ethtool(&clinic, &["-K", "front0", offload, "on"]));
    let mend = "ethtool -K front0 rx-udp-gro-forwarding off";
    let said = clinic.of_director();
    assert_said(&said, "offloads", Fault, "merges UDP datagrams", mend);
    clinic.text = native;
    let said = clinic.of_director();
    assert_said(&said, "offloads", Warning, "merges UDP datagrams", mend);
}
