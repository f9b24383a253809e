//! `bpf(2)`: maps, programs, links and test runs, each owned by a descriptor.
//!
//! Nothing is pinned, so everything made here vanishes with the process,
//! however it ends.
//!
//! *Source*: `include/uapi/linux/bpf.h`, `union bpf_attr`.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// A BPF map and the sizes of what it holds.
#[derive(Debug)]
pub(crate) struct Map {
    fd: OwnedFd,
    key_bytes: usize,
    /// As the system calls see it: of a per-CPU map, the values of all CPUs.
    value_bytes: usize,
    entries: u32,
}

/// What a map is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MapShape {
    /// `BPF_MAP_TYPE_*`.
    pub(crate) kind: u32,
    pub(crate) key_bytes: u32,
    pub(crate) value_bytes: u32,
    pub(crate) entries: u32,
    /// `BPF_F_*`.
    pub(crate) flags: u32,
}

impl Map {
    /// Makes a map that `bpftool` shows as `name`.
    ///
    /// *Errors*: the kernel's; also when the number of possible CPUs, which
    /// sizes a per-CPU map, cannot be read.
    pub(crate) fn create(name: &str, shape: MapShape) -> io::Result<Self> {
        let value_bytes = if shape.kind == MAP_PERCPU_ARRAY {
            shape.value_bytes.next_multiple_of(8) as usize * possible_cpus()?
        } else {
            shape.value_bytes as usize
        };
        let mut attr = MapCreate {
            kind: shape.kind,
            key_bytes: shape.key_bytes,
            value_bytes: shape.value_bytes,
            entries: shape.entries,
            flags: shape.flags,
            inner: 0,
            numa_node: 0,
            name: object_name(name),
        };
        // SAFETY: MapCreate is laid out as the attr of BPF_MAP_CREATE, which
        // holds no pointers; on success the kernel returns a descriptor that
        // is nobody else's.
        let fd = unsafe { bpf_fd(MAP_CREATE, &mut attr) }?;
        Ok(Self {
            fd,
            key_bytes: shape.key_bytes as usize,
            value_bytes,
            entries: shape.entries,
        })
    }

    /// How many entries it has room for.
    pub(crate) fn capacity(&self) -> usize {
        self.entries as usize
    }

    /// Writes the value of `key`, new or not.
    pub(crate) fn insert(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.check(key, value.len())?;
        let mut attr = self.element(key, value.as_ptr() as u64);
        // SAFETY: MapElement is laid out as the attr of the element commands;
        // key and value are readable for the map's sizes, as just checked.
        unsafe { bpf(MAP_UPDATE, &mut attr) }.map(drop)
    }

    /// Takes `key` out.
    ///
    /// *Errors*: ENOENT when it is not in.
    pub(crate) fn remove(&self, key: &[u8]) -> io::Result<()> {
        self.check(key, self.value_bytes)?;
        let mut attr = self.element(key, 0);
        // SAFETY: as in `insert`; this command reads no value.
        unsafe { bpf(MAP_DELETE, &mut attr) }.map(drop)
    }

    /// Writes the values of many keys, new or not, each laid behind the one before:
    /// how many, and what kept it from writing all.
    pub(crate) fn insert_all(&self, keys: &[u8], values: &[u8]) -> (usize, io::Result<()>) {
        let count = keys.len() / self.key_bytes;
        if keys.len() != count * self.key_bytes || values.len() != count * self.value_bytes {
            return (0, Err(io::Error::from_raw_os_error(libc::EINVAL)));
        }
        let mut attr = self.batch(keys, count, values.as_ptr() as u64);
        // SAFETY: MapBatch is laid out as the attr of the batch commands; keys and
        // values are readable for `count` of the map's sizes, as just checked.
        let result = unsafe { bpf(MAP_UPDATE_BATCH, &mut attr) };
        (attr.count as usize, result.map(drop))
    }

    /// Takes many keys out, until one is not in: how many, and what kept it from
    /// taking out all.
    ///
    /// *Errors*: ENOENT when the next is not in.
    pub(crate) fn remove_all(&self, keys: &[u8]) -> (usize, io::Result<()>) {
        let count = keys.len() / self.key_bytes;
        if count == 0 {
            return (0, Ok(()));
        }
        let mut attr = self.batch(keys, count, 0);
        // SAFETY: as in `insert_all`; this command reads no values.
        let result = unsafe { bpf(MAP_DELETE_BATCH, &mut attr) };
        (attr.count as usize, result.map(drop))
    }

