//! System calls that wake the kernel, and what became of them.

use std::io;
use std::os::fd::BorrowedFd;

use crate::sys;

/// Whether the worker's system calls run the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BusyPolling {
    /// Not asked for.
    Off,
    /// Asked for; the driver has not named the NAPI context that feeds the
    /// socket yet. Some kernels learn it from the first packet.
    Unknown,
    /// Asked for and working.
    Working,
    /// Asked for, and working for reception only: frames to be sent did not
    /// move, because the driver sends from another context than the one that
    /// is polled. The kernel's own wake-ups were turned on again, so they do.
    ReceiveOnly,
    /// Asked for without effect: packets came, and still no NAPI context is
    /// known. The socket works as if it had not been asked for.
    NoEffect,
}

impl BusyPolling {
    pub(crate) fn wanted(fd: BorrowedFd<'_>, wanted: bool) -> Self {
        match wanted {
            true if has_napi(fd) => Self::Working,
            true => Self::Unknown,
            false => Self::Off,
        }
    }

    /// Whether system calls are worth making for it alone.
    pub(crate) fn polls(self) -> bool {
        matches!(self, Self::Working | Self::ReceiveOnly)
    }

    /// Settles an unknown state, once the first packets are in.
    pub(crate) fn check_once(&mut self, fd: BorrowedFd<'_>) {
        if *self == Self::Unknown {
            *self = match has_napi(fd) {
                true => Self::Working,
                false => Self::NoEffect,
            };
        }
    }
}

/// Lets the kernel wake the driver, besides what busy polling does. It cannot
/// fail for a socket on which the opposite was set; if it did, nothing changed.
pub(crate) fn prefer_wakeups(fd: BorrowedFd<'_>) {
    let _ = sys::set_number(fd, libc::SOL_SOCKET, sys::SO_PREFER_BUSY_POLL, 0);
}

fn has_napi(fd: BorrowedFd<'_>) -> bool {
    sys::napi(fd).is_ok_and(|number| number != 0)
}

/// Wake-up calls, and what the kernel answered. No answer is a failure of the
/// caller: what was not moved waits for the next call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Kicks {
    /// Calls made.
    pub calls: u64,
    /// Answered EAGAIN, EBUSY, ENOBUFS or ENOMEM: flow control.
    pub busy: u64,
    /// Answered ENETDOWN, ENXIO or ENODEV: the link is down or gone.
    pub link_down: u64,
    /// Answered with another error.
    pub failed: u64,
}

impl Kicks {
    pub(crate) fn wake_transmit(&mut self, fd: BorrowedFd<'_>) {
        self.count(sys::wake_transmit(fd));
    }

    pub(crate) fn wake_receive(&mut self, fd: BorrowedFd<'_>) {
        self.count(sys::wake_receive(fd));
    }

    fn count(&mut self, outcome: io::Result<()>) {
        self.calls += 1;
        let Err(error) = outcome else { return };
        match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EBUSY | libc::ENOBUFS | libc::ENOMEM | libc::EINTR) => {
                self.busy += 1;
            }
            Some(libc::ENETDOWN | libc::ENXIO | libc::ENODEV) => self.link_down += 1,
            _ => self.failed += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let mut kicks = Kicks::default();
        kicks.count(Ok(()));
        for error in [
            libc::EAGAIN,
            libc::EBUSY,
            libc::ENOBUFS,
            libc::ENETDOWN,
            libc::ENXIO,
            libc::EINVAL,
        ] {
            kicks.count(Err(io::Error::from_raw_os_error(error)));
        }
        let expected = Kicks {
            calls: 7,
            busy: 3,
            link_down: 2,
            failed: 1,
        };
        assert_eq!(kicks, expected);
    }
}
