//! What can go wrong in a netlink conversation, in one type.

use std::fmt;
use std::io;

/// A netlink operation that failed: which one, on what, and why.
///
/// The kernel's own explanation (its extended acknowledgement) is kept when it
/// gave one, because "Invalid argument" alone rarely says which.
#[derive(Debug)]
pub struct Error {
    operation: &'static str,
    object: String,
    cause: io::Error,
    explanation: Option<String>,
}

impl Error {
    pub(super) fn new(
        operation: &'static str,
        object: &dyn fmt::Display,
        cause: io::Error,
    ) -> Self {
        Self {
            operation,
            object: object.to_string(),
            cause,
            explanation: None,
        }
    }

    pub(super) fn explained(mut self, explanation: Option<String>) -> Self {
        self.explanation = explanation;
        self
    }

    /// What was attempted, in words: `add address`.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// What it was attempted on, in words: `10.0.0.1/24 on eth0`.
    pub fn object(&self) -> &str {
        &self.object
    }

    /// The class of the failure, to act on.
    pub fn kind(&self) -> io::ErrorKind {
        self.cause.kind()
    }

    /// The kernel's error number, if the kernel refused.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.cause.raw_os_error()
    }

    /// The kernel's own words about the refusal, if it had any.
    pub fn explanation(&self) -> Option<&str> {
        self.explanation.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot {} {}: {}",
            self.operation, self.object, self.cause
        )?;
        match &self.explanation {
            Some(explanation) => write!(f, ": {explanation}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_operation_object_cause_and_explanation() {
        let cause = io::Error::from_raw_os_error(libc::EINVAL);
        let error = Error::new("add route", &"10.0.0.0/8", cause)
            .explained(Some("Nexthop has invalid gateway".into()));
        assert_eq!(
            error.to_string(),
            "cannot add route 10.0.0.0/8: Invalid argument (os error 22): Nexthop has invalid gateway"
        );
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
