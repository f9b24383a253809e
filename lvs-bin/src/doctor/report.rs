//! What the doctor says: [`Report`], for people and for programs.

use std::fmt;

use serde_json::{Value, json};

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Ok,
    /// It works, but worse than it could, or not in every case.
    Warning,
    /// It does not work.
    Fault,
}

impl Severity {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Fault => "fault",
        }
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is; never [`Severity::Ok`].
    pub severity: Severity,
    /// What is wrong, and what comes of it: a sentence or two.
    pub what: String,
    /// What to type to mend it, line by line; words in capitals stand for what
    /// only people know.
    pub mend: Vec<String>,
    /// What to write into the configuration instead, if it is that which must
    /// change.
    pub configure: Option<String>,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at, in a word: `offloads`.
    pub name: &'static str,
    /// What is worth knowing, and not wrong.
    pub remarks: Vec<String>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl Check {
    /// One that has found nothing yet.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            remarks: Vec::new(),
            findings: Vec::new(),
        }
    }

    pub(super) fn remark(&mut self, what: String) {
        self.remarks.push(what);
    }

    pub(super) fn warn<const N: usize>(&mut self, what: String, mend: [String; N]) {
        self.find(Severity::Warning, what, mend);
    }

    pub(super) fn fault<const N: usize>(&mut self, what: String, mend: [String; N]) {
        self.find(Severity::Fault, what, mend);
    }

    pub(super) fn find<const N: usize>(
        &mut self,
        severity: Severity,
        what: String,
        mend: [String; N],
    ) {
        self.findings.push(Finding {
            severity,
            what,
            mend: mend.into(),
            configure: None,
        });
    }

    /// Finds something that is mended in the configuration.
    pub(super) fn reconfigure(&mut self, severity: Severity, what: String, configure: String) {
        self.findings.push(Finding {
            severity,
            what,
            mend: Vec::new(),
            configure: Some(configure),
        });
    }

    /// That of the worst finding.
    #[must_use]
    pub fn severity(&self) -> Severity {
        let all = self.findings.iter().map(|finding| finding.severity);
        all.max().unwrap_or(Severity::Ok)
    }
}

/// The checks of one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Whose they are: `director`, `real server 10.0.0.11`.
    pub of: String,
    /// In the order they were made.
    pub checks: Vec<Check>,
}

impl Section {
    pub(super) fn new(of: &str, checks: Vec<Check>) -> Self {
        Self {
            of: of.to_owned(),
            checks,
        }
    }

    /// The check of this name; an empty one if there is none.
    #[must_use]
    pub fn check(&self, name: &'static str) -> Check {
        let found = self.checks.iter().find(|check| check.name == name);
        found.cloned().unwrap_or(Check::new(name))
    }
}

/// Everything that was found out. Displayed as people read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// A machine each.
    pub sections: Vec<Section>,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.count(Severity::Warning) + self.count(Severity::Fault) == 0
    }

    /// Findings of this severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        let checks = self.sections.iter().flat_map(|section| &section.checks);
        let findings = checks.flat_map(|check| &check.findings);
        findings.filter(|it| it.severity == severity).count()
    }

    /// The same for programs: `faults`, `warnings`, and the `sections` with
    /// their `checks`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let sections = self.sections.iter().map(|section| {
            let checks: Vec<Value> = section.checks.iter().map(check_json).collect();
            json!({ "of": section.of, "checks": checks })
        });
        json!({
            "faults": self.count(Severity::Fault),
            "warnings": self.count(Severity::Warning),
            "sections": sections.collect::<Vec<_>>(),
        })
    }
}

fn check_json(check: &Check) -> Value {
    let findings = check.findings.iter().map(|finding| {
        json!({
            "severity": finding.severity.name(),
            "what": finding.what,
            "mend": finding.mend,
            "configure": finding.configure,
        })
    });
    json!({
        "name": check.name,
        "severity": check.severity().name(),
        "remarks": check.remarks,
        "findings": findings.collect::<Vec<_>>(),
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for section in &self.sections {
            writeln!(f, "{}", section.of)?;
            for check in &section.checks {
                writeln!(f, "  {:8} {}", check.severity().name(), check.name)?;
                for remark in &check.remarks {
                    write_wrapped(f, remark)?;
                }
                for finding in &check.findings {
                    write_wrapped(f, &finding.what)?;
                    for line in &finding.mend {
                        writeln!(f, "{INDENT}  $ {line}")?;
                    }
                    if let Some(line) = &finding.configure {
                        writeln!(f, "{INDENT}  in the configuration: {line}")?;
                    }
                }
            }
            writeln!(f)?;
        }
        let faults = counted(self.count(Severity::Fault), "fault");
        let warnings = counted(self.count(Severity::Warning), "warning");
        write!(f, "{faults}, {warnings}")
    }
}

fn counted(count: usize, what: &str) -> String {
    match count {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

/// Writes a sentence below its check, no line longer than a terminal's.
fn write_wrapped(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column == 0 {
            write!(f, "{INDENT}{word}")?;
            column = INDENT.len();
        } else if column + 1 + length > WIDTH {
            write!(f, "\n{INDENT}{word}")?;
            column = INDENT.len();
        } else {
            write!(f, " {word}")?;
            column += 1;
        }
        column += length;
    }
    writeln!(f)
}

const INDENT: &str = "           ";
const WIDTH: usize = 79;

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut queues = Check::new("queues");
        queues.remark("2 workers.".to_owned());
        let mut memory = Check::new("memory");
        memory.warn("too little ".repeat(9), ["free it".to_owned()]);
        memory.reconfigure(Severity::Fault, "None.".to_owned(), "less".to_owned());
        Report {
            sections: vec![Section::new("director", vec![queues, memory])],
        }
    }

    #[test]
    fn people_read_what_is_wrong_below_its_check() {
        let said = report().to_string();
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(
            lines[..4],
            [
                "director",
                "  ok       queues",
                "           2 workers.",
                "  fault    memory",
            ]
        );
        assert!(lines[4].len() <= 79 && lines[5].starts_with("           "));
        assert_eq!(lines[6], "             $ free it");
        assert_eq!(lines[8], "             in the configuration: less");
        assert_eq!(lines.last(), Some(&"1 fault, 1 warning"));
    }

    #[test]
    fn programs_read_the_same() {
        let json = report().to_json();
        assert_eq!((&json["faults"], &json["warnings"]), (&json!(1), &json!(1)));
        let memory = &json["sections"][0]["checks"][1];
        assert_eq!(memory["severity"], "fault");
        assert_eq!(memory["findings"][0]["mend"], json!(["free it"]));
    }

    #[test]
    fn only_what_has_no_finding_is_well() {
        assert!(Report::default().is_well() && !report().is_well());
        assert_eq!(Report::default().to_string(), "no faults, no warnings");
    }
}
