//! Opening the queues of a NIC: options, sharing, and in which order.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::PacketQueue;
use super::inbox::Inbox;
use crate::error::Error;
use crate::nic::Nic;
use crate::queue::{Capabilities, Checksum, Mode, QueueCounters};
use crate::sys::packet;

/// How packet queues are opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketOptions {
    /// Whether frames go straight to the driver. Otherwise they take their turn
    /// in the NIC's queueing discipline, and pass its filters.
    pub bypass_qdisc: bool,
    /// Bytes the kernel may hold for each queue until they are received, its
    /// own overhead included.
    pub receive_buffer: usize,
    /// Bytes of each queue that may wait to be sent, likewise.
    pub send_buffer: usize,
}

impl Default for PacketOptions {
    /// Past the queueing discipline, with 16 MiB for reception (some 7000
    /// frames, of which each weighs 2304 bytes) and 4 MiB for transmission.
    fn default() -> Self {
        Self {
            bypass_qdisc: true,
            receive_buffer: 16 << 20,
            send_buffer: 4 << 20,
        }
    }
}

impl PacketQueue {
    /// Opens one queue that receives all of the NIC's frames. `reason` is why
    /// it is not AF_XDP, for people.
    ///
    /// # Errors
    ///
    /// The step that failed. CAP_NET_RAW is needed; without CAP_NET_ADMIN the
    /// buffers are cut to the system's limits.
    pub fn open(nic: &Nic, reason: &str, options: &PacketOptions) -> Result<Self, Error> {
        Self::at(nic, 0, reason, options, None)
    }

    /// Opens `count` queues that share the NIC's frames.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), with the queue; none is then left open.
    pub fn open_sharing(
        nic: &Nic,
        count: u32,
        reason: &str,
        options: &PacketOptions,
    ) -> Result<Vec<Self>, Error> {
        let mut group = Group::default();
        (0..count.max(1))
            .map(|queue| Self::at(nic, queue, reason, options, Some(&mut group)))
            .collect()
    }

    fn at(
        nic: &Nic,
        queue: u32,
        reason: &str,
        options: &PacketOptions,
        group: Option<&mut Group>,
    ) -> Result<Self, Error> {
        let sockets = sender(nic, options)
            .and_then(|sender| Ok((receiver(nic, options, group)?, sender)))
            .map_err(|error| error.on(&nic.name).queue(queue));
        let (receiver, sender) = sockets?;
        Ok(Self {
            nic: nic.name.clone(),
            receiver,
            sender,
            inbox: Inbox::new(),
            capabilities: Capabilities {
                mode: Mode::Packet,
                reason: reason.to_owned(),
                checksum: Checksum::MaybePartial,
                max_frame: nic.mtu as usize + ETHERNET_AND_TAG,
            },
            counters: QueueCounters::default(),
            drops: Cell::new(0),
        })
    }
}

/// Queues that share one NIC's frames; known once the first has opened it.
#[derive(Debug, Default)]
struct Group {
    id: Option<u16>,
}

impl Group {
    fn join(&mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let packets = libc::SOL_PACKET;
        if let Some(id) = self.id {
            return packet::set(socket, packets, libc::PACKET_FANOUT, fanout(id, 0));
        }
        let unique = libc::PACKET_FANOUT_FLAG_UNIQUEID;
        packet::set(socket, packets, libc::PACKET_FANOUT, fanout(0, unique))?;
        self.id = Some(packet::get(socket, libc::PACKET_FANOUT)? as u16);
        Ok(())
    }
}

fn fanout(id: u16, flags: u32) -> i32 {
    (u32::from(id) | (libc::PACKET_FANOUT_HASH | flags) << 16) as i32
}

/// A socket that lets nothing in until it is bound and has joined its group:
/// before that it would see frames of other NICs, or of other queues.
fn receiver(
    nic: &Nic,
    options: &PacketOptions,
    group: Option<&mut Group>,
) -> Result<OwnedFd, Error> {
    let socket = packet::open().map_err(at("open the packet socket"))?;
    let fd = socket.as_fd();
    let packets = libc::SOL_PACKET;
    packet::refuse_all(fd).map_err(at("filter the packet socket"))?;
    packet::set(fd, packets, libc::PACKET_VNET_HDR, 1).map_err(at("ask for super-packets"))?;
    packet::set(fd, packets, libc::PACKET_AUXDATA, 1).map_err(at("ask for VLAN tags"))?;
    // Saves the kernel a copy that the filter would refuse; new in 4.20.
    let _ = packet::set(fd, packets, libc::PACKET_IGNORE_OUTGOING, 1);
    buffer(
        fd,
        [libc::SO_RCVBUFFORCE, libc::SO_RCVBUF],
        options.receive_buffer,
    )
    .map_err(at("size the receive buffer"))?;
    packet::bind(fd, nic.index, true).map_err(at("bind the packet socket"))?;
    if let Some(group) = group {
        group.join(fd).map_err(at("share the NIC among queues"))?;
    }
    packet::admit_ours(fd).map_err(at("filter the packet socket"))?;
    Ok(socket)
}

/// A socket that receives nothing.
fn sender(nic: &Nic, options: &PacketOptions) -> Result<OwnedFd, Error> {
    let socket = packet::open().map_err(at("open the packet socket"))?;
    let fd = socket.as_fd();
    if options.bypass_qdisc {
        packet::set(fd, libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, 1)
            .map_err(at("bypass the queueing discipline"))?;
    }
    buffer(
        fd,
        [libc::SO_SNDBUFFORCE, libc::SO_SNDBUF],
        options.send_buffer,
    )
    .map_err(at("size the send buffer"))?;
    packet::bind(fd, nic.index, false).map_err(at("bind the packet socket"))?;
    Ok(socket)
}

/// Sets a buffer's size past the system's limit, or up to it.
fn buffer(socket: BorrowedFd<'_>, options: [i32; 2], bytes: usize) -> io::Result<()> {
    // The kernel doubles what it is given, to count its overhead.
    let half = i32::try_from(bytes / 2).unwrap_or(i32::MAX);
    let [force, plain] = options;
    packet::set(socket, libc::SOL_SOCKET, force, half)
        .or_else(|_| packet::set(socket, libc::SOL_SOCKET, plain, half))
}

fn at(step: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |error| Error::new(step, error)
}

/// Length of an Ethernet header and one 802.1Q tag, in bytes.
const ETHERNET_AND_TAG: usize = 14 + 4;
