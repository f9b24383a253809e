//! The way back into the kernel for packets that were taken from it: [`Punt`].

use std::fs::{self, File};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Error;
use crate::layout::{Field, Layout};
use crate::netlink::{Network, Prefix, Rule};
use crate::sys::raw;
use crate::sys::tun::{self, VNET_HEADER_BYTES};

/// A TUN device through which packets go back to the kernel's own stack.
///
/// What XDP redirected to a director and turned out to be none of its business
/// is given back here: to the kernel it has just arrived, on another device
/// than the NIC. Sockets bound to the NIC itself do not see it, and link-local
/// addresses do not carry over; nothing else differs.
///
/// Workers share one: [`give_back`](Self::give_back) takes it by reference. The
/// device is gone when it is dropped.
///
/// It works the other way round too: what the kernel routes into the device
/// ([`Detour`](crate::Detour) has it do so) can be [taken](Self::take), and be
/// [sent on](Self::send_on) as if it had never come this way.
///
/// The kernel checks sources on arrival (`rp_filter`), and a source is never
/// reached through this device. So that it lets them in, opening clears the
/// check of this one device. Where the machine's `all` setting, which this
/// leaves alone, asks for checks, it is set to the loose one, which wants some
/// route to the source, and the device gets the dummy address 192.0.0.8
/// (RFC 7600), without which the kernel does not look for one.
#[derive(Debug)]
pub struct Punt {
    device: File,
    name: String,
    /// Where packets of the machine's own go their usual way; none where the
    /// kernel does not have the family.
    onward: [Option<OwnedFd>; 2],
    given: AtomicU64,
    refused: AtomicU64,
}

/// What a [`Punt`] counted since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PuntCounters {
    /// Packets the kernel took.
    pub given: u64,
    /// Packets it did not: malformed, or no memory.
    pub refused: u64,
}

impl Punt {
    /// Makes the device in the calling thread's network namespace, sets it up,
    /// and lets all sources in. `name` may hold `%d` for the first free number.
    ///
    /// # Errors
    ///
    /// The privilege is lacking (CAP_NET_ADMIN), the name is taken (EBUSY), or
    /// the check of sources could not be cleared; no device is then left.
    pub fn open(name: &str) -> Result<Self, Error> {
        let failed = |step| move |error| Error::new(step, error).on(name);
        let (device, name_given) = tun::open(name).map_err(failed("make the TUN device"))?;
        let mut network = Network::open().map_err(other("reach the network", name))?;
        network
            .set_mtu(&name_given, LONGEST_PACKET)
            .map_err(other("set the MTU", name))?;
        network
            .set_queue_length(&name_given, MOST_WAITING)
            .map_err(other("set the queue length", name))?;
        if admit_sources(&name_given).map_err(failed("clear rp_filter"))? == Admission::Loose {
            network
                .add_address(&name_given, Prefix::host(DUMMY_ADDRESS))
                .map_err(other("add the dummy address", name))?;
        }
        stay_quiet(&name_given);
        network
            .set_up(&name_given)
            .map_err(other("set the device up", name))?;
        Ok(Self {
            device,
            name: name_given,
            onward: [true, false].map(|ipv4| raw::open(ipv4, Rule::EXEMPT).ok()),
            given: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        })
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives one IP packet to the kernel; whether it took it.
    ///
    /// # Cost
    ///
    /// One system call, which handles the packet's whole arrival; never blocks.
    pub fn give_back(&self, packet: &[u8]) -> bool {
        self.give_back_pieces(&[packet], false)
    }

    /// As [`give_back`](Self::give_back), of a packet that lies in several
    /// pieces, at most 64, with all its headers in the first.
    ///
    /// With `checksum_unready` its transport checksum holds only the sum over
    /// the pseudo-header, and the kernel is told so.
    pub fn give_back_pieces(&self, pieces: &[&[u8]], checksum_unready: bool) -> bool {
        let taken = pieces.len() <= MOST_PIECES && self.write(pieces, checksum_unready);
        let counter = if taken { &self.given } else { &self.refused };
        counter.fetch_add(1, Ordering::Relaxed);
        taken
    }

    /// Takes a packet that the kernel has routed into the device, and returns its
    /// length; none if there is none, or one longer than `packet`, which is lost.
    ///
    /// Its checksums are whole, and it is no longer than the route's MTU.
    ///
    /// # Cost
    ///
    /// One system call; never blocks.
    pub fn take(&self, packet: &mut [u8]) -> Option<usize> {
        let mut header = [0; VNET_HEADER_BYTES];
        let mut places = [IoSliceMut::new(&mut header), IoSliceMut::new(packet)];
        let mut device = &self.device;
        let length = device.read_vectored(&mut places).ok()?;
        length.checked_sub(VNET_HEADER_BYTES)
    }

    /// Sends a packet of the machine's own, in at most 64 pieces with all its
    /// headers in the first, the way it would have gone without a
    /// [`Detour`](crate::Detour); whether the kernel took it. What is sent to a
    /// group never had a way of its own: the kernel says it on every device.
    ///
    /// # Cost
    ///
    /// One system call; never blocks.
    pub fn send_on(&self, pieces: &[&[u8]]) -> bool {
        let sent = pieces.len() <= MOST_PIECES && self.send(pieces);
        let counter = if sent { &self.given } else { &self.refused };
        counter.fetch_add(1, Ordering::Relaxed);
        sent
    }

    /// Becomes readable when there is something to take.
    pub fn wait_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }

