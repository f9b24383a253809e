//! A queue over plain memory, and the other end of its wire: [`Loopback`],
//! [`LoopbackPeer`].

mod wire;

use std::mem;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use af_xdp::{Frame, Umem};

use self::wire::{Lane, Packet, Wire};
use crate::queue::{Capabilities, Checksum, Mode, Queue, QueueCounters};
use crate::spread::{Space, first_packet, frames_for, len_of, pieces, space, spread};

pub use self::wire::{Delivery, LoopbackPeer, Received};

/// A queue without a kernel: what its [`LoopbackPeer`] sends it receives, what
/// it transmits the peer receives.
///
/// It is as strict as a NIC. Packets are received only into chunks given by
/// [`refill`](Queue::refill), leave only at [`flush`](Queue::flush), and their
/// frames come back only by [`reclaim`](Queue::reclaim). It is bounded: a full
/// wire refuses, and nobody waits.
///
/// # Cost
///
/// One copy each way. Buffers are made at the start and travel round.
#[derive(Debug)]
pub struct Loopback {
    wire: Arc<Wire>,
    capabilities: Capabilities,
    /// Most frames waiting for packets, and most frames in flight.
    depth: usize,
    filled: Vec<Frame>,
    /// Taken off the wire, waiting for room in a batch.
    next: Option<Packet>,
    /// Copied at transmission, to leave at the next flush.
    leaving: Vec<Packet>,
    in_flight: Vec<Frame>,
    /// How many of those in flight, from the front, are complete.
    complete: usize,
    counters: QueueCounters,
}

impl Loopback {
    /// A queue and its far end. Each direction holds `frames` packets of at
    /// most `max_frame` bytes; `name` tells queues apart in listings.
    pub fn pair(name: &str, frames: usize, max_frame: usize) -> (Self, LoopbackPeer) {
        let depth = frames.max(1);
        let wire = Arc::new(Wire {
            inbound: Lane::new(depth, max_frame),
            outbound: Lane::new(depth, max_frame),
            max_frame,
        });
        let queue = Self {
            wire: Arc::clone(&wire),
            capabilities: Capabilities {
                mode: Mode::Loopback,
                reason: format!("{name} is plain memory"),
                checksum: Checksum::MaybePartial,
                max_frame,
            },
            depth,
            filled: Vec::with_capacity(depth),
            next: None,
            leaving: Vec::with_capacity(depth),
            in_flight: Vec::with_capacity(depth),
            complete: 0,
            counters: QueueCounters::default(),
        };
        (queue, LoopbackPeer { wire })
    }

    /// Puts one packet into filled chunks at the end of `frames`.
    fn deliver(&mut self, umem: &mut Umem, frames: &mut Vec<Frame>, packet: &Packet, count: usize) {
        let start = frames.len();
        frames.extend(self.filled.drain(self.filled.len() - count..));
        let piece = packet.delivery.piece;
        spread(umem, &mut frames[start..], &[&packet.bytes], piece);
        frames[start].set_checksum_unready(packet.delivery.checksum_unready);
        self.counters.received += count as u64;
    }

    /// Copies one packet for the wire; whether there was room.
    fn copy(&mut self, umem: &Umem, packet: &[Frame]) -> bool {
        if packet.len() > self.depth - self.in_flight.len() {
            return false;
        }
        let Some(mut buffer) = self.wire.outbound.empty.pop() else {
            return false;
        };
        buffer.fill(pieces(umem, packet));
        buffer.frames = packet.len();
        buffer.delivery.checksum_unready = packet[0].checksum_unready();
        self.leaving.push(buffer);
        self.counters.transmitted += packet.len() as u64;
        true
    }
}

impl Queue for Loopback {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn refill(&mut self, umem: &mut Umem) {
        while self.filled.len() < self.depth {
            let Some(frame) = umem.allocate() else { break };
            self.filled.push(frame);
        }
    }

