//! Random scenarios, played on a real kernel's IPVS and on a director; every
//! difference is shrunk and kept as a recording.
//!
//! ```text
//!  seed ──> generate ──> scenario ──┬──> guest: a kernel as a process ──> recording ──┐
//!                                   └──────────────> player: a shard <────────────────┘
//!                                                        │ differs?
//!                                                        └──> shrink ──> kept
//! ```
//!
//! ```sh
//! cargo test -p lvs-bin --test differential                              # a short run
//! export LVS_GUEST=/path/to/linux
//! cargo test -p lvs-bin --test differential -- --scenarios 1000 --seed 7 --keep DIR
//! LVS_RECORDINGS=DIR cargo test -p lvs-bin --test recordings              # plays what was kept
//! ```
//!
//! Further words are `--steps N` for the length of a scenario and `--shrink N`
//! for how many differences are shrunk. Without `--keep` they are kept in
//! `target/tmp/differential`.
//!
//! The kernel is user-mode Linux with IPVS, an ordinary process that needs no
//! privileges: the one `LVS_GUEST` names, or else that of Debian's package
//! user-mode-linux. Without one nothing is played, which fails where
//! `LVS_TESTS_MUST_NOT_SKIP` is set. The tools ipvsadm, ip and nft are this
//! machine's.
//!
//! The reference is Linux 6.12, built to run in virtual time
//! (`CONFIG_UML_TIME_TRAVEL_SUPPORT`): waiting costs nothing there, and scenarios
//! wait for minutes. Debian 12's is 6.1 in real time. What it has otherwise is
//! left out where time is real: waits of more than a moment, and with them
//! counters, which are shown two seconds late; marks and SCTP, as the rules of
//! nftables for them do not load; thresholds, and the schedulers that weigh active
//! connections against inactive ones, which 6.12 does otherwise; the defences, which
//! it looks at once a second; `expire_nodest_conn`, with which a removal waits until
//! all connections have ended; and over IPv6 errors, and TCP behind extension
//! headers, neither of which 6.1 reads right.
//!
//! | file | what |
//! |---|---|
//! | `generate` | a scenario from a seed |
//! | `services` | its services and real servers, and commands that change them |
//! | `traffic` | its packets |
//! | `frames` | how packets are written down |
//! | `guest` | boots the kernel and reads what it did |
//! | `agent` | what runs in the guest: this same program, as its first process |
//! | `shrink` | the smallest scenario that still differs |

mod agent;
mod frames;
mod generate;
mod guest;
mod services;
mod shrink;
mod traffic;

#[path = "../recordings/command.rs"]
mod command;
#[path = "../recordings/counters.rs"]
mod counters;
#[path = "../recordings/differences.rs"]
mod differences;
#[path = "../recordings/director.rs"]
mod director;
#[path = "../recordings/fields.rs"]
mod fields;
#[path = "../recordings/frame.rs"]
mod frame;
#[path = "../recordings/headers.rs"]
mod headers;
#[path = "../recordings/host.rs"]
mod host;
#[path = "../recordings/listing.rs"]
mod listing;
#[path = "../recordings/operator.rs"]
mod operator;
#[path = "../recordings/player.rs"]
mod player;
#[path = "../recordings/printed.rs"]
mod printed;
#[allow(dead_code, reason = "the library alone is asked")]
#[path = "../recordings/program.rs"]
mod program;
#[path = "../../../lvs-core/tests/common/random.rs"]
#[allow(dead_code, reason = "each test uses its part of it")]
mod random;
#[path = "../recordings/scenario.rs"]
#[allow(dead_code, reason = "nothing is compressed here")]
mod scenario;
#[path = "../../../lvs-core/tests/common/sum.rs"]
#[allow(dead_code, reason = "each test uses its part of it")]
mod sum;
#[path = "../recordings/transports.rs"]
mod transports;

use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, fs};

use guest::Guest;
use serde_json::Value;