    /// Reads the value of `key`; of a per-CPU map, those of all possible CPUs,
    /// each in a multiple of eight bytes.
    pub(crate) fn lookup(&self, key: &[u8]) -> io::Result<Vec<u8>> {
        self.check(key, self.value_bytes)?;
        let mut value = vec![0; self.value_bytes];
        let mut attr = self.element(key, value.as_mut_ptr() as u64);
        // SAFETY: as in `insert`; the kernel writes `value_bytes`, which for a
        // per-CPU map counts every possible CPU, and `value` is that long.
        unsafe { bpf(MAP_LOOKUP, &mut attr) }?;
        Ok(value)
    }

    fn element(&self, key: &[u8], value: u64) -> MapElement {
        MapElement {
            map: self.fd.as_raw_fd() as u32,
            pad: 0,
            key: key.as_ptr() as u64,
            value,
            flags: 0,
        }
    }

    fn batch(&self, keys: &[u8], count: usize, values: u64) -> MapBatch {
        MapBatch {
            in_batch: 0,
            out_batch: 0,
            keys: keys.as_ptr() as u64,
            values,
            count: count as u32,
            map: self.fd.as_raw_fd() as u32,
            element_flags: 0,
            flags: 0,
        }
    }

    fn check(&self, key: &[u8], value_bytes: usize) -> io::Result<()> {
        if key.len() == self.key_bytes && value_bytes == self.value_bytes {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(libc::EINVAL))
        }
    }
}

impl AsRawFd for Map {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

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

/// A descriptor as the value of a map of sockets.
pub(crate) fn descriptor_value(fd: BorrowedFd<'_>) -> [u8; 4] {
    fd.as_raw_fd().to_ne_bytes()
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

/// How many CPUs a per-CPU value has room for: the highest that could ever be
/// online, counted from 0.
///
/// *Source*: `Documentation/ABI/testing/sysfs-devices-system-cpu`.
fn possible_cpus() -> io::Result<usize> {
    let list = std::fs::read_to_string("/sys/devices/system/cpu/possible")?;
    list.trim()
        .rsplit([',', '-'])
        .next()
        .and_then(|last| last.parse::<usize>().ok())
        .map(|last| last + 1)
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

fn object_name(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    // The last byte stays NUL.
    for (byte, letter) in bytes[..15].iter_mut().zip(name.bytes()) {
        *byte = letter;
    }
    bytes
}

fn until_nul(log: &[u8]) -> String {
    let end = log.iter().position(|&byte| byte == 0).unwrap_or(log.len());
    String::from_utf8_lossy(&log[..end]).into_owned()
}

#[repr(C)]
struct MapCreate {
    kind: u32,
    key_bytes: u32,
    value_bytes: u32,
    entries: u32,
    flags: u32,
    inner: u32,
    numa_node: u32,
    name: [u8; 16],
}

#[repr(C)]
struct MapElement {
    map: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
struct MapBatch {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    /// How many are given; afterwards, how many are done.
    count: u32,
    map: u32,
    element_flags: u64,
    flags: u64,
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

// Commands of bpf(2).
const MAP_CREATE: libc::c_long = 0;
const MAP_LOOKUP: libc::c_long = 1;
const MAP_UPDATE: libc::c_long = 2;
const MAP_DELETE: libc::c_long = 3;
const MAP_UPDATE_BATCH: libc::c_long = 26;
const MAP_DELETE_BATCH: libc::c_long = 27;
const PROG_LOAD: libc::c_long = 5;
const PROG_TEST_RUN: libc::c_long = 10;
const LINK_CREATE: libc::c_long = 28;

const MAP_PERCPU_ARRAY: u32 = 6;
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
/// Against a storm of signals; one is rare enough.
const TRIES: usize = 16;
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
        // Offsets of the last field's end in `union bpf_attr`; a hole anywhere
        // would show here too.
        assert_eq!(size_of::<MapCreate>(), 44);
        assert_eq!(size_of::<MapElement>(), 32);
        assert_eq!(size_of::<ProgLoad>(), 72);
        assert_eq!(size_of::<LinkCreate>(), 16);
        assert_eq!(size_of::<TestRunAttr>(), 80);
    }

    #[test]
    fn names_are_cut_to_fifteen_letters() {
        assert_eq!(&object_name("rules")[..6], b"rules\0");
        assert_eq!(object_name("a name that is too long")[15], 0);
    }

    #[test]
    fn counts_possible_cpus() {
        assert!(possible_cpus().unwrap() >= 1);
    }
}
