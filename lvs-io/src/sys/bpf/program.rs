//! Programs: loaded, hooked in, run without a NIC.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use super::{bpf, bpf_fd, object_name};

/// What a program is loaded as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProgramKind {
    /// XDP, told that packets may span several buffers.
    XdpFrags,
    /// tc classifier.
    Classifier,
}

/// A program that the verifier has accepted.
#[derive(Debug)]
pub(crate) struct Program {
    fd: OwnedFd,
}

/// Why a program was not accepted.
#[derive(Debug)]
pub(crate) struct Rejected {
    pub(crate) source: io::Error,
    /// What the verifier wrote, if it came to that.
    pub(crate) log: String,
}

impl Program {
    /// Loads instructions whose map references are already filled in.
    ///
    /// *Errors*: the kernel's, with the verifier's log. A refusal is asked for
    /// a second time to get it, so that the ordinary load pays for no log.
    pub(crate) fn load(
        kind: ProgramKind,
        name: &str,
        licence: &[u8],
        words: &[u64],
    ) -> Result<Self, Rejected> {
        let mut log = Vec::new();
        let first = match load(kind, name, licence, words, 0, &mut log) {
            Ok(fd) => return Ok(Self { fd }),
            Err(error) => error,
        };
        log.resize(LOG_BYTES, 0);
        match load(kind, name, licence, words, LOG_ALL, &mut log) {
            Ok(fd) => Ok(Self { fd }),
            Err(_) => Err(Rejected {
                source: first,
                log: until_nul(&log),
            }),
        }
    }

    /// What the verifier says it took to accept a program.
    #[cfg(test)]
    pub(crate) fn effort(kind: ProgramKind, licence: &[u8], words: &[u64]) -> io::Result<String> {
        let mut log = vec![0; LOG_BYTES];
        load(kind, "effort", licence, words, LOG_EFFORT, &mut log)?;
        Ok(until_nul(&log))
    }

    /// Runs it over `packet` in the kernel, `repeat` times, without a NIC.
    /// What it writes to its maps stays written.
    pub(crate) fn test_run(&self, packet: &[u8], repeat: u32) -> io::Result<TestRun> {
        let mut attr = TestRunAttr {
            program: self.fd.as_raw_fd() as u32,
            data_in_bytes: packet.len() as u32,
            data_in: packet.as_ptr() as u64,
            repeat,
            ..TestRunAttr::default()
        };
        // SAFETY: TestRunAttr is laid out as the attr of BPF_PROG_TEST_RUN;
        // the kernel reads `data_in_bytes` from `packet` and, as all other
        // pointers are null, writes only the attr itself.
        unsafe { bpf(PROG_TEST_RUN, &mut attr) }?;
        Ok(TestRun {
            returned: attr.returned as i32,
            each: Duration::from_nanos(attr.duration.into()),
        })
    }
}

/// What came of a test run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TestRun {
    /// What the program returned, the last time.
    pub(crate) returned: i32,
    /// Mean time of one run, as measured by the kernel in whole nanoseconds.
    pub(crate) each: Duration,
}

/// Where a program is hooked in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    /// XDP in the driver.
    XdpNative,
    /// XDP after the kernel made an skb: any driver.
    XdpGeneric,
    /// tc ingress.
    TcxIngress,
}

/// Hooks `program` to interface `index` of this thread's network namespace.
/// It is unhooked when the descriptor closes.
pub(crate) fn link(program: &Program, index: u32, hook: Hook) -> io::Result<OwnedFd> {
    let (attach_type, flags) = match hook {
        Hook::XdpNative => (ATTACH_XDP, XDP_DRIVER_MODE),
        Hook::XdpGeneric => (ATTACH_XDP, XDP_SKB_MODE),
        Hook::TcxIngress => (ATTACH_TCX_INGRESS, 0),
    };
    let mut attr = LinkCreate {
        program: program.fd.as_raw_fd() as u32,
        index,
        attach_type,
        flags,
    };
    // SAFETY: LinkCreate is laid out as the attr of BPF_LINK_CREATE, which
    // holds no pointers; the descriptor returned is nobody else's.
    unsafe { bpf_fd(LINK_CREATE, &mut attr) }
}

