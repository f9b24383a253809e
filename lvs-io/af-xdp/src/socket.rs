//! One queue of one NIC: [`Socket`].

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use crate::config::SocketConfig;
use crate::error::OpenError;
use crate::frame::Frame;
use crate::kick::{self, BusyPolling, Kicks};
use crate::open::{self, Opened, Rings};
use crate::statistics::Statistics;
use crate::umem::Umem;

/// An AF_XDP socket, bound to one queue of one network interface.
///
/// A turn of a worker is: [`reclaim`](Socket::reclaim), [`refill`](Socket::refill),
/// [`receive`](Socket::receive), work, [`transmit`](Socket::transmit),
/// [`kick`](Socket::kick). None of them blocks or allocates; all take the UMEM
/// the socket was opened with.
///
/// What an XDP program redirects to the socket arrives here: the program finds
/// it in an XSKMAP by its descriptor, under the number of its queue.
///
/// # Panics
///
/// All functions that take a [`Umem`] panic if it is not the one the socket was
/// opened with, or if a frame is not of it.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    rings: Rings,
    umem: u32,
    zero_copy: bool,
    refusal: Option<OpenError>,
    need_wakeup: bool,
    multi_buffer: bool,
    busy_polling: BusyPolling,
    /// Chunks with the kernel to receive into.
    filled: usize,
    /// Frames with the kernel to be sent, or sent and not yet reclaimed.
    in_flight: usize,
    kicks: Kicks,
    /// Kicks in a row, while frames were in flight, after which none was complete.
    fruitless: u32,
    refused: u64,
}

/// Most frames of a packet to be sent: a first one and as many fragments as the
/// kernel attaches to a packet (MAX_SKB_FRAGS).
pub const MAX_PACKET_FRAMES: usize = 18;

/// A poll that runs the sending side completes what the NIC has sent by the next
/// one or the one after; a NIC sends a full ring in a few milliseconds.
const MOST_FRUITLESS: u32 = 1000;

impl Socket {
    /// Opens a socket, registers the UMEM on it, fills its fill ring with what
    /// is free and binds it to its queue.
    ///
    /// A UMEM can be registered on any number of sockets, and each then has the
    /// mode its driver can do. See [`open_sharing`](Socket::open_sharing) for
    /// the other way to use one UMEM for several queues.
    ///
    /// The interface should have its XDP program by now: some drivers set up
    /// queues without copying only then. Blocks for as long as the queue is busy,
    /// at most `config.patience` (twice, if zero copy is tried first).
    ///
    /// # Errors
    ///
    /// The step that failed and the kernel's answer; all chunks are free again.
    pub fn open(config: &SocketConfig, umem: &mut Umem) -> Result<Self, OpenError> {
        let opened = open::registered(config, umem)?;
        Ok(Self::new(opened, umem, config))
    }

    /// Opens a socket on the UMEM that `first` has registered (XDP_SHARED_UMEM):
    /// the memory is pinned once, and counts once against RLIMIT_MEMLOCK.
    ///
    /// Mode, wake-ups and multi-buffer are those of `first`, whatever `config`
    /// says; its queue must be another.
    ///
    /// # Errors
    ///
    /// As [`open`](Socket::open); also if `config` requires zero copy and
    /// `first` copies, or `first` does not and this driver must.
    ///
    /// # Panics
    ///
    /// If `first` was opened with another UMEM.
    pub fn open_sharing(
        config: &SocketConfig,
        umem: &mut Umem,
        first: &Self,
    ) -> Result<Self, OpenError> {
        first.check(umem);
        let opened = open::sharing(config, umem, first.as_fd())?;
        let config = SocketConfig {
            need_wakeup: first.need_wakeup,
            multi_buffer: first.multi_buffer,
            ..config.clone()
        };
        Ok(Self::new(opened, umem, &config))
    }

    fn new(opened: Opened, umem: &Umem, config: &SocketConfig) -> Self {
        Self {
            busy_polling: BusyPolling::wanted(opened.fd.as_fd(), config.busy_poll.is_some()),
            fd: opened.fd,
            rings: opened.rings,
            umem: umem.id(),
            zero_copy: opened.zero_copy,
            refusal: opened.refusal,
            need_wakeup: config.need_wakeup,
            multi_buffer: config.multi_buffer,
            filled: opened.filled,
            in_flight: 0,
            kicks: Kicks::default(),
            fruitless: 0,
            refused: 0,
        }
    }

