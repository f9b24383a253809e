//! Sending whole IP packets of this machine's own.

use std::io;
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

/// Sends a packet to `to`, of the socket's family.
pub(crate) fn send(socket: BorrowedFd<'_>, packet: &[u8], to: IpAddr) -> io::Result<()> {
    // SAFETY: both are plain old data, for which zeros are a value.
    let (mut v4, mut v6): (libc::sockaddr_in, libc::sockaddr_in6) =
        unsafe { (mem::zeroed(), mem::zeroed()) };
    let (address, length): (*const libc::sockaddr, usize) = match to {
        IpAddr::V4(to) => {
            v4.sin_family = libc::AF_INET as u16;
            v4.sin_addr.s_addr = to.to_bits().to_be();
            (ptr::from_ref(&v4).cast(), size_of_val(&v4))
        }
        IpAddr::V6(to) => {
            v6.sin6_family = libc::AF_INET6 as u16;
            v6.sin6_addr.s6_addr = to.octets();
            (ptr::from_ref(&v6).cast(), size_of_val(&v6))
        }
    };
    // SAFETY: both pointers are to what lives through the call, of the lengths
    // that are given.
    let answer = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            packet.as_ptr().cast(),
            packet.len(),
            0,
            address,
            length as socklen_t,
        )
    };
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
