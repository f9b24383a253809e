//! Prometheus' text format, version 0.0.4: what [`Metric`] writes.
//!
//! Written here because the crates that write it want the numbers kept in
//! metrics of theirs: `prometheus` copies each into a message of its own first,
//! and `prometheus-client` writes OpenMetrics, whose counters tools that read
//! this format do not recognise.
//!
//! *Source:* "Exposition formats" in the manual of Prometheus.

use std::fmt::{self, Display, Write};
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::director::Latency;

/// What kind of numbers a metric has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// They only grow, but for new starts.
    Counter,
    /// They go up and down.
    Gauge,
    /// How many were within each of several bounds, and their sum.
    Histogram,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
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

    /// Writes how long something took, in seconds. `labels` are not empty.
    ///
    /// The bounds are those at which counts are exact: a nanosecond below a
    /// power of two of them.
    pub(super) fn latency(&mut self, labels: &Labels, latency: &Latency) {
        let Self { out, name } = self;
        let Labels(labels) = labels;
        let with = labels.trim_end_matches('}');
        for (power, count) in BOUNDS.zip(latency.less_than(BOUNDS)) {
            let bound = Seconds(Duration::from_nanos((1 << power) - 1));
            let _ = writeln!(out, "{name}_bucket{with},le=\"{bound}\"}} {count}");
        }
        let (count, sum) = (latency.count(), Seconds(latency.sum()));
        let _ = writeln!(
            out,
            "{name}_bucket{with},le=\"+Inf\"}} {count}\n\
             {name}_sum{labels} {sum}\n\
             {name}_count{labels} {count}"
        );
    }
}

/// A time in seconds, to the nanosecond.
struct Seconds(Duration);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.0.as_secs(), self.0.subsec_nanos())
    }
}

/// From half a microsecond, less than a turn takes, to a second, which is a
/// worker that stands still.
const BOUNDS: RangeInclusive<u32> = 9..=30;

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
