//! What the program says on the command line, and how it exits.

use std::process::Command;

/// Exit code, standard output and standard error of `lvs` with these arguments.
fn lvs(arguments: &[&str]) -> (Option<i32>, String, String) {
    let ran = Command::new(env!("CARGO_BIN_EXE_lvs"))
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (ran.status.code(), text(ran.stdout), text(ran.stderr))
}

#[test]
fn it_knows_its_name_and_version() {
    let version = concat!("lvs ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(
        lvs(&["--version"]),
        (Some(0), version.to_owned(), String::new())
    );
}

#[test]
fn a_file_is_checked_however_it_is_given() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/lvs.example.toml");
    let said = format!("{example}: 2 services, 4 real servers, on eth0\n");
    for arguments in [&["check", example][..], &["check", "--config", example]] {
        assert_eq!(lvs(arguments), (Some(0), said.clone(), String::new()));
    }
}

#[test]
fn every_line_of_an_error_says_whose_it_is() {
    let (code, out, error) = lvs(&["check", "/nonexistent.toml"]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(error.lines().count() > 3, "{error}");
    assert!(
        error.lines().all(|line| line.starts_with("lvs:")),
        "{error}"
    );
    assert!(!error.contains("nothing has changed"), "{error}");
}

#[test]
fn options_that_are_not_there_are_refused_without_false_advice() {
    let (code, _, error) = lvs(&["demo", "--masquerade"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("'--masquerade'"), "{error}");
    assert!(!error.contains("tip"), "{error}");
    let (code, _, error) = lvs(&["demo", "--real-servers", "x"]);
    assert_eq!(code, Some(2));
    assert!(
        error.contains("must be a whole number from 1 to 80"),
        "{error}"
    );
}
