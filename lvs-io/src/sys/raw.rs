//! Sending whole IP packets of this machine's own.

use std::io::{self, IoSlice};
use std::mem;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use libc::{c_int, socklen_t};

/// Opens a socket that sends packets with headers of the caller's making, each
/// with this firewall mark, and receives nothing.
pub(crate) fn open(ipv4: bool, mark: u32) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let family = if ipv4 { libc::AF_INET } else { libc::AF_INET6 };
    // SAFETY: the call takes no pointers, and what it returns is nobody else's.
    let socket = unsafe {
        let socket = check(libc::socket(family, kind, libc::IPPROTO_RAW))?;
        OwnedFd::from_raw_fd(socket)
    };
    set(&socket, libc::SOL_SOCKET, libc::SO_MARK, mark as c_int)?;
    // An IPv4 socket of this protocol writes no headers anyway.
    if !ipv4 {
        set(&socket, libc::IPPROTO_IPV6, IPV6_HDRINCL, 1)?;
    }
    Ok(socket)
}

/// Sends a packet that lies in pieces to `to`, of the socket's family.
pub(crate) fn send(socket: BorrowedFd<'_>, pieces: &[IoSlice<'_>], to: IpAddr) -> io::Result<()> {
    // SAFETY: all are plain old data, for which zeros are a value.
    let (mut v4, mut v6, mut message): (libc::sockaddr_in, libc::sockaddr_in6, libc::msghdr) =
        unsafe { (mem::zeroed(), mem::zeroed(), mem::zeroed()) };
    match to {
        IpAddr::V4(to) => {
            v4.sin_family = libc::AF_INET as u16;
            v4.sin_addr.s_addr = to.to_bits().to_be();
            message.msg_name = ptr::from_mut(&mut v4).cast();
            message.msg_namelen = size_of_val(&v4) as socklen_t;
        }
        IpAddr::V6(to) => {
            v6.sin6_family = libc::AF_INET6 as u16;
            v6.sin6_addr.s6_addr = to.octets();
            message.msg_name = ptr::from_mut(&mut v6).cast();
            message.msg_namelen = size_of_val(&v6) as socklen_t;
        }
    }
    // An IoSlice is laid out as an iovec; the call only reads them.
    message.msg_iov = pieces.as_ptr().cast_mut().cast();
    message.msg_iovlen = pieces.len();
    // SAFETY: the message points to locals and to `pieces`, which live through
    // the call, with their lengths.
    let answer = unsafe { libc::sendmsg(socket.as_raw_fd(), &message, 0) };
    match answer {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn set(socket: &OwnedFd, level: c_int, name: c_int, to: c_int) -> io::Result<()> {
    // SAFETY: the pointer is to a local of the length that is given.
    let answer = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            ptr::from_ref(&to).cast(),
            size_of_val(&to) as socklen_t,
        )
    };
    check(answer).map(drop)
}

fn check(answer: c_int) -> io::Result<c_int> {
    match answer {
        0.. => Ok(answer),
        _ => Err(io::Error::last_os_error()),
    }
}

/// linux/in6.h
const IPV6_HDRINCL: c_int = 36;
