//! Writes what criterion measured last as one page of Markdown, with the
//! machine it was measured on.
//!
//! ```text
//! cargo run -p lvs-benches --bin record > benches/record/<date>-<machine>.md
//! ```
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, SystemTime};
use std::{env, fs};

use af_xdp::{HugePages, Region};
use serde_json::Value;

/// What was measured under one name: nanoseconds, with the bounds between
/// which the median lies in 95 of 100 repetitions.
#[derive(Clone, Copy)]
struct Measured {
    median: f64,
    low: f64,
    high: f64,
    at: SystemTime,
}

/// By group and name.
type Results = BTreeMap<(String, String), Measured>;

fn main() -> ExitCode {
    let place = criterion_home();
    let mut results = Results::new();
    if let Err(error) = collect(&place, &mut results) {
        eprintln!("cannot read {}: {error}", place.display());
        return ExitCode::FAILURE;
    }
    // What an earlier campaign left behind is not of this commit.
    if let Some(newest) = results.values().map(|measured| measured.at).max() {
        results.retain(|_, measured| {
            newest.duration_since(measured.at).unwrap_or_default() < ONE_CAMPAIGN
        });
    }
    if results.is_empty() {
        eprintln!(
            "nothing measured yet in {}: cargo bench -p lvs-benches",
            place.display()
        );
        return ExitCode::FAILURE;
    }
    println!("# The hot path, measured\n");
    machine();
    floors(&results);
    for (kind, title) in [
        ("hit", "Packets of known connections"),
        ("new", "First packets of connections"),
        ("setup", "First packets of connections, by scheduler"),
        ("end", "Connections whose time has come"),
    ] {
        table(&results, kind, title);
    }
    ExitCode::SUCCESS
}

/// Where criterion keeps its results, found as criterion finds it.
fn criterion_home() -> PathBuf {
    let target = || env::var_os("CARGO_TARGET_DIR").map(|dir| Path::new(&dir).join("criterion"));
    let own = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/criterion");
    env::var_os("CRITERION_HOME")
        .map(PathBuf::from)
        .or_else(target)
        .unwrap_or_else(own)
}

/// Reads every result below `place`.
fn collect(place: &Path, results: &mut Results) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(place)? {
        let path = entry?.path();
        if !path.is_dir() {
            continue;
        }
        if path.ends_with("new") {
            let (key, measured) = read(&path)?;
            results.insert(key, measured);
        } else {
            collect(&path, results)?;
        }
    }
    Ok(())
}

/// Reads the result in one folder.
fn read(folder: &Path) -> Result<((String, String), Measured), Box<dyn Error>> {
    let json = |name: &str| -> Result<Value, Box<dyn Error>> {
        Ok(serde_json::from_slice(&fs::read(folder.join(name))?)?)
    };
    let (names, estimates) = (json("benchmark.json")?, json("estimates.json")?);
    let text = |name: &str| names[name].as_str().map(str::to_owned).ok_or("no name");
    let median = &estimates["median"];
    let number = |value: &Value| value.as_f64().ok_or("no number");
    let interval = &median["confidence_interval"];
    let measured = Measured {
        median: number(&median["point_estimate"])?,
        low: number(&interval["lower_bound"])?,
        high: number(&interval["upper_bound"])?,
        at: fs::metadata(folder.join("estimates.json"))?.modified()?,
    };
    Ok(((text("group_id")?, text("function_id")?), measured))
}

/// What it was measured on.
fn machine() {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let said = |command: &str, arguments: &[&str]| {
        let output = Command::new(command).args(arguments).output();
        output.map_or_else(
            |_| "unknown".to_owned(),
            |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        )
    };
    let processors = read("/proc/cpuinfo");
    let named = |field: &str| {
        processors
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.trim() == field)
            .map_or("unknown", |(_, value)| value.trim())
    };
    let count = processors.matches("processor\t").count();
    let pages = Region::new(4 << 20, HugePages::Prefer).map(|region| region.pages());
    let changed = !said("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
    let rows = [
        ("date", said("date", &["-u", "+%F %H:%M UTC"])),
        (
            "commit",
            said("git", &["rev-parse", "--short", "HEAD"]) + if changed { ", changed" } else { "" },
        ),
        (
            "processor",
            format!(
                "{} (family {}, model {}), {count} of it, {} cache",
                named("model name"),
                named("cpu family"),
                named("model"),
                named("cache size")
            ),
        ),
        (
            "memory",
            read("/proc/meminfo")
                .lines()
                .next()
                .unwrap_or("unknown")
                .to_owned(),
        ),
        (
            "pages of the tables",
            pages.map_or_else(|error| error.to_string(), |pages| format!("{pages:?}")),
        ),
        (
            "kernel",
            read("/proc/sys/kernel/osrelease").trim().to_owned(),
        ),
        ("compiler", said("rustc", &["--version"])),
        ("load", read("/proc/loadavg").trim().to_owned()),
    ];
    println!("| | |\n|---|---|");
    for (name, value) in rows {
        println!("| {name} | {value} |");
    }
    println!();
}

fn floors(results: &Results) {
    println!("## Floors\n\nNanoseconds of processor time per frame, median and 95 % bounds.\n");
    println!("| headers | restore | touch |\n|---|---|---|");
    for (group, headers) in groups(results, "floor") {
        let cell = |name: &str| {
            results
                .get(&(group.clone(), name.to_owned()))
                .map_or_else(|| "–".to_owned(), |measured| measured.to_string())
        };
        println!("| {headers} | {} | {} |", cell("restore"), cell("touch"));
    }
}

/// All classes of one kind, a row each.
fn table(results: &Results, kind: &str, title: &str) {
    println!("\n## {title}\n");
    println!(
        "Nanoseconds of processor time per packet, restoring its frame included; *net* without.\n"
    );
    println!("| class | lvs | net | naive | naive / lvs |\n|---|---|---|---|---|");
    for (group, class) in groups(results, kind) {
        let found = |name: &str| results.get(&(group.clone(), name.to_owned()));
        let Some(lvs) = found("lvs") else {
            continue;
        };
        let net = restore(results, &class)
            .filter(|_| kind == "hit" || kind == "new")
            .map_or_else(
                || "–".to_owned(),
                |restore| format!("{:.1}", lvs.median - restore),
            );
        let (naive, ratio) = found("naive").map_or_else(
            || ("–".to_owned(), "–".to_owned()),
            |naive| {
                (
                    naive.to_string(),
                    format!("{:.1}", naive.median / lvs.median),
                )
            },
        );
        println!("| {class} | {lvs} | {net} | {naive} | {ratio} |");
    }
}

/// The groups of a kind, with what follows the kind in their names.
fn groups(results: &Results, kind: &str) -> Vec<(String, String)> {
    let mut groups: Vec<_> = results
        .keys()
        .filter_map(|(group, _)| {
            let (first, rest) = group.split_once('/')?;
            (first == kind).then(|| (group.clone(), rest.to_owned()))
        })
        .collect();
    groups.dedup();
    groups
}

/// What restoring a frame of this class takes.
fn restore(results: &Results, class: &str) -> Option<f64> {
    let headers: Vec<_> = class.split('/').skip(1).take(2).collect();
    // UDP's short frames are restored as TCP's are.
    let group = format!("floor/{}", headers.join("/")).replace("udp", "tcp");
    let measured = results.get(&(group, "restore".to_owned()))?;
    Some(measured.median)
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} ({:.1}–{:.1})", self.median, self.low, self.high)
    }
}

/// How long a whole run may take at most.
const ONE_CAMPAIGN: Duration = Duration::from_secs(12 * 3600);
