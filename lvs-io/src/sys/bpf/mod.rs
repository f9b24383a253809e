//! `bpf(2)`: maps, programs, links and test runs, each owned by a descriptor.
//!
//! Nothing is pinned, so everything made here vanishes with the process,
//! however it ends.
//!
//! *Source*: `include/uapi/linux/bpf.h`, `union bpf_attr`.

mod map;
mod program;

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

pub(crate) use map::{Map, MapShape, descriptor_value};
pub(crate) use program::{
    Hook, Program, ProgramKind, Rejected, TestRun, link, wait_for_running_programs,
};

/// # Safety
/// As for [`bpf`], and `command` returns a new descriptor.
unsafe fn bpf_fd<T>(command: libc::c_long, attr: &mut T) -> io::Result<OwnedFd> {
    // SAFETY: the caller's promise.
    let fd = unsafe { bpf(command, attr) }?;
    // SAFETY: the kernel has just made this descriptor for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// # Safety
/// `T` has no padding and is laid out as a prefix of `union bpf_attr` for
/// `command`, and every pointer in it is valid for what the command does.
unsafe fn bpf<T>(command: libc::c_long, attr: &mut T) -> io::Result<libc::c_long> {
    for _ in 0..TRIES {
        // SAFETY: the attr lives for the call and its size is told; the rest
        // is the caller's promise.
        let returned =
            unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attr, size_of::<T>()) };
        if returned >= 0 {
            return Ok(returned);
        }
        let error = io::Error::last_os_error();
        // Both mean: a signal came, nothing was done (EAGAIN from the verifier
        // and from test runs).
        match error.raw_os_error() {
            Some(libc::EINTR | libc::EAGAIN) => {}
            _ => return Err(error),
        }
    }
    Err(io::Error::from(io::ErrorKind::Interrupted))
}

fn object_name(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    // The last byte stays NUL.
    for (byte, letter) in bytes[..15].iter_mut().zip(name.bytes()) {
        *byte = letter;
    }
    bytes
}

/// Against a storm of signals; one is rare enough.
const TRIES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_to_fifteen_letters() {
        assert_eq!(&object_name("rules")[..6], b"rules\0");
        assert_eq!(object_name("a name that is too long")[15], 0);
    }
}
