//! Numbers for people: three digits and a unit.

use std::time::Duration;

/// A number: `0`, `9999`, `12.3k`, `4.56M`.
pub(super) fn short(number: u64) -> String {
    if number < 10_000 {
        return number.to_string();
    }
    let mut value = number as f64;
    for unit in ["", "k", "M", "G", "T", "P"] {
        if value < 999.5 {
            return format!("{}{unit}", three_digits(value));
        }
        value /= 1000.0;
    }
    format!("{}E", three_digits(value))
}

/// Bytes in a second, as bits in a second: `812 bit/s`, `1.20 Gbit/s`.
pub(super) fn bits(bytes: u64) -> String {
    let mut value = bytes as f64 * 8.0;
    for unit in ["bit/s", "kbit/s", "Mbit/s", "Gbit/s"] {
        if value < 999.5 {
            return match unit {
                "bit/s" => format!("{value:.0} {unit}"),
                _ => format!("{} {unit}", three_digits(value)),
            };
        }
        value /= 1000.0;
    }
    format!("{} Tbit/s", three_digits(value))
}

/// A time: `812 ns`, `1.20 us`, `35.0 ms`, `2.00 s`.
pub(super) fn time(nanoseconds: u64) -> String {
    let mut value = nanoseconds as f64;
    for unit in ["ns", "us", "ms"] {
        if value < 999.5 {
            return match unit {
                "ns" => format!("{value:.0} {unit}"),
                _ => format!("{} {unit}", three_digits(value)),
            };
        }
        value /= 1000.0;
    }
    format!("{} s", three_digits(value))
}

/// How long something has gone on: `12 s`, `3 min 4 s`, `5 h 6 min`, `7 d 8 h`.
pub(super) fn long(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// A part of 1 in per cent: `0 %`, `12 %`; `100 %` only if it is all.
pub(super) fn percent(part: f64) -> String {
    format!("{:.0} %", (part * 100.0).floor().clamp(0.0, 100.0))
}

/// So much of something in per cent; of nothing, `0 %`.
pub(super) fn percent_of(some: u64, all: u64) -> String {
    percent(some as f64 / all.max(1) as f64)
}

fn three_digits(value: f64) -> String {
    match value {
        ..9.995 => format!("{value:.2}"),
        ..99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_at_most_but_small_ones_are_whole() {
        let shown = [
            0,
            9_999,
            10_000,
            12_345,
            999_499,
            999_500,
            4_567_890,
            u64::MAX,
        ]
        .map(short);
        assert_eq!(
            shown,
            [
                "0", "9999", "10.0k", "12.3k", "999k", "1.00M", "4.57M", "18.4E"
            ]
        );
    }

    #[test]
    fn rates_are_bits() {
        let shown = [0, 100, 125, 150_000_000, u64::MAX].map(bits);
        assert_eq!(
            shown,
            [
                "0 bit/s",
                "800 bit/s",
                "1.00 kbit/s",
                "1.20 Gbit/s",
                "147573953 Tbit/s"
            ]
        );
    }

    #[test]
    fn times_have_the_unit_that_fits() {
        let shown = [0, 999, 1_200, 35_000_000, 2_000_000_000].map(time);
        assert_eq!(shown, ["0 ns", "999 ns", "1.20 us", "35.0 ms", "2.00 s"]);
        let shown = [12, 184, 18_360, 633_600].map(|seconds| long(Duration::from_secs(seconds)));
        assert_eq!(shown, ["12 s", "3 min 4 s", "5 h 6 min", "7 d 8 h"]);
    }

    #[test]
    fn all_but_a_little_is_not_all() {
        let shown = [(0, 0), (1, 3), (999, 1000), (7, 7)].map(|(some, all)| percent_of(some, all));
        assert_eq!(shown, ["0 %", "33 %", "99 %", "100 %"]);
    }
}
