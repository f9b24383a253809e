//! Packet sockets: opening them, and moving frames in batches.

mod arrivals;
mod departures;

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use libc::{c_int, sock_filter, socklen_t};

pub(crate) use self::arrivals::{Arrival, MOST_ARRIVALS, receive};
pub(crate) use self::departures::Departures;

/// Opens a packet socket that no frame reaches until it is bound.
pub(crate) fn open() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: the call takes no pointers, and what it returns is nobody else's.
    unsafe {
        let socket = check(libc::socket(libc::AF_PACKET, kind, 0))?;
        Ok(OwnedFd::from_raw_fd(socket))
    }
}

/// Binds to the interface `index`. With `receive` every frame on it reaches the
/// socket, otherwise none.
pub(crate) fn bind(socket: BorrowedFd<'_>, index: u32, receive: bool) -> io::Result<()> {
    // SAFETY: sockaddr_ll is plain old data, for which zeros are a value.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_ifindex = index as c_int;
    if receive {
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    }
    // SAFETY: the pointer is to a local of the length that is given.
    let answer = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            ptr::from_ref(&address).cast(),
            size_of_val(&address) as socklen_t,
        )
    };
    check(answer).map(drop)
}

/// Sets a number among the options of packet sockets (SOL_PACKET) or of all
/// sockets (SOL_SOCKET).
pub(crate) fn set(socket: BorrowedFd<'_>, level: c_int, name: c_int, to: c_int) -> io::Result<()> {
    set_value(socket, level, name, &to)
}

/// Reads a number among the options of packet sockets.
pub(crate) fn get(socket: BorrowedFd<'_>, name: c_int) -> io::Result<c_int> {
    let mut value = [0 as c_int];
    get_words(socket, name, &mut value)?;
    Ok(value[0])
}

/// Frames that were dropped since the last call because the socket was full.
pub(crate) fn take_drops(socket: BorrowedFd<'_>) -> io::Result<u32> {
    // struct tpacket_stats: packets, drops.
    let mut words = [0 as c_int; 2];
    get_words(socket, libc::PACKET_STATISTICS, &mut words)?;
    Ok(words[1] as u32)
}

/// Lets no frame in.
pub(crate) fn refuse_all(socket: BorrowedFd<'_>) -> io::Result<()> {
    attach(socket, &mut [statement(RETURN, 0)])
}

/// Lets in, whole, frames that are for this host, for a group or for all; not
/// those for others that a promiscuous NIC sees, and not the host's own.
pub(crate) fn admit_ours(socket: BorrowedFd<'_>) -> io::Result<()> {
    let kind = (libc::SKF_AD_OFF + libc::SKF_AD_PKTTYPE) as u32;
    attach(
        socket,
        &mut [
            statement(LOAD_BYTE, kind),
            sock_filter {
                code: JUMP_IF_GREATER,
                jt: 1,
                jf: 0,
                k: u32::from(libc::PACKET_MULTICAST),
            },
            statement(RETURN, u32::MAX),
            statement(RETURN, 0),
        ],
    )
}

/// Whether the interface is up and has a carrier.
pub(crate) fn link_runs(socket: BorrowedFd<'_>, name: &str) -> bool {
    let Ok(mut request) = super::tun::request(name) else {
        return false;
    };
    // SAFETY: the pointer is to a local of the type that the call reads and
    // writes; the flags are what it writes on success.
    unsafe {
        let answer = libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS, &mut request);
        answer == 0 && c_int::from(request.ifr_ifru.ifru_flags) & RUNS == RUNS
    }
}

fn set_value<T>(socket: BorrowedFd<'_>, level: c_int, name: c_int, to: &T) -> io::Result<()> {
    // SAFETY: the pointer is to a value of the length that is given.
    let answer = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            ptr::from_ref(to).cast(),
            size_of::<T>() as socklen_t,
        )
    };
    check(answer).map(drop)
}

fn get_words(socket: BorrowedFd<'_>, name: c_int, words: &mut [c_int]) -> io::Result<()> {
    let mut len = size_of_val(words) as socklen_t;
    // SAFETY: the pointer is to as many bytes as `len` says.
    let answer = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            name,
            words.as_mut_ptr().cast(),
            &mut len,
        )
    };
    check(answer).map(drop)
}

/// Replaces the socket's filter, in one step.
fn attach(socket: BorrowedFd<'_>, program: &mut [sock_filter]) -> io::Result<()> {
    let filter = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // The pointer inside is to `program`, of the length beside it; the kernel
    // copies it.
    set_value(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &filter)
}

fn statement(code: u16, k: u32) -> sock_filter {
    sock_filter {
        code,
        jt: 0,
        jf: 0,
        k,
    }
}

fn check(answer: c_int) -> io::Result<c_int> {
    match answer {
        0.. => Ok(answer),
        _ => Err(io::Error::last_os_error()),
    }
}

const RUNS: c_int = libc::IFF_UP | libc::IFF_RUNNING;
/// BPF_LD | BPF_B | BPF_ABS.
const LOAD_BYTE: u16 = 0x30;
/// BPF_JMP | BPF_JGT | BPF_K.
const JUMP_IF_GREATER: u16 = 0x25;
/// BPF_RET | BPF_K.
const RETURN: u16 = 0x06;
