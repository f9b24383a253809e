//! Time as the benches take it: what the thread spent on a processor.
//!
//! On a machine with other work to do, wall time measures that work as well.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Processor time of the calling thread so far.
///
/// *Cost:* a system call, some 200 ns.
///
/// # Panics
///
/// If the kernel has no such clock; Linux has had it since 2.6.12.
#[must_use]
pub fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .expect("Linux has a clock for each thread")
        .into()
}
