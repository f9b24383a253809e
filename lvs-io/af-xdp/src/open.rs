//! Opening a socket, step by step in the order the kernel wants.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use crate::config::{BusyPoll, SocketConfig, ZeroCopy};
use crate::error::{OpenError, Step};
use crate::frame::Frame;
use crate::ring::{Consumer, Producer, Ring};
use crate::sys;
use crate::umem::Umem;

/// A bound socket in its parts.
pub(crate) struct Opened {
    pub(crate) fd: OwnedFd,
    pub(crate) rings: Rings,
    /// Chunks put into the fill ring before binding.
    pub(crate) filled: usize,
    pub(crate) zero_copy: bool,
    /// What became of the attempt without copying, if there was one.
    pub(crate) refusal: Option<OpenError>,
}

/// The four rings of a socket.
#[derive(Debug)]
pub(crate) struct Rings {
    pub(crate) fill: Producer<u64>,
    pub(crate) receive: Consumer<libc::xdp_desc>,
    pub(crate) transmit: Producer<libc::xdp_desc>,
    pub(crate) completion: Consumer<u64>,
}

/// Opens a socket with the UMEM registered on it.
pub(crate) fn registered(config: &SocketConfig, umem: &mut Umem) -> Result<Opened, OpenError> {
    match config.zero_copy {
        ZeroCopy::Off => attempt(config, umem, &Binding::Register(libc::XDP_COPY)),
        ZeroCopy::Require => attempt(config, umem, &Binding::Register(libc::XDP_ZEROCOPY)),
        ZeroCopy::Auto => fastest(config, umem),
    }
}

/// Tries without copying, then with. Not left to the kernel, which would fall
/// back by itself and not say why.
fn fastest(config: &SocketConfig, umem: &mut Umem) -> Result<Opened, OpenError> {
    let refusal = match attempt(config, umem, &Binding::Register(libc::XDP_ZEROCOPY)) {
        Ok(opened) => return Ok(opened),
        // Only the last two steps depend on the mode; and a queue that is still
        // busy now would be so the other way.
        Err(error) if error.step() < Step::Bind || is_busy(error.os()) => return Err(error),
        Err(error) => error,
    };
    let mut opened = attempt(config, umem, &Binding::Register(libc::XDP_COPY))?;
    opened.refusal = Some(refusal);
    Ok(opened)
}

/// Opens a socket on the UMEM which `first` has registered.
pub(crate) fn sharing(
    config: &SocketConfig,
    umem: &mut Umem,
    first: BorrowedFd<'_>,
) -> Result<Opened, OpenError> {
    attempt(config, umem, &Binding::Share(first))
}

/// Where a socket gets its memory from.
enum Binding<'a> {
    /// Registers it itself; XDP_COPY or XDP_ZEROCOPY.
    Register(u16),
    /// Shares it with this socket.
    Share(BorrowedFd<'a>),
}

/// One attempt, on a fresh socket: whatever a driver did in one that failed is
/// gone with it.
fn attempt(
    config: &SocketConfig,
    umem: &mut Umem,
    binding: &Binding<'_>,
) -> Result<Opened, OpenError> {
    let socket = sys::socket().map_err(|error| Step::Create.failed(error))?;
    let fd = socket.as_fd();
    if let Binding::Register(_) = binding {
        sys::register(fd, umem).map_err(|error| Step::Register.failed(error))?;
    }
    size_rings(fd, config).map_err(|error| Step::SizeRings.failed(error))?;
    let mut rings = map_rings(fd, config)?;
    set_options(fd, config, umem)?;
    // Before binding: a driver without copying takes its first chunks there.
    let given = prefill(&mut rings.fill, umem);
    let bound = bind(fd, config, binding).map_err(|error| Step::Bind.failed(error));
    match bound.and_then(|()| confirm(fd, config, binding)) {
        Ok(zero_copy) => Ok(Opened {
            filled: given.len(),
            fd: socket,
            rings,
            zero_copy,
            refusal: None,
        }),
        Err(error) => {
            // Closed first, so that nobody writes to the chunks any more.
            drop(rings);
            drop(socket);
            given.into_iter().for_each(|frame| umem.release(frame));
            Err(error)
        }
    }
}

fn size_rings(fd: BorrowedFd<'_>, config: &SocketConfig) -> io::Result<()> {
    for (ring, size) in [
        (libc::XDP_UMEM_FILL_RING, config.fill_ring),
        (libc::XDP_UMEM_COMPLETION_RING, config.completion_ring),
        (libc::XDP_RX_RING, config.receive_ring),
        (libc::XDP_TX_RING, config.transmit_ring),
    ] {
        sys::set_number(fd, libc::SOL_XDP, ring, size)?;
    }
    Ok(())
}

