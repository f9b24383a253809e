//! `lvs doctor`: what it is asked for, and what it prints.

use std::io::{self, Write};
use std::net::IpAddr;
use std::path::PathBuf;

use super::namespace::Place;
use super::report::Report;
use crate::config::Settings;

/// What the doctor is asked to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The configuration file that is used, or about to be.
    pub config: PathBuf,
    /// A real server to look at, and where.
    pub real_server: Option<(IpAddr, Place)>,
    /// Whether programs read what is printed.
    pub json: bool,
}

/// Looks at what is asked for and prints what is wrong. Whether nothing is.
///
/// On the real server's own machine nothing is said of a director: it is
/// another's.
///
/// # Errors
///
/// Every fault of the file; or what the machine refused.
pub fn doctor(asked: &Asked) -> Result<bool, Box<dyn std::error::Error>> {
    let settings = Settings::read(&asked.config)?;
    let mut report = Report::default();
    if !matches!(asked.real_server, Some((_, Place::Here))) {
        report.sections.push(super::director(&settings)?);
    }
    if let Some((address, place)) = &asked.real_server {
        let section = super::real_server(&settings, *address, place)?;
        report.sections.push(section);
    }
    let mut out = io::stdout().lock();
    let written = match asked.json {
        true => writeln!(out, "{:#}", report.to_json()),
        false => writeln!(out, "{report}"),
    };
    match written {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        outcome => outcome?,
    }
    Ok(report.is_well())
}
