//! How busy the workers are.

use std::time::{Duration, Instant};

/// The part of its time that each worker had work, between the last two looks.
#[derive(Clone, Debug, Default)]
pub(super) struct WorkerLoads {
    looked: Option<Instant>,
    /// How long each had had work by then.
    worked: Vec<Duration>,
    loads: Vec<f64>,
}

impl WorkerLoads {
    /// Looks at how long each worker has had work since it began.
    pub(super) fn look(&mut self, now: Instant, worked: impl IntoIterator<Item = Duration>) {
        let worked: Vec<Duration> = worked.into_iter().collect();
        if let Some(looked) = self.looked {
            let passed = now.saturating_duration_since(looked);
            let before = self.worked.iter().chain(std::iter::repeat(&Duration::ZERO));
            let each = worked.iter().zip(before);
            self.loads = each
                .map(|(worked, before)| part(worked.saturating_sub(*before), passed))
                .collect();
        }
        (self.looked, self.worked) = (Some(now), worked);
    }

    /// Each worker's, from 0 to 1; none before the second look.
    pub(super) fn loads(&self) -> &[f64] {
        &self.loads
    }
}

/// A turn is counted when it is over, so that one may seem longer than the time
/// between two looks.
fn part(worked: Duration, passed: Duration) -> f64 {
    if passed.is_zero() {
        return 0.0;
    }
    worked.div_duration_f64(passed).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_part_of_the_time_between_two_looks() {
        let began = Instant::now();
        let second = Duration::from_secs(1);
        let mut loads = WorkerLoads::default();
        loads.look(began, [second * 40, Duration::ZERO]);
        assert!(loads.loads().is_empty());
        loads.look(began + second * 2, [second * 41, Duration::ZERO]);
        assert_eq!(loads.loads(), [0.5, 0.0]);
        loads.look(began + second * 4, [second * 44, second / 2]);
        assert_eq!(loads.loads(), [1.0, 0.25]);
        loads.look(began + second * 4, [second * 44, second / 2]);
        assert_eq!(loads.loads(), [0.0, 0.0]);
    }
}
