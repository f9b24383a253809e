//! `ipvsadm`, as scripts know it: the same words mean the same, and what it
//! prints is the same to the byte, with the same exit status.
//!
//! This folder turns words into operations, and what a director has into
//! listings. It must not know how a director is reached or what it is: it opens
//! no socket and no file, and works on a [`Control`], which takes operations
//! and answers with plain data or the kernel's errors. Names of hosts and ports
//! it asks of [`Names`].
//!
//! ```text
//!  words ─> grammar ─> options ─> legality ─> command ─> Control
//!                                                 └────> listing, save ─> text
//! ```
//!
//! *Source:* the behaviour of ipvsadm 1.31 with popt on Linux 6.12.

mod address;
mod command;
mod control;
mod daemon;
mod flags;
mod grammar;
mod legality;
mod listing;
mod messages;
mod names;
mod number;
mod options;
mod restore;
mod save;
mod table;

use std::io::BufRead;

pub use control::{Control, KernelError, ServiceRequest};
pub use daemon::{Daemon, DaemonRole, GROUP, MULTICAST_PORT};
pub use listing::proc;
pub use names::{NameFiles, Names};
pub use table::{Connection, RealServer, Service};

use command::{Command, Format, What};
use legality::Act;
use messages::{Fault, REFUSED, USAGE, VERSION};
use options::Wanted;

/// What a command printed, and its exit status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Printed to the standard output.
    pub stdout: String,
    /// Printed to the standard error output.
    pub stderr: String,
    /// The exit status.
    pub status: u8,
}

/// Carries out a command line, the name of the program not among its words.
/// Lines are read from `stdin` only for `-R`.
pub fn main_with(
    words: &[String],
    stdin: &mut dyn BufRead,
    control: &mut dyn Control,
    names: &dyn Names,
) -> Output {
    let mut tool = Tool {
        control,
        names,
        output: Output::default(),
    };
    let ended = if words.is_empty() {
        tool.list(What::Services, Format::default())
    } else {
        tool.run(words, Some(stdin))
    };
    let (Ok(status) | Err(Exit(status))) = ended;
    tool.output.status = status;
    tool.output
}

/// The end of the program, with its exit status.
struct Exit(u8);

/// One run of the program.
struct Tool<'a> {
    control: &'a mut dyn Control,
    names: &'a dyn Names,
    output: Output,
}

impl Tool<'_> {
    /// Carries out one command line; its exit status if the program goes on.
    /// Without `stdin` it is a line of a restore.
    fn run(&mut self, words: &[String], stdin: Option<&mut dyn BufRead>) -> Result<u8, Exit> {
        let wanted = options::read(words, self.names);
        let command = match wanted {
            Ok(Wanted::Help) => return Err(self.tell(&[VERSION, USAGE])),
            Ok(Wanted::Version) => return Err(self.tell(&[VERSION])),
            Ok(Wanted::Act(options)) => {
                Command::new(&options).map(|command| (options.act, command))
            }
            Err(fault) => Err(fault),
        };
        let (act, command) = match command {
            Ok(command) => command,
            Err(fault) => return self.fail(&fault),
        };
        match command {
            Command::List(what, format) => self.list(what, format),
            Command::Save { numeric } => {
                self.save(numeric);
                Ok(0)
            }
            Command::Restore => match stdin {
                Some(stdin) => self.restore(stdin),
                None => self.fail(&Fault::TryHelp),
            },
            command => Ok(self.operate(act, command)),
        }
    }

    /// Has the director do what is to be done; the exit status.
    fn operate(&mut self, act: Act, command: Command) -> u8 {
        let control = &mut *self.control;
        let done = match command {
            Command::AddService(service) => control.add_service(service),
            Command::EditService(service) => control.edit_service(service),
            Command::DeleteService(key) => control.delete_service(key),
            Command::Flush => control.flush(),
            Command::Zero(key) => control.zero(key),
            Command::AddServer(key, real_server) => control.add_server(key, real_server),
            Command::EditServer(key, real_server) => control.edit_server(key, real_server),
            Command::DeleteServer(key, at) => control.delete_server(key, at),
            Command::SetTimeouts(seconds) => control.set_timeouts(seconds),
            Command::StartDaemon(daemon) => control.start_daemon(daemon),
            Command::StopDaemon(daemon) => control.stop_daemon(daemon.role),
            Command::List(..) | Command::Save { .. } | Command::Restore => Ok(()),
        };
        match done {
            Ok(()) => 0,
            Err(error) => {
                self.complain(messages::refusal(act, error));
                REFUSED
            }
        }
    }

    /// Prints to the standard output and ends the program well.
    fn tell(&mut self, texts: &[&str]) -> Exit {
        self.output.stdout.extend(texts.iter().copied());
        Exit(0)
    }

    fn fail(&mut self, fault: &Fault) -> Result<u8, Exit> {
        self.complain(&fault.to_string());
        if fault.goes_on() {
            Ok(fault.status())
        } else {
            Err(Exit(fault.status()))
        }
    }

    fn complain(&mut self, text: &str) {
        self.output.stderr.push_str(text);
        self.output.stderr.push('\n');
    }
}

#[cfg(test)]
mod tests;
