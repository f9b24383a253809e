//! What can go wrong when the machine is asked for something: [`Error`].

use std::fmt;
use std::io;

/// A step that the operating system refused, and where.
///
/// Shown as `eth0 queue 2: bind the packet socket: Network is down`.
pub struct Error {
    step: &'static str,
    nic: Option<String>,
    queue: Option<u32>,
    source: io::Error,
}

impl Error {
    /// The refusal of `step`, worded as what was tried: "bind the packet socket".
    pub(crate) fn new(step: &'static str, source: io::Error) -> Self {
        Self {
            step,
            nic: None,
            queue: None,
            source,
        }
    }

    /// Names the NIC concerned.
    pub(crate) fn on(mut self, nic: &str) -> Self {
        self.nic = Some(nic.to_owned());
        self
    }

    /// Names the queue of the NIC concerned.
    pub(crate) fn queue(mut self, queue: u32) -> Self {
        self.queue = Some(queue);
        self
    }

    /// What was being tried.
    pub fn step(&self) -> &'static str {
        self.step
    }

    /// The NIC concerned, if it was about one.
    pub fn nic(&self) -> Option<&str> {
        self.nic.as_deref()
    }

    /// The queue of that NIC, if it was about one.
    pub fn queue_index(&self) -> Option<u32> {
        self.queue
    }

    /// What the operating system answered.
    pub fn os(&self) -> &io::Error {
        &self.source
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.nic, self.queue) {
            (Some(nic), Some(queue)) => write!(out, "{nic} queue {queue}: ")?,
            (Some(nic), None) => write!(out, "{nic}: ")?,
            (None, _) => {}
        }
        write!(out, "{}: {}", self.step, self.source)
    }
}

/// What is displayed: a `main` that returns its error prints this, and the
/// fields say nothing more.
impl fmt::Debug for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_place_step_and_cause() {
        let down = || io::Error::from_raw_os_error(libc::ENETDOWN);
        let error = Error::new("bind the packet socket", down());
        assert!(error.to_string().starts_with("bind the packet socket: "));
        let error = error.on("eth0");
        assert!(error.to_string().starts_with("eth0: bind"));
        let error = error.queue(2);
        assert!(error.to_string().starts_with("eth0 queue 2: bind"));
        assert_eq!(error.os().raw_os_error(), Some(libc::ENETDOWN));
    }
}
