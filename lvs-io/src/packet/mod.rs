//! AF_PACKET behind the contract: [`PacketQueue`], for where XDP cannot be had.

mod inbox;
mod large;
mod open;

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use af_xdp::{Frame, Umem};

use self::inbox::{Batch, Inbox};
use crate::layout::Layout;
use crate::queue::{Capabilities, Queue, QueueCounters};
use crate::spread::{first_packet, pieces};
use crate::sys::packet::{self, Departures, MOST_ARRIVALS};

pub use self::open::PacketOptions;

/// One queue of a NIC through packet sockets, on any driver and without XDP.
///
/// The kernel keeps its own copy of every frame: what a director wants the
/// kernel to have (a verdict of "host") it simply releases. The reverse also
/// holds, and is the operator's to see to: a virtual address must not be
/// answered by the host itself, and the host must not forward what the director
/// does.
///
/// Several queues of one NIC share its frames by the hash of their flow, which
/// is the same for both directions of one flow. Masquerading changes the flow
/// from one side to the other, so which worker owns a connection is for the
/// director's handoff to say, not for this hash.
///
/// Frames are given as they are on a wire: VLAN tags that the kernel keeps
/// beside a frame are put back, and super-packets (senders on the same machine
/// leave them whole, the kernel joins others on arrival) are cut into the
/// frames they stand for. Only what is for this host's MAC, a group or all
/// arrives.
///
/// Super-packets longer than 64 KiB ("BIG TCP") are counted invalid.
///
/// # Cost
///
/// One copy each way and one system call for up to 32 frames received or 64
/// packets sent. A receive that finds nothing is a system call too.
///
/// # Source
///
/// packet(7); net/packet/af_packet.c. Frames are received by recvmmsg straight
/// into their chunks: the ring of fixed slots (TPACKET_V2) would need 64 KiB
/// for each, the ring of blocks (TPACKET_V3) holds frames back until a block is
/// full or its timer fires.
#[derive(Debug)]
pub struct PacketQueue {
    nic: String,
    receiver: OwnedFd,
    sender: OwnedFd,
    inbox: Inbox,
    capabilities: Capabilities,
    counters: QueueCounters,
    /// Frames dropped for a full socket; the kernel forgets what it has told.
    drops: Cell<u64>,
}

/// Why a packet did not go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// Later it may.
    Busy,
    /// The link does not carry.
    LinkDown,
    /// It never will: too long, too short.
    Invalid,
    /// For another reason, which may concern it alone.
    Failed,
}

impl PacketQueue {
    /// Receives a batch into the empty inbox; how many frames came.
    fn fetch(&mut self, umem: &mut Umem) -> usize {
        match self.inbox.fetch(self.receiver.as_fd(), umem) {
            Ok(came) => came,
            Err(error) => {
                match error.raw_os_error() {
                    Some(libc::EAGAIN | libc::EINTR) => {}
                    Some(libc::ENETDOWN | libc::ENXIO | libc::ENODEV) => {
                        self.counters.kicks_link_down += 1;
                    }
                    // A super-packet of a kind that has no name in the header.
                    _ => self.counters.invalid += 1,
                }
                0
            }
        }
    }

    /// The packets at the front of `frames` that one call can take, and how many
    /// frames they are.
    fn gather<'f>(umem: &'f Umem, frames: &'f [Frame]) -> (Departures<'f>, usize) {
        let mut departures = Departures::new();
        let mut taken = 0;
        while let Some(count) = first_packet(&frames[taken..]) {
            if !departures.push(pieces(umem, &frames[taken..taken + count])) {
                break;
            }
            taken += count;
        }
        (departures, taken)
    }

    /// Sends what one call can take; how many frames it took.
    fn send(&mut self, umem: &Umem, frames: &[Frame]) -> Result<usize, Refusal> {
        let (departures, gathered) = Self::gather(umem, frames);
        if departures.is_empty() {
            // The first packet has more pieces than a call takes.
            return Err(Refusal::Invalid);
        }
        self.counters.kicks += 1;
        match departures.send(self.sender.as_fd()) {
            Ok(packets) => {
                let sent = packets_len(frames, packets).min(gathered);
                self.counters.transmitted += sent as u64;
                Ok(sent)
            }
            Err(error) => Err(self.refusal(&error)),
        }
    }

    fn refusal(&self, error: &io::Error) -> Refusal {
        match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EINTR | libc::ENOMEM) => Refusal::Busy,
            // Past the queueing discipline a link without carrier answers as a
            // full one does.
            Some(libc::ENOBUFS) if packet::link_runs(self.sender.as_fd(), &self.nic) => {
                Refusal::Busy
            }
            Some(libc::ENOBUFS | libc::ENETDOWN | libc::ENXIO | libc::ENODEV) => Refusal::LinkDown,
            Some(libc::EMSGSIZE | libc::EINVAL) => Refusal::Invalid,
            _ => Refusal::Failed,
        }
    }
}

impl Queue for PacketQueue {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn refill(&mut self, umem: &mut Umem) {
        self.inbox.refill(umem);
    }

