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
//! export LVS_GUEST=/path/to/linux
//! cargo test -p lvs-bin --test differential                              # a short run
//! cargo test -p lvs-bin --test differential -- --scenarios 1000 --seed 7 --keep DIR
//! LVS_RECORDINGS=DIR cargo test -p lvs-bin --test recordings              # plays what was kept
//! ```
//!
//! The kernel is user-mode Linux 6.12 with IPVS, an ordinary process that needs
//! no privileges; `LVS_GUEST` names it, and without one nothing is played. The
//! tools ipvsadm, ip and nft are this machine's. Where the kernel can run in
//! virtual time (`CONFIG_UML_TIME_TRAVEL_SUPPORT`), waiting costs nothing and
//! scenarios wait for minutes; otherwise for a moment only.
//!
//! | file | what |
//! |---|---|
//! | `generate` | a scenario from a seed |
//! | `frames` | the frames of a scenario |
//! | `guest` | boots the kernel and reads what it did |
//! | `agent` | what runs in the guest: this same program, as its first process |
//! | `shrink` | the smallest scenario that still differs |

mod agent;
mod frames;
mod generate;
mod guest;
mod shrink;

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
#[path = "../../../lvs-core/tests/common/random.rs"]
#[allow(dead_code, reason = "each test uses its part of it")]
mod random;
#[path = "../recordings/scenario.rs"]
#[allow(dead_code, reason = "nothing is compressed here")]
mod scenario;
#[path = "../recordings/transports.rs"]
mod transports;

use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

use guest::Guest;
use serde_json::Value;

fn main() -> ExitCode {
    if std::process::id() == 1 {
        agent::run();
    }
    let options = Options::of(env::args().skip(1));
    let Some(guest) = Guest::find() else {
        println!("not played: LVS_GUEST names no kernel, or ipvsadm, ip or nft is missing");
        return ExitCode::SUCCESS;
    };
    panic::set_hook(Box::new(|_| {}));
    let scenarios: Vec<Value> = (0..options.scenarios)
        .map(|number| generate::scenario(options.seed + number, options.steps, guest.is_virtual()))
        .collect();
    let (mut passed, mut steps, mut kept) = (0, 0, Vec::new());
    for batch in scenarios.chunks(AT_ONCE) {
        for recorded in guest.play(batch) {
            assert!(guest::is_sound(&recorded), "{recorded} makes no sense");
            steps += recorded["steps"].as_array().map_or(0, Vec::len);
            match difference(&recorded) {
                None => passed += 1,
                Some(why) => {
                    println!("{}: {why}", recorded["name"]);
                    let smallest = shrink::smallest(&guest, &recorded);
                    println!("  smallest: {}", difference(&smallest).unwrap_or_default());
                    kept.push(smallest);
                }
            }
        }
        println!("{steps} steps played, {} differences", kept.len());
    }
    if let Some(folder) = options.keep.filter(|_| !kept.is_empty()) {
        keep(&folder, &kept);
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
fn keep(folder: &PathBuf, found: &[Value]) {
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
    keep: Option<PathBuf>,
}

impl Options {
    fn of(mut words: impl Iterator<Item = String>) -> Self {
        let mut options = Self {
            seed: 1,
            scenarios: 40,
            steps: 40,
            keep: None,
        };
        while let Some(word) = words.next() {
            let mut number = || {
                let given = words.next().and_then(|word| word.parse().ok());
                given.unwrap_or_else(|| panic!("{word} wants a number"))
            };
            match word.as_str() {
                "--seed" => options.seed = number(),
                "--scenarios" => options.scenarios = number(),
                "--steps" => options.steps = number() as usize,
                "--keep" => options.keep = words.next().map(PathBuf::from),
                // Those of the test runner's that every test gets.
                _ => {}
            }
        }
        options
    }
}

/// Scenarios a boot of the guest plays.
const AT_ONCE: usize = 50;
