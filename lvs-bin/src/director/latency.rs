//! How long a worker's turns take, and with them the beginning of connections.
//!
//! A worker reads the clock once a turn, and no more for this: a turn that had
//! work lasts from its own time to the next one's, as no rest lies between. It
//! is recorded once, and once for each connection that it began.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use lvs_core::Instant;

/// How long something took, each time.
///
/// *Units:* from 16 ns to 8.6 s, to within a sixteenth; what takes longer is
/// counted as that. *Cost:* 3.5 KiB; some 10 ns a turn to record, and 1 us a
/// publication.
#[derive(Clone, Debug, PartialEq)]
pub struct Latency {
    histogram: Histogram<u64>,
    nanoseconds: u64,
}

/// How long what a worker does takes.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct WorkerLatency {
    /// Turns of the main loop that had work.
    pub turn: Latency,
    /// From the beginning of the turn that took in a connection's first packet
    /// to its end, by when the packet was sent; once a connection. What packets
    /// wait for in a NIC's queue, or another worker's, is not in it.
    pub connection_setup: Latency,
}

impl Default for Latency {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(LEAST, MOST, 1);
        Self {
            histogram: histogram.expect("the least is above 0, and the most above twice that"),
            nanoseconds: 0,
        }
    }
}

impl Latency {
    /// Notes that it took so long, so many times. Never allocates or panics.
    fn record(&mut self, took: Duration, times: u64) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(MOST).min(MOST);
        self.nanoseconds = self.nanoseconds.wrapping_add(took.wrapping_mul(times));
        // Refused is only what is too long.
        let _ = self.histogram.record_n(took, times);
    }

    /// How many times.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// How long in all.
    #[must_use]
    pub const fn sum(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds)
    }

    /// The time that this part of all took at most: 0.5 for the median, 1 for
    /// the longest; zero if there was none.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Duration {
        Duration::from_nanos(self.histogram.value_at_quantile(part))
    }

    /// How many times it took less than each of these powers of two of
    /// nanoseconds. Exact from the fourth to the 33rd.
    pub fn less_than(&self, powers: impl IntoIterator<Item = u32>) -> impl Iterator<Item = u64> {
        let mut recorded = self.histogram.iter_recorded().peekable();
        let mut count = 0;
        powers.into_iter().map(move |power| {
            while let Some(step) = recorded.next_if(|step| step.value_iterated_to() < 1 << power) {
                count += step.count_at_value();
            }
            count
        })
    }

    fn add(&mut self, other: &Self) {
        self.nanoseconds = self.nanoseconds.wrapping_add(other.nanoseconds);
        // They are of one shape.
        let _ = self.histogram.add(&other.histogram);
    }
}

impl WorkerLatency {
    /// Adds another worker's to this.
    pub fn add(&mut self, other: &Self) {
        self.turn.add(&other.turn);
        self.connection_setup.add(&other.connection_setup);
    }
}

/// Takes the time of a worker's turns.
#[derive(Debug, Default)]
pub(super) struct Stopwatch {
    pub(super) taken: WorkerLatency,
    /// When the turn before began, if it had work.
    began: Option<Instant>,
    /// Connections begun by then, and in it.
    opened: u64,
    new: u64,
}

impl Stopwatch {
    /// A turn begins, and ends the one before.
    pub(super) fn begin(&mut self, now: Instant) {
        let Some(began) = self.began.take() else {
            return;
        };
        let took = now.since(began);
        self.taken.turn.record(took, 1);
        if self.new > 0 {
            self.taken.connection_setup.record(took, self.new);
        }
    }

    /// The turn of `now` is done: whether it had work, and how many connections
    /// have been begun since there is a worker.
    pub(super) const fn end(&mut self, now: Instant, busy: bool, opened: u64) {
        if busy {
            self.began = Some(now);
        }
        self.new = opened.wrapping_sub(self.opened);
        self.opened = opened;
    }
}

/// Where a worker puts its [`WorkerLatency`], and others read it.
#[derive(Debug)]
pub(super) struct LatencyBoard {
    turn: Cells,
    connection_setup: Cells,
}

/// The numbers of a [`Latency`].
#[derive(Debug)]
struct Cells {
    nanoseconds: AtomicU64,
    counts: Vec<AtomicU64>,
}

impl LatencyBoard {
    pub(super) fn new() -> Self {
        Self {
            turn: Cells::new(),
            connection_setup: Cells::new(),
        }
    }

    pub(super) fn publish(&self, taken: &WorkerLatency) {
        self.turn.publish(&taken.turn);
        self.connection_setup.publish(&taken.connection_setup);
    }

