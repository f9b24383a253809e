//! The kernel's side: system calls, and constants that `libc` lacks.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use libc::{c_int, c_void, socklen_t};
use memmap2::{MmapOptions, MmapRaw};

use crate::umem::Umem;

/// Where the parts of one ring lie in its mapping, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RingLayout {
    pub(crate) producer: usize,
    pub(crate) consumer: usize,
    pub(crate) flags: usize,
    pub(crate) entries: usize,
}

/// The layouts of a socket's four rings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RingLayouts {
    pub(crate) receive: RingLayout,
    pub(crate) transmit: RingLayout,
    pub(crate) fill: RingLayout,
    pub(crate) completion: RingLayout,
}

/// A new AF_XDP socket, bound to nothing.
pub(crate) fn socket() -> io::Result<OwnedFd> {
    // SAFETY: no pointers.
    let fd = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    check(fd)?;
    // SAFETY: the kernel has just given this descriptor to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Gives the memory of a UMEM to a socket.
///
/// The kernel pins the pages, so that dropping the UMEM first is safe; it
/// writes only to chunks whose addresses it has been given in a fill ring.
pub(crate) fn register(fd: BorrowedFd<'_>, umem: &Umem) -> io::Result<()> {
    let registration = libc::xdp_umem_reg {
        addr: umem.start() as u64,
        len: (umem.chunks() * umem.chunk_size()) as u64,
        chunk_size: umem.chunk_size() as u32,
        headroom: umem.extra_headroom(),
        flags: 0,
        tx_metadata_len: 0,
    };
    set(fd, libc::SOL_XDP, libc::XDP_UMEM_REG, &registration)
}

/// Where the kernel puts indices and entries within each ring's mapping.
pub(crate) fn ring_layouts(fd: BorrowedFd<'_>) -> io::Result<RingLayouts> {
    // SAFETY: plain integers, for which zero is a value.
    let mut offsets: libc::xdp_mmap_offsets = unsafe { mem::zeroed() };
    let length = get(fd, libc::SOL_XDP, libc::XDP_MMAP_OFFSETS, &mut offsets)?;
    if length != size_of::<libc::xdp_mmap_offsets>() {
        // Before Linux 5.4 the rings had no flags.
        return Err(io::ErrorKind::Unsupported.into());
    }
    let layout = |ring: libc::xdp_ring_offset| RingLayout {
        producer: ring.producer as usize,
        consumer: ring.consumer as usize,
        flags: ring.flags as usize,
        entries: ring.desc as usize,
    };
    Ok(RingLayouts {
        receive: layout(offsets.rx),
        transmit: layout(offsets.tx),
        fill: layout(offsets.fr),
        completion: layout(offsets.cr),
    })
}

/// Maps one ring.
pub(crate) fn map(fd: BorrowedFd<'_>, offset: u64, bytes: usize) -> io::Result<MmapRaw> {
    MmapOptions::new()
        .offset(offset)
        .len(bytes)
        .populate()
        .map_raw(&fd)
}

/// Binds to a queue; `shared` is the descriptor whose UMEM is used as well.
pub(crate) fn bind(
    fd: BorrowedFd<'_>,
    interface: u32,
    queue: u32,
    flags: u16,
    shared: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let address = libc::sockaddr_xdp {
        sxdp_family: libc::AF_XDP as u16,
        sxdp_flags: flags,
        sxdp_ifindex: interface,
        sxdp_queue_id: queue,
        sxdp_shared_umem_fd: shared.map_or(0, |fd| fd.as_raw_fd() as u32),
    };
    // SAFETY: the address lives through the call and is as long as said.
    let result = unsafe {
        libc::bind(
            fd.as_raw_fd(),
            (&raw const address).cast(),
            size_of_val(&address) as socklen_t,
        )
    };
    check(result)
}

/// Whether a bound socket works without copying.
pub(crate) fn is_zero_copy(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut options = libc::xdp_options { flags: 0 };
    get(fd, libc::SOL_XDP, libc::XDP_OPTIONS, &mut options)?;
    Ok(options.flags & libc::XDP_OPTIONS_ZEROCOPY != 0)
}

/// The kernel's counters of a socket; those that an older kernel lacks are zero.
pub(crate) fn statistics(fd: BorrowedFd<'_>) -> io::Result<libc::xdp_statistics> {
    // SAFETY: plain integers, for which zero is a value.
    let mut statistics: libc::xdp_statistics = unsafe { mem::zeroed() };
    get(fd, libc::SOL_XDP, libc::XDP_STATISTICS, &mut statistics)?;
    Ok(statistics)
}

/// Sets an option that is one 32-bit number.
pub(crate) fn set_number(
    fd: BorrowedFd<'_>,
    level: c_int,
    option: c_int,
    number: u32,
) -> io::Result<()> {
    set(fd, level, option, &number)
}

/// The number of the NAPI context that feeds a socket; 0 if it is not known.
pub(crate) fn napi(fd: BorrowedFd<'_>) -> io::Result<u32> {
    let mut number = 0_u32;
    get(fd, libc::SOL_SOCKET, SO_INCOMING_NAPI_ID, &mut number)?;
    Ok(number)
}

/// Makes the kernel look at the transmit ring.
pub(crate) fn wake_transmit(fd: BorrowedFd<'_>) -> io::Result<()> {
    let flags = libc::MSG_DONTWAIT;
    // SAFETY: no buffer of length zero is read, and there is no address.
    let sent = unsafe { libc::sendto(fd.as_raw_fd(), ptr::null(), 0, flags, ptr::null(), 0) };
    check(sent as c_int)
}

/// Makes the kernel look at the fill ring, or poll the NIC.
pub(crate) fn wake_receive(fd: BorrowedFd<'_>) -> io::Result<()> {
    let (flags, none) = (libc::MSG_DONTWAIT, ptr::null_mut());
    // SAFETY: no buffer of length zero is written, and no address is asked for.
    let received = unsafe {
        libc::recvfrom(
            fd.as_raw_fd(),
            none,
            0,
            flags,
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    check(received as c_int)
}

fn set<T: Plain>(fd: BorrowedFd<'_>, level: c_int, option: c_int, value: &T) -> io::Result<()> {
    let length = size_of::<T>() as socklen_t;
    let value: *const c_void = (&raw const *value).cast();
    // SAFETY: the value lives through the call and is as long as said.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, value, length) })
}

/// Reads an option into `value` and says how many bytes of it the kernel wrote.
fn get<T: Plain>(
    fd: BorrowedFd<'_>,
    level: c_int,
    option: c_int,
    value: &mut T,
) -> io::Result<usize> {
    let mut length = size_of::<T>() as socklen_t;
    let value: *mut c_void = (&raw mut *value).cast();
    // SAFETY: the value lives through the call, is as long as said, and holds
    // integers only, which any bytes are.
    check(unsafe { libc::getsockopt(fd.as_raw_fd(), level, option, value, &raw mut length) })?;
    Ok(length as usize)
}

fn check(result: c_int) -> io::Result<()> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Values made of integers only, without padding.
///
/// # Safety
///
/// Any bytes are a value of the type.
unsafe trait Plain {}

// SAFETY: an integer.
unsafe impl Plain for u32 {}
// SAFETY: six integers in a row without a gap.
unsafe impl Plain for libc::xdp_umem_reg {}
// SAFETY: sixteen integers of one size.
unsafe impl Plain for libc::xdp_mmap_offsets {}
// SAFETY: one integer.
unsafe impl Plain for libc::xdp_options {}
// SAFETY: six integers of one size.
unsafe impl Plain for libc::xdp_statistics {}

// From the kernel's include/uapi/asm-generic/socket.h and linux/if_xdp.h.
pub(crate) const SO_INCOMING_NAPI_ID: c_int = 56;
pub(crate) const SO_PREFER_BUSY_POLL: c_int = 69;
pub(crate) const SO_BUSY_POLL_BUDGET: c_int = 70;
pub(crate) const XDP_MAX_TX_SKB_BUDGET: c_int = 9;
