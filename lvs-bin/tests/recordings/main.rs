//! Plays what was recorded from Linux IPVS (kernel 6.12.117, ipvsadm 1.31): the
//! same commands and packets must end in the same frames and the same texts,
//! byte for byte.
//!
//! ```text
//!  GROUP.json.xz ──> scenario ──> player ─┬─ frames ───> Shard ──> frames ──┐
//!                                         │                └ Host ──> host ─┤
//!                                         ├─ ipvsadm ──> lvs adm ───────────┤
//!                                         │       lvs::api ┘└> lvs::control  │
//!                                         ├─ ip, nft ──> command            │
//!                                         └─ settings                       ├─> compared
//! ```
//!
//! | file | what |
//! |---|---|
//! | `scenario` | reads a recording |
//! | `player` | goes through the steps of a scenario |
//! | `printed` | runs `ipvsadm`, reads the kernel's files, compares what is printed |
//! | `program` | the tool as a program of its own |
//! | `listing` | what in a listing need not be as it was recorded |
//! | `command` | reads the commands of other programs |
//! | `director` | the recorded director: interfaces, routes, the operator's table, one shard |
//! | `operator` | that director as `ipvsadm` sees it |
//! | `counters` | its counters, as they are shown |
//! | `host` | a Linux host, for packets a shard leaves to it |
//! | `frame` | what `host` needs to read and write frames |
//! | `differences` | what differs, told to people |
//! | `fields`, `headers`, `transports` | a frame in words, for the same |
//!
//! A recording is a list of scenarios. A frame is hexadecimal, Ethernet header
//! included; `vary` names the bytes that differed from boot to boot of the
//! kernel, such as identifications, which are not compared; `varies` names what
//! a command printed differently. Three things more need not be the same: the
//! order of connections, and of services where the tool does not sort them; how
//! late far timers of the kernel are; the moment its counters are looked at.
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
mod counters;
mod differences;
mod director;
mod fields;
mod frame;
mod headers;
mod host;
mod listing;
mod operator;
mod player;
mod printed;
mod program;
mod scenario;
#[path = "../../../lvs-io/af-xdp/tests/skip/mod.rs"]
mod skip;
mod transports;

use std::collections::{BTreeMap, BTreeSet};
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
    if let Err(error) = program::start(env!("CARGO_BIN_EXE_lvs")) {
        skip::say(format!(
            "ipvsadm as a program of its own: another /etc: {error}"
        ));
    }
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let other = env::var_os("LVS_RECORDINGS");
    let is_own = other.is_none();
    let folder = other.map_or(own, PathBuf::from);
    let known = known(include_str!("failing.txt"));
    let mut score = Score::default();
    let silent = |_: &panic::PanicHookInfo<'_>| {};
    panic::set_hook(Box::new(silent));
    let groups = match groups(&folder) {
        Ok(groups) => groups,
        Err(why) => {
            println!("{}: {why}", folder.display());
            return ExitCode::FAILURE;
        }
    };
    for (group, scenarios) in groups {
        let chosen = |scenario: &Scenario| {
            wanted.is_empty() || wanted.iter().any(|part| scenario.name.contains(part))
        };
        let scenarios: Vec<_> = scenarios.into_iter().filter(chosen).collect();
        if !scenarios.is_empty() {
            score.play(&group, &scenarios, &known, wanted.is_empty());
        }
    }
    if wanted.is_empty() && is_own {
        score.miss(&known);
    }
    for surprise in &score.surprises {
        println!("\n{surprise}");
    }
    println!("\n{} runs of ipvsadm as a program", program::runs());
    println!("{} passed, {} failed", score.passed, score.failed);
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
    /// Names of all that were played.
    played: BTreeSet<String>,
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
            self.played.insert(name.clone());
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

    /// Tells of those known to fail that there are not.
    fn miss(&mut self, known: &BTreeMap<&str, &str>) {
        let missed = known.keys().filter(|name| !self.played.contains(**name));
        let missed = missed.map(|name| format!("{name} is in failing.txt and in no recording"));
        self.surprises.extend(missed);
    }
}

/// The recordings in a folder, by group.
///
/// *Errors:* in words: that there are none, or what is wrong with one.
fn groups(folder: &Path) -> Result<BTreeMap<String, Vec<Scenario>>, String> {
    let mut groups = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(|error| error.to_string())? {
        let name = entry.map_err(|error| error.to_string())?.file_name();
        let group = name.to_str().and_then(|name| name.strip_suffix(".json.xz"));
        let Some(group) = group else { continue };
        let recording = fs::read(folder.join(&name)).map_err(|error| error.to_string());
        let scenarios = recording.and_then(|recording| scenario::read(&recording));
        let scenarios = scenarios.map_err(|why| format!("{group}.json.xz: {why}"))?;
        groups.insert(group.to_owned(), scenarios);
    }
    if groups.is_empty() {
        return Err("there is no recording, no file *.json.xz".into());
    }
    Ok(groups)
}

/// The scenarios that are known to fail, with the reason: a line each,
/// `name: reason`; `#` begins a comment.
fn known(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(|line| line.split_once(": ").unwrap())
        .collect()
}
