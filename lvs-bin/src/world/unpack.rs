//! [`Unpacker`]: takes packets out of their tunnel on a real server.

use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::Namespace;
use super::address::Family;

/// Threads that stand in for the kernel's tunnel drivers, which not every
/// kernel has.
///
/// Tunnel packets (RFC 2003, RFC 2473) are read from a raw socket; what is
/// inside is given to the same machine as it came, through another raw socket.
/// As its destination is the machine's own, it comes in again by `lo`, where
/// its checksums are verified like those of any packet. Until dropped.
#[derive(Debug)]
pub struct Unpacker {
    stop: Arc<AtomicBool>,
    sockets: Vec<Socket>,
    threads: Vec<JoinHandle<()>>,
}

impl Unpacker {
    /// Begins to unpack what arrives in `namespace`: IPv4 in IPv4, IPv6 in
    /// IPv6.
    ///
    /// Errors: raw sockets need CAP_NET_RAW.
    pub fn start(namespace: &Namespace) -> io::Result<Self> {
        let mut unpacker = Self {
            stop: Arc::new(AtomicBool::new(false)),
            sockets: Vec::new(),
            threads: Vec::new(),
        };
        for family in Family::BOTH {
            let (outer, inner) = namespace.run(|| Ok((tunnel_end(family)?, way_in(family)?)))?;
            unpacker.sockets.push(outer.try_clone()?);
            let stop = Arc::clone(&unpacker.stop);
            let thread = thread::Builder::new()
                .name(format!("{} tunnel", namespace.name()))
                .spawn(move || unpack(family, outer, &inner, &stop))?;
            unpacker.threads.push(thread);
        }
        Ok(unpacker)
    }
}

impl Drop for Unpacker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for socket in &self.sockets {
            // It says ENOTCONN, and wakes the reader all the same.
            let _ = socket.shutdown(Shutdown::Both);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn unpack(family: Family, mut outer: Socket, inner: &Socket, stop: &AtomicBool) {
    let mut packet = vec![0; LONGEST_PACKET];
    while !stop.load(Ordering::Relaxed) {
        let Ok(length) = outer.read(&mut packet) else {
            continue;
        };
        if let Some((start, destination)) = inside(family, &packet[..length]) {
            // A packet that is not for this machine is lost, as on any host.
            let _ = inner.send_to(
                &packet[start..length],
                &SocketAddr::new(destination, 0).into(),
            );
        }
    }
}

/// Where the inner packet begins, and its destination.
fn inside(family: Family, packet: &[u8]) -> Option<(usize, IpAddr)> {
    match family {
        Family::V4 => {
            // A raw IPv4 socket gives the outer header too.
            let start = usize::from(packet.first()? & 0x0f) * 4;
            let destination: [u8; 4] = packet.get(start + 16..start + 20)?.try_into().ok()?;
            Some((start, Ipv4Addr::from(destination).into()))
        }
        Family::V6 => {
            // A raw IPv6 socket gives only what follows it.
            let destination: [u8; 16] = packet.get(24..40)?.try_into().ok()?;
            Some((0, Ipv6Addr::from(destination).into()))
        }
    }
}

/// The socket at which tunnel packets of a family arrive.
fn tunnel_end(family: Family) -> io::Result<Socket> {
    let (domain, protocol) = match family {
        Family::V4 => (Domain::IPV4, IPPROTO_IPIP),
        Family::V6 => (Domain::IPV6, IPPROTO_IPV6),
    };
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(protocol)))?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.set_read_timeout(Some(GLANCE))?;
    Ok(socket)
}

/// The socket by which whole packets of a family enter this machine.
fn way_in(family: Family) -> io::Result<Socket> {
    match family {
        Family::V4 => {
            let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(IPPROTO_RAW)))?;
            socket.set_header_included_v4(true)?;
            Ok(socket)
        }
        Family::V6 => {
            let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::from(IPPROTO_RAW)))?;
            socket.set_header_included_v6(true)?;
            Ok(socket)
        }
    }
}

/// Protocol numbers (IANA): IPv4 encapsulation, IPv6 encapsulation, and the
/// kernel's own for "a whole packet".
const IPPROTO_IPIP: i32 = 4;
const IPPROTO_IPV6: i32 = 41;
const IPPROTO_RAW: i32 = 255;

const LONGEST_PACKET: usize = 65_536;
/// Bytes that may wait: a window or two of every connection of a test.
const RECEIVE_BUFFER: usize = 4 << 20;
/// How long a reader that was not woken goes on, at most.
const GLANCE: Duration = Duration::from_millis(100);
