//! A running director and where its configuration comes from: [`Keeper`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Operator;
use crate::config::{Faults, Settings};
use crate::director::{Director, DirectorError};

/// A director, and the file it goes by.
pub struct Keeper {
    operator: Operator,
    file: PathBuf,
    settings: Settings,
}

/// Why a configuration was not taken up. The running one stays in force.
#[derive(Debug)]
pub enum KeepError {
    /// The file has faults.
    Faults(Faults),
    /// The director refuses.
    Director(DirectorError),
}

impl std::fmt::Display for KeepError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Faults(faults) => faults.fmt(f),
            Self::Director(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for KeepError {}

/// What was taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Services there are now.
    pub services: usize,
    /// Whether the file has changes that only the next start brings.
    pub needs_restart: bool,
}

impl Keeper {
    /// Keeps a director that was started by `settings`, read from `file`.
    #[must_use]
    pub fn new(director: Arc<Director>, file: &Path, settings: Settings) -> Self {
        Self {
            operator: Operator::new(director),
            file: file.to_owned(),
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

    /// Takes up the file as it is now.
    ///
    /// # Errors
    ///
    /// It has faults, or the director refuses; nothing has changed.
    pub fn reload(&mut self) -> Result<Taken, KeepError> {
        let settings = Settings::read(&self.file).map_err(KeepError::Faults)?;
        let draft = settings.config.draft().clone();
        self.operator.replace(draft).map_err(KeepError::Director)?;
        let needs_restart = settings.director != self.settings.director
            || settings.control != self.settings.control
            || settings.metrics != self.settings.metrics;
        self.settings.config = settings.config;
        self.settings.names = settings.names;
        Ok(Taken {
            services: self.settings.config.services().len(),
            needs_restart,
        })
    }
}