    /// Whether the driver uses the UMEM directly, as the kernel confirmed.
    pub fn is_zero_copy(&self) -> bool {
        self.zero_copy
    }

    /// Why it does not, if that was tried first and refused.
    pub fn zero_copy_refusal(&self) -> Option<&OpenError> {
        self.refusal.as_ref()
    }

    /// Whether packets may take several frames.
    pub fn is_multi_buffer(&self) -> bool {
        self.multi_buffer
    }

    /// Whether busy polling was asked for, and does anything.
    pub fn busy_polling(&self) -> BusyPolling {
        self.busy_polling
    }

    /// Chunks given to the kernel that no packet has come back in.
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// Frames given to the kernel whose transmission is not known to be complete.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Gives free chunks to the kernel to receive into, as many as fit, and
    /// returns how many.
    pub fn refill(&mut self, umem: &mut Umem) -> usize {
        self.check(umem);
        let fill = &mut self.rings.fill;
        let wanted = fill
            .size()
            .min(u32::try_from(umem.free()).unwrap_or(u32::MAX));
        let mut given = 0;
        for _ in 0..fill.free(wanted).min(wanted) {
            let Some(frame) = umem.allocate() else { break };
            fill.push(umem.chunk_address(&frame));
            given += 1;
        }
        if given > 0 {
            fill.publish();
            self.filled += given;
        }
        given
    }

    /// Appends received packets to `frames`, whole ones only, at most `limit`
    /// frames unless the first packet alone is longer, and returns how many
    /// frames were appended.
    ///
    /// `frames` is never grown: what does not fit its capacity waits, save for
    /// a packet that does not fit even when it is empty, which is dropped and
    /// [counted](Statistics::refused). With room for 64 frames there is none.
    pub fn receive(&mut self, umem: &mut Umem, frames: &mut Vec<Frame>, limit: usize) -> usize {
        self.check(umem);
        let before = frames.len();
        let wanted = u32::try_from(limit)
            .unwrap_or(u32::MAX)
            .min(self.rings.receive.size());
        self.rings.receive.available(wanted);
        let mut ahead = 0;
        while let Some(count) = self.waiting_packet(ahead) {
            let received = frames.len() - before;
            let first = received == 0 && limit > 0;
            if received + count > limit && !first {
                break;
            }
            if count > frames.capacity() - frames.len() && !frames.is_empty() {
                break;
            }
            self.take_packet(umem, frames, ahead, count);
            ahead += count as u32;
        }
        if ahead > 0 {
            self.rings.receive.take(ahead);
            self.filled -= ahead as usize;
            self.busy_polling.check_once(self.fd.as_fd());
        }
        frames.len() - before
    }

    /// Length in frames of the packet that begins `ahead` of the first waiting
    /// descriptor; nothing if its end has not arrived.
    fn waiting_packet(&mut self, ahead: u32) -> Option<usize> {
        let receive = &mut self.rings.receive;
        let mut last = ahead;
        while receive.available(last + 1) > last {
            if receive.peek(last).options & libc::XDP_PKT_CONTD == 0 {
                return Some((last + 1 - ahead) as usize);
            }
            last += 1;
        }
        None
    }

    /// Moves one packet into `frames`, or back to the free list if it cannot fit.
    fn take_packet(&mut self, umem: &mut Umem, frames: &mut Vec<Frame>, ahead: u32, count: usize) {
        let fits = count <= frames.capacity() - frames.len();
        for part in ahead..ahead + count as u32 {
            let descriptor = self.rings.receive.peek(part);
            let Some(mut frame) = umem.returned(descriptor.addr, descriptor.len) else {
                continue;
            };
            frame.set_continues(descriptor.options & libc::XDP_PKT_CONTD != 0);
            if fits {
                frames.push(frame);
            } else {
                umem.release(frame);
                self.refused += 1;
            }
        }
    }