fn main() -> ExitCode {
    if std::process::id() == 1 {
        agent::run();
    }
    let options = Options::of(env::args().skip(1));
    let guest = match Guest::find() {
        Ok(guest) => guest,
        Err(why) => {
            println!("skipped: {why}");
            return match env::var_os("LVS_TESTS_MUST_NOT_SKIP") {
                Some(_) => ExitCode::FAILURE,
                None => ExitCode::SUCCESS,
            };
        }
    };
    panic::set_hook(Box::new(|_| {}));
    let scenarios: Vec<Value> = (0..options.scenarios)
        .map(|number| generate::scenario(options.seed + number, options.steps, guest.is_virtual()))
        .collect();
    let (mut passed, mut steps, mut kept) = (0, 0, Vec::new());
    let begun = Instant::now();
    for batch in scenarios.chunks(options.at_once) {
        if begun.elapsed() > options.time {
            break;
        }
        for recorded in guest.play(batch) {
            assert!(guest::is_sound(&recorded), "{recorded} makes no sense");
            steps += recorded["steps"].as_array().map_or(0, Vec::len);
            match difference(&recorded) {
                None => passed += 1,
                Some(why) => {
                    println!("{}: {why}", recorded["name"]);
                    let smallest = match kept.len() {
                        kept if kept < options.shrink => shrink::smallest(&guest, &recorded),
                        _ => recorded,
                    };
                    println!("  smallest: {}", difference(&smallest).unwrap_or_default());
                    kept.push(smallest);
                    keep(&options.keep, &kept);
                }
            }
        }
        println!("{steps} steps played, {} differences", kept.len());
    }
    println!("\n{passed} passed, {} failed", kept.len());
    if kept.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What a director does otherwise than was recorded.
fn difference(recorded: &Value) -> Option<String> {
    let scenario = scenario::scenario(recorded);
    let played = panic::catch_unwind(AssertUnwindSafe(|| player::play(&scenario)));
    played
        .unwrap_or_else(|_| Err("the director panicked".into()))
        .err()
}

/// Writes scenarios as a recording, the group `found`.
fn keep(folder: &Path, found: &[Value]) {
    fs::create_dir_all(folder).unwrap();
    let text = serde_json::to_vec(found).unwrap();
    let mut compressed = Vec::new();
    lzma_rs::xz_compress(&mut &text[..], &mut compressed).unwrap();
    let path = folder.join("found.json.xz");
    fs::write(&path, compressed).unwrap();
    println!("kept in {}", path.display());
}

/// What a run is asked to do.
struct Options {
    seed: u64,
    scenarios: u64,
    steps: usize,
    /// After so long no more scenarios are begun.
    time: Duration,
    /// Scenarios a boot of the guest plays.
    at_once: usize,
    /// How many differences are shrunk, the first ones.
    shrink: usize,
    /// Where differences are kept.
    keep: PathBuf,
}

impl Options {
    fn of(mut words: impl Iterator<Item = String>) -> Self {
        let mut options = Self {
            seed: 1,
            scenarios: A_FEW,
            steps: 40,
            time: A_WHILE,
            at_once: 8,
            shrink: 4,
            keep: Path::new(env!("CARGO_TARGET_TMPDIR")).join("differential"),
        };
        while let Some(word) = words.next() {
            let mut number = || {
                let given = words.next().and_then(|word| word.parse().ok());
                given.unwrap_or_else(|| panic!("{word} wants a number"))
            };
            match word.as_str() {
                "--seed" => options.seed = number(),
                "--scenarios" => {
                    options.scenarios = number();
                    (options.time, options.at_once) = (Duration::MAX, 10);
                }
                "--steps" => options.steps = number() as usize,
                "--shrink" => options.shrink = number() as usize,
                "--keep" => {
                    let folder = words.next();
                    options.keep = folder.expect("--keep wants a folder").into();
                }
                // Those of the test runner's that every test gets.
                _ => {}
            }
        }
        options
    }
}

/// What is played where nobody says how much: so many scenarios, fewer where
/// they take longer than this.
const A_FEW: u64 = 24;
const A_WHILE: Duration = Duration::from_secs(15);
