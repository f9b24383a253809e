//! AF_XDP behind the contract: [`XdpQueue`].

mod cutter;

use std::os::fd::{AsFd, BorrowedFd};

use af_xdp::{BusyPolling, Frame, MAX_PACKET_FRAMES, OpenError, Socket, SocketConfig, Umem};

use crate::error::Error;
use crate::nic::Nic;
use crate::queue::{Capabilities, Checksum, Mode, Queue, QueueCounters};
use cutter::Cutter;

/// One queue of a NIC, through an AF_XDP socket.
///
/// Frames come once the steering program has the socket; its descriptor is the
/// queue's own. The chunks of all queues opened on one [`Umem`] are one stock.
#[derive(Debug)]
pub struct XdpQueue {
    socket: Socket,
    nic: u32,
    /// Where frames longer than the MTU can come.
    cutter: Option<Cutter>,
    capabilities: Capabilities,
    received: u64,
    transmitted: u64,
    completed: u64,
}

/// How the XDP program that feeds a queue is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attachment<'a> {
    /// In the driver.
    Native,
    /// Behind it, for this reason.
    Generic(&'a str),
}

impl Attachment<'_> {
    /// Whether frames far longer than the MTU can come: see [`Cutter`]. Their
    /// queues need multi-buffer.
    pub(crate) fn lets_super_packets_through(self, nic: &Nic) -> bool {
        let of_same_machine = nic.checksum == Checksum::MaybePartial;
        of_same_machine && matches!(self, Self::Generic(_))
    }
}

impl XdpQueue {
    /// Opens the socket of `config.queue` of `nic`, which already has its XDP
    /// program. With `share`, the UMEM registered there is used (one
    /// registration, one mode); else it is registered once more.
    ///
    /// `config.interface` is set to the NIC's.
    ///
    /// # Errors
    ///
    /// The step that failed, with the NIC and queue; no chunk is missing from
    /// the UMEM then.
    pub fn open(
        nic: &Nic,
        attachment: Attachment<'_>,
        config: &SocketConfig,
        share: Option<&Self>,
        umem: &mut Umem,
    ) -> Result<Self, Error> {
        let mut config = config.clone();
        config.interface = nic.index;
        let socket = match share {
            Some(first) => Socket::open_sharing(&config, umem, &first.socket),
            None => Socket::open(&config, umem),
        };
        let socket = socket.map_err(|error| refused(error).on(&nic.name).queue(config.queue))?;
        Ok(Self {
            capabilities: capabilities(nic, attachment, &socket, share, umem),
            nic: nic.index,
            cutter: attachment
                .lets_super_packets_through(nic)
                .then(|| Cutter::new(nic.mtu)),
            socket,
            received: 0,
            transmitted: 0,
            completed: 0,
        })
    }

    /// Chunks given to the kernel that no packet has been handed to the worker
    /// in.
    pub fn filled(&self) -> usize {
        self.socket.filled() + self.cutter.as_ref().map_or(0, Cutter::held)
    }

    /// Cuts super-packets to frames whose packets have at most `mtu` bytes: the
    /// smallest MTU of the NICs they may go on to. Without it, and before, it is
    /// the NIC's own.
    pub fn cut_to(&mut self, mtu: u32) {
        if let Some(cutter) = &mut self.cutter {
            cutter.cut_to(mtu);
        }
    }

    pub(crate) fn is_zero_copy(&self) -> bool {
        self.socket.is_zero_copy()
    }

    pub(crate) fn is_multi_buffer(&self) -> bool {
        self.socket.is_multi_buffer()
    }

    pub(crate) fn is_on(&self, nic: &Nic) -> bool {
        self.nic == nic.index
    }
}

impl AsFd for XdpQueue {
    /// What goes into the steering program's map of sockets.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Queue for XdpQueue {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn refill(&mut self, umem: &mut Umem) {
        self.socket.refill(umem);
    }

    fn receive(&mut self, umem: &mut Umem, frames: &mut Vec<Frame>, limit: usize) -> usize {
        let received = match &mut self.cutter {
            Some(cutter) => cutter.receive(umem, frames, limit, |umem, frames, limit| {
                self.socket.receive(umem, frames, limit)
            }),
            None => self.socket.receive(umem, frames, limit),
        };
        self.received += received as u64;
        received
    }

    fn transmit(&mut self, umem: &mut Umem, frames: &mut Vec<Frame>) -> usize {
        let before = self.socket.in_flight();
        let taken = self.socket.transmit(umem, frames);
        self.transmitted += (self.socket.in_flight() - before) as u64;
        taken
    }

    fn reclaim(&mut self, umem: &mut Umem) -> usize {
        let completed = self.socket.reclaim(umem);
        self.completed += completed as u64;
        completed
    }

    fn flush(&mut self) {
        self.socket.kick();
    }

    fn in_flight(&self) -> usize {
        self.socket.in_flight()
    }

    fn wait_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }

    fn counters(&self) -> QueueCounters {
        let kernel = self.socket.statistics();
        QueueCounters {
            received: self.received,
            transmitted: self.transmitted,
            completed: self.completed,
            receive_ring_full: kernel.receive_ring_full,
            fill_ring_empty: kernel.fill_ring_empty,
            invalid: kernel.receive_dropped
                + kernel.receive_invalid
                + kernel.transmit_invalid
                + kernel.refused
                + self.cutter.as_ref().map_or(0, |cutter| cutter.invalid),
            kicks: kernel.kicks.calls,
            kicks_busy: kernel.kicks.busy,
            kicks_link_down: kernel.kicks.link_down,
            kicks_failed: kernel.kicks.failed,
        }
    }
}

fn capabilities(
    nic: &Nic,
    attachment: Attachment<'_>,
    socket: &Socket,
    share: Option<&XdpQueue>,
    umem: &Umem,
) -> Capabilities {
    let (mode, mut reason) = match attachment {
        Attachment::Generic(reason) => (Mode::XdpGeneric, reason.to_owned()),
        Attachment::Native if socket.is_zero_copy() => (
            Mode::XdpZeroCopy,
            "zero copy, as the driver confirmed".into(),
        ),
        Attachment::Native => (Mode::XdpCopy, copy_reason(socket, share)),
    };
    if matches!(
        socket.busy_polling(),
        BusyPolling::Unknown | BusyPolling::NoEffect
    ) {
        reason += "; busy polling asked for, but the driver names no NAPI context";
    }
    let frames = match socket.is_multi_buffer() {
        true => MAX_PACKET_FRAMES,
        false => 1,
    };
    Capabilities {
        mode,
        reason,
        checksum: nic.checksum,
        max_frame: (nic.mtu as usize + ETHERNET_AND_TAG).min(frames * umem.room()),
    }
}

/// A queue that shares copies because the one it shares with does.
fn copy_reason(socket: &Socket, share: Option<&XdpQueue>) -> String {
    let tried = share.map_or(socket, |first| &first.socket);
    match tried.zero_copy_refusal() {
        Some(refusal) => {
            format!("native XDP, copying: without copies the driver did not {refusal}")
        }
        None => "native XDP, copying as asked".into(),
    }
}

fn refused(error: OpenError) -> Error {
    Error::new(error.step().as_str(), error.into_os())
}

/// Length of an Ethernet header and one 802.1Q tag, in bytes.
const ETHERNET_AND_TAG: usize = 14 + 4;
