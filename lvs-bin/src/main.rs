//! The binary: arguments, log, exit codes.

mod arguments;
mod pages;

use std::error::Error;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ContextKind;
use lvs::api::DEFAULT_SOCKET;
use lvs::control::Terms;
use lvs::demo::DemoOptions;
use lvs::doctor::{Asked, Place};
use lvs::log::{Log, LogFormat};

use arguments::{Arguments, Command};

fn main() -> ExitCode {
    if is_called_ipvsadm() {
        let socket = std::env::var_os("LVS_SOCKET").unwrap_or_else(|| DEFAULT_SOCKET.into());
        let words: Vec<OsString> = std::env::args_os().skip(1).collect();
        return ended(adm(socket.as_ref(), &words));
    }
    let arguments = Arguments::try_parse().unwrap_or_else(|mut error| {
        // It would advise to pass a misspelt option as a forwarding method.
        error.remove(ContextKind::Suggested);
        error.exit()
    });
    let format = match arguments.command {
        Command::Run { log_format, .. } => log_format,
        _ => LogFormat::Text,
    };
    let _log = Log::begin(format);
    match (format, carry_out(arguments)) {
        (LogFormat::Json, Err(error)) => {
            tracing::error!(event = "ended", "{error}");
            REFUSED.into()
        }
        (_, outcome) => ended(outcome),
    }
}

/// Whether the program goes by the other name.
fn is_called_ipvsadm() -> bool {
    let name = std::env::args_os().next().unwrap_or_default();
    Path::new(&name).file_name() == Some("ipvsadm".as_ref())
}

/// Does what the arguments ask for; the exit status.
fn carry_out(arguments: Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let is_well = match arguments.command {
        Command::Run { config, .. } => {
            lvs::run::run(&config)?;
            true
        }
        Command::Adm { words } => return adm(&arguments.socket, &words),
        Command::Apply {
            file,
            dry_run,
            discard,
            json,
        } => {
            let terms = Terms { dry_run, discard };
            let said = lvs::manage::apply(&arguments.socket, &file, terms, json)?;
            print!("{said}");
            true
        }
        Command::Save { print, json } => {
            print!("{}", lvs::manage::save(&arguments.socket, print, json)?);
            true
        }
        Command::Status { json } => {
            print!("{}", lvs::watch::status(&arguments.socket, json)?);
            true
        }
        Command::Top {
            interval,
            json,
            count,
        } => {
            match json {
                true => {
                    let mut out = io::stdout().lock();
                    lvs::watch::top_json(&arguments.socket, interval, count, &mut out)?;
                }
                false => lvs::watch::top(&arguments.socket, interval)?,
            }
            true
        }
        Command::Check { file, config } => {
            println!("{}", lvs::run::check(file.as_ref().unwrap_or(&config))?);
            true
        }
        Command::Doctor {
            config,
            json,
            real_server,
            netns,
        } => {
            let place = netns.as_deref().map_or(Place::Here, Place::named);
            lvs::doctor::doctor(&Asked {
                config,
                real_server: real_server.map(|address| (address, place)),
                json,
            })?
        }
        Command::Demo {
            methods,
            mode,
            real_servers,
        } => lvs::demo::demo(&DemoOptions {
            methods,
            mode,
            real_servers,
        })?,
        Command::Man { folder } => {
            pages::man(&folder)?;
            true
        }
        Command::Completions { shell } => {
            pages::completions(shell, &mut io::stdout());
            true
        }
    };
    Ok(match is_well {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Words that are no text are no name or number either: the tool refuses what
/// is made of them.
fn adm(socket: &Path, words: &[OsString]) -> Result<ExitCode, Box<dyn Error>> {
    let words = words.iter().map(|word| word.to_string_lossy().into_owned());
    let status = lvs::adm::adm(socket, &words.collect::<Vec<_>>())?;
    Ok(ExitCode::from(status))
}

/// The end of the program, with the reason on standard error.
fn ended(outcome: Result<ExitCode, Box<dyn Error>>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        for line in error.to_string().lines() {
            eprintln!("{}", format!("lvs: {line}").trim_end());
        }
        REFUSED.into()
    })
}

/// The exit status where the command line, the file or the machine refused.
const REFUSED: u8 = 2;
