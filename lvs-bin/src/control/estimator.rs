//! Counters and rates as the kernel shows them.
//!
//! What listings show is not what is counted at the moment but a snapshot, taken
//! every two seconds; it lags up to that long. A rate is an average in which
//! each period weighs a quarter of what is not yet in it, so that it remembers
//! about eight seconds. Both stand still while estimation is off.
//!
//! *Source:* the behaviour of `ip_vs_est.c`, Linux 6.12.

use std::time::Duration;

use lvs_core::Traffic;

/// How often counters are looked at.
pub const PERIOD: Duration = Duration::from_secs(2);

/// The counters and rates of one thing: a real server, a service, or all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimator {
    /// The counters when they were last looked at.
    snapshot: Traffic,
    /// The counters that show as zero.
    baseline: Traffic,
    /// Averages as fractions: of connections and packets in 1/1024 a second,
    /// of bytes in 1/32.
    averages: [i64; 5],
}

impl Estimator {
    /// Begins with counters that show as they are.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins with counters that show as zero.
    #[must_use]
    pub const fn beginning_at(counters: Traffic) -> Self {
        Self {
            snapshot: counters,
            baseline: counters,
            averages: [0; 5],
        }
    }

    /// Whether any of the counters was greater when they were last looked at.
    #[must_use]
    pub(super) fn has_seen_more_than(&self, counters: &Traffic) -> bool {
        let mut pairs = numbers(&self.snapshot).into_iter().zip(numbers(counters));
        pairs.any(|(seen, now)| seen > now)
    }

    /// Looks at the counters, once every [`PERIOD`].
    pub fn tick(&mut self, counters: Traffic) {
        let before = numbers(&self.snapshot);
        let now = numbers(&counters);
        for (place, average) in self.averages.iter_mut().enumerate() {
            let more = now[place].wrapping_sub(before[place]).cast_signed();
            // Half of the fraction, for a period is two seconds.
            let rate = more << (FRACTION[place] - 1);
            *average += (rate - *average) >> 2;
        }
        self.snapshot = counters;
    }

    /// Has what was counted up to the last look show as zero, and the rates
    /// begin again.
    pub const fn zero(&mut self) {
        self.baseline = self.snapshot;
        self.averages = [0; 5];
    }

    /// What passed up to the last look.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        let zero = numbers(&self.baseline);
        let mut shown = numbers(&self.snapshot);
        for (number, zero) in shown.iter_mut().zip(zero) {
            *number = number.wrapping_sub(zero);
        }
        traffic(shown)
    }

    /// What passes in a second.
    #[must_use]
    pub fn rates(&self) -> Traffic {
        let mut rates = [0; 5];
        for (place, rate) in rates.iter_mut().enumerate() {
            let fraction = FRACTION[place];
            // Rounded half down: the kernel adds one less than a half.
            let half = (1 << (fraction - 1)) - 1;
            *rate = ((self.averages[place] + half) >> fraction).max(0) as u64;
        }
        traffic(rates)
    }
}

const fn numbers(traffic: &Traffic) -> [u64; 5] {
    [
        traffic.connections,
        traffic.packets_in,
        traffic.packets_out,
        traffic.bytes_in,
        traffic.bytes_out,
    ]
}

const fn traffic(numbers: [u64; 5]) -> Traffic {
    let [connections, packets_in, packets_out, bytes_in, bytes_out] = numbers;
    Traffic {
        connections,
        packets_in,
        bytes_in,
        packets_out,
        bytes_out,
    }
}

/// How many bits of an average are a fraction.
const FRACTION: [u32; 5] = [10, 10, 10, 5, 5];

#[cfg(test)]
mod tests {
    use super::*;

    fn burst(connections: u64, bytes_in: u64) -> Traffic {
        Traffic {
            connections,
            packets_in: connections,
            bytes_in,
            ..Traffic::default()
        }
    }

    #[test]
    fn a_burst_fades_as_recorded() {
        let mut estimator = Estimator::new();
        let mut shown = Vec::new();
        for _ in 0..5 {
            estimator.tick(burst(100, 4000));
            let rates = estimator.rates();
            shown.push((rates.connections, rates.packets_in, rates.bytes_in));
        }
        let recorded = [
            (12, 12, 500),
            (9, 9, 375),
            (7, 7, 281),
            (5, 5, 211),
            (4, 4, 158),
        ];
        assert_eq!(shown, recorded);
    }

    #[test]
    fn counters_lag_until_they_are_looked_at() {
        let mut estimator = Estimator::new();
        assert_eq!(estimator.traffic(), Traffic::default());
        estimator.tick(burst(3, 120));
        assert_eq!(estimator.traffic(), burst(3, 120));
    }

    #[test]
    fn zeroing_hides_what_was_seen_and_nothing_more() {
        let mut estimator = Estimator::new();
        estimator.tick(burst(3, 120));
        estimator.zero();
        assert_eq!(estimator.traffic(), Traffic::default());
        assert_eq!(estimator.rates(), Traffic::default());
        estimator.tick(burst(5, 200));
        assert_eq!(estimator.traffic(), burst(2, 80));
    }
}
