//! Reads a recording.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::panic;
use std::time::Duration;

use lvs_core::Port;
use serde_json::Value;

use crate::fields;

/// Commands, packets, and what came of them.
pub(crate) struct Scenario {
    pub(crate) name: String,
    /// Set before anything else.
    pub(crate) sysctls: BTreeMap<String, String>,
    /// Commands run before the first step.
    pub(crate) setup: Vec<String>,
    pub(crate) steps: Vec<Step>,
    /// How exact the moments of its steps are.
    pub(crate) slack: Duration,
}

/// One step.
pub(crate) struct Step {
    /// Seconds since the first step.
    pub(crate) at: f64,
    pub(crate) act: Act,
    /// What came out of the director while it ran.
    pub(crate) out: Vec<Sent>,
}

/// What is done in a step.
pub(crate) enum Act {
    /// A frame comes in on a port, so many times.
    Send {
        port: Port,
        frame: Vec<u8>,
        times: u64,
        /// What it is.
        note: String,
        /// Nobody looked at what came out.
        quiet: bool,
    },
    Wait,
    Run {
        command: String,
        /// What it read.
        stdin: String,
        printed: Printed,
    },
    /// A file of the kernel's was read.
    Read {
        path: String,
        /// What was in it, unless there was no such file.
        read: Option<String>,
        /// It was not the same each time.
        varies: bool,
    },
    /// Settings get other values.
    Set {
        settings: BTreeMap<String, String>,
        /// Those that were refused, with the kernel's words.
        refused: BTreeMap<String, String>,
    },
    /// Another kind of step, by its name.
    Other(String),
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send { note, frame, .. } if note.is_empty() => {
                write!(f, "send {}", fields::described(frame))
            }
            Self::Send { note, frame, .. } => {
                write!(f, "send {note}: {}", fields::described(frame))
            }
            Self::Wait => f.write_str("wait"),
            Self::Run { command, .. } => f.write_str(command),
            Self::Read { path, .. } => write!(f, "read {path}"),
            Self::Set { settings, .. } => write!(f, "set {settings:?}"),
            Self::Other(op) => f.write_str(op),
        }
    }
}

/// What became of a command.
#[derive(Default)]
pub(crate) struct Printed {
    /// The exit status.
    pub(crate) status: i64,
    pub(crate) stdout: String,
    /// Standard error output, if anybody listened.
    pub(crate) stderr: Option<String>,
    /// Which of these were not the same each time.
    pub(crate) varies: Vec<String>,
}

/// A frame the director sent.
pub(crate) struct Sent {
    pub(crate) port: Port,
    pub(crate) frame: Vec<u8>,
    /// Bytes that are not the same each time.
    pub(crate) vary: Vec<RangeInclusive<usize>>,
}

/// The scenarios of a compressed recording.
///
/// *Errors:* in words, what is wrong with it.
pub(crate) fn read(mut compressed: &[u8]) -> Result<Vec<Scenario>, String> {
    let mut json = Vec::new();
    lzma_rs::xz_decompress(&mut compressed, &mut json)
        .map_err(|error| format!("it is not compressed by xz: {error:?}"))?;
    let recording: Value =
        serde_json::from_slice(&json).map_err(|error| format!("it is no JSON: {error}"))?;
    let scenarios = recording.as_array().ok_or("it is no list of scenarios")?;
    let read = |value| {
        panic::catch_unwind(|| scenario(value)).map_err(|panic| {
            let what = panic.downcast_ref::<&str>().map(|what| (*what).to_owned());
            let what = what.or_else(|| panic.downcast_ref::<String>().cloned());
            let name = text(&value["name"]);
            format!("scenario {name:?}: {}", what.unwrap_or_default())
        })
    };
    scenarios.iter().map(read).collect()
}

/// One scenario of a recording.
///
/// *Panics:* with words about it, if it is none.
pub(crate) fn scenario(value: &Value) -> Scenario {
    let mut steps: Vec<Step> = list(&value["steps"]).iter().map(step).collect();
    let random = value["random"].as_bool() == Some(true);
    for step in &mut steps {
        if random {
            // Chance chose among real servers, which show by the last byte of the
            // link address; what several boots chose alike, another may not.
            for sent in &mut step.out {
                sent.vary.push(5..=5);
            }
        }
    }
    Scenario {
        name: text(&value["name"]),
        sysctls: settings(&value["sysctl"]),
        setup: list(&value["setup"]).iter().map(text).collect(),
        steps,
        slack: value["slack"]
            .as_f64()
            .map_or(SLACK, Duration::from_secs_f64),
    }
}

/// Two of the director's ticks and one of the kernel's, rounded up.
const SLACK: Duration = Duration::from_millis(50);

/// Names with their values.
fn settings(value: &Value) -> BTreeMap<String, String> {
    let Value::Object(set) = value else {
        return BTreeMap::new();
    };
    set.iter()
        .map(|(name, value)| (name.clone(), text(value)))
        .collect()
}

fn step(value: &Value) -> Step {
    let act = match text(&value["op"]).as_str() {
        "send" => Act::Send {
            port: port(&value["if"]),
            frame: bytes(&value["frame"]),
            times: value["repeat"].as_u64().unwrap_or(1),
            note: text(&value["note"]),
            quiet: value["quiet"].as_bool() == Some(true) || !value["repeat"].is_null(),
        },
        "wait" => Act::Wait,
        "run" => Act::Run {
            command: text(&value["cmd"]),
            stdin: text(&value["stdin"]),
            printed: Printed {
                status: value["rc"].as_i64().expect("rc is a number"),
                stdout: text(&value["stdout"]),
                stderr: value["stderr"].as_str().map(str::to_string),
                varies: list(&value["varies"]).iter().map(text).collect(),
            },
        },
        "cat" => Act::Read {
            path: text(&value["path"]),
            read: value["stdout"].as_str().map(str::to_string),
            varies: !list(&value["varies"]).is_empty(),
        },
        "sysctl" => Act::Set {
            settings: settings(&value["set"]),
            refused: settings(&value["error"]),
        },
        other => Act::Other(other.to_string()),
    };
    Step {
        at: value["t"].as_f64().expect("t is a number"),
        act,
        out: list(&value["out"]).iter().map(sent).collect(),
    }
}

fn sent(value: &Value) -> Sent {
    let ends = |range: &Value| {
        let end = |place: usize| range[place].as_u64().expect("vary is a list of pairs") as usize;
        end(0)..=end(1)
    };
    Sent {
        port: port(&value["if"]),
        frame: bytes(&value["frame"]),
        vary: list(&value["vary"]).iter().map(ends).collect(),
    }
}

/// The director's two interfaces.
fn port(value: &Value) -> Port {
    match value.as_str() {
        Some("cli") => Port(0),
        Some("rs") => Port(1),
        other => panic!("if is {other:?}, but must be cli or rs"),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_string()
}

fn bytes(value: &Value) -> Vec<u8> {
    let digits = value.as_str().expect("a frame is a text").as_bytes();
    let byte = |pair| {
        let pair = std::str::from_utf8(pair)
            .ok()
            .filter(|pair| pair.len() == 2);
        pair.and_then(|pair| u8::from_str_radix(pair, 16).ok())
    };
    let bytes: Option<_> = digits.chunks(2).map(byte).collect();
    bytes.expect("a frame is in hexadecimal")
}
