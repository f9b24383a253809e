//! Manual pages and completions, made of the command line.

use std::io::{self, Write};
use std::path::Path;
use std::{fmt, fs};

use clap::CommandFactory;
use clap_complete::Shell;

use crate::arguments::Arguments;

/// The pages could not be written.
#[derive(Debug)]
pub(crate) struct PagesError {
    folder: String,
    error: io::Error,
}

impl fmt::Display for PagesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { folder, error } = self;
        write!(
            f,
            "manual pages in {folder}: {error}: name a folder to write to"
        )
    }
}

impl std::error::Error for PagesError {}

/// Writes a page for each command to a folder, which is made if there is none.
///
/// # Errors
///
/// The folder or a page cannot be written.
pub(crate) fn man(folder: &Path) -> Result<(), PagesError> {
    let failed = |error| PagesError {
        folder: folder.display().to_string(),
        error,
    };
    fs::create_dir_all(folder).map_err(failed)?;
    // That of `lvs adm` says what its words are.
    let words = lvs::ipvsadm::usage();
    let command = Arguments::command().mut_subcommand("adm", |adm| adm.after_long_help(words));
    clap_mangen::generate_to(command, folder).map_err(failed)
}

/// Prints what completes the program's words in a shell.
pub(crate) fn completions(shell: Shell, to: &mut dyn Write) {
    let mut whole = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "lvs", &mut whole);
    // Whoever stops reading wants no more.
    let _ = to.write_all(&whole);
}
