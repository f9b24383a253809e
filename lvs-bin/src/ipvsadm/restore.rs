//! `-R`: command lines from the standard input, in the grammar of the command
//! line itself.
//!
//! Words are set apart by blanks and nothing else: there are no quotes and no
//! comments (`ipvsadm-restore`, the script, takes comments away before it calls
//! the tool). A line may begin with the name of the program. A command that the
//! kernel refuses does not end the restore; one that makes no sense does.

use std::io::BufRead;

use super::{Exit, Tool};

impl Tool<'_> {
    /// Carries out each line; the exit status is that of the last.
    pub(super) fn restore(&mut self, stdin: &mut dyn BufRead) -> Result<u8, Exit> {
        let mut status = 0;
        let mut line = Vec::new();
        // What cannot be read is the end, as it is to the C library.
        while stdin
            .read_until(b'\n', &mut line)
            .is_ok_and(|read| read > 0)
        {
            let text = String::from_utf8_lossy(&line);
            let words = text.split_ascii_whitespace();
            let mut words: Vec<String> = words.map(str::to_owned).collect();
            if words.first().is_some_and(|word| word == "ipvsadm") {
                words.remove(0);
            }
            if !words.is_empty() {
                status = self.run(&words, None)?;
            }
            line.clear();
        }
        Ok(status)
    }
}
