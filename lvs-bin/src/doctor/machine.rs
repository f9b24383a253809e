//! The machine's memory and processors: [`Machine`].

use std::collections::BTreeMap;
use std::fs;

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::geteuid;

/// What of a machine matters to a director.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Machine {
    pub(super) huge_pages: HugePages,
    /// Whether this process may look into others, and ask for neighbours.
    pub(super) is_root: bool,
    /// Bytes that this process may lock; none if as many as it likes.
    pub(super) may_lock: Option<u64>,
    /// The processors that workers will be kept on, in that order.
    pub(super) processors: Vec<usize>,
    /// The processors of each NUMA node.
    pub(super) nodes: BTreeMap<usize, Vec<usize>>,
}

/// Huge pages of the size that is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HugePages {
    pub(super) total: u64,
    pub(super) free: u64,
    /// In bytes.
    pub(super) size: u64,
}

impl Machine {
    /// Looks at this one, as this process may use it.
    pub(super) fn look() -> Self {
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
        let limit = getrlimit(Resource::RLIMIT_MEMLOCK).map_or(u64::MAX, |(soft, _)| soft);
        let bound = !may_lock_all(&status) && limit != u64::MAX;
        let cores = core_affinity::get_core_ids().unwrap_or_default();
        Self {
            huge_pages: huge_pages(&meminfo),
            is_root: geteuid().is_root(),
            may_lock: bound.then_some(limit),
            processors: cores.iter().map(|core| core.id).collect(),
            nodes: nodes(),
        }
    }

    /// The NUMA node of a processor.
    pub(super) fn node_of(&self, processor: usize) -> Option<usize> {
        let mut nodes = self.nodes.iter();
        let (node, _) = nodes.find(|(_, processors)| processors.contains(&processor))?;
        Some(*node)
    }
}

fn huge_pages(meminfo: &str) -> HugePages {
    let number = |name: &str| {
        let rest = meminfo.lines().find_map(|line| line.strip_prefix(name));
        let word = rest.and_then(|rest| rest.split_whitespace().next());
        word.and_then(|word| word.parse().ok()).unwrap_or(0)
    };
    HugePages {
        total: number("HugePages_Total:"),
        free: number("HugePages_Free:"),
        size: number("Hugepagesize:") * 1024,
    }
}

/// Whether a process of this `/proc/*/status` has CAP_IPC_LOCK.
fn may_lock_all(status: &str) -> bool {
    let digits = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = digits.and_then(|it| u64::from_str_radix(it.trim(), 16).ok());
    effective.is_some_and(|it| it >> CAP_IPC_LOCK & 1 != 0)
}

fn nodes() -> BTreeMap<usize, Vec<usize>> {
    let entries = fs::read_dir("/sys/devices/system/node");
    let entries = entries.into_iter().flatten().flatten();
    let node = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let number = name.strip_prefix("node")?.parse().ok()?;
        let list = fs::read_to_string(entry.path().join("cpulist")).ok()?;
        Some((number, numbers(list.trim())))
    };
    entries.filter_map(node).collect()
}

/// The numbers of a list as the kernel writes it: `0-3,8`.
fn numbers(list: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse::<usize>().ok()?)
    };
    list.split(',').filter_map(range).flatten().collect()
}

/// include/uapi/linux/capability.h.
const CAP_IPC_LOCK: u32 = 14;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_processors_are_read() {
        assert_eq!(numbers("0-2,8"), [0, 1, 2, 8]);
        assert!(numbers("").is_empty());
    }

    #[test]
    fn huge_pages_are_read() {
        let meminfo =
            "HugePages_Total:      64\nHugePages_Free:       60\nHugepagesize:  2048 kB\n";
        let expected = HugePages {
            total: 64,
            free: 60,
            size: 2 << 20,
        };
        assert_eq!(huge_pages(meminfo), expected);
    }

    #[test]
    fn who_may_lock_everything_is_told() {
        assert!(may_lock_all("CapEff:\t0000000000004000\n"));
        assert!(!may_lock_all("CapEff:\t0000000000003000\n") && !may_lock_all(""));
    }

    #[test]
    fn this_machine_has_processors() {
        assert!(!Machine::look().processors.is_empty());
    }
}
