//! What a socket has counted: [`Statistics`].

use std::os::fd::BorrowedFd;

use crate::kick::Kicks;
use crate::sys;

/// Counters of a socket since it was opened, in frames unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Dropped by the kernel on reception, for other reasons than a full or
    /// empty ring: too long for a chunk, mostly.
    pub receive_dropped: u64,
    /// Dropped by the kernel because the receive ring was full.
    pub receive_ring_full: u64,
    /// Dropped by the kernel because the fill ring was empty.
    pub fill_ring_empty: u64,
    /// Addresses in the fill ring which the kernel refused.
    pub receive_invalid: u64,
    /// Descriptors in the transmit ring which the kernel refused.
    pub transmit_invalid: u64,
    /// Times the kernel looked at the transmit ring and found nothing.
    pub transmit_ring_empty: u64,
    /// Frames this crate refused before the kernel could: see
    /// [`transmit`](crate::Socket::transmit) and [`receive`](crate::Socket::receive).
    pub refused: u64,
    /// Wake-up calls.
    pub kicks: Kicks,
}

impl Statistics {
    pub(crate) fn read(fd: BorrowedFd<'_>, refused: u64, kicks: Kicks) -> Self {
        let own = Self {
            refused,
            kicks,
            ..Self::default()
        };
        match sys::statistics(fd) {
            Ok(kernel) => Self {
                receive_dropped: kernel.rx_dropped,
                receive_ring_full: kernel.rx_ring_full,
                fill_ring_empty: kernel.rx_fill_ring_empty_descs,
                receive_invalid: kernel.rx_invalid_descs,
                transmit_invalid: kernel.tx_invalid_descs,
                transmit_ring_empty: kernel.tx_ring_empty_descs,
                ..own
            },
            Err(_) => own,
        }
    }
}
