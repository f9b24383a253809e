//! Plays what was recorded from Linux IPVS (kernel 6.12.117, ipvsadm 1.31) to a
//! shard: the same commands and packets must end in the same frames, byte for
//! byte, and in the same listings of connections, real servers and traffic.
//!
//! ```text
//!  GROUP.json.xz ──> scenario ──> player ──> Shard ──> frames ──┐
//!                                   │           └ Host ──> host ┴─> compared
//! ```
//!
//! | file | what |
//! |---|---|
//! | `scenario` | reads a recording |
//! | `command` | reads the commands in it, and names those of features not built yet |
//! | `director` | the recorded director: interfaces, routes, services, one shard |
//! | `player` | goes through the steps of a scenario and compares |
//! | `listing` | compares what `ipvsadm` listed |
//! | `host` | a Linux host, for packets a shard leaves to it |
//! | `frame` | what `host` needs to read and write frames |
//!
//! A recording is a list of scenarios. A frame is hexadecimal, Ethernet header
//! included; `vary` names the bytes that differed from boot to boot of the
//! kernel, such as identifications, which are not compared.
//!
//! ```sh
//! cargo test -p lvs-bin --test recordings                    # all
//! cargo test -p lvs-bin --test recordings -- persist/ nat/mtu   # these, with what differs
//! LVS_RECORDINGS=DIR cargo test -p lvs-bin --test recordings  # those in another folder
//! ```
//!
//! `failing.txt` names the scenarios that fail, with the reason. One that fails
//! without being named there, or passes though it is, fails the test.

mod command;
mod director;
mod frame;
mod host;
mod listing;
mod player;
mod scenario;

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use scenario::Scenario;

fn main() -> ExitCode {
    let wanted: Vec<String> = env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let folder = env::var_os("LVS_RECORDINGS").map_or(own, PathBuf::from);
    let known = known(include_str!("failing.txt"));
    let mut score = Score::default();
    let silent = |_: &panic::PanicHookInfo<'_>| {};
    panic::set_hook(Box::new(silent));
    for (group, recording) in groups(&folder) {
        let chosen = |scenario: &Scenario| {
            wanted.is_empty() || wanted.iter().any(|part| scenario.name.contains(part))
        };
        let scenarios: Vec<_> = scenario::read(&recording)
            .into_iter()
            .filter(chosen)
            .collect();
        if !scenarios.is_empty() {
            score.play(&group, &scenarios, &known, wanted.is_empty());
        }
    }
    for surprise in &score.surprises {
        println!("\n{surprise}");
    }
    println!("\n{} passed, {} failed", score.passed, score.failed);
    if score.surprises.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What came of the scenarios so far.
#[derive(Default)]
struct Score {
    passed: usize,
    failed: usize,
    /// What nobody expected, in words.
    surprises: Vec<String>,
}

impl Score {
    /// Plays the scenarios of a group and prints a line about them.
    fn play(
        &mut self,
        group: &str,
        scenarios: &[Scenario],
        known: &BTreeMap<&str, &str>,
        strictly: bool,
    ) {
        let (mut passed, mut expected) = (0, 0);
        let before = self.surprises.len();
        for scenario in scenarios {
            let name = &scenario.name;
            let played = panic::catch_unwind(AssertUnwindSafe(|| player::play(scenario)));
            let played = played.unwrap_or_else(|_| Err("the director panicked".into()));
            match (played, known.get(name.as_str())) {
                (Ok(()), None) => passed += 1,
                (Ok(()), Some(_)) if strictly => self.surprises.push(format!(
                    "{name} passes now: take it out of tests/recordings/failing.txt"
                )),
                (Ok(()), Some(_)) => passed += 1,
                (Err(_), Some(_)) if strictly => expected += 1,
                (Err(why), _) => self.surprises.push(format!("{name}: {why}")),
            }
        }
        let unexpected = self.surprises.len() - before;
        self.passed += passed;
        self.failed += expected + unexpected;
        println!("{group}: {passed} passed, {expected} known to fail, {unexpected} surprises");
    }
}

/// The recordings in a folder, by group.
fn groups(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", folder.display()));
    entries
        .map(|entry| entry.unwrap().path())
        .filter_map(|path| {
            let group = path.file_name()?.to_str()?.strip_suffix(".json.xz")?;
            Some((group.to_string(), fs::read(&path).unwrap()))
        })
        .collect()
}

/// The scenarios that are known to fail, with the reason: a line each,
/// `name: reason`; `#` begins a comment.
fn known(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(|line| line.split_once(": ").unwrap())
        .collect()
}
