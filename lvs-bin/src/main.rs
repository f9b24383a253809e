//! The binary: arguments, log, exit codes.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use lvs::demo::DemoOptions;
use lvs::lvs_io::WantedMode;
use lvs::world::Method;

/// A Linux Virtual Server director on AF_XDP.
#[derive(Parser)]
#[command(version, about, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Direct by a configuration file until SIGTERM; SIGHUP reads it again.
    Run {
        /// The configuration file, TOML.
        #[arg(long, default_value = "lvs.toml")]
        config: PathBuf,
    },
    /// Read a configuration file and say what is wrong with it.
    Check {
        /// The configuration file, TOML.
        #[arg(long, default_value = "lvs.toml")]
        config: PathBuf,
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
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=80))]
        real_servers: u8,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
    let outcome: Result<bool, Box<dyn std::error::Error>> = match &arguments.command {
        Command::Run { config } => lvs::run::run(config).map(|()| true).map_err(Into::into),
        Command::Check { config } => lvs::run::check(config)
            .map(|summary| {
                println!("{summary}");
                true
            })
            .map_err(Into::into),
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
            eprintln!("lvs: {error}");
            // What is wrong with the input, as opposed to with the machine.
            ExitCode::from(2)
        }
    }
}

/// Reads a mode as the configuration file writes it.
fn mode(word: &str) -> Result<WantedMode, String> {
    match word {
        "auto" => Ok(WantedMode::Auto),
        "native" => Ok(WantedMode::Native),
        "generic" => Ok(WantedMode::Generic),
        "packet" => Ok(WantedMode::Packet),
        _ => Err("one of auto, native, generic, packet".to_owned()),
    }
}