    pub(super) fn read(&self) -> WorkerLatency {
        WorkerLatency {
            turn: self.turn.read(),
            connection_setup: self.connection_setup.read(),
        }
    }
}

impl Cells {
    fn new() -> Self {
        let counts = Latency::default().histogram.distinct_values();
        Self {
            nanoseconds: AtomicU64::new(0),
            counts: (0..counts).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Only the one worker writes, so what it finds is what it wrote.
    fn publish(&self, latency: &Latency) {
        let (before, now) = (&self.nanoseconds, latency.nanoseconds);
        if before.load(Ordering::Relaxed) == now {
            return;
        }
        before.store(now, Ordering::Relaxed);
        for (cell, step) in self.counts.iter().zip(latency.histogram.iter_all()) {
            cell.store(step.count_at_value(), Ordering::Relaxed);
        }
    }

    fn read(&self) -> Latency {
        let mut latency = Latency::default();
        let shape = Latency::default();
        for (cell, step) in self.counts.iter().zip(shape.histogram.iter_all()) {
            let (value, count) = (step.value_iterated_to(), cell.load(Ordering::Relaxed));
            if count > 0 {
                let _ = latency.histogram.record_n(value, count);
            }
        }
        latency.nanoseconds = self.nanoseconds.load(Ordering::Relaxed);
        latency
    }
}

/// Nanoseconds that are told apart.
const LEAST: u64 = 16;
/// Longest that is told, in nanoseconds.
const MOST: u64 = (1 << 33) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanoseconds: u64) -> Instant {
        Instant::from_nanoseconds(nanoseconds)
    }

    #[test]
    fn a_turn_with_work_lasts_until_the_next() {
        let mut stopwatch = Stopwatch::default();
        for (now, busy, opened) in [
            (0, false, 0),
            (1_000, true, 3),
            (3_000, true, 3),
            (3_500, false, 3),
            // After a rest.
            (900_000, true, 4),
            (910_000, false, 4),
        ] {
            stopwatch.begin(at(now));
            stopwatch.end(at(now), busy, opened);
        }
        let WorkerLatency {
            turn,
            connection_setup,
        } = stopwatch.taken;
        assert_eq!(
            (turn.count(), turn.sum()),
            (3, Duration::from_nanos(12_500))
        );
        assert_eq!(connection_setup.count(), 4);
        assert_eq!(connection_setup.sum(), Duration::from_nanos(16_000));
        let longest = turn.quantile(1.0).as_nanos();
        assert!((10_000..10_625).contains(&longest), "{longest}");
    }

    #[test]
    fn counts_below_powers_of_two_are_exact() {
        let mut latency = Latency::default();
        let powers = 4..=33;
        for power in powers.clone() {
            latency.record(Duration::from_nanos((1 << power) - 1), 1);
            latency.record(Duration::from_nanos(1 << power), 2);
        }
        // The last two are beyond what is told apart.
        let expected: Vec<u64> = (0..29).map(|n| 3 * n + 1).chain([30 * 3]).collect();
        assert_eq!(latency.less_than(powers).collect::<Vec<_>>(), expected);
        assert_eq!(latency.count(), 90);
    }

    #[test]
    fn nothing_is_too_short_or_too_long() {
        let mut latency = Latency::default();
        latency.record(Duration::ZERO, 1);
        latency.record(Duration::MAX, 1);
        assert_eq!(latency.count(), 2);
        assert_eq!(latency.sum(), Duration::from_nanos(MOST));
        assert!(latency.quantile(1.0) >= Duration::from_secs(8));
    }

    #[test]
    fn what_is_published_reads_back() {
        let mut taken = WorkerLatency::default();
        for n in 1..1000 {
            taken.turn.record(Duration::from_nanos(n * n * 31), n);
        }
        let board = LatencyBoard::new();
        assert_eq!(board.read(), WorkerLatency::default());
        board.publish(&taken);
        let read = board.read();
        assert_eq!(read.connection_setup.count(), 0);
        assert_eq!(read.turn.sum(), taken.turn.sum());
        assert!(
            (read.turn.histogram.iter_all().map(|it| it.count_at_value())).eq(taken
                .turn
                .histogram
                .iter_all()
                .map(|it| it.count_at_value()))
        );
        let mut twice = read.clone();
        twice.add(&read);
        assert_eq!(twice.turn.count(), 2 * taken.turn.count());
        assert_eq!(twice.turn.sum(), 2 * taken.turn.sum());
        assert_eq!(twice.turn.quantile(0.5), read.turn.quantile(0.5));
    }
}
