//! The command line.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use clap_complete::Shell;
use lvs::api::DEFAULT_SOCKET;
use lvs::log::LogFormat;
use lvs::lvs_io::WantedMode;
use lvs::world::Method;

/// A Linux Virtual Server director on AF_XDP.
#[derive(Parser)]
#[command(name = "lvs", version, about, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// Where the running director listens.
    #[arg(long, value_name = "PATH", env = "LVS_SOCKET", default_value = DEFAULT_SOCKET, global = true)]
    pub(crate) socket: PathBuf,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
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
    /// Write the manual pages, a file a command.
    Man {
        /// The folder for them.
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
    },
    /// Print what completes this program's words in a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

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
