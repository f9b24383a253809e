//! Maps, what a program looks up.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::{bpf, bpf_fd, object_name};

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

/// A descriptor as the value of a map of sockets.
pub(crate) fn descriptor_value(fd: BorrowedFd<'_>) -> [u8; 4] {
    fd.as_raw_fd().to_ne_bytes()
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

const MAP_CREATE: libc::c_long = 0;
const MAP_LOOKUP: libc::c_long = 1;
const MAP_UPDATE: libc::c_long = 2;
const MAP_DELETE: libc::c_long = 3;
const MAP_UPDATE_BATCH: libc::c_long = 26;
const MAP_DELETE_BATCH: libc::c_long = 27;

const MAP_PERCPU_ARRAY: u32 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attrs_have_the_kernels_sizes() {
        // Offsets of the last field's end in `union bpf_attr`; a hole anywhere
        // would show here too.
        assert_eq!(size_of::<MapCreate>(), 44);
        assert_eq!(size_of::<MapElement>(), 32);
        assert_eq!(size_of::<MapBatch>(), 56);
    }

    #[test]
    fn counts_possible_cpus() {
        assert!(possible_cpus().unwrap() >= 1);
    }
}
