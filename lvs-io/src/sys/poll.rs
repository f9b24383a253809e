//! Waiting for any of several descriptors: [`Watch`].

use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use libc::{nfds_t, pollfd};

/// Waits for descriptors to become readable, in memory it keeps.
#[derive(Debug, Default)]
pub struct Watch {
    fds: Vec<pollfd>,
}

impl Watch {
    /// A watch with room for `most` descriptors; more make it allocate once.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            fds: Vec::with_capacity(most),
        }
    }

    /// Waits until one of `fds` is readable or `timeout` is over, and returns
    /// how many are. Interrupted by a signal it returns at once, with none.
    ///
    /// It is poll(2) and nothing cleverer, for poll asks every socket anew: it
    /// is by being asked that an AF_XDP socket has its driver go on.
    pub fn wait<'fd>(
        &mut self,
        fds: impl IntoIterator<Item = BorrowedFd<'fd>>,
        timeout: Duration,
    ) -> usize {
        self.fds.clear();
        self.fds.extend(fds.into_iter().map(|fd| pollfd {
            fd: fd.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        }));
        let milliseconds = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        let count = self.fds.len() as nfds_t;
        // SAFETY: the pointer and the count are those of one vector, which
        // nothing else uses during the call.
        let readable = unsafe { libc::poll(self.fds.as_mut_ptr(), count, milliseconds) };
        usize::try_from(readable).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_last_of_a_hundred_wakes_it_and_no_wait_allocates() {
        let mut pairs: Vec<_> = (0..100).map(|_| UnixStream::pair().unwrap()).collect();
        let mut watch = Watch::new(pairs.len());
        let room = watch.fds.as_ptr();
        let wait = |watch: &mut Watch, pairs: &[(UnixStream, UnixStream)]| {
            watch.wait(
                pairs.iter().map(|(here, _)| here.as_fd()),
                Duration::from_millis(1),
            )
        };
        assert_eq!(wait(&mut watch, &pairs), 0);
        pairs[99].1.write_all(b"!").unwrap();
        assert_eq!(wait(&mut watch, &pairs), 1);
        assert_eq!(watch.fds.as_ptr(), room);
    }
}