/// Returns when every program run that began before the call has ended, so that
/// whatever runs from now on sees all map changes made before it.
///
/// *Cost*: an RCU grace period, some tens of milliseconds.
///
/// *Source*: membarrier(2), `MEMBARRIER_CMD_GLOBAL`, which is the kernel's
/// `synchronize_rcu`; XDP and tc programs run inside RCU read sections.
pub(crate) fn wait_for_running_programs() {
    // SAFETY: takes three numbers and touches no memory of ours.
    let returned = unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_GLOBAL, 0, 0) };
    if returned != 0 {
        // Kernels with `nohz_full` refuse. A run takes less than a microsecond.
        std::thread::sleep(LONGER_THAN_ANY_RUN);
    }
}

fn load(
    kind: ProgramKind,
    name: &str,
    licence: &[u8],
    words: &[u64],
    log_level: u32,
    log: &mut [u8],
) -> io::Result<OwnedFd> {
    if !licence.ends_with(&[0]) {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let (kind, flags, attach_type) = match kind {
        ProgramKind::XdpFrags => (PROG_XDP, XDP_HAS_FRAGS, ATTACH_XDP),
        // Left open, so that kernels without TCX load it and the refusal comes
        // where the hook is asked for.
        ProgramKind::Classifier => (PROG_SCHED_CLS, 0, 0),
    };
    let mut attr = ProgLoad {
        kind,
        count: words.len() as u32,
        words: words.as_ptr() as u64,
        licence: licence.as_ptr() as u64,
        log_level,
        log_bytes: log.len() as u32,
        log: if log.is_empty() {
            0
        } else {
            log.as_mut_ptr() as u64
        },
        kernel_version: 0,
        flags,
        name: object_name(name),
        interface: 0,
        attach_type,
    };
    // SAFETY: ProgLoad is laid out as the attr of BPF_PROG_LOAD; `words` is
    // readable for `count` instructions of 8 bytes, the licence ends in NUL as
    // just checked, and the log is writable for `log_bytes`. The verifier
    // judges what the instructions do.
    unsafe { bpf_fd(PROG_LOAD, &mut attr) }
}

fn until_nul(log: &[u8]) -> String {
    let end = log.iter().position(|&byte| byte == 0).unwrap_or(log.len());
    String::from_utf8_lossy(&log[..end]).into_owned()
}

#[repr(C)]
struct ProgLoad {
    kind: u32,
    count: u32,
    words: u64,
    licence: u64,
    log_level: u32,
    log_bytes: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attach_type: u32,
}

#[repr(C)]
struct LinkCreate {
    program: u32,
    index: u32,
    attach_type: u32,
    flags: u32,
}

#[repr(C)]
#[derive(Default)]
struct TestRunAttr {
    program: u32,
    returned: u32,
    data_in_bytes: u32,
    data_out_bytes: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    context_in_bytes: u32,
    context_out_bytes: u32,
    context_in: u64,
    context_out: u64,
    flags: u32,
    cpu: u32,
    batch: u32,
    pad: u32,
}

const PROG_LOAD: libc::c_long = 5;
const PROG_TEST_RUN: libc::c_long = 10;
const LINK_CREATE: libc::c_long = 28;

const PROG_SCHED_CLS: u32 = 3;
const PROG_XDP: u32 = 6;
const ATTACH_XDP: u32 = 37;
const ATTACH_TCX_INGRESS: u32 = 46;
const XDP_SKB_MODE: u32 = 2;
const XDP_DRIVER_MODE: u32 = 4;
const MEMBARRIER_GLOBAL: libc::c_long = 1;
/// What a descheduled virtual CPU may add to it included.
const LONGER_THAN_ANY_RUN: Duration = Duration::from_millis(50);
/// `BPF_F_XDP_HAS_FRAGS`.
const XDP_HAS_FRAGS: u32 = 32;
/// `BPF_LOG_LEVEL1`: every instruction looked at, up to the refusal.
const LOG_ALL: u32 = 1;
/// `BPF_LOG_STATS`: only how much it was.
#[cfg(test)]
const LOG_EFFORT: u32 = 4;
/// A whole log of the steering program takes less.
const LOG_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attrs_have_the_kernels_sizes() {
        // As for maps.
        assert_eq!(size_of::<ProgLoad>(), 72);
        assert_eq!(size_of::<LinkCreate>(), 16);
        assert_eq!(size_of::<TestRunAttr>(), 80);
    }
}
