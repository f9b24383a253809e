//! The host as a port: what its own masqueraded servers send, as frames.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use lvs_core::Snapshot;
use lvs_io::Punt;

/// Where the packets come from that the host itself sends. One worker has it and
/// hands on what is others'.
#[derive(Debug)]
pub(super) struct HostPort {
    punt: Arc<Punt>,
    /// Whether there is any server whose packets may come: without, the kernel
    /// is not asked.
    is_open: bool,
    /// The last packet, behind an Ethernet header.
    frame: Vec<u8>,
}

impl HostPort {
    /// For a worker that begins by `snapshot`.
    pub(super) fn new(punt: Arc<Punt>, snapshot: &Snapshot) -> Self {
        let mut port = Self {
            punt,
            is_open: false,
            frame: vec![0; ETHERNET + LONGEST_PACKET],
        };
        port.follow(snapshot);
        port
    }

    /// Opens or shuts, as a snapshot wants it.
    pub(super) fn follow(&mut self, snapshot: &Snapshot) {
        self.is_open = snapshot.own_ends().next().is_some();
    }

    /// The next packet, in a frame from nobody to nobody.
    ///
    /// *Cost:* a system call while it is open.
    pub(super) fn receive(&mut self) -> Option<&[u8]> {
        if !self.is_open {
            return None;
        }
        let (header, packet) = self.frame.split_at_mut_checked(ETHERNET)?;
        let length = self.punt.take(packet)?;
        let ether_type = match packet.first()? >> 4 {
            4 => IPV4,
            _ => IPV6,
        };
        header.get_mut(12..)?.copy_from_slice(&ether_type);
        self.frame.get(..ETHERNET + length)
    }

    /// Becomes readable when a packet waits.
    pub(super) fn wait_fd(&self) -> Option<BorrowedFd<'_>> {
        self.is_open.then(|| self.punt.wait_fd())
    }
}

const ETHERNET: usize = 14;
const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];
const LONGEST_PACKET: usize = 65_535;
