//! Where a real server is looked at: [`Place`].

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use nix::sched::{CloneFlags, setns};

/// A network namespace to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The one the doctor is in.
    Here,
    /// The one of this file.
    Namespace(PathBuf),
}

impl Place {
    /// The namespace that people call so: the number of a process in it, the
    /// name that `ip netns` gave it, or the path of its file.
    #[must_use]
    pub fn named(word: &str) -> Self {
        let path = if word.parse::<u32>().is_ok() {
            Path::new("/proc").join(word).join("ns/net")
        } else {
            // A path with a slash in front stands for itself.
            Path::new("/run/netns").join(word)
        };
        Self::Namespace(path)
    }

    /// Does `work` there, on a thread that ends with it.
    ///
    /// *Errors:* it cannot be entered, for which CAP_SYS_ADMIN is needed; those
    /// of `work`.
    pub(super) fn run<T: Send>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send,
    ) -> io::Result<T> {
        let Self::Namespace(path) = self else {
            return work();
        };
        let named = |error: io::Error| {
            let what = format!("entering the network namespace {}: {error}", path.display());
            io::Error::new(error.kind(), what)
        };
        let file = File::open(path).map_err(named)?;
        thread::scope(|scope| {
            let visit = scope.spawn(|| {
                setns(&file, CloneFlags::CLONE_NEWNET).map_err(|error| named(error.into()))?;
                work()
            });
            visit
                .join()
                .unwrap_or_else(|payload| std::panic::resume_unwind(payload))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_names_and_paths_are_told_apart() {
        for (word, path) in [
            ("17", "/proc/17/ns/net"),
            ("web1", "/run/netns/web1"),
            ("/proc/self/ns/net", "/proc/self/ns/net"),
        ] {
            assert_eq!(Place::named(word), Place::Namespace(path.into()));
        }
    }

    #[test]
    fn a_namespace_that_is_not_there_is_named() {
        let error = Place::named("no-such-one").run(|| Ok(())).unwrap_err();
        assert!(error.to_string().contains("/run/netns/no-such-one"));
    }
}
