//! Prometheus' text format, version 0.0.4: what [`Metric`] writes.
//!
//! Written here because the crates that write it want the numbers kept in
//! metrics of theirs: `prometheus` copies each into a message of its own first,
//! and `prometheus-client` writes OpenMetrics, whose counters tools that read
//! this format do not recognise.
//!
//! *Source:* "Exposition formats" in the manual of Prometheus.

use std::fmt::{Display, Write};

/// What kind of numbers a metric has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// They only grow, but for new starts.
    Counter,
    /// They go up and down.
    Gauge,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

/// Labels of a number as they are written, braces included; none if empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Labels(String);

impl Labels {
    pub(super) fn new<const COUNT: usize>(labels: [(&str, &str); COUNT]) -> Self {
        let mut text = String::new();
        for (name, value) in labels {
            text.push(if text.is_empty() { '{' } else { ',' });
            text.push_str(name);
            text.push_str("=\"");
            for character in value.chars() {
                match character {
                    '\\' => text.push_str("\\\\"),
                    '"' => text.push_str("\\\""),
                    '\n' => text.push_str("\\n"),
                    other => text.push(other),
                }
            }
            text.push('"');
        }
        if !text.is_empty() {
            text.push('}');
        }
        Self(text)
    }
}

/// A metric being written: its head, then its numbers.
pub(super) struct Metric<'o> {
    out: &'o mut String,
    name: &'static str,
}

impl<'o> Metric<'o> {
    /// Writes the head. `help` is a sentence in one line, without backslashes.
    pub(super) fn begin(out: &'o mut String, name: &'static str, kind: Kind, help: &str) -> Self {
        let kind = kind.name();
        // A string takes all that is written to it.
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Self { out, name }
    }

    /// Writes a number.
    pub(super) fn number(&mut self, labels: &Labels, value: impl Display) {
        let _ = writeln!(self.out, "{}{} {value}", self.name, labels.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let labels = Labels::new([("one", "a\\b\"c\nd"), ("two", "é")]);
        assert_eq!(labels.0, "{one=\"a\\\\b\\\"c\\nd\",two=\"é\"}");
        assert_eq!(Labels::new([]), Labels::default());
    }

    #[test]
    fn a_metric_is_a_head_and_its_numbers() {
        let mut out = String::new();
        let mut metric = Metric::begin(&mut out, "lvs_x_total", Kind::Counter, "So many.");
        metric.number(&Labels::default(), u64::MAX);
        metric.number(&Labels::new([("worker", "0")]), 0);
        assert_eq!(
            out,
            "# HELP lvs_x_total So many.\n# TYPE lvs_x_total counter\n\
             lvs_x_total 18446744073709551615\nlvs_x_total{worker=\"0\"} 0\n"
        );
    }
}