    /// Queues whole packets from the front of `frames` for transmission and
    /// returns how many frames were taken. What does not fit the ring stays, in
    /// order; so does a packet whose last frame is not there yet.
    ///
    /// A packet which the kernel would refuse (empty, outside its chunk, of too
    /// many frames, of several on a socket without multi-buffer) is taken,
    /// released and [counted](Statistics::refused).
    ///
    /// Nothing is sent before [`kick`](Socket::kick).
    pub fn transmit(&mut self, umem: &mut Umem, frames: &mut Vec<Frame>) -> usize {
        self.check(umem);
        let (mut queued, mut refused) = (0, 0);
        while let Some(count) = first_packet(&frames[queued..]) {
            let packet = &frames[queued..queued + count];
            if !self.is_sendable(umem, packet) {
                let packet = frames.drain(queued..queued + count);
                packet.for_each(|frame| umem.release(frame));
                refused += count;
                continue;
            }
            if (self.rings.transmit.free(count as u32) as usize) < count {
                break;
            }
            self.push_packet(umem, packet);
            queued += count;
        }
        if queued > 0 {
            self.rings.transmit.publish();
            frames.drain(..queued);
        }
        self.in_flight += queued;
        self.refused += refused as u64;
        queued + refused
    }

    fn is_sendable(&self, umem: &Umem, packet: &[Frame]) -> bool {
        let longest = match self.multi_buffer {
            true => MAX_PACKET_FRAMES.min(self.rings.transmit.size() as usize),
            false => 1,
        };
        let addressed = |frame| umem.packet_address(frame).is_some();
        packet.len() <= longest && packet.iter().all(addressed)
    }

    fn push_packet(&mut self, umem: &Umem, packet: &[Frame]) {
        for frame in packet {
            let Some((addr, len)) = umem.packet_address(frame) else {
                continue;
            };
            let options = match frame.continues() {
                true => libc::XDP_PKT_CONTD,
                false => 0,
            };
            self.rings
                .transmit
                .push(libc::xdp_desc { addr, len, options });
        }
    }

    /// Returns the chunks of sent frames to the UMEM, and how many.
    pub fn reclaim(&mut self, umem: &mut Umem) -> usize {
        self.check(umem);
        let completion = &mut self.rings.completion;
        let count = completion.available(completion.size());
        if count == 0 {
            return 0;
        }
        for ahead in 0..count {
            if let Some(frame) = umem.returned(completion.peek(ahead), 0) {
                umem.release(frame);
            }
        }
        completion.take(count);
        self.fruitless = 0;
        self.in_flight = self.in_flight.saturating_sub(count as usize);
        count as usize
    }

    /// Makes the kernel move what is queued, where it has to be told.
    ///
    /// Call it every turn, not only after queueing: in copy mode the kernel
    /// sends inside such calls only, and only so many frames in each. Costs no
    /// system call when there is nothing to tell.
    pub fn kick(&mut self) {
        if self.transmit_waits() {
            self.kicks.wake_transmit(self.fd.as_fd());
        }
        if self.rings.fill.needs_wakeup() || self.busy_polling.polls() {
            self.kicks.wake_receive(self.fd.as_fd());
        }
        if self.in_flight > 0 && self.busy_polling == BusyPolling::Working {
            self.watch_transmission();
        }
    }

    /// While busy polling is preferred, the kernel takes the poll itself for the
    /// wake-up. A driver that does not send from there would never send.
    fn watch_transmission(&mut self) {
        self.fruitless += 1;
        if self.fruitless == MOST_FRUITLESS {
            self.busy_polling = BusyPolling::ReceiveOnly;
            kick::prefer_wakeups(self.fd.as_fd());
        }
    }

    fn transmit_waits(&self) -> bool {
        match self.zero_copy {
            // In copy mode the kernel's flag is always up; what it has not taken
            // from the ring waits for a call, and what it has taken does not.
            false => self.rings.transmit.pending() > 0,
            true if self.need_wakeup => self.in_flight > 0 && self.rings.transmit.needs_wakeup(),
            true => self.rings.transmit.pending() > 0,
        }
    }

    /// Counters since the socket was opened, the kernel's included: one system
    /// call. If that fails, the kernel's are zero.
    pub fn statistics(&self) -> Statistics {
        Statistics::read(self.fd.as_fd(), self.refused, self.kicks)
    }

    fn check(&self, umem: &Umem) {
        assert_eq!(umem.id(), self.umem, "socket of another UMEM");
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// Length in frames of the first packet, if its last frame is there.
fn first_packet(frames: &[Frame]) -> Option<usize> {
    let last = frames.iter().position(|frame| !frame.continues())?;
    Some(last + 1)
}
