//! The far end of a loopback queue's wire: [`LoopbackPeer`].

use std::sync::Arc;

use crossbeam_queue::ArrayQueue;

/// The far end of a [`Loopback`](super::Loopback)'s wire. Any thread may use it.
#[derive(Clone, Debug)]
pub struct LoopbackPeer {
    pub(super) wire: Arc<Wire>,
}

/// How [`LoopbackPeer::send_as`] hands a packet over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The frame says that its transport checksum is not made yet.
    pub checksum_unready: bool,
    /// Most bytes in one frame: a longer packet comes as several that continue.
    pub piece: usize,
}

impl Default for Delivery {
    /// A whole checksum, and as few frames as it takes.
    fn default() -> Self {
        Self {
            checksum_unready: false,
            piece: usize::MAX,
        }
    }
}

/// A packet as it left a [`Loopback`](super::Loopback).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// All its bytes, frames joined.
    pub bytes: Vec<u8>,
    /// How many frames it was.
    pub frames: usize,
    /// Whether its first frame said that the transport checksum is not made yet.
    pub checksum_unready: bool,
}

/// Both directions, each with its empty buffers.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) inbound: Lane,
    pub(super) outbound: Lane,
    pub(super) max_frame: usize,
}

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) packets: ArrayQueue<Packet>,
    pub(super) empty: ArrayQueue<Packet>,
}

#[derive(Debug, Default)]
pub(super) struct Packet {
    pub(super) bytes: Vec<u8>,
    pub(super) frames: usize,
    pub(super) delivery: Delivery,
}

impl LoopbackPeer {
    /// Sends a packet to the queue; `false` if the wire is full or the packet
    /// is longer than it takes.
    pub fn send(&self, packet: &[u8]) -> bool {
        self.send_as(packet, Delivery::default())
    }

    /// As [`send`](Self::send), and says how the packet is handed over.
    pub fn send_as(&self, packet: &[u8], delivery: Delivery) -> bool {
        if packet.len() > self.wire.max_frame {
            return false;
        }
        let Some(mut buffer) = self.wire.inbound.empty.pop() else {
            return false;
        };
        buffer.fill([packet].into_iter());
        buffer.delivery = delivery;
        self.wire.inbound.put(buffer);
        true
    }

    /// The bytes of the next packet that the queue sent, if one has left.
    pub fn receive(&self) -> Option<Vec<u8>> {
        Some(self.receive_as()?.bytes)
    }

    /// As [`receive`](Self::receive), and tells how the packet left.
    pub fn receive_as(&self) -> Option<Received> {
        let packet = self.wire.outbound.packets.pop()?;
        let received = Received {
            bytes: packet.bytes.clone(),
            frames: packet.frames,
            checksum_unready: packet.delivery.checksum_unready,
        };
        self.wire.outbound.recycle(packet);
        Some(received)
    }

    /// How many packets wait for the queue on the wire.
    pub fn waiting(&self) -> usize {
        self.wire.inbound.packets.len()
    }
}

impl Lane {
    pub(super) fn new(depth: usize, max_frame: usize) -> Self {
        let lane = Self {
            packets: ArrayQueue::new(depth),
            empty: ArrayQueue::new(depth),
        };
        for _ in 0..depth {
            lane.recycle(Packet {
                bytes: Vec::with_capacity(max_frame),
                ..Packet::default()
            });
        }
        lane
    }

    /// There are as many buffers as places, so there always is one for each.
    pub(super) fn put(&self, packet: Packet) {
        let put = self.packets.push(packet);
        debug_assert!(put.is_ok());
    }

    pub(super) fn recycle(&self, packet: Packet) {
        let put = self.empty.push(packet);
        debug_assert!(put.is_ok());
    }
}

impl Packet {
    pub(super) fn fill<'p>(&mut self, pieces: impl Iterator<Item = &'p [u8]>) {
        self.bytes.clear();
        pieces.for_each(|piece| self.bytes.extend_from_slice(piece));
    }
}
