//! `lvs apply` and `lvs save`: a running director and its file.

use std::fmt;
use std::path::Path;

use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use crate::api::shape::{Applied, Plan, Saved};
use crate::api::{Client, ClientError};
use crate::config::{self, Faults};
use crate::control::Terms;

/// Why it was not done.
#[derive(Debug)]
pub enum ManageError {
    /// The file cannot be read.
    File(Faults),
    /// The director refuses, or cannot be asked.
    Client(ClientError),
}

impl fmt::Display for ManageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(faults) => faults.fmt(f),
            Self::Client(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ManageError {}

impl From<ClientError> for ManageError {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

/// Has the director at `socket` take up the file at `path`; what to print.
///
/// # Errors
///
/// What keeps it from being taken up; nothing has changed.
pub fn apply(socket: &Path, path: &Path, terms: Terms, json: bool) -> Result<String, ManageError> {
    let text = config::text(path).map_err(ManageError::File)?;
    let name = path.display().to_string();
    let name = utf8_percent_encode(&name, NON_ALPHANUMERIC);
    let asked = format!(
        "/v1/config?file={name}&dry_run={}&discard={}",
        terms.dry_run, terms.discard
    );
    let mut client = Client::connect(socket)?;
    let applied: Applied = client.put(&asked, TOML, text.into_bytes())?;
    if json {
        return Ok(to_json(&applied));
    }
    let mut text = lines(&applied.plan);
    let done = if applied.applied {
        "applied"
    } else {
        "not applied: a dry run"
    };
    text += &format!("{}: {}, {done}\n", path.display(), count(&applied.plan));
    if applied.needs_restart {
        text += "Changes in [director], [control], [metrics] and [fragments] take effect at the \
                 next start.\n";
    }
    Ok(text)
}

/// Has the director at `socket` write to its file what was changed at run time;
/// what to print. With `print`, the text instead, to be put elsewhere.
///
/// # Errors
///
/// What keeps it from being written; the file is as it was.
pub fn save(socket: &Path, print: bool, json: bool) -> Result<String, ManageError> {
    let mut client = Client::connect(socket)?;
    if print {
        let text = client.ask(Method::GET, "/v1/config", TOML, Vec::new())?;
        return Ok(String::from_utf8_lossy(&text).into_owned());
    }
    let saved: Saved = client.post("/v1/config/save")?;
    if json {
        return Ok(to_json(&saved));
    }
    Ok(format!(
        "{}{}: {}, saved\n",
        lines(&saved.plan),
        saved.file,
        count(&saved.plan)
    ))
}

fn count(plan: &Plan) -> String {
    match plan.changes.len() {
        0 => "no changes".to_owned(),
        1 => "1 change".to_owned(),
        many => format!("{many} changes"),
    }
}

/// A line a change.
fn lines(plan: &Plan) -> String {
    let lines = plan.changes.iter();
    lines.map(|change| format!("{}\n", change.text)).collect()
}

fn to_json(shape: &impl Serialize) -> String {
    // What has no maps but of texts can always be written.
    serde_json::to_string_pretty(shape).unwrap_or_default() + "\n"
}

const TOML: &str = "application/toml";
