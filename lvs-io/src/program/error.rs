//! Why steering could not be set up or changed: [`Error`].

use std::fmt;
use std::io;

use super::elf::ElfError;
use crate::sys::bpf::Rejected;

/// What went wrong, where, and what to do about it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The object this crate carries is malformed: the build is at fault.
    Object(&'static str),
    /// The kernel refused a step.
    Refused {
        /// Which.
        step: Step,
        /// The NIC concerned, if it was about one.
        nic: Option<String>,
        /// The kernel's answer.
        source: io::Error,
        /// What the verifier wrote, when it was the one to refuse.
        verifier: String,
    },
    /// The rules do not fit in the kernel's map together with those in force,
    /// which they replace without a gap.
    Full {
        /// Entries that both would take.
        wanted: usize,
        /// Entries there is room for.
        capacity: usize,
    },
    /// Only protocols with ports can be steered.
    Protocol {
        /// The one that was asked for.
        protocol: u8,
    },
    /// A NIC was named by a position at which none was attached.
    NoSuchNic {
        /// The position.
        nic: usize,
    },
    /// Sockets belong to XDP; the tc program only keeps frames from the stack.
    NoSockets,
}

/// What the kernel was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Make one of the maps.
    MakeMap,
    /// Load the program.
    Load,
    /// Attach it to the driver.
    AttachNative,
    /// Attach it in front of the stack, with any driver.
    AttachGeneric,
    /// Attach it to tc ingress.
    AttachTc,
    /// Let it feed a socket.
    SetSocket,
    /// Write the rules.
    WriteRules,
    /// Read the counters.
    ReadCounters,
    /// Try it on a frame.
    Trial,
}

impl Step {
    fn words(self) -> &'static str {
        match self {
            Self::MakeMap => "make a BPF map",
            Self::Load => "load the steering program",
            Self::AttachNative => "attach the steering program to the driver (native XDP)",
            Self::AttachGeneric => "attach the steering program as generic XDP",
            Self::AttachTc => "attach the steering program to tc ingress",
            Self::SetSocket => "give the steering program a socket",
            Self::WriteRules => "write the steering rules",
            Self::ReadCounters => "read the steering counters",
            Self::Trial => "try the steering program on a frame",
        }
    }

    /// What usually helps against an answer of the kernel to this step.
    fn advice(self, errno: i32) -> Option<&'static str> {
        use Step::{AttachGeneric, AttachNative, AttachTc, Load, MakeMap, SetSocket};
        Some(match (self, errno) {
            (MakeMap | Load | AttachNative | AttachGeneric | AttachTc, libc::EPERM) => {
                "run as root, or with the capabilities CAP_BPF and CAP_NET_ADMIN"
            }
            (MakeMap | Load, libc::ENOSYS) => "this kernel is built without bpf(2)",
            (Load, libc::EINVAL) => {
                "this kernel may be too old: Linux 5.18 is the first to have what it uses"
            }
            (AttachNative | AttachGeneric, libc::EBUSY | libc::EEXIST) => {
                "another XDP program owns this NIC's hook (`ip link show` names it); detach it first"
            }
            (AttachNative, libc::EOPNOTSUPP) => {
                "the driver has no native XDP, or not with the offloads that are on; \
                 turn off LRO and hardware GRO, or use generic XDP"
            }
            (AttachNative, libc::ERANGE) => {
                "the MTU of this NIC, or of a veth's peer, is more than the driver's XDP takes; \
                 lower it, or use generic XDP"
            }
            (AttachNative, libc::ENOSPC) => {
                "too few queues: a veth needs as many receive queues as its peer has transmit \
                 queues, a NIC as many to spare for XDP"
            }
            (AttachNative | AttachGeneric | AttachTc, libc::ENODEV) => {
                "no such NIC in this network namespace"
            }
            (AttachTc, libc::EINVAL) => {
                "this kernel has no TCX, which came with Linux 6.6; use XDP"
            }
            (SetSocket, libc::E2BIG) => "the program serves receive queues 0 to 255",
            (SetSocket, libc::EOPNOTSUPP) => "not an AF_XDP socket",
            _ => return None,
        })
    }
}

