//! What changes, and what was taken up or saved.

use std::net::SocketAddr;

use lvs_core::ServiceKey;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::key;
use crate::control::{self, ChangeKind, Changed, Taken, Terms};

/// The changes that make one configuration of another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Removed, changed and added.
    pub changes: Vec<Change>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// What becomes of it.
    pub change: Kind,
    /// What it is: `timeouts`, `settings`, `marks`, `service` or `real_server`.
    pub of: String,
    /// The service, if it is one or a part of one.
    #[serde(
        default,
        with = "key::optional_text",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub service: Option<ServiceKey>,
    /// The real server, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub real_server: Option<SocketAddr>,
    /// The fields that are not the same, in the words of the configuration file.
    pub fields: Vec<Field>,
    /// Connections that it has now, those of clients remembered included.
    pub connections: u64,
    /// The same for people.
    pub text: String,
}

/// What becomes of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It was not there before.
    Added,
    /// It is there with other fields.
    Changed,
    /// It is not there any more.
    Removed,
}

/// A field before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its value before, if it had one.
    pub before: Option<String>,
    /// Its value after, if it has one.
    pub after: Option<String>,
}

/// A configuration that was taken up, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Applied {
    /// Whether it was.
    pub applied: bool,
    /// What changes.
    #[serde(flatten)]
    pub plan: Plan,
    /// Services there are then.
    pub services: usize,
    /// Whether there are changes besides that only the next start brings.
    pub needs_restart: bool,
}

/// What was saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Saved {
    /// Where to.
    pub file: String,
    /// What the file did not say before.
    #[serde(flatten)]
    pub plan: Plan,
}

impl Applied {
    pub(in crate::api) fn new(taken: &Taken, terms: Terms) -> Self {
        Self {
            applied: !terms.dry_run,
            plan: (&taken.plan).into(),
            services: taken.services,
            needs_restart: taken.needs_restart,
        }
    }
}

impl From<&control::Plan> for Plan {
    fn from(of: &control::Plan) -> Self {
        Self {
            changes: of.changes.iter().map(Change::from).collect(),
        }
    }
}

impl From<&control::Change> for Change {
    fn from(of: &control::Change) -> Self {
        let (what, service, real_server) = match of.of {
            Changed::Timeouts => ("timeouts", None, None),
            Changed::Settings => ("settings", None, None),
            Changed::Marks => ("marks", None, None),
            Changed::Service(key) => ("service", Some(key), None),
            Changed::RealServer(key, at) => ("real_server", Some(key), Some(at)),
        };
        let fields = of.fields.iter().map(|field| Field {
            name: field.name.clone(),
            before: field.before.clone(),
            after: field.after.clone(),
        });
        Self {
            change: match of.kind {
                ChangeKind::Added => Kind::Added,
                ChangeKind::Changed => Kind::Changed,
                ChangeKind::Removed => Kind::Removed,
            },
            of: what.to_owned(),
            service,
            real_server,
            fields: fields.collect(),
            connections: of.connections,
            text: of.to_string(),
        }
    }
}