    /// Counters so far.
    pub fn counters(&self) -> PuntCounters {
        PuntCounters {
            given: self.given.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    fn send(&self, pieces: &[&[u8]]) -> bool {
        let to = pieces.first().and_then(|headers| destination(headers));
        let Some(to) = to.filter(|to| !to.is_multicast()) else {
            return false;
        };
        let mut slices = [IoSlice::new(&[]); MOST_PIECES];
        for (slice, piece) in slices.iter_mut().zip(pieces) {
            *slice = IoSlice::new(piece);
        }
        let socket = &self.onward[usize::from(to.is_ipv6())];
        socket
            .as_ref()
            .is_some_and(|socket| raw::send(socket.as_fd(), &slices[..pieces.len()], to).is_ok())
    }

    fn write(&self, pieces: &[&[u8]], checksum_unready: bool) -> bool {
        let header = match pieces.first() {
            Some(first) if checksum_unready => unready_header(first),
            _ => [0; VNET_HEADER_BYTES],
        };
        let mut slices = [IoSlice::new(&[]); 1 + MOST_PIECES];
        slices[0] = IoSlice::new(&header);
        for (slice, piece) in slices[1..].iter_mut().zip(pieces) {
            *slice = IoSlice::new(piece);
        }
        let mut device = &self.device;
        device.write_vectored(&slices[..=pieces.len()]).is_ok()
    }
}

fn other(step: &'static str, name: &str) -> impl FnOnce(crate::netlink::Error) -> Error + use<> {
    let name = name.to_owned();
    move |error| Error::new(step, io::Error::other(error)).on(&name)
}

/// A `virtio_net_hdr` that declares a checksum yet to be made; an empty one if
/// the packet has none that could be.
fn unready_header(packet: &[u8]) -> [u8; VNET_HEADER_BYTES] {
    let mut header = [0; VNET_HEADER_BYTES];
    let Some(layout) = Layout::of_packet(packet) else {
        return header;
    };
    let (Some(Field::Internet(field) | Field::Crc32c(field)), Ok(start)) =
        (layout.field(), u16::try_from(layout.transport))
    else {
        return header;
    };
    header[0] = NEEDS_CHECKSUM;
    // In this machine's byte order: the header never leaves it.
    header[6..8].copy_from_slice(&start.to_ne_bytes());
    header[8..10].copy_from_slice(&(field as u16).to_ne_bytes());
    header
}

/// Where a packet is sent.
fn destination(packet: &[u8]) -> Option<IpAddr> {
    match packet.first()? >> 4 {
        4 => Some(IpAddr::from(<[u8; 4]>::try_from(packet.get(16..20)?).ok()?)),
        6 => Some(IpAddr::from(
            <[u8; 16]>::try_from(packet.get(24..40)?).ok()?,
        )),
        _ => None,
    }
}

/// Which packets the kernel accepts on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admission {
    /// Those from any source.
    All,
    /// Those from a source to which there is a route.
    Loose,
}

/// Has the kernel accept packets on `device` from as many sources as it may.
///
/// # Source
///
/// Documentation/networking/ip-sysctl.rst, rp_filter: "The max value from
/// conf/{all,interface}/rp_filter is used when doing source validation".
fn admit_sources(device: &str) -> io::Result<Admission> {
    let file = |device: &str| format!("/proc/sys/net/ipv4/conf/{device}/rp_filter");
    let (wanted, admission) = match fs::read_to_string(file("all"))?.trim() {
        "0" => ("0", Admission::All),
        _ => ("2", Admission::Loose),
    };
    if fs::read_to_string(file(device))?.trim() != wanted {
        fs::write(file(device), wanted)?;
    }
    Ok(admission)
}

/// Keeps the kernel from giving the device IPv6 addresses of its own and from
/// looking for routers through it. Where that fails it only makes noise.
fn stay_quiet(device: &str) {
    for (setting, value) in [("addr_gen_mode", "1"), ("accept_ra", "0")] {
        let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{device}/{setting}"), value);
    }
}

/// Longest IP packet, and the largest MTU a TUN device takes, in bytes.
const LONGEST_PACKET: u32 = 65_535;
/// Packets that wait to be taken, at most: the first windows of a few hundred
/// connections. The kernel's default, 500, is meant for one slow user.
const MOST_WAITING: u32 = 8192;
const DUMMY_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 0, 8));
/// A packet of 64 KiB in chunks of 2 KiB behind their headroom is 37 pieces.
const MOST_PIECES: usize = 64;
/// VIRTIO_NET_HDR_F_NEEDS_CSUM.
const NEEDS_CHECKSUM: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn declares_where_the_checksum_is_to_be_made() {
        let number = |header: &[u8], at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
        let udp = unready_header(&sample::udp4(b"hello")[14..]);
        assert_eq!((udp[0], number(&udp, 6), number(&udp, 8)), (1, 20, 6));
        let tcp = unready_header(&sample::tcp6(b"hello")[14..]);
        assert_eq!((tcp[0], number(&tcp, 6), number(&tcp, 8)), (1, 40, 16));
    }

    #[test]
    fn declares_nothing_where_there_is_nothing_to_make() {
        let mut icmp = sample::udp4(b"hello");
        icmp[23] = 1;
        for packet in [&icmp[14..], &[], &[0x45]] {
            assert_eq!(unready_header(packet), [0; VNET_HEADER_BYTES]);
        }
    }
}
