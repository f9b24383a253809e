//! What is wrong with a configuration file, told with the line it is in.

use std::fmt;
use std::ops::Range;

/// Every fault of one configuration file.
///
/// Displayed as compilers do: the field, its value and the rule it breaks, then
/// the file, line and column, the line itself, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    file: String,
    faults: Vec<Fault>,
}

/// One fault of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The field, its value and the rule.
    pub what: String,
    /// Where in the structure: `service 2, real_server 1, weight`.
    pub place: String,
    /// What to do about it.
    pub help: String,
    /// The line, from 1; 0 when the fault is not in a line.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    shown: String,
    marked: Range<usize>,
}

impl Faults {
    /// The faults of a file, in the order of its lines.
    pub(super) fn new(file: &str, mut faults: Vec<Fault>) -> Self {
        faults.sort_by_key(|fault| (fault.line, fault.column));
        Self {
            file: file.to_owned(),
            faults,
        }
    }

    /// The faults, in the order of the file's lines; never none.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

impl std::error::Error for Faults {}

impl Fault {
    /// A fault at `span` (bytes) of `text`.
    pub(super) fn new(
        text: &str,
        span: Range<usize>,
        place: String,
        what: String,
        help: String,
    ) -> Self {
        let start = span.start.min(text.len());
        let line_start = text[..start].rfind('\n').map_or(0, |end| end + 1);
        let line = text[line_start..].lines().next().unwrap_or("");
        let before = &text[line_start..start];
        let inside = &text[start
            ..span
                .end
                .clamp(start, line_start.max(start) + rest(line, before))];
        let from = shown(before).chars().count();
        Self {
            what,
            place,
            help,
            line: text[..line_start].matches('\n').count() + 1,
            column: before.chars().count() + 1,
            shown: shown(line),
            marked: from..from + shown(inside).chars().count().max(1),
        }
    }

    /// A fault of the file as a whole, such as that it cannot be read.
    pub(super) fn of_file(what: String, help: String) -> Self {
        Self {
            what,
            place: String::new(),
            help,
            line: 0,
            column: 0,
            shown: String::new(),
            marked: 0..0,
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.faults {
            fault.write(&self.file, f)?;
            writeln!(f)?;
        }
        match self.faults.len() {
            1 => write!(f, "{}: 1 fault", self.file),
            count => write!(f, "{}: {count} faults", self.file),
        }
    }
}

impl Fault {
    fn write(&self, file: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.what)?;
        if self.line == 0 {
            writeln!(f, " --> {file}")?;
            return writeln!(f, "  = help: {}", self.help);
        }
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        write!(f, "{gutter}--> {file}:{}:{}", self.line, self.column)?;
        if !self.place.is_empty() {
            write!(f, " ({})", self.place)?;
        }
        writeln!(f)?;
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{number} | {}", self.shown)?;
        let (before, marks) = (self.marked.start, self.marked.len());
        writeln!(f, "{gutter} | {:before$}{}", "", "^".repeat(marks))?;
        writeln!(f, "{gutter} = help: {}", self.help)
    }
}

/// Bytes of the line from where the fault begins to its end.
fn rest(line: &str, before: &str) -> usize {
    line.len().saturating_sub(before.len())
}

/// The line as a terminal shows it, so that the marks stand below the fault.
fn shown(line: &str) -> String {
    line.replace('\t', "    ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(text: &str, span: Range<usize>) -> String {
        let fault = Fault::new(text, span, "here".into(), "wrong".into(), "mend it".into());
        Faults::new("f", vec![fault]).to_string()
    }

    #[test]
    fn the_marks_stand_below_the_fault() {
        assert_eq!(
            render("a = 1\n\tbé = 22\n", 13..15),
            "error: wrong\n \
             --> f:2:7 (here)\n  \
               |\n\
             2 |     bé = 22\n  \
               |          ^^\n  \
               = help: mend it\n\
             \n\
             f: 1 fault"
        );
    }

    #[test]
    fn a_fault_over_several_lines_is_marked_in_the_first() {
        assert!(render("a = [\n1]\n", 4..8).contains("1 | a = [\n  |     ^\n"));
    }

    #[test]
    fn a_fault_at_the_end_of_the_file_is_marked() {
        assert!(render("a = ", 4..4).contains("1 | a = \n  |     ^\n"));
        assert!(render("", 0..0).contains("1 | \n  | ^\n"));
    }
}
