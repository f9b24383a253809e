//! Why a socket could not be opened: [`OpenError`].

use std::fmt;
use std::io;

/// The step of opening a socket that failed, and the kernel's answer.
///
/// Nothing remains of the attempt: the socket is closed, all chunks are free.
#[derive(Debug)]
pub struct OpenError {
    pub(crate) step: Step,
    pub(crate) source: io::Error,
}

/// A step of opening a socket, in the order the kernel wants them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Step {
    /// Make the socket: needs CAP_NET_RAW and a kernel with AF_XDP.
    Create,
    /// Give it the UMEM: counts against RLIMIT_MEMLOCK without CAP_IPC_LOCK.
    Register,
    /// Size a ring: must be a power of two.
    SizeRings,
    /// Ask where the parts of the rings lie.
    LocateRings,
    /// Map the rings.
    MapRings,
    /// Ask for busy polling.
    BusyPoll,
    /// Bind to the queue.
    Bind,
    /// Ask in which mode it works, and find it is the one required.
    Confirm,
}

impl Step {
    /// The step as words: "bind to the queue".
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "make an AF_XDP socket",
            Self::Register => "register the UMEM",
            Self::SizeRings => "size the rings",
            Self::LocateRings => "locate the rings",
            Self::MapRings => "map the rings",
            Self::BusyPoll => "set busy polling",
            Self::Bind => "bind to the queue",
            Self::Confirm => "confirm zero copy",
        }
    }

    pub(crate) fn failed(self, source: io::Error) -> OpenError {
        OpenError { step: self, source }
    }
}

impl OpenError {
    /// The step that failed.
    pub fn step(&self) -> Step {
        self.step
    }

    /// What the kernel answered.
    pub fn os(&self) -> &io::Error {
        &self.source
    }

    /// The answer alone, to be put into another error.
    pub fn into_os(self) -> io::Error {
        self.source
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.step, self.source)
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_was_tried_and_what_came_of_it() {
        let error = Step::Bind.failed(io::Error::from_raw_os_error(libc::EBUSY));
        let shown = error.to_string();
        assert!(shown.starts_with("bind to the queue: "), "{shown}");
        assert_eq!(error.step(), Step::Bind);
        assert_eq!(error.os().raw_os_error(), Some(libc::EBUSY));
        assert_eq!(error.into_os().raw_os_error(), Some(libc::EBUSY));
    }
}
