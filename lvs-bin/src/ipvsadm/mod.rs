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
mod operation;
mod options;
mod restore;
mod save;
mod table;

use std::io::BufRead;

pub use control::{ConnectionPage, Control, Cursor, KernelError, ServiceRequest};
pub use daemon::{Daemon, DaemonRole, GROUP, MULTICAST_PORT};
pub use listing::proc;
pub use names::{NameFiles, Names};
pub use operation::Operation;
pub use table::{Connection, RealServer, Service};

use command::{Command, Format, What};
use messages::{Fault, REFUSED, USAGE, VERSION};
use options::Wanted;

/// What help is.
const HELP: &[&str] = &[VERSION, USAGE];

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

/// What `--help` prints of the words, but for the version.
#[must_use]
pub const fn usage() -> &'static str {
    USAGE
}

/// What a command line prints that asks for the tool's words or version, which
/// needs no director; `None` of any other.
#[must_use]
pub fn told(words: &[String], names: &dyn Names) -> Option<Output> {
    let texts = match options::read(words, names).ok()? {
        Wanted::Help => HELP,
        Wanted::Version => &[VERSION],
        Wanted::Act(_) => return None,
    };
    Some(Output {
        stdout: texts.concat(),
        ..Output::default()
    })
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
        tool.run(words, stdin)
    };
    let (Ok(status) | Err(Exit(status))) = ended;
    tool.output.status = status;
    tool.output
}

/// The end of the program, with its exit status.
struct Exit(u8);

/// Words that are no command.
enum NoCommand {
    /// They ask for these texts, which end the program well.
    Tell(&'static [&'static str]),
    Fault(Fault),
}

impl From<Fault> for NoCommand {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// One run of the program.
struct Tool<'a> {
    control: &'a mut dyn Control,
    names: &'a dyn Names,
    output: Output,
}

impl Tool<'_> {
    /// Carries out one command line; its exit status if the program goes on.
    fn run(&mut self, words: &[String], stdin: &mut dyn BufRead) -> Result<u8, Exit> {
        match self.read(words) {
            Ok(Command::Restore) => self.restore(stdin),
            read => self.carry_out(read),
        }
    }

    /// Makes a command of words.
    fn read(&self, words: &[String]) -> Result<Command, NoCommand> {
        match options::read(words, self.names)? {
            Wanted::Help => Err(NoCommand::Tell(HELP)),
            Wanted::Version => Err(NoCommand::Tell(&[VERSION])),
            Wanted::Act(options) => Ok(Command::new(&options)?),
        }
    }

    /// Does what words were read as; the exit status if the program goes on.
    fn carry_out(&mut self, read: Result<Command, NoCommand>) -> Result<u8, Exit> {
        match read {
            Ok(Command::Operate(operation)) => Ok(self.operate(vec![operation])),
            Ok(Command::List(what, format)) => self.list(what, format),
            Ok(Command::Save { numeric }) => {
                self.save(numeric);
                Ok(0)
            }
            // Within another.
            Ok(Command::Restore) => self.fail(&Fault::TryHelp),
            Err(NoCommand::Tell(texts)) => Err(self.tell(texts)),
            Err(NoCommand::Fault(fault)) => self.fail(&fault),
        }
    }

    /// Has the director do what is to be done; the exit status of the last.
    fn operate(&mut self, operations: Vec<Operation>) -> u8 {
        let asked = operations.clone();
        let mut status = 0;
        for (operation, done) in asked.iter().zip(self.control.operate(operations)) {
            status = match done {
                Ok(()) => 0,
                Err(error) => {
                    self.complain(operation.refusal(error));
                    REFUSED
                }
            };
        }
        status
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
