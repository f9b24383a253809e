//! Anonymous network namespaces for tests: gone with their last descriptor.

#[path = "../../af-xdp/tests/skip/mod.rs"]
mod skip;

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::geteuid;

/// A network namespace of its own; what is in it dies with it.
pub(crate) struct Namespace(File);

impl Namespace {
    /// Makes one with a loopback interface that is down. None, with a word
    /// about it, without the privilege to.
    pub(crate) fn new() -> Option<Self> {
        if !geteuid().is_root() {
            skip::say("making a network namespace needs root");
            return None;
        }
        let file = on_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            File::open("/proc/thread-self/ns/net").unwrap()
        });
        Some(Self(file))
    }

    /// Runs `work` on a thread that is inside.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        on_thread(|| {
            setns(&self.0, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        })
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Runs `work` on a thread of its own and passes its panic on.
fn on_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| match scope.spawn(work).join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}
