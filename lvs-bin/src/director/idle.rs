//! What a worker does when nothing is to do.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use lvs_io::{Lane, Queue, Watch};

use super::doorbell::Doorbell;

/// How a worker waits for frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Waiting {
    /// Polls for a while after the last frame, then sleeps until the next:
    /// little latency under load, no processor time without.
    #[default]
    Adaptive,
    /// Polls always: the least latency, a whole processor.
    Spin,
}

/// Decides when a worker sleeps, and how.
#[derive(Debug)]
pub(super) struct Idle {
    waiting: Waiting,
    quiet_turns: u32,
    watch: Watch,
}

impl Idle {
    /// For a worker of `queues` queues, and perhaps the host.
    pub(super) fn new(waiting: Waiting, queues: usize) -> Self {
        Self {
            waiting,
            quiet_turns: 0,
            watch: Watch::new(queues + 2),
        }
    }

    /// Notes whether a turn was busy; whether it is time to sleep.
    pub(super) const fn should_rest(&mut self, busy: bool) -> bool {
        self.quiet_turns = if busy {
            0
        } else {
            self.quiet_turns.saturating_add(1)
        };
        matches!(self.waiting, Waiting::Adaptive) && self.quiet_turns > QUIET_TURNS
    }

    /// Sleeps until a queue or the host has frames, the bell rings, or the time
    /// is up.
    pub(super) fn wait(&mut self, lane: &Lane, bell: &Doorbell, host: Option<BorrowedFd<'_>>) {
        let unwoken = |queue: &dyn Queue| queue.in_flight() > 0 || queue.wait_fd().is_none();
        let timeout = match lane.queues.iter().any(|queue| unwoken(queue.as_ref())) {
            true => SHORT_REST,
            false => LONGEST_REST,
        };
        let queues = lane.queues.iter().filter_map(|queue| queue.wait_fd());
        // Interrupted or not: the next turn looks for itself.
        self.watch
            .wait(queues.chain([bell.fd()]).chain(host), timeout);
    }
}

/// Turns without work before a worker sleeps. A turn without work takes about
/// 100 ns, or 1 us where the kernel is asked, so this bridges the gaps of
/// traffic down to some ten thousand packets a second.
const QUIET_TURNS: u32 = 200;
/// Longest sleep: connections expire and counters are published meanwhile.
const LONGEST_REST: Duration = Duration::from_millis(50);
/// Longest sleep while something may come that wakes nobody: in copy mode the
/// kernel may want another call to move frames that are being sent, and memory
/// has no descriptor to wait for.
const SHORT_REST: Duration = Duration::from_millis(1);
