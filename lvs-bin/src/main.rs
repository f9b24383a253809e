//! The binary: arguments, log, exit codes.

use std::error::Error;
use std::ffi::OsString;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ContextKind;
use clap::{Parser, Subcommand};
use lvs::api::DEFAULT_SOCKET;
use lvs::control::Terms;
use lvs::demo::DemoOptions;
use lvs::doctor::{Asked, Place};
use lvs::log::{Log, LogFormat};
use lvs::lvs_io::WantedMode;
use lvs::world::Method;

/// A Linux Virtual Server director on AF_XDP.
#[derive(Parser)]
#[command(name = "lvs", version, about, arg_required_else_help = true)]
struct Arguments {
    /// Where the running director listens.
    #[arg(long, value_name = "PATH", env = "LVS_SOCKET", default_value = DEFAULT_SOCKET, global = true)]
    socket: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Direct by a configuration file until SIGTERM; SIGHUP reads it again.
    Run {
        /// The configuration file, TOML.
        #[arg(long, value_name = "FILE", default_value = "lvs.toml")]
        config: PathBuf,
        /// How to write the log: text, for people, or json, an object a line.
        #[arg(long, default_value = "text", value_name = "FORMAT")]
        log_format: LogFormat,
    },
    /// Change and list the running director as ipvsadm does, with its words.
    ///
    /// What follows is the command line of ipvsadm 1.31 (`lvs adm --help` prints
    /// it); the program by the name of ipvsadm takes it directly.
    #[command(disable_help_flag = true)]
    Adm {
        /// Words of ipvsadm.
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "WORDS"
        )]
        words: Vec<OsString>,
    },
    /// Have the running director take up a configuration file, and say what
    /// changes.
    ///
    /// All of it or nothing: a file with faults, or what the director refuses,
    /// changes nothing. Changes made at run time and not saved keep it from being
    /// taken up.
    Apply {
        /// The configuration file, TOML.
        #[arg(value_name = "FILE", default_value = "lvs.toml")]
        file: PathBuf,
        /// Only say what would change, and how many connections that touches.
        #[arg(long)]
        dry_run: bool,
        /// Give up what was changed at run time and not saved.
        #[arg(long)]
        discard: bool,
        /// Print JSON for programs.
        #[arg(long)]
        json: bool,
    },
    /// Have the running director write to its file what was changed at run time.
    Save {
        /// Only print what the file would be.
        #[arg(long, conflicts_with = "json")]
        print: bool,
        /// Print JSON for programs.
        #[arg(long)]
        json: bool,
    },
    /// Say how the running director is, and what passes.
    Status {
        /// Print JSON for programs.
        #[arg(long)]
        json: bool,
    },
    /// Watch the running director on the terminal.
    ///
    /// `?` shows the keys. When the director goes away it waits for the next.
    Top {
        /// Seconds from one look to the next.
        #[arg(long, short = 'd', value_name = "SECONDS", default_value = "1", value_parser = interval)]
        interval: Duration,
        /// Print JSON for programs instead, a line a look.
        #[arg(long)]
        json: bool,
        /// End after so many looks.
        #[arg(long, short = 'n', value_name = "LOOKS", requires = "json")]
        count: Option<u64>,
    },
    /// Read a configuration file and say what is wrong with it.
    Check {
        /// The configuration file, TOML.
        #[arg(value_name = "FILE", conflicts_with = "config")]
        file: Option<PathBuf>,
        /// The same, as `lvs run` takes it.
        #[arg(long, value_name = "FILE", default_value = "lvs.toml")]
        config: PathBuf,
    },
    /// Look at this host, or at a real server, and say what is wrong with it.
    Doctor {
        /// The configuration file that is used, or about to be, TOML.
        #[arg(value_name = "CONFIG", default_value = "lvs.toml")]
        config: PathBuf,
        /// Print JSON for programs.
        #[arg(long)]
        json: bool,
        /// Look at the real server with this address, too; on that machine
        /// itself, only at that.
        #[arg(long, value_name = "ADDRESS")]
        real_server: Option<IpAddr>,
        /// The real server's network namespace: its name, or the number of a
        /// process in it.
        #[arg(long, value_name = "NAME|PID", requires = "real_server")]
        netns: Option<String>,
    },
    /// Build networks, direct real traffic in them, and show it.
    Demo {
        /// Forwarding methods: masquerade (nat), direct-route (dr), tunnel (tun).
        #[arg(default_values = ["nat", "dr", "tun"])]
        methods: Vec<Method>,
        /// How frames travel: native or generic XDP, AF_PACKET, or the fastest there is.
        #[arg(long, default_value = "auto", value_parser = mode)]
        mode: WantedMode,
        /// Real servers of each service.
        #[arg(long, default_value_t = 3, value_parser = real_servers)]
        real_servers: u8,
    },
}

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

/// Reads a number of real servers that a world has addresses for.
fn real_servers(word: &str) -> Result<u8, String> {
    let count = word.parse().ok().filter(|count| (1..=80).contains(count));
    count.ok_or_else(|| "must be a whole number from 1 to 80".to_owned())
}

/// Reads a time from a tenth of a second to an hour.
fn interval(word: &str) -> Result<Duration, String> {
    let seconds = word.parse().ok();
    let seconds = seconds.filter(|seconds| (0.1..=3600.0).contains(seconds));
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.ok_or_else(|| "must be a number of seconds from 0.1 to 3600".to_owned())
}

/// Reads a mode as the configuration file writes it.
fn mode(word: &str) -> Result<WantedMode, String> {
    match word {
        "auto" => Ok(WantedMode::Auto),
        "native" => Ok(WantedMode::Native),
        "generic" => Ok(WantedMode::Generic),
        "packet" => Ok(WantedMode::Packet),
        _ => Err("must be one of auto, native, generic, packet".to_owned()),
    }
}
