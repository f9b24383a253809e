//! Sending in batches: [`Departures`].

use std::io;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{c_uint, iovec, mmsghdr};

use super::check;

/// Packets to be sent with one call. The pieces are borrowed until then.
pub(crate) struct Departures<'b> {
    vectors: [MaybeUninit<iovec>; MOST_PIECES],
    /// Where the pieces of each packet end.
    ends: [usize; MOST_DEPARTURES],
    count: usize,
    pieces: PhantomData<&'b [u8]>,
}

impl<'b> Departures<'b> {
    pub(crate) fn new() -> Self {
        Self {
            vectors: [MaybeUninit::uninit(); MOST_PIECES],
            ends: [0; MOST_DEPARTURES],
            count: 0,
            pieces: PhantomData,
        }
    }

    /// Adds a packet of `pieces`; whether there was room for all of them.
    pub(crate) fn push(&mut self, pieces: impl Iterator<Item = &'b [u8]>) -> bool {
        let mut end = self.filled();
        for piece in pieces {
            let Some(vector) = self.vectors.get_mut(end) else {
                return false;
            };
            // The kernel only reads what is sent.
            vector.write(iovec {
                iov_base: piece.as_ptr().cast_mut().cast(),
                iov_len: piece.len(),
            });
            end += 1;
        }
        let Some(place) = self.ends.get_mut(self.count) else {
            return false;
        };
        *place = end;
        self.count += 1;
        true
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Sends; how many packets went, from the first. An error is the first
    /// packet's, and nothing went then.
    pub(crate) fn send(mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let mut messages = [const { MaybeUninit::<mmsghdr>::zeroed() }; MOST_DEPARTURES];
        let vectors = self.vectors.as_mut_ptr().cast::<iovec>();
        let mut start = 0;
        for (message, end) in messages.iter_mut().zip(&self.ends[..self.count]) {
            // SAFETY: mmsghdr is plain old data, for which zeros are a value,
            // and `push` left each end within the vectors.
            unsafe {
                let header = &mut message.assume_init_mut().msg_hdr;
                header.msg_iov = vectors.add(start);
                header.msg_iovlen = (end - start) as _;
            }
            start = *end;
        }
        // SAFETY: the first `count` messages point to vectors that `push` wrote
        // and that `self` keeps; the vectors point to pieces that the lifetime
        // 'b keeps borrowed, and the kernel only reads them.
        let sent = unsafe {
            check(libc::sendmmsg(
                socket.as_raw_fd(),
                messages.as_mut_ptr().cast(),
                self.count as c_uint,
                libc::MSG_DONTWAIT as _,
            ))?
        };
        Ok(sent as usize)
    }

    fn filled(&self) -> usize {
        self.count.checked_sub(1).map_or(0, |last| self.ends[last])
    }
}

/// Most packets that one call sends.
const MOST_DEPARTURES: usize = 64;
/// Most pieces of all packets that one call sends. A packet of 64 KiB in chunks
/// of 2 KiB behind their headroom is 37.
const MOST_PIECES: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn departures_take_whole_packets_or_refuse() {
        let piece: &[u8] = &[1, 2, 3];
        let mut departures = Departures::new();
        assert!(departures.is_empty());
        assert!(!departures.push(std::iter::repeat_n(piece, MOST_PIECES + 1)));
        assert!(departures.is_empty());
        assert!(departures.push(std::iter::repeat_n(piece, MOST_PIECES - 1)));
        assert!(!departures.push([piece, piece].into_iter()));
        assert!(departures.push([piece].into_iter()));
        assert!(!departures.push([piece].into_iter()));

        let mut small = Departures::new();
        for _ in 0..MOST_DEPARTURES {
            assert!(small.push([piece].into_iter()));
        }
        assert!(!small.push([piece].into_iter()));
    }
}
