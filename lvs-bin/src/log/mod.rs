//! The log of the binary: what the control side says through `tracing`, on
//! standard error, a line an event.
//!
//! Every event has a message for people and, for programs, fields: `event`, by
//! which it is known (`link_down`), and what it is about (`nic`, `real_server`,
//! `service`, `reason`, ...). Text is the messages alone; JSON has both.
//!
//! What repeats is told fifty times at once, and then once a second; how many
//! were left out is told after every ten seconds in which some were. Workers say
//! nothing, ever.

mod limit;

use std::io::{self, IsTerminal};
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::format;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

use limit::Limit;

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: an object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("must be one of text, json"),
        }
    }
}

/// A log that has begun; dropping it tells what was left out last.
#[derive(Debug)]
pub struct Log {
    limit: Limit,
}

impl Log {
    /// Begins to write what all threads of the process say.
    ///
    /// # Panics
    ///
    /// If a log has begun before.
    #[must_use]
    pub fn begin(format: LogFormat) -> Self {
        let limit = Limit::default();
        let layer = match format {
            LogFormat::Text => text().boxed(),
            LogFormat::Json => json().boxed(),
        };
        tracing_subscriber::registry()
            .with(layer.with_filter(limit.clone()))
            .init();
        let log = Self { limit };
        let limit = log.limit.clone();
        // Without it what was left out is told at the end.
        let _ = thread::Builder::new()
            .name("lvs-log".to_owned())
            .spawn(move || {
                loop {
                    thread::sleep(BETWEEN);
                    limit.tell();
                }
            });
        log
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.limit.tell();
    }
}

fn text() -> impl Layer<Registry> {
    let message = format::debug_fn(|writer, field, value| match field.name() {
        "message" => write!(writer, "{value:?}"),
        _ => Ok(()),
    });
    fmt::layer()
        .fmt_fields(message)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
}

fn json() -> impl Layer<Registry> {
    fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(io::stderr)
        .with_target(false)
}

/// Between two looks for what was left out.
const BETWEEN: Duration = Duration::from_secs(10);
