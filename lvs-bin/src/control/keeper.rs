//! A running director and where its configuration comes from: [`Keeper`].

use std::cell::LazyCell;
use std::collections::HashMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use lvs_core::{Draft, ServiceKey};

use super::{Operator, Plan, Table};
use crate::config::{self, Faults, Settings, written};
use crate::director::{Director, DirectorError};

/// A director, and the file it goes by.
///
/// The file is the truth: the director starts by it. What an operator changes at
/// run time is not in it until it is [saved](Self::save), and until then no file
/// takes its place unless it is told to.
pub struct Keeper {
    operator: Operator,
    file: PathBuf,
    /// What the file said when it was last read or written.
    text: String,
    settings: Settings,
}

/// Why a configuration was not taken up or saved. The running one stays in
/// force, and the file as it is.
#[derive(Debug)]
pub enum KeepError {
    /// The configuration has faults.
    Faults(Faults),
    /// The director refuses it.
    Director(DirectorError),
    /// Changes made at run time would be lost: these.
    Unsaved(Plan),
    /// The file is not as it was when the director read it.
    FileChanged(PathBuf),
    /// These changes cannot be said in a file.
    Unsayable(Plan),
    /// The file cannot be written.
    Write(PathBuf, io::Error),
}

impl std::fmt::Display for KeepError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Faults(faults) => faults.fmt(f),
            Self::Director(error) => error.fmt(f),
            Self::Unsaved(plan) => write!(
                f,
                "changes made at run time would be lost: keep them with lvs save, or give them up \
                 with lvs apply --discard:\n{plan}"
            ),
            Self::FileChanged(file) => write!(
                f,
                "{} is not as the director read it: apply it (SIGHUP, or lvs apply), or put it \
                 elsewhere first",
                file.display()
            ),
            Self::Unsayable(plan) => write!(f, "a file cannot say this:\n{plan}"),
            Self::Write(file, error) => write!(f, "writing {}: {error}", file.display()),
        }
    }
}

impl std::error::Error for KeepError {}

/// What was taken up, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// What changes.
    pub plan: Plan,
    /// Services there are then.
    pub services: usize,
    /// Whether there are changes besides that only the next start brings.
    pub needs_restart: bool,
}

/// What to do with a configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Only tell what would change.
    pub dry_run: bool,
    /// Give up changes made at run time.
    pub discard: bool,
}

impl Keeper {
    /// Keeps a director that was started by the file at `file`, read as `text`
    /// and `settings`.
    #[must_use]
    pub fn new(director: Arc<Director>, file: &Path, text: String, settings: Settings) -> Self {
        Self {
            operator: Operator::new(director),
            file: file.to_owned(),
            text,
            settings,
        }
    }

    /// The operator's hands on it.
    #[must_use]
    pub const fn operator(&self) -> &Operator {
        &self.operator
    }

