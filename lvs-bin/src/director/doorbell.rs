//! Waking a worker that sleeps.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering, fence};

use nix::sys::eventfd::{EfdFlags, EventFd};

/// Wakes a worker that waits for frames, when something else needs it: a frame
/// handed over, a new snapshot, the end.
///
/// *Cost:* a fence and a load while the worker is awake; a system call only
/// while it sleeps.
#[derive(Debug)]
pub(super) struct Doorbell {
    asleep: AtomicBool,
    event: EventFd,
}

impl Doorbell {
    pub(super) fn new() -> nix::Result<Self> {
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        Ok(Self {
            asleep: AtomicBool::new(false),
            event: EventFd::from_flags(flags)?,
        })
    }

    /// Wakes the worker if it sleeps. What it shall find must have been put
    /// there before.
    pub(super) fn ring(&self) {
        // Pairs with the fence in `lie_down`: either the sleeper sees what was
        // put there, or this sees that it sleeps.
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) {
            // Full means it has been rung already.
            let _ = self.event.write(1);
        }
    }

    /// The worker is about to wait; it must look for work once more after this.
    pub(super) fn lie_down(&self) {
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// The worker is awake again.
    pub(super) fn get_up(&self) {
        self.asleep.store(false, Ordering::Relaxed);
        // Nothing to read means nobody rang.
        let _ = self.event.read();
    }

    /// Becomes readable when it is rung.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}