    fn receive(&mut self, umem: &mut Umem, frames: &mut Vec<Frame>, limit: usize) -> usize {
        let before = frames.len();
        while let Some(packet) = self.next.take().or_else(|| self.wire.inbound.packets.pop()) {
            let piece = packet.delivery.piece.min(umem.room());
            let count = frames_for(packet.bytes.len(), piece);
            let space = match count > self.depth {
                true => Space::Never,
                false => space(frames, before, limit, count),
            };
            match space {
                Space::Now if count <= self.filled.len() => {
                    self.deliver(umem, frames, &packet, count);
                }
                Space::Never => self.counters.invalid += 1,
                Space::Now | Space::Later => {
                    self.next = Some(packet);
                    break;
                }
            }
            self.wire.inbound.recycle(packet);
        }
        frames.len() - before
    }

    fn transmit(&mut self, umem: &mut Umem, frames: &mut Vec<Frame>) -> usize {
        let mut taken = 0;
        while let Some(count) = first_packet(frames) {
            let packet = &frames[..count];
            if count > self.depth || len_of(packet) > self.wire.max_frame {
                self.counters.invalid += count as u64;
                frames.drain(..count).for_each(|frame| umem.release(frame));
            } else if self.copy(umem, packet) {
                self.in_flight.extend(frames.drain(..count));
            } else {
                break;
            }
            taken += count;
        }
        taken
    }

    fn reclaim(&mut self, umem: &mut Umem) -> usize {
        let count = mem::take(&mut self.complete);
        for frame in self.in_flight.drain(..count) {
            umem.release(frame);
        }
        self.counters.completed += count as u64;
        count
    }

    fn flush(&mut self) {
        for packet in self.leaving.drain(..) {
            self.wire.outbound.put(packet);
        }
        self.complete = self.in_flight.len();
    }

    fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    fn wait_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn counters(&self) -> QueueCounters {
        self.counters
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use af_xdp::{HugePages, UmemConfig};

    fn umem(chunks: u32) -> Umem {
        Umem::new(UmemConfig {
            chunks,
            chunk_size: 2048,
            huge_pages: HugePages::Avoid,
            ..UmemConfig::default()
        })
        .unwrap()
    }

    fn bytes(umem: &Umem, frames: &[Frame]) -> Vec<u8> {
        pieces(umem, frames).collect::<Vec<_>>().concat()
    }

    #[test]
    fn moves_packets_both_ways_and_returns_every_chunk() {
        let mut umem = umem(16);
        let (mut queue, peer) = Loopback::pair("client", 8, 1514);
        let mut frames = Vec::with_capacity(32);
        for turn in 0..100u8 {
            assert!(peer.send(&[turn; 60]));
            assert!(peer.send(&[turn; 1514]));
            queue.refill(&mut umem);
            assert_eq!(queue.receive(&mut umem, &mut frames, 32), 2);
            assert_eq!(queue.transmit(&mut umem, &mut frames), 2);
            assert_eq!(peer.receive(), None, "nothing leaves before the flush");
            assert_eq!(queue.reclaim(&mut umem), 0, "nothing is complete either");
            queue.flush();
            assert_eq!(peer.receive(), Some(vec![turn; 60]));
            assert_eq!(peer.receive(), Some(vec![turn; 1514]));
            assert_eq!(queue.in_flight(), 2);
            assert_eq!(queue.reclaim(&mut umem), 2);
            assert_eq!(umem.free() + queue.filled.len(), umem.chunks());
        }
        let counters = queue.counters();
        assert_eq!((counters.received, counters.completed), (200, 200));
    }

    #[test]
    fn receives_nothing_without_filled_chunks() {
        let mut umem = umem(4);
        let (mut queue, peer) = Loopback::pair("client", 8, 1514);
        let mut frames = Vec::with_capacity(8);
        assert!(peer.send(b"early"));
        assert_eq!(queue.receive(&mut umem, &mut frames, 8), 0);
        queue.refill(&mut umem);
        assert_eq!(queue.receive(&mut umem, &mut frames, 8), 1);
        assert_eq!(bytes(&umem, &frames), b"early");
    }

    #[test]
    fn delivers_as_the_peer_says() {
        let mut umem = umem(16);
        let (mut queue, peer) = Loopback::pair("client", 8, 9000);
        let mut frames = Vec::with_capacity(32);
        let packet: Vec<u8> = (0..250).collect();
        let delivery = Delivery {
            checksum_unready: true,
            piece: 100,
        };
        assert!(peer.send_as(&packet, delivery));
        assert!(peer.send(&[7; 5000]));
        queue.refill(&mut umem);
        assert_eq!(queue.receive(&mut umem, &mut frames, 5), 3, "whole packets");
        assert!(frames[0].continues() && frames[1].continues() && !frames[2].continues());
        assert!(frames[0].checksum_unready());
        assert_eq!(
            queue.receive(&mut umem, &mut frames, 2),
            3,
            "a long first one"
        );

        assert_eq!(queue.transmit(&mut umem, &mut frames), 6);
        queue.flush();
        let received = peer.receive_as().unwrap();
        assert_eq!(received.bytes, packet);
        assert_eq!((received.frames, received.checksum_unready), (3, true));
        assert_eq!(peer.receive().unwrap(), [7; 5000]);
    }

    #[test]
    fn is_bounded_in_both_directions() {
        let mut umem = umem(16);
        let (mut queue, peer) = Loopback::pair("client", 2, 100);
        let mut frames = Vec::with_capacity(16);
        assert!(!peer.send(&[0; 101]), "longer than the wire takes");
        assert!(peer.send(b"a") && peer.send(b"b") && !peer.send(b"c"));

        frames.extend((0..3).map(|_| umem.allocate().unwrap()));
        assert_eq!(queue.transmit(&mut umem, &mut frames), 2);
        assert_eq!(frames.len(), 1, "what does not fit stays");
        queue.flush();
        queue.reclaim(&mut umem);
        assert_eq!(
            queue.transmit(&mut umem, &mut frames),
            0,
            "the wire is full"
        );
        peer.receive().unwrap();
        assert_eq!(queue.transmit(&mut umem, &mut frames), 1);
    }

    #[test]
    fn refuses_what_never_fits() {
        let mut umem = umem(16);
        let (mut queue, peer) = Loopback::pair("client", 2, 100);
        let mut frames = Vec::with_capacity(16);
        let mut frame = umem.allocate().unwrap();
        umem.parts_mut(&mut frame).range.end += 101;
        frames.push(frame);
        assert_eq!(queue.transmit(&mut umem, &mut frames), 1);
        assert_eq!((queue.counters().invalid, umem.free()), (1, 16));

        let piece = Delivery {
            piece: 1,
            ..Delivery::default()
        };
        assert!(peer.send_as(b"xyz", piece) && peer.send(b"next"));
        queue.refill(&mut umem);
        assert_eq!(queue.receive(&mut umem, &mut frames, 16), 1);
        assert_eq!(bytes(&umem, &frames), b"next");
    }

    #[test]
    fn the_peer_may_live_in_another_thread() {
        let mut umem = umem(64);
        let (mut queue, peer) = Loopback::pair("client", 16, 64);
        let echoes = std::thread::spawn(move || {
            let mut sent = 0u32;
            let mut echoed = 0u32;
            while echoed < 5000 {
                if sent < 5000 && peer.send(&sent.to_be_bytes()) {
                    sent += 1;
                }
                while let Some(packet) = peer.receive() {
                    assert_eq!(packet, echoed.to_be_bytes());
                    echoed += 1;
                }
                std::thread::yield_now();
            }
        });
        let mut frames = Vec::with_capacity(16);
        while !echoes.is_finished() {
            queue.reclaim(&mut umem);
            queue.refill(&mut umem);
            let room = frames.capacity() - frames.len();
            queue.receive(&mut umem, &mut frames, room);
            queue.transmit(&mut umem, &mut frames);
            queue.flush();
            std::thread::yield_now();
        }
        echoes.join().unwrap();
    }
}
