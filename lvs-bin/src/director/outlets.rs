//! Where frames go from a worker's hands: to a port, another worker, the host,
//! or back to the packet memory.

use arrayvec::ArrayVec;

use af_xdp::{Frame, Umem};
use lvs_core::{Port, ShardId};
use lvs_io::Punt;

use super::burst::MOST_FRAMES;
use super::counters::WorkerCounters;
use super::handoff::Exchange;

/// Frames that leave, by port.
#[derive(Debug)]
pub(super) struct Sink {
    ports: Vec<Vec<Frame>>,
}

/// All ways out of a worker, and what is counted on them.
pub(super) struct Outlets<'w> {
    pub(super) umem: &'w mut Umem,
    pub(super) sink: &'w mut Sink,
    pub(super) exchange: &'w Exchange,
    pub(super) host: Option<&'w Punt>,
    pub(super) counters: &'w mut WorkerCounters,
}

impl Sink {
    pub(super) fn new(ports: usize) -> Self {
        Self {
            ports: (0..ports).map(|_| Vec::with_capacity(BACKLOG)).collect(),
        }
    }

    pub(super) fn ports_mut(&mut self) -> impl Iterator<Item = &mut Vec<Frame>> {
        self.ports.iter_mut()
    }

    pub(super) fn has_frames(&self) -> bool {
        self.ports.iter().any(|frames| !frames.is_empty())
    }

    /// Where `count` more frames wait for a port, if they may.
    fn place(
        &mut self,
        port: Port,
        count: usize,
        counters: &mut WorkerCounters,
    ) -> Option<&mut Vec<Frame>> {
        let Some(waiting) = self.ports.get_mut(port.index()) else {
            counters.no_such_port += 1;
            return None;
        };
        if waiting.len() + count > BACKLOG {
            counters.transmit_full += 1;
            return None;
        }
        Some(waiting)
    }
}

impl Outlets<'_> {
    /// Queues the first `kept` of a packet's frames for a port and frees the
    /// others; frees all where they cannot be queued.
    pub(super) fn transmit(
        &mut self,
        frames: impl Iterator<Item = Frame>,
        kept: usize,
        port: Port,
    ) {
        let Some(waiting) = self.sink.place(port, kept, self.counters) else {
            return self.free(frames);
        };
        for (number, mut frame) in frames.enumerate() {
            if number >= kept {
                self.umem.release(frame);
                continue;
            }
            frame.set_continues(number + 1 < kept);
            // The shard has completed it.
            frame.set_checksum_unready(false);
            waiting.push(frame);
        }
    }

    /// Copies a packet that lies elsewhere into new frames and queues them for a
    /// port; `false`, and counted, where that is not possible.
    pub(super) fn transmit_copy(&mut self, bytes: &[u8], port: Port) -> bool {
        let count = frames_for(bytes, self.umem);
        let Some(waiting) = self.sink.place(port, count, self.counters) else {
            return false;
        };
        let queued = lay_out(bytes, self.umem, waiting);
        if !queued {
            self.counters.no_chunk_for_piece += 1;
        }
        queued
    }

    /// Gives frames back to the packet memory.
    pub(super) fn free(&mut self, frames: impl Iterator<Item = Frame>) {
        frames.for_each(|frame| self.umem.release(frame));
    }
}

/// Gives a packet that lies in so many parts back to the host's stack, without
/// its Ethernet header.
pub(super) fn give_back<'p>(
    parts: impl Iterator<Item = &'p [u8]>,
    host: Option<&Punt>,
    counters: &mut WorkerCounters,
) {
    let Some(host) = host else {
        counters.host_has_copy += 1;
        return;
    };
    if host.give_back_pieces(&packet_of(parts), false) {
        counters.given_back += 1;
    } else {
        counters.give_back_refused += 1;
    }
}

/// Sends a packet that the host has sent, and that is none of the director's
/// business, the way the host would have.
pub(super) fn send_on<'p>(
    parts: impl Iterator<Item = &'p [u8]>,
    host: Option<&Punt>,
    counters: &mut WorkerCounters,
) {
    if host.is_some_and(|host| host.send_on(&packet_of(parts))) {
        counters.sent_on += 1;
    } else {
        counters.give_back_refused += 1;
    }
}

/// The IP packet of a frame that lies in so many parts.
fn packet_of<'p>(frame: impl Iterator<Item = &'p [u8]>) -> ArrayVec<&'p [u8], MOST_FRAMES> {
    let mut parts: ArrayVec<&[u8], MOST_FRAMES> = frame.take(MOST_FRAMES).collect();
    if let Some(head) = parts.first_mut() {
        *head = head.get(ethernet_length(head)..).unwrap_or(&[]);
    }
    parts
}

/// Copies a packet that lies in so many parts to the worker of another shard.
pub(super) fn hand_off<'p>(
    parts: impl Iterator<Item = &'p [u8]>,
    exchange: &Exchange,
    owner: ShardId,
    ingress: Port,
    counters: &mut WorkerCounters,
) {
    if exchange.send(owner, ingress, parts) {
        counters.handed_off += 1;
    } else {
        counters.handoff_full += 1;
    }
}

/// Lays bytes into as many frames as it takes; nothing when there are too few
/// free chunks.
pub(super) fn lay_out(bytes: &[u8], umem: &mut Umem, frames: &mut Vec<Frame>) -> bool {
    let needed = frames_for(bytes, umem);
    if needed > umem.free() || frames.len() + needed > frames.capacity() {
        return false;
    }
    for (number, piece) in (1..).zip(bytes.chunks(umem.room().max(1))) {
        let Some(mut frame) = umem.allocate() else {
            return false;
        };
        let parts = umem.parts_mut(&mut frame);
        let start = parts.range.start;
        parts.chunk[start..start + piece.len()].copy_from_slice(piece);
        parts.range.end = start + piece.len();
        frame.set_continues(number < needed);
        frames.push(frame);
    }
    true
}

/// How many frames bytes are laid into.
fn frames_for(bytes: &[u8], umem: &Umem) -> usize {
    bytes.len().div_ceil(umem.room().max(1))
}

/// Bytes before the IP header: 14, or 18 with an 802.1Q tag.
fn ethernet_length(frame: &[u8]) -> usize {
    if frame.get(12..14) == Some(&[0x81, 0x00]) {
        18
    } else {
        14
    }
}

/// Frames that wait for a port that is slower than the others, per port.
const BACKLOG: usize = 1024;