    fn receive(&mut self, umem: &mut Umem, frames: &mut Vec<Frame>, limit: usize) -> usize {
        let before = frames.len();
        // A batch that was not full has left nothing behind.
        let mut more = true;
        loop {
            self.inbox.hand_over(&mut Batch {
                umem,
                frames,
                before,
                limit,
                counters: &mut self.counters,
            });
            let received = frames.len() - before;
            if !self.inbox.is_empty() || received >= limit || !more {
                return received;
            }
            match self.fetch(umem) {
                0 => return received,
                came => more = came == MOST_ARRIVALS,
            }
        }
    }

    /// Sends at once. On a link that is down everything is taken and lost, as
    /// on a wire that was cut.
    fn transmit(&mut self, umem: &mut Umem, frames: &mut Vec<Frame>) -> usize {
        complete_checksums(umem, frames);
        let mut taken = 0;
        while let Some(count) = first_packet(&frames[taken..]) {
            match self.send(umem, &frames[taken..]) {
                Ok(sent) => taken += sent,
                Err(Refusal::Busy) => {
                    self.counters.kicks_busy += 1;
                    break;
                }
                Err(Refusal::LinkDown) => {
                    self.counters.kicks_link_down += 1;
                    taken += packets_len(&frames[taken..], usize::MAX);
                }
                Err(Refusal::Invalid) => {
                    self.counters.invalid += 1;
                    taken += count;
                }
                Err(Refusal::Failed) => {
                    self.counters.kicks_failed += 1;
                    taken += count;
                }
            }
        }
        self.counters.completed = self.counters.transmitted;
        frames.drain(..taken).for_each(|frame| umem.release(frame));
        taken
    }

    fn reclaim(&mut self, _umem: &mut Umem) -> usize {
        0
    }

    fn flush(&mut self) {}

    fn in_flight(&self) -> usize {
        0
    }

    fn wait_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.receiver.as_fd())
    }

    fn counters(&self) -> QueueCounters {
        let more = packet::take_drops(self.receiver.as_fd()).unwrap_or(0);
        self.drops.set(self.drops.get() + u64::from(more));
        QueueCounters {
            receive_ring_full: self.drops.get(),
            ..self.counters
        }
    }
}

/// How many frames the first `packets` whole packets are, or all there are.
fn packets_len(frames: &[Frame], packets: usize) -> usize {
    let mut len = 0;
    for _ in 0..packets {
        let Some(count) = first_packet(&frames[len..]) else {
            break;
        };
        len += count;
    }
    len
}

/// Makes the transport checksums that are still to be made: the wire takes
/// whole packets only.
fn complete_checksums(umem: &mut Umem, frames: &mut [Frame]) {
    let mut start = 0;
    while let Some(count) = first_packet(&frames[start..]) {
        let packet = &mut frames[start..start + count];
        if packet[0].checksum_unready() {
            complete_checksum(umem, packet);
        }
        start += count;
    }
}

fn complete_checksum(umem: &mut Umem, packet: &mut [Frame]) {
    let made = Layout::of_frame(umem.bytes(&packet[0]))
        .and_then(|layout| layout.whole_checksum(pieces(umem, packet)));
    let first = &mut packet[0];
    if let Some((offset, made)) = made {
        let parts = umem.parts_mut(first);
        let start = parts.range.start + offset;
        parts.chunk[start..start + made.bytes().len()].copy_from_slice(made.bytes());
    }
    first.set_checksum_unready(false);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use crate::spread::{frames_for, spread};
    use af_xdp::{HugePages, UmemConfig};

    fn umem() -> Umem {
        Umem::new(UmemConfig {
            chunks: 16,
            chunk_size: 2048,
            huge_pages: HugePages::Avoid,
            ..UmemConfig::default()
        })
        .unwrap()
    }

    fn put(umem: &mut Umem, frames: &mut Vec<Frame>, packet: &[u8], piece: usize) {
        let start = frames.len();
        let count = frames_for(packet.len(), piece);
        frames.extend((0..count).map(|_| umem.allocate().unwrap()));
        spread(umem, &mut frames[start..], &[packet], piece);
    }

    #[test]
    fn completes_only_what_is_unready() {
        let mut umem = umem();
        let mut frames = Vec::new();
        let good = sample::udp4(&[7; 999]);
        let mut spoilt = good.clone();
        spoilt[40] ^= 0xff;
        for piece in [1500, 101] {
            put(&mut umem, &mut frames, &spoilt, piece);
        }
        frames[1].set_checksum_unready(true);
        complete_checksums(&mut umem, &mut frames);
        assert_eq!(umem.bytes(&frames[0]), spoilt);
        let joined: Vec<u8> = pieces(&umem, &frames[1..]).collect::<Vec<_>>().concat();
        assert_eq!(joined, good);
        assert!(!frames[1].checksum_unready());
    }

    #[test]
    fn counts_frames_of_whole_packets() {
        let mut umem = umem();
        let mut frames = Vec::new();
        put(&mut umem, &mut frames, &[0; 300], 100);
        put(&mut umem, &mut frames, &[0; 60], 100);
        put(&mut umem, &mut frames, &[0; 200], 100);
        frames.pop();
        assert_eq!(packets_len(&frames, 1), 3);
        assert_eq!(packets_len(&frames, 2), 4);
        assert_eq!(packets_len(&frames, usize::MAX), 4, "the last is not whole");
    }
}
