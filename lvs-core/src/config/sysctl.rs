//! Settings as text, by the names and in the forms of `net.ipv4.vs.*`.
//!
//! | name | form |
//! |---|---|
//! | `est_cpulist` | processors and ranges: `0-3,8`; nothing for none |
//! | `sync_threshold` | two numbers, read with a tab between: threshold and period |
//! | all others | one number, decimal, `0x` hexadecimal or `0` octal |
//!
//! Words after those a setting takes are not looked at, and an empty text
//! changes nothing.
//!
//! *Source:* the behaviour of `ip_vs_ctl.c`, Linux 6.12.

use alloc::string::{String, ToString};
use core::fmt;

use super::cpus::CpuList;
use super::{Draft, Setting};

/// Why a setting was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SysctlError {
    /// No setting has this name.
    Unknown,
    /// The text is no value of the setting.
    Invalid,
    /// A processor the host does not have.
    OutOfRange,
}

impl fmt::Display for SysctlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As the C library words the kernel's errors.
        f.write_str(match self {
            Self::Unknown => "No such file or directory",
            Self::Invalid => "Invalid argument",
            Self::OutOfRange => "Numerical result out of range",
        })
    }
}

impl core::error::Error for SysctlError {}

impl Draft {
    /// The value of the setting `name`, or `None` if there is none.
    ///
    /// Automatic defences read as they were set;
    /// [`Snapshot::shown`](crate::Snapshot::shown) says whether they act.
    #[must_use]
    pub fn sysctl(&self, name: &str) -> Option<String> {
        let number = |setting| self.settings.get(setting);
        match name {
            EST_CPULIST => Some(self.estimation_cpus.to_string()),
            SYNC_THRESHOLD => {
                let pair = [Setting::SyncThreshold, Setting::SyncPeriod].map(number);
                Some(alloc::format!("{}\t{}", pair[0], pair[1]))
            }
            _ => Some(number(named(name)?).to_string()),
        }
    }

    /// Gives the setting `name` the value that `text` says. Of `sync_threshold`
    /// the period stays if only one number is given.
    ///
    /// `cpus` is how many processors the host has, for `est_cpulist`.
    ///
    /// *Errors:* [`SysctlError`]; nothing has changed.
    pub fn set_sysctl(&mut self, name: &str, text: &str, cpus: u16) -> Result<(), SysctlError> {
        if text.is_empty() {
            return self.sysctl(name).map(|_| ()).ok_or(SysctlError::Unknown);
        }
        if name == EST_CPULIST {
            self.estimation_cpus = CpuList::parse(text, cpus)?;
            return Ok(());
        }
        let setting = named(name).ok_or(SysctlError::Unknown)?;
        let mut words = text.split_whitespace();
        let mut number = || match words.next() {
            Some(word) => read(word).map(Some).ok_or(SysctlError::Invalid),
            None => Ok(None),
        };
        let first = number()?.ok_or(SysctlError::Invalid)?;
        let mut settings = self.settings;
        let mut set = |setting, value| {
            let set = settings.set(setting, value);
            set.map_err(|_| SysctlError::Invalid)
        };
        set(setting, first)?;
        if setting == Setting::SyncThreshold {
            if let Some(period) = number()? {
                set(Setting::SyncPeriod, period)?;
            }
            let period = settings.get(Setting::SyncPeriod);
            if period != 0 && first >= period {
                return Err(SysctlError::Invalid);
            }
        }
        self.settings = settings;
        Ok(())
    }
}

/// A number as the kernel reads it.
fn read(word: &str) -> Option<i32> {
    let (sign, digits) = match word.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, word),
    };
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let number = if let Some(digits) = digits.strip_prefix("0x") {
        i64::from_str_radix(digits, 16)
    } else if digits.starts_with('0') {
        i64::from_str_radix(digits, 8)
    } else {
        digits.parse()
    };
    i32::try_from(sign * number.ok()?).ok()
}

/// The setting of this name; the second half of a pair has none of its own.
fn named(name: &str) -> Option<Setting> {
    Setting::named(name).filter(|setting| *setting != Setting::SyncPeriod)
}

const EST_CPULIST: &str = "est_cpulist";
const SYNC_THRESHOLD: &str = "sync_threshold";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_checked_as_one() {
        let mut draft = Draft::default();
        let mut set = |text| {
            let set = draft.set_sysctl("sync_threshold", text, 1);
            (set.is_ok(), draft.sysctl("sync_threshold").unwrap())
        };
        assert_eq!(set("0 0"), (true, "0\t0".into()));
        assert_eq!(set("5 3"), (false, "0\t0".into()));
        assert_eq!(set("-1 5"), (false, "0\t0".into()));
        assert_eq!(set("3"), (true, "3\t0".into()));
        assert_eq!(set("3 50"), (true, "3\t50".into()));
        assert_eq!(set("60"), (false, "3\t50".into()));
    }

    #[test]
    fn numbers_are_read_back_and_others_refused() {
        let mut draft = Draft::default();
        assert_eq!(draft.set_sysctl("conn_reuse_mode", "-1", 1), Ok(()));
        assert_eq!(draft.sysctl("conn_reuse_mode").unwrap(), "-1");
        for text in ["x", "+1", "--1", "0x", "08", " ", "4", "99999999999"] {
            let refused = draft.set_sysctl("drop_entry", text, 1);
            assert_eq!(refused, Err(SysctlError::Invalid), "{text}");
        }
        assert_eq!(draft.sysctl("drop_entry").unwrap(), "0");
        for (text, number) in [("0x10", "16"), ("-010", "-8"), ("7 8", "7"), ("", "7")] {
            assert_eq!(draft.set_sysctl("amemthresh", text, 1), Ok(()));
            assert_eq!(draft.sysctl("amemthresh").unwrap(), number, "{text}");
        }
        assert_eq!(draft.sysctl("sync_period"), None);
        let unknown = draft.set_sysctl("timeout_tcp", "1", 1);
        assert_eq!(unknown, Err(SysctlError::Unknown));
    }

    #[test]
    fn processors_are_those_of_the_host() {
        let mut draft = Draft::default();
        assert_eq!(draft.set_sysctl("est_cpulist", "0-2", 4), Ok(()));
        assert_eq!(draft.sysctl("est_cpulist").unwrap(), "0-2");
        let refused = draft.set_sysctl("est_cpulist", "0-4", 4);
        assert_eq!(refused, Err(SysctlError::OutOfRange));
        assert_eq!(draft.sysctl("est_cpulist").unwrap(), "0-2");
    }
}
