//! The command itself: what it prints, and how it exits.

use std::fs;
use std::process::{Command, Output};

use lvs::world::Method;
use serde_json::Value;

use crate::clinic::{Clinic, path};

/// Types `lvs doctor` in the director's namespace.
fn doctor(clinic: &Clinic, arguments: &[&str]) -> Output {
    let name = format!("lvs-doctor-{}.toml", std::process::id());
    let file = std::env::temp_dir().join(name);
    fs::write(&file, &clinic.text).unwrap();
    let ran = clinic.world.director().run(|| {
        Command::new(env!("CARGO_BIN_EXE_lvs"))
            .arg("doctor")
            .arg(&file)
            .args(arguments)
            .output()
    });
    fs::remove_file(&file).unwrap();
    ran.unwrap()
}

#[test]
fn people_and_programs_are_told_the_same() {
    let Some(clinic) = Clinic::whole(Method::DirectRoute) else {
        return;
    };
    clinic.director().set_down("front0").unwrap();
    let ran = doctor(&clinic, &[]);
    assert_eq!(ran.status.code(), Some(1));
    let said = String::from_utf8(ran.stdout).unwrap();
    assert!(
        said.starts_with("director\n  fault    interfaces\n"),
        "{said}"
    );
    let ran = doctor(&clinic, &["--json"]);
    assert_eq!(ran.status.code(), Some(1));
    let json: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let interfaces = &json["sections"][0]["checks"][0];
    assert_eq!(interfaces["name"], "interfaces");
    let finding = &interfaces["findings"][0];
    let mend = finding["mend"][0].as_str().unwrap();
    assert!(said.contains(&format!("$ {mend}\n")), "{said}");
}

#[test]
fn a_real_server_is_looked_at_where_it_is() {
    let Some(clinic) = Clinic::whole(Method::DirectRoute) else {
        return;
    };
    let place = path(clinic.server());
    let there = ["--real-server", "192.0.2.11", "--netns", place.as_str()];
    let ran = doctor(&clinic, &there);
    let said = String::from_utf8(ran.stdout).unwrap();
    assert!(
        said.contains("\nreal server 192.0.2.11\n  ok       address\n"),
        "{said}"
    );
    // As on its own machine: nothing is said of a director, and all is well.
    let here = ["--real-server", "192.0.2.11"];
    let arguments = |file: &str| [&["doctor", file][..], &here].concat().join(" ");
    let file = std::env::temp_dir().join("lvs-doctor-here.toml");
    fs::write(&file, &clinic.text).unwrap();
    let ran = clinic.server().run(|| {
        Command::new(env!("CARGO_BIN_EXE_lvs"))
            .args(arguments(&file.display().to_string()).split(' '))
            .output()
    });
    fs::remove_file(&file).unwrap();
    let ran = ran.unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    assert_eq!(ran.status.code(), Some(0), "{said}");
    assert!(said.starts_with("real server 192.0.2.11\n"), "{said}");
    assert!(said.ends_with("no faults, no warnings\n"), "{said}");
}

#[test]
fn a_namespace_that_is_not_there_is_an_error() {
    let Some(clinic) = Clinic::whole(Method::DirectRoute) else {
        return;
    };
    let nowhere = ["--real-server", "192.0.2.11", "--netns", "no-such-one"];
    let ran = doctor(&clinic, &nowhere);
    assert_eq!(ran.status.code(), Some(2));
    let said = String::from_utf8(ran.stderr).unwrap();
    assert!(said.contains("/run/netns/no-such-one"), "{said}");
}
