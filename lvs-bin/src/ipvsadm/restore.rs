//! `-R`: command lines from the standard input, in the grammar of the command
//! line itself.
//!
//! Words are set apart by blanks and nothing else: there are no quotes and no
//! comments (`ipvsadm-restore`, the script, takes comments away before it calls
//! the tool). A line may begin with the name of the program. A command that the
//! kernel refuses does not end the restore; one that makes no sense does.
//!
//! Operations that follow each other go to the director together, for a long
//! restore to take little time; what is said of them is the same.

use std::io::BufRead;

use super::command::Command;
use super::{Exit, Operation, Tool};

impl Tool<'_> {
    /// Carries out each line; the exit status is that of the last.
    pub(super) fn restore(&mut self, stdin: &mut dyn BufRead) -> Result<u8, Exit> {
        let mut status = 0;
        let mut waiting: Vec<Operation> = Vec::new();
        let mut line = Vec::new();
        // What cannot be read is the end, as it is to the C library.
        while stdin
            .read_until(b'\n', &mut line)
            .is_ok_and(|read| read > 0)
        {
            let words = words(&line);
            line.clear();
            if words.is_empty() {
                continue;
            }
            let read = self.read(&words);
            if let Ok(Command::Operate(operation)) = read {
                waiting.push(operation);
                if waiting.len() == TOGETHER {
                    status = self.operate(std::mem::take(&mut waiting));
                }
            } else {
                // What it says comes after what is said of those before it.
                self.operate(std::mem::take(&mut waiting));
                status = self.carry_out(read)?;
            }
        }
        if !waiting.is_empty() {
            status = self.operate(waiting);
        }
        Ok(status)
    }
}

/// The words of a line, without the program's name.
fn words(line: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(line);
    let words = text.split_ascii_whitespace();
    let mut words: Vec<String> = words.map(str::to_owned).collect();
    if words.first().is_some_and(|word| word == "ipvsadm") {
        words.remove(0);
    }
    words
}

/// Operations that go to the director together, at most: some megabytes where
/// they are sent.
const TOGETHER: usize = 10_000;
