//! How a socket is opened: [`SocketConfig`].

use std::time::Duration;

/// How a [`Socket`](crate::Socket) is opened. Begin with [`SocketConfig::new`]
/// and change what should differ.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SocketConfig {
    /// Index of the network interface.
    pub interface: u32,
    /// Which of its queues.
    pub queue: u32,
    /// Slots of the fill ring: chunks that can wait for packets. As all four,
    /// a power of two.
    pub fill_ring: u32,
    /// Slots of the receive ring.
    pub receive_ring: u32,
    /// Slots of the transmit ring.
    pub transmit_ring: u32,
    /// Slots of the completion ring; fewer than the transmit ring has make the
    /// kernel pause transmission.
    pub completion_ring: u32,
    /// Whether the driver should use the UMEM directly.
    pub zero_copy: ZeroCopy,
    /// Whether the kernel may sleep and asks to be woken (XDP_USE_NEED_WAKEUP).
    /// Without it a driver in zero-copy mode keeps its interrupts going.
    pub need_wakeup: bool,
    /// Whether packets may take several frames (XDP_USE_SG). Linux before 6.6
    /// refuses to bind with it, and so do some drivers without copying. The XDP
    /// program must know of it as well (`BPF_F_XDP_HAS_FRAGS`).
    pub multi_buffer: bool,
    /// Whether the worker's own system calls should run the driver.
    pub busy_poll: Option<BusyPoll>,
    /// Most frames the kernel sends per system call in copy mode; it takes 32
    /// unless told, and before Linux 6.17 always. Between 32 and the ring's size.
    pub transmit_budget: u32,
    /// How long to try again while the queue is busy. The socket that had it
    /// last lets go of it some 10 to 100 ms after being closed.
    pub patience: Duration,
}

impl SocketConfig {
    /// Rings of 2048 slots; zero copy if there is; wake-ups; one frame a packet;
    /// no busy polling; two seconds of patience.
    pub fn new(interface: u32, queue: u32) -> Self {
        Self {
            interface,
            queue,
            fill_ring: 2048,
            receive_ring: 2048,
            transmit_ring: 2048,
            completion_ring: 2048,
            zero_copy: ZeroCopy::Auto,
            need_wakeup: true,
            multi_buffer: false,
            busy_poll: None,
            transmit_budget: 256,
            patience: Duration::from_secs(2),
        }
    }
}

/// Whether the driver should read and write the UMEM directly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ZeroCopy {
    /// If it can; else the kernel copies, and the socket says
    /// [why](crate::Socket::zero_copy_refusal).
    #[default]
    Auto,
    /// It must; opening fails if it cannot.
    Require,
    /// It must not.
    Off,
}

/// Busy polling: the driver runs inside the worker's system calls instead of in
/// interrupts. Needs CAP_NET_ADMIN, and a driver that names its NAPI contexts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusyPoll {
    /// Longest time one call polls, in microseconds.
    pub microseconds: u32,
    /// Most packets one call takes from the NIC.
    pub budget: u32,
}

impl Default for BusyPoll {
    /// 20 microseconds, 64 packets: what the kernel's documentation uses.
    fn default() -> Self {
        Self {
            microseconds: 20,
            budget: 64,
        }
    }
}
