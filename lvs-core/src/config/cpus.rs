//! A list of processors: `0-3,8`.

use core::fmt;

use super::sysctl::SysctlError;

/// Some of a host's processors, by number, up to 1024 of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuList([u64; WORDS]);

impl Default for CpuList {
    /// The first processor alone.
    fn default() -> Self {
        let mut list = Self([0; WORDS]);
        list.insert(0);
        list
    }
}

impl CpuList {
    /// Processors a list has room for.
    pub const MOST: u16 = 64 * WORDS as u16;

    /// Reads a list, of a host that has `cpus` processors.
    ///
    /// *Errors:* [`SysctlError::Invalid`] for what is no list,
    /// [`SysctlError::OutOfRange`] for a processor the host does not have.
    pub fn parse(text: &str, cpus: u16) -> Result<Self, SysctlError> {
        let mut list = Self([0; WORDS]);
        for part in text.split([',', '\n']).map(str::trim) {
            if part.is_empty() {
                continue;
            }
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |word: &str| word.parse::<u32>().map_err(|_| SysctlError::Invalid);
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return Err(SysctlError::Invalid);
            }
            if last >= u32::from(cpus) || last >= u32::from(Self::MOST) {
                return Err(SysctlError::OutOfRange);
            }
            (first..=last).for_each(|cpu| list.insert(cpu));
        }
        Ok(list)
    }

    /// Whether a processor is on it.
    #[must_use]
    pub fn contains(&self, cpu: u32) -> bool {
        let word = self.0.get(cpu as usize / 64).copied().unwrap_or(0);
        word >> (cpu % 64) & 1 == 1
    }

    fn insert(&mut self, cpu: u32) {
        if let Some(word) = self.0.get_mut(cpu as usize / 64) {
            *word |= 1 << (cpu % 64);
        }
    }
}

impl fmt::Display for CpuList {
    /// The shortest list, ranges first to last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut cpu, mut comma) = (0, "");
        while cpu < u32::from(Self::MOST) {
            if !self.contains(cpu) {
                cpu += 1;
                continue;
            }
            let first = cpu;
            while self.contains(cpu + 1) {
                cpu += 1;
            }
            write!(f, "{comma}{first}")?;
            if cpu > first {
                write!(f, "-{cpu}")?;
            }
            (cpu, comma) = (cpu + 1, ",");
        }
        Ok(())
    }
}

const WORDS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn lists_are_shown_as_short_as_they_can_be() {
        let shown = |text| CpuList::parse(text, 1024).map(|list| list.to_string());
        for (text, short) in [
            ("0", "0"),
            ("3,1,2", "1-3"),
            ("0-3,8", "0-3,8"),
            ("1023,0", "0,1023"),
            ("", ""),
            ("4\n", "4"),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(short), "{text}");
        }
        assert_eq!(CpuList::default().to_string(), "0");
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in ["x", "3-1", "-1", "1-2-3"] {
            assert_eq!(CpuList::parse(text, 8), Err(SysctlError::Invalid), "{text}");
        }
        assert_eq!(CpuList::parse("8", 8), Err(SysctlError::OutOfRange));
        assert_eq!(CpuList::parse("0-1", 1), Err(SysctlError::OutOfRange));
    }
}
