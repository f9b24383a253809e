//! What the program says on the command line, and how it exits.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use lvs::privileges::{Work, check_privileges};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[path = "../../lvs-io/af-xdp/tests/skip/mod.rs"]
mod skip;

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
fn help_of_ipvsadm_needs_no_director() {
    for words in [["adm", "--help"], ["adm", "--version"]] {
        let socket = ["--socket", "/nonexistent.sock"];
        let (code, out, error) = lvs(&[&socket[..], &words[..]].concat());
        assert_eq!((code, error.as_str()), (Some(0), ""));
        assert!(out.starts_with("ipvsadm v1.31"), "{out}");
    }
}

#[test]
fn every_command_has_a_manual_page_and_is_completed() {
    let folder = std::env::temp_dir().join(format!("lvs-man-{}", std::process::id()));
    let ended = lvs(&["man", folder.to_str().unwrap()]);
    assert_eq!(ended, (Some(0), String::new(), String::new()));
    let page = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let (_, help, _) = lvs(&["--help"]);
    let listed = help.split("Commands:").nth(1).unwrap().lines().skip(1);
    let names = listed.map_while(|line| line.split_whitespace().next());
    let names: Vec<&str> = names.filter(|name| *name != "help").collect();
    assert!(names.len() > 8, "{help}");
    for name in &names {
        assert!(page(&format!("lvs-{name}.1")).contains(".SH OPTIONS"));
        assert!(
            page("lvs.1").contains(&format!("lvs\\-{name}(1)")),
            "{name}"
        );
    }
    assert!(
        page("lvs-adm.1").contains("virtual"),
        "the words of ipvsadm"
    );
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, _) = lvs(&["completions", shell]);
        assert_eq!(code, Some(0));
        assert!(names.iter().all(|name| script.contains(name)), "{shell}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_file_is_checked_however_it_is_given() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/lvs.example.toml");
    let said = format!("{example}: 2 services, 5 real servers, on eth0\n");
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
fn a_log_for_programs_ends_with_the_reason() {
    let words = ["run", "--log-format", "json", "--config", "/nonexistent"];
    let (code, out, error) = lvs(&words);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    let line: serde_json::Value = serde_json::from_str(&error).unwrap();
    assert_eq!(line["event"], "ended", "{error}");
    assert_eq!(line["level"], "ERROR", "{error}");
    let why = line["message"].as_str().unwrap();
    assert!(why.contains("/nonexistent"), "{why}");
    let (code, _, error) = lvs(&["run", "--log-format", "xml"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("must be one of text, json"), "{error}");
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

/// A demo that has begun to write, and what it writes.
fn demo() -> Option<(Child, impl Read)> {
    if let Err(lacking) = check_privileges(Work::Demo).unwrap() {
        skip::say(lacking);
        return None;
    }
    let mut child = Command::new(env!("CARGO_BIN_EXE_lvs"))
        .args(["demo", "dr"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert!(line.contains("direct-route"), "{line}");
    Some((child, out))
}

#[test]
fn an_interrupted_demo_says_so() {
    let Some((child, _out)) = demo() else { return };
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains("lvs: interrupted"), "{said}");
}

#[test]
fn a_demo_that_nobody_reads_ends_quietly() {
    let Some((child, out)) = demo() else { return };
    drop(out);
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", ended.status);
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
}
