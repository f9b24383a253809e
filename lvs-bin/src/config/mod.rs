//! The configuration file of `lvs run`: text in, checked values out.
//!
//! The format is TOML; `lvs.example.toml` shows all of it. Reading a file has
//! no effect but its answer: all of it is right, or everything that is wrong
//! with it is told at once. It knows no director, no NIC and no running state.

mod control;
mod director;
mod fault;
mod fields;
mod marks;
mod metrics;
mod options;
mod service;
mod tunnel;
pub(crate) mod written;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use lvs_core::config::{Config, Draft, ServiceKey};
use toml::de::DeTable;

pub use control::ControlSettings;
pub use director::DirectorSettings;
pub use fault::{Fault, Faults};
pub use metrics::MetricsSettings;

use fields::{Fields, Reading};

/// Everything a configuration file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How the director itself runs: what a running one cannot change.
    pub director: DirectorSettings,
    /// Where it is controlled: what a running one cannot change either.
    pub control: ControlSettings,
    /// Where its metrics are served, if they are: this, too.
    pub metrics: Option<MetricsSettings>,
    /// Services, real servers and timeouts.
    pub config: Arc<Config>,
    /// What people call the services; those that were given a name.
    pub names: BTreeMap<ServiceKey, String>,
}

impl Settings {
    /// Reads the file at `path`.
    ///
    /// *Errors:* every fault of the file; that it cannot be read is one.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Faults> {
        let path = path.as_ref();
        Self::parse(&path.display().to_string(), &text(path)?)
    }

    /// Reads `text`, which messages say is the file `file`.
    ///
    /// *Errors:* every fault of the text. While it is not TOML only that is
    /// told, since the rest may be misread.
    pub fn parse(file: &str, text: &str) -> Result<Self, Faults> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut reading = Reading::new(text);
        note_syntax(&errors, &mut reading);
        let settings = if errors.is_empty() {
            Self::of(table.get_ref(), &mut reading)
        } else {
            None
        };
        match (settings, reading.into_faults()) {
            (Some(settings), faults) if faults.is_empty() => Ok(settings),
            (_, faults) => Err(Faults::new(file, faults)),
        }
    }

    /// `None` only with a fault noted.
    fn of<'t>(table: &'t DeTable<'t>, reading: &mut Reading<'t>) -> Option<Self> {
        let fields = Fields::of_file(
            table,
            &[
                "director",
                "control",
                "metrics",
                "fragments",
                "timeouts",
                "settings",
                "mark",
                "service",
            ],
            reading,
        );
        let director = director::settings(&fields, reading);
        let control = control::control(&fields, reading);
        let metrics = metrics::metrics(&fields, reading);
        let timeouts = director::timeouts(&fields, reading);
        let (settings, estimation_cpus) = options::settings(&fields, reading);
        let interfaces = director.as_ref().map_or(&[][..], |it| &it.interfaces);
        let classifier = marks::classifier(&fields, interfaces, reading);
        let (services, names) = service::services(&fields, reading);
        let draft = Draft {
            services,
            timeouts,
            settings,
            estimation_cpus,
            classifier,
            ..Draft::default()
        };
        let config = match Config::checked(draft) {
            Ok(config) => Some(config),
            Err(error) => {
                reading.fault(0..0, "", error.to_string(), "change the service it names");
                None
            }
        };
        Some(Self {
            director: director?,
            control,
            metrics,
            config: config?,
            names,
        })
    }
}

/// The text of the file at `path`.
///
/// *Errors:* it cannot be read, or is no text.
pub(crate) fn text(path: &Path) -> Result<String, Faults> {
    let file = path.display().to_string();
    let refuse = |what: String, help: &str| {
        let fault = Fault::of_file(what, help.to_owned());
        Err(Faults::new(&file, vec![fault]))
    };
    match std::fs::read(path).map(String::from_utf8) {
        Ok(Ok(text)) => Ok(text),
        Ok(Err(error)) => refuse(
            not_text(error.as_bytes(), error.utf8_error().valid_up_to()),
            "save it as UTF-8, and make sure it is the file you mean",
        ),
        Err(error) => refuse(
            format!("the file cannot be read: {error}"),
            "give the path of a readable file",
        ),
    }
}

/// That the file is no text, and from which byte on.
fn not_text(bytes: &[u8], valid: usize) -> String {
    let line = bytes[..valid].iter().filter(|byte| **byte == b'\n').count() + 1;
    format!("the file is not text in UTF-8, from line {line} on")
}

/// Notes where the text is not TOML, once a line: what else the parser finds in
/// a line mostly follows from the first.
fn note_syntax(errors: &[toml::de::Error], reading: &mut Reading<'_>) {
    let mut told = None;
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let line = reading.line(&span);
        if told.replace(line) == Some(line) {
            continue;
        }
        reading.fault(
            span,
            "",
            format!("this is not TOML: {}", error.message()),
            "see https://toml.io for how values, tables and lists are written",
        );
    }
}

#[cfg(test)]
mod tests;
