//! Reads a recording, as far as commands and what they printed go.

use std::collections::BTreeMap;

use serde_json::Value;

/// Commands, packets, and what was printed.
pub(crate) struct Scenario {
    pub(crate) name: String,
    /// Set before anything else.
    pub(crate) sysctls: BTreeMap<String, String>,
    /// Commands run before the first step.
    pub(crate) setup: Vec<String>,
    pub(crate) steps: Vec<Step>,
}

/// One step.
pub(crate) struct Step {
    /// Seconds since the first step.
    pub(crate) at: f64,
    pub(crate) act: Act,
}

/// What is done in a step.
pub(crate) enum Act {
    /// A frame comes in, so many times.
    Send {
        frame: Vec<u8>,
        side: u8,
        times: u64,
    },
    Run {
        command: String,
        stdin: String,
        stdout: String,
        stderr: String,
        status: u64,
    },
    /// A file of the kernel's was read.
    Read { path: String, text: String },
    /// Nothing that prints.
    Other,
}

/// The scenarios of a compressed recording.
pub(crate) fn read(mut compressed: &[u8]) -> Vec<Scenario> {
    let mut json = Vec::new();
    lzma_rs::xz_decompress(&mut compressed, &mut json).unwrap();
    let recording: Value = serde_json::from_slice(&json).unwrap();
    list(&recording).iter().map(scenario).collect()
}

fn scenario(value: &Value) -> Scenario {
    let sysctls = value["sysctl"].as_object().into_iter().flatten();
    Scenario {
        name: text(&value["name"]),
        sysctls: sysctls
            .map(|(name, value)| (name.clone(), text(value)))
            .collect(),
        setup: list(&value["setup"]).iter().map(text).collect(),
        steps: list(&value["steps"]).iter().map(step).collect(),
    }
}

fn step(value: &Value) -> Step {
    let act = match value["op"].as_str() {
        Some("send") => Act::Send {
            frame: bytes(&value["frame"]),
            side: u8::from(value["if"] == "rs"),
            times: value["repeat"].as_u64().unwrap_or(1),
        },
        Some("run") => Act::Run {
            command: text(&value["cmd"]),
            stdin: text(&value["stdin"]),
            stdout: text(&value["stdout"]),
            stderr: text(&value["stderr"]),
            status: value["rc"].as_u64().unwrap(),
        },
        Some("cat") => Act::Read {
            path: text(&value["path"]),
            text: text(&value["stdout"]),
        },
        _ => Act::Other,
    };
    Step {
        at: value["t"].as_f64().unwrap(),
        act,
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn bytes(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap().as_bytes();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