    /// The same, to change something.
    pub const fn operator_mut(&mut self) -> &mut Operator {
        &mut self.operator
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// What the file says of how the director runs, and people's names.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What was changed since the file was read or written.
    #[must_use]
    pub fn unsaved(&self) -> Plan {
        let file = Table::new(self.settings.config.draft().clone());
        self.plan(file.draft(), self.operator.table().draft())
    }

    /// Takes up the file as it is now.
    ///
    /// # Errors
    ///
    /// It has faults, changes made at run time would be lost, or the director
    /// refuses; nothing has changed.
    pub fn reload(&mut self) -> Result<Taken, KeepError> {
        let text = config::text(&self.file).map_err(KeepError::Faults)?;
        let name = self.file.display().to_string();
        self.apply(&name, &text, Terms::default())
    }

    /// Takes up a configuration, which messages say is the file `name`. Where it
    /// is what the director's own file says, that counts as read; otherwise the
    /// file stays the truth at the next start, until it is [saved](Self::save).
    ///
    /// # Errors
    ///
    /// As for [`reload`](Self::reload).
    pub fn apply(&mut self, name: &str, text: &str, terms: Terms) -> Result<Taken, KeepError> {
        let settings = Settings::parse(name, text).map_err(KeepError::Faults)?;
        let wanted = Table::new(settings.config.draft().clone());
        let running = self.operator.table().draft();
        let plan = self.plan(running, wanted.draft());
        let unsaved = self.unsaved();
        if !terms.dry_run && !terms.discard && !plan.is_empty() && !unsaved.is_empty() {
            return Err(KeepError::Unsaved(unsaved));
        }
        let needs_restart = settings.director != self.settings.director
            || settings.control != self.settings.control
            || settings.metrics != self.settings.metrics;
        let taken = Taken {
            plan,
            services: settings.config.services().len(),
            needs_restart,
        };
        if terms.dry_run {
            return Ok(taken);
        }
        let draft = settings.config.draft().clone();
        self.operator.replace(draft).map_err(KeepError::Director)?;
        if fs::read_to_string(&self.file).is_ok_and(|of_file| of_file == text) {
            text.clone_into(&mut self.text);
            self.settings.config = settings.config;
            self.settings.names = settings.names;
        }
        Ok(taken)
    }

    /// The file's text with what was changed at run time, its comments as they
    /// are.
    ///
    /// # Errors
    ///
    /// A file cannot say it, such as that a real server reached by direct routing
    /// has another port than its service.
    pub fn written(&self) -> Result<String, KeepError> {
        let running = self.operator.table().draft();
        let unsaved = self.unsaved();
        let before = self.settings.config.draft();
        let text = written::changed(&self.text, before, running)
            .map_err(|_| KeepError::Unsayable(unsaved))?;
        let name = self.file.display().to_string();
        let read = Settings::parse(&name, &text).map_err(KeepError::Faults)?;
        let said = Table::new(read.config.draft().clone());
        let missing = self.plan(said.draft(), running);
        if missing.is_empty() {
            Ok(text)
        } else {
            Err(KeepError::Unsayable(missing))
        }
    }

    /// Writes to the file what was changed at run time; what that was.
    ///
    /// # Errors
    ///
    /// A file cannot say it, somebody changed the file meanwhile, or it cannot be
    /// written; the file is as it was.
    pub fn save(&mut self) -> Result<Plan, KeepError> {
        let unsaved = self.unsaved();
        if config::text(&self.file).map_err(KeepError::Faults)? != self.text {
            return Err(KeepError::FileChanged(self.file.clone()));
        }
        let text = self.written()?;
        let name = self.file.display().to_string();
        let settings = Settings::parse(&name, &text).map_err(KeepError::Faults)?;
        replace_file(&self.file, &text)
            .map_err(|error| KeepError::Write(self.file.clone(), error))?;
        self.text = text;
        self.settings.config = settings.config;
        Ok(unsaved)
    }

    fn plan(&self, before: &Draft, after: &Draft) -> Plan {
        // Most plans concern little, and many nothing.
        let connections = LazyCell::new(|| self.connections());
        Plan::between(before, after, |key, at| {
            connections.get(&(key, at)).copied().unwrap_or_default()
        })
    }

    /// The connections of each real server, those of clients remembered included.
    fn connections(&self) -> HashMap<(ServiceKey, SocketAddr), u64> {
        let real_servers = self.operator.director().stats().real_servers;
        let each = real_servers.iter().map(|it| {
            let connections = u64::from(it.active) + u64::from(it.inactive);
            (
                (it.service, it.address),
                connections + u64::from(it.persistent),
            )
        });
        each.collect()
    }
}

/// Puts a text in a file's place, whole or not at all, with its permissions.
fn replace_file(file: &Path, text: &str) -> io::Result<()> {
    // A link stays one.
    let file = fs::canonicalize(file)?;
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    let new = PathBuf::from(name);
    let written = (|| {
        let mut to = fs::File::create(&new)?;
        to.set_permissions(fs::metadata(&file)?.permissions())?;
        to.write_all(text.as_bytes())?;
        to.sync_all()?;
        fs::rename(&new, &file)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}