fn map_rings(fd: BorrowedFd<'_>, config: &SocketConfig) -> Result<Rings, OpenError> {
    let layouts = sys::ring_layouts(fd).map_err(|error| Step::LocateRings.failed(error))?;
    let map = || -> io::Result<Rings> {
        let (receive, transmit) = (config.receive_ring, config.transmit_ring);
        let (fill, completion) = (config.fill_ring, config.completion_ring);
        let at_receive = libc::XDP_PGOFF_RX_RING as u64;
        let at_transmit = libc::XDP_PGOFF_TX_RING as u64;
        let at_fill = libc::XDP_UMEM_PGOFF_FILL_RING;
        let at_completion = libc::XDP_UMEM_PGOFF_COMPLETION_RING;
        Ok(Rings {
            fill: Producer::new(Ring::map(fd, at_fill, layouts.fill, fill)?),
            receive: Consumer::new(Ring::map(fd, at_receive, layouts.receive, receive)?),
            transmit: Producer::new(Ring::map(fd, at_transmit, layouts.transmit, transmit)?),
            completion: Consumer::new(Ring::map(
                fd,
                at_completion,
                layouts.completion,
                completion,
            )?),
        })
    };
    map().map_err(|error| Step::MapRings.failed(error))
}

fn set_options(fd: BorrowedFd<'_>, config: &SocketConfig, umem: &Umem) -> Result<(), OpenError> {
    // Both only make transmission in copy mode smoother, and may be refused: the
    // budget by an older kernel, the send buffer (which frames on their way are
    // charged to, 208 KiB unless told) without CAP_NET_ADMIN.
    let budget = config
        .transmit_budget
        .clamp(32, config.transmit_ring.max(32));
    let _ = sys::set_number(fd, libc::SOL_XDP, sys::XDP_MAX_TX_SKB_BUDGET, budget);
    let charged = u64::from(config.transmit_ring) * 2 * umem.chunk_size() as u64;
    let buffer = charged.min(1 << 30) as u32;
    let _ = sys::set_number(fd, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, buffer);
    match config.busy_poll {
        Some(busy_poll) => {
            set_busy_poll(fd, busy_poll).map_err(|error| Step::BusyPoll.failed(error))
        }
        None => Ok(()),
    }
}

fn set_busy_poll(fd: BorrowedFd<'_>, busy_poll: BusyPoll) -> io::Result<()> {
    for (option, value) in [
        (sys::SO_PREFER_BUSY_POLL, 1),
        (libc::SO_BUSY_POLL, busy_poll.microseconds),
        (sys::SO_BUSY_POLL_BUDGET, busy_poll.budget),
    ] {
        sys::set_number(fd, libc::SOL_SOCKET, option, value)?;
    }
    Ok(())
}

/// Puts as many chunks as there are and fit into the fill ring. The frames are
/// returned to be dropped once the kernel has the chunks for good.
fn prefill(fill: &mut Producer<u64>, umem: &mut Umem) -> Vec<Frame> {
    let wanted = fill.free(fill.size()) as usize;
    let frames: Vec<Frame> = (0..wanted).map_while(|_| umem.allocate()).collect();
    frames
        .iter()
        .for_each(|frame| fill.push(umem.chunk_address(frame)));
    fill.publish();
    frames
}

fn bind(fd: BorrowedFd<'_>, config: &SocketConfig, binding: &Binding<'_>) -> io::Result<()> {
    // A sharing socket may give no flag of its own: it inherits them all.
    let (flags, shared) = match *binding {
        Binding::Share(first) => (libc::XDP_SHARED_UMEM, Some(first)),
        Binding::Register(mode) => (mode | wanted_flags(config), None),
    };
    let give_up = Instant::now() + config.patience;
    loop {
        match sys::bind(fd, config.interface, config.queue, flags, shared) {
            Err(error) if is_busy(&error) && Instant::now() < give_up => {
                thread::sleep(BUSY_PAUSE);
            }
            outcome => return outcome,
        }
    }
}

fn wanted_flags(config: &SocketConfig) -> u16 {
    let wakeup = if config.need_wakeup {
        libc::XDP_USE_NEED_WAKEUP
    } else {
        0
    };
    let multi_buffer = if config.multi_buffer {
        libc::XDP_USE_SG
    } else {
        0
    };
    wakeup | multi_buffer
}

fn is_busy(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EBUSY)
}

/// Whether the socket works without copying; an error if it must and does not.
fn confirm(
    fd: BorrowedFd<'_>,
    config: &SocketConfig,
    binding: &Binding<'_>,
) -> Result<bool, OpenError> {
    let asked = matches!(binding, Binding::Register(libc::XDP_ZEROCOPY));
    let required = asked || config.zero_copy == ZeroCopy::Require;
    match sys::is_zero_copy(fd) {
        Ok(false) if required => Err(Step::Confirm.failed(io::ErrorKind::Unsupported.into())),
        Ok(zero_copy) => Ok(zero_copy),
        Err(error) => Err(Step::Confirm.failed(error)),
    }
}

/// Between two attempts to bind to a queue whose last socket is still going:
/// measured on Linux 6.18, it takes 12 to 81 ms.
const BUSY_PAUSE: Duration = Duration::from_millis(10);
