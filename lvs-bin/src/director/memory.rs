//! The host's free memory, by which automatic defences begin and end.

use std::fs;
use std::time::{Duration, Instant};

use lvs_core::Memory;

/// Tells shards of the host's free memory, once a second.
#[derive(Debug, Default)]
pub(super) struct Watch {
    told: Option<Instant>,
}

impl Watch {
    /// Tells `memory` if it is time. A host that does not say has plenty.
    pub(super) fn tell(&mut self, memory: &Memory) {
        let now = Instant::now();
        if self.told.is_some_and(|told| now - told < SECOND) {
            return;
        }
        self.told = Some(now);
        let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        if let Some(pages) = free_pages(&text) {
            memory.tell(pages);
        }
    }
}

/// Pages of 4 KiB that are free or buffers, which is what the kernel's IPVS
/// looks at.
fn free_pages(meminfo: &str) -> Option<u64> {
    let kibibytes = |name: &str| -> Option<u64> {
        let rest = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        rest.split_whitespace().next()?.parse().ok()
    };
    Some((kibibytes("MemFree:")? + kibibytes("Buffers:")?) / 4)
}

const SECOND: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_and_buffers_count() {
        let text = "MemTotal:   8000000 kB\nMemFree:    4000 kB\nBuffers:    400 kB\n";
        assert_eq!(free_pages(text), Some(1100));
        assert_eq!(free_pages("MemFree: 4000 kB\n"), None);
        assert_eq!(free_pages("MemFree: much\nBuffers: 0 kB\n"), None);
    }
}