impl Error {
    pub(crate) fn refused(step: Step, source: io::Error) -> Self {
        Self::Refused {
            step,
            nic: None,
            source,
            verifier: String::new(),
        }
    }

    pub(crate) fn rejected(rejected: Rejected) -> Self {
        Self::Refused {
            step: Step::Load,
            nic: None,
            source: rejected.source,
            verifier: rejected.log,
        }
    }

    /// Names the NIC concerned.
    pub(crate) fn on(mut self, name: &str) -> Self {
        if let Self::Refused { nic, .. } = &mut self {
            *nic = Some(name.to_owned());
        }
        self
    }

    /// The kernel's error number, if it was the kernel's doing.
    pub fn raw_os_error(&self) -> Option<i32> {
        match self {
            Self::Refused { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(what) => write!(out, "the steering object is malformed: {what}"),
            Self::Refused {
                step,
                nic,
                source,
                verifier,
            } => {
                if let Some(nic) = nic {
                    write!(out, "{nic}: ")?;
                }
                write!(out, "{}: {source}", step.words())?;
                if let Some(advice) = source.raw_os_error().and_then(|code| step.advice(code)) {
                    write!(out, ": {advice}")?;
                }
                write_verifier(out, verifier)
            }
            Self::Full { wanted, capacity } => write!(
                out,
                "the steering rules need {wanted} entries and there is room for {capacity}: \
                 one for each address and one for each port of it, \
                 those being replaced counted as well"
            ),
            Self::Protocol { protocol } => write!(
                out,
                "IP protocol {protocol} cannot be steered: only TCP (6), UDP (17) and SCTP (132)"
            ),
            Self::NoSuchNic { nic } => write!(out, "no NIC is attached at position {nic}"),
            Self::NoSockets => write!(out, "a program at tc ingress feeds no sockets"),
        }
    }
}

/// The end of the verifier's words, where the reason is: all of them can be a
/// thousand lines.
fn write_verifier(out: &mut fmt::Formatter<'_>, words: &str) -> fmt::Result {
    let lines: Vec<&str> = words.lines().collect();
    let last = &lines[lines.len().saturating_sub(VERIFIER_LINES)..];
    if last.is_empty() {
        return Ok(());
    }
    write!(out, "\nthe verifier says:\n{}", last.join("\n"))
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<ElfError> for Error {
    fn from(error: ElfError) -> Self {
        Self::Object(error.0)
    }
}

impl From<Error> for crate::Error {
    /// Keeps the whole text; the step of the result says only "steer".
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Refused { source, .. } => source.kind(),
            _ => io::ErrorKind::InvalidInput,
        };
        crate::Error::new("steer", io::Error::new(kind, error))
    }
}

const VERIFIER_LINES: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(step: Step, errno: i32) -> Error {
        Error::refused(step, io::Error::from_raw_os_error(errno))
    }

    #[test]
    fn names_nic_step_reason_and_remedy() {
        let text = refused(Step::AttachNative, libc::EBUSY)
            .on("eth0")
            .to_string();
        assert!(text.starts_with("eth0: attach the steering program to the driver"));
        assert!(text.contains("(os error 16)") && text.contains("another XDP program"));
        let text = refused(Step::Load, libc::EPERM).to_string();
        assert!(text.contains("CAP_BPF"));
        let text = refused(Step::AttachTc, libc::EINVAL).to_string();
        assert!(text.contains("no TCX"));
    }

    #[test]
    fn shows_the_verifiers_words() {
        let error = Error::rejected(Rejected {
            source: io::Error::from_raw_os_error(libc::EACCES),
            log: "a line\n".repeat(100) + "R1 type=ctx expected=fp\n",
        });
        let text = error.to_string();
        assert!(text.ends_with("a line\nR1 type=ctx expected=fp"));
        assert_eq!(text.lines().count(), 2 + VERIFIER_LINES);
    }

    #[test]
    fn becomes_the_crates_error_with_its_text() {
        let error: crate::Error = refused(Step::AttachTc, libc::EPERM).on("eth0").into();
        assert!(error.to_string().contains("eth0: attach"));
        assert_eq!(error.os().kind(), io::ErrorKind::PermissionDenied);
    }
}
