//! The contract every source and sink of frames keeps: [`Queue`].

use std::fmt;
use std::os::fd::BorrowedFd;

use af_xdp::{Frame, Umem};

/// What a queue can do and how it got its mode, settled when it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// How frames travel.
    pub mode: Mode,
    /// Why it is that mode and not a faster one, for people.
    pub reason: String,
    /// Whether frames may carry a half-made transport checksum.
    pub checksum: Checksum,
    /// Longest frame it takes or gives, in bytes, Ethernet header included.
    pub max_frame: usize,
}

/// How frames travel between the NIC and the UMEM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// AF_XDP, the driver writes into the UMEM.
    XdpZeroCopy,
    /// AF_XDP with native XDP, the kernel copies each frame once.
    XdpCopy,
    /// AF_XDP with generic XDP: any driver, after the kernel made an skb.
    XdpGeneric,
    /// AF_PACKET: anywhere, no XDP.
    Packet,
    /// Plain memory, no kernel.
    Loopback,
    /// A capture file.
    Pcap,
}

/// As the README calls them.
impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::XdpZeroCopy => "native XDP with zero copy",
            Self::XdpCopy => "native XDP with copying",
            Self::XdpGeneric => "generic XDP",
            Self::Packet => "AF_PACKET",
            Self::Loopback => "plain memory",
            Self::Pcap => "a capture file",
        })
    }
}

/// Whether the transport checksum of a received frame can be trusted to be whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Checksum {
    /// As it was on a wire: whole.
    #[default]
    Whole,
    /// Perhaps only the pseudo-header sum (CHECKSUM_PARTIAL from a virtual
    /// device); whoever rewrites must look and complete it first.
    MaybePartial,
}

/// Counters of one queue since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueCounters {
    /// Frames handed to the worker (descriptors, not packets).
    pub received: u64,
    /// Frames accepted for transmission.
    pub transmitted: u64,
    /// Frames whose transmission the kernel has completed.
    pub completed: u64,
    /// Frames the kernel dropped because the receive ring was full.
    pub receive_ring_full: u64,
    /// Frames the kernel dropped because the fill ring was empty.
    pub fill_ring_empty: u64,
    /// Descriptors or frames the kernel refused as malformed or too long.
    pub invalid: u64,
    /// System calls made to move the rings.
    pub kicks: u64,
    /// Of those, answered EAGAIN, EBUSY or ENOBUFS (flow control, not failure).
    pub kicks_busy: u64,
    /// Of those, answered ENETDOWN or ENXIO (the link is down).
    pub kicks_link_down: u64,
    /// Of those, answered with another error.
    pub kicks_failed: u64,
}

/// One queue of one NIC, or what stands in for it.
///
/// A packet is one frame, or several in a row of which all but the last
/// [continue](Frame::continues). Receive, transmit and drop act on whole
/// packets. All frames come from, and return to, the one [`Umem`] that the
/// caller passes to every call.
///
/// Cost: one dynamic call per batch. No call blocks or allocates.
pub trait Queue: Send {
    /// What it can do; constant after opening.
    fn capabilities(&self) -> &Capabilities;

    /// Gives free chunks to the kernel for reception, as many as fit.
    fn refill(&mut self, umem: &mut Umem);

    /// Appends received packets to `frames`, at most `limit` frames unless the
    /// first packet alone is longer, and returns how many frames were appended.
    /// Never grows `frames` beyond its capacity.
    fn receive(&mut self, umem: &mut Umem, frames: &mut Vec<Frame>, limit: usize) -> usize;

    /// Takes whole packets from the front of `frames`; what does not fit stays,
    /// in order. Returns how many frames were taken.
    fn transmit(&mut self, umem: &mut Umem, frames: &mut Vec<Frame>) -> usize;

    /// Returns frames whose transmission is complete to the UMEM.
    fn reclaim(&mut self, umem: &mut Umem) -> usize;

    /// Makes the kernel move what is queued, if it must be told. Call it every
    /// turn: in copy mode the kernel sends only inside such calls.
    fn flush(&mut self);

    /// Frames given for transmission and not yet complete.
    fn in_flight(&self) -> usize;

    /// The descriptor that becomes readable when packets wait, if there is one.
    fn wait_fd(&self) -> Option<BorrowedFd<'_>>;

    /// Counters so far, the kernel's included (may cost a system call).
    fn counters(&self) -> QueueCounters;
}
