//! What a request is refused with.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config;
use crate::ipvsadm::KernelError;

/// Why a request was refused. Nothing has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    /// What is wrong.
    pub what: String,
    /// Where: a service, a field, a place in the body.
    #[serde(default, rename = "where", skip_serializing_if = "String::is_empty")]
    pub place: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
    /// The number of the kernel's error, where it has one for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
    /// Of a configuration, everything that is wrong with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}

/// One fault of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fault {
    /// The field, its value and the rule.
    pub what: String,
    /// Where in the structure.
    #[serde(default, rename = "where", skip_serializing_if = "String::is_empty")]
    pub place: String,
    /// What to do about it.
    pub help: String,
    /// The line, from 1; 0 when it is not in a line.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
}

impl Refusal {
    /// A refusal in words.
    #[must_use]
    pub fn new(what: impl Into<String>, place: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            place: place.into(),
            help: help.into(),
            ..Self::default()
        }
    }

    /// With the number of the kernel's error.
    #[must_use]
    pub const fn numbered(mut self, error: KernelError) -> Self {
        self.errno = Some(error.number());
        self
    }
}

/// The faults of a configuration; `what` is the whole text, as `lvs check` has it.
impl From<&config::Faults> for Refusal {
    fn from(faults: &config::Faults) -> Self {
        let each = faults.faults().iter().map(|fault| Fault {
            what: fault.what.clone(),
            place: fault.place.clone(),
            help: fault.help.clone(),
            line: fault.line,
            column: fault.column,
        });
        Self {
            what: faults.to_string(),
            faults: each.collect(),
            ..Self::default()
        }
    }
}

/// For people.
impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        f.write_str(&self.what)?;
        if !self.help.is_empty() {
            write!(f, ": {}", self.help)?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}
