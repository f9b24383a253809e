//! The binary: arguments, log, exit codes.

use std::io::IsTerminal;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ContextKind;
use clap::{Parser, Subcommand};
use lvs::demo::DemoOptions;
use lvs::doctor::{Asked, Place};
use lvs::lvs_io::WantedMode;
use lvs::world::Method;

/// A Linux Virtual Server director on AF_XDP.
#[derive(Parser)]
#[command(name = "lvs", version, about, arg_required_else_help = true)]
struct Arguments {
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
    let arguments = Arguments::try_parse().unwrap_or_else(|mut error| {
        // It would advise to pass a misspelt option as a forwarding method.
        error.remove(ContextKind::Suggested);
        error.exit()
    });
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
    let outcome: Result<bool, Box<dyn std::error::Error>> = match &arguments.command {
        Command::Run { config } => lvs::run::run(config).map(|()| true).map_err(Into::into),
        Command::Check { file, config } => lvs::run::check(file.as_ref().unwrap_or(config))
            .map(|summary| {
                println!("{summary}");
                true
            })
            .map_err(Into::into),
        Command::Doctor {
            config,
            json,
            real_server,
            netns,
        } => {
            let place = netns.as_deref().map_or(Place::Here, Place::named);
            lvs::doctor::doctor(&Asked {
                config: config.clone(),
                real_server: real_server.map(|address| (address, place)),
                json: *json,
            })
        }
        Command::Demo {
            methods,
            mode,
            real_servers,
        } => {
            let options = DemoOptions {
                methods: methods.clone(),
                mode: *mode,
                real_servers: *real_servers,
            };
            lvs::demo::demo(&options).map_err(Into::into)
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            for line in error.to_string().lines() {
                eprintln!("{}", format!("lvs: {line}").trim_end());
            }
            // What is wrong with the input, as opposed to with the machine.
            ExitCode::from(2)
        }
    }
}

/// Reads a number of real servers that a world has addresses for.
fn real_servers(word: &str) -> Result<u8, String> {
    let count = word.parse().ok().filter(|count| (1..=80).contains(count));
    count.ok_or_else(|| "must be a whole number from 1 to 80".to_owned())
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
