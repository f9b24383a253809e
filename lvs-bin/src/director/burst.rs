//! Frames on their way through a worker: in from a queue, past the shard, out
//! to where the verdicts say.

use arrayvec::ArrayVec;

use af_xdp::{Frame, Umem};
use lvs_core::{ChecksumState, Instant, PacketBuf, Port, Shard, ShardId, Tail, Verdict};
use lvs_io::{Punt, Queue};

use super::counters::WorkerCounters;
use super::handoff::Exchange;

/// The packets a worker has in its hands, in order; a packet is one frame, or
/// several of which all but the last continue.
#[derive(Debug)]
pub(super) struct Burst {
    /// Whether the host gets every frame too, and loses only what the director
    /// asks for: so it is with packet sockets.
    shared: bool,
    frames: Vec<Frame>,
    packets: ArrayVec<Packet, BATCH>,
}

/// One packet of a burst.
#[derive(Debug)]
struct Packet {
    frames: usize,
    /// The port it was received on, by this worker or another.
    ingress: Port,
    checksum_unready: bool,
    verdict: Verdict,
    /// Whether the host got this packet as well and keeps it.
    host_keeps: bool,
    /// Whether frames after the first still belong to it.
    keeps_tail: bool,
}

/// Frames that leave, by port.
#[derive(Debug)]
pub(super) struct Sink {
    ports: Vec<Vec<Frame>>,
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
}

impl Burst {
    /// An empty burst with room for a batch of packets of up to `frames_each`
    /// frames.
    pub(super) fn new(shared: bool, frames_each: usize) -> Self {
        Self {
            shared,
            frames: Vec::with_capacity(BATCH * frames_each.clamp(2, MOST_FRAMES)),
            packets: ArrayVec::new(),
        }
    }

    /// Takes frames that came by `ingress` from a queue; returns how many.
    pub(super) fn receive(
        &mut self,
        queue: &mut dyn Queue,
        umem: &mut Umem,
        ingress: Port,
    ) -> usize {
        self.packets.clear();
        let count = queue.receive(umem, &mut self.frames, BATCH);
        let mut first = 0;
        for at in 0..self.frames.len() {
            // A queue gives whole packets: the last frame ends one.
            if !self.frames[at].continues() || at + 1 == self.frames.len() {
                self.note(first, at + 1 - first, ingress);
                first = at + 1;
            }
        }
        count
    }

    /// Takes packets from other workers; returns how many.
    pub(super) fn take_over(
        &mut self,
        exchange: &mut Exchange,
        umem: &mut Umem,
        counters: &mut WorkerCounters,
    ) -> usize {
        self.packets.clear();
        exchange.receive(BATCH, |parcel| {
            counters.taken_over += 1;
            let first = self.frames.len();
            if unpack(&parcel.bytes, umem, &mut self.frames) {
                self.note(first, self.frames.len() - first, parcel.ingress);
            } else {
                counters.no_chunk += 1;
            }
        })
    }

    /// Asks the shard what becomes of each packet.
    pub(super) fn process(
        &mut self,
        umem: &mut Umem,
        shard: &mut Shard<'_>,
        usual: ChecksumState,
        now: Instant,
    ) {
        let mut bufs: ArrayVec<PacketBuf<'_>, BATCH> = ArrayVec::new();
        let mut verdicts = [Verdict::Host; BATCH];
        let mut parts = umem.parts_of(&mut self.frames);
        for packet in &self.packets {
            let Some(head) = parts.next() else { break };
            let checksum = if packet.checksum_unready {
                ChecksumState::Partial
            } else {
                usual
            };
            let mut tail = Tail::NONE;
            for more in parts.by_ref().take(packet.frames - 1) {
                let bytes = &more.chunk[more.range.clone()];
                tail = match checksum {
                    ChecksumState::Whole => tail.followed_by_unsummed(bytes.len()),
                    _ => tail.followed_by(bytes),
                };
            }
            let buf = PacketBuf::new(head.chunk, head.range, packet.ingress);
            bufs.push(buf.with_tail(tail).with_checksum(checksum));
        }
        shard.process(now, &mut bufs, &mut verdicts);
        for ((packet, buf), verdict) in self.packets.iter_mut().zip(&mut bufs).zip(verdicts) {
            packet.verdict = match verdict {
                Verdict::Fragment => shard.hold(now, packet.ingress, false, &[buf.bytes()]),
                verdict => verdict,
            };
            packet.keeps_tail = buf.keeps_tail();
            packet.host_keeps = self.shared && verdict == Verdict::Host && !shard.claims(buf);
        }
    }

    /// Acts on each verdict: every frame is passed on or freed, and the burst
    /// is empty afterwards.
    pub(super) fn act(
        &mut self,
        umem: &mut Umem,
        sink: &mut Sink,
        exchange: &Exchange,
        host: Option<&Punt>,
        counters: &mut WorkerCounters,
    ) {
        let mut at = 0;
        for packet in &self.packets {
            let frames = &self.frames[at..at + packet.frames];
            at += packet.frames;
            match packet.verdict {
                Verdict::Host if packet.host_keeps => counters.host_has_copy += 1,
                Verdict::Host => give_back(frames, umem, host, counters),
                Verdict::Handoff(shard) => {
                    hand_off(frames, umem, exchange, shard, packet.ingress, counters)
                }
                _ => {}
            }
        }
        let mut frames = self.frames.drain(..);
        for packet in &self.packets {
            let frames = frames.by_ref().take(packet.frames);
            match packet.verdict {
                Verdict::Transmit(port) => sink.put(frames, packet, umem, port, counters),
                _ => {
                    frames.for_each(|frame| umem.release(frame));
                }
            }
        }
        frames.for_each(|frame| umem.release(frame));
    }

    fn note(&mut self, first: usize, frames: usize, ingress: Port) {
        let packet = Packet {
            frames,
            ingress,
            checksum_unready: self.frames[first].checksum_unready(),
            verdict: Verdict::Host,
            host_keeps: false,
            keeps_tail: false,
        };
        // As many frames were asked for as there is room for packets; frames of
        // one too many would be freed.
        let _ = self.packets.try_push(packet);
    }
}

impl Sink {
    /// Queues a packet's frames for a port, or frees them where that is not possible.
    fn put(
        &mut self,
        frames: impl Iterator<Item = Frame>,
        packet: &Packet,
        umem: &mut Umem,
        port: Port,
        counters: &mut WorkerCounters,
    ) {
        let kept = if packet.keeps_tail { packet.frames } else { 1 };
        let out = self.ports.get_mut(port.index());
        let Some(out) = out.filter(|out| out.len() + kept <= BACKLOG) else {
            match self.ports.get(port.index()) {
                Some(_) => counters.transmit_full += 1,
                None => counters.no_such_port += 1,
            }
            return frames.for_each(|frame| umem.release(frame));
        };
        for (number, mut frame) in frames.enumerate() {
            if number >= kept {
                umem.release(frame);
                continue;
            }
            frame.set_continues(number + 1 < kept);
            // The shard has completed it.
            frame.set_checksum_unready(false);
            out.push(frame);
        }
    }
}

/// Gives a packet back to the host's stack, without its Ethernet header.
fn give_back(frames: &[Frame], umem: &Umem, host: Option<&Punt>, counters: &mut WorkerCounters) {
    let Some(host) = host else {
        counters.host_has_copy += 1;
        return;
    };
    let mut pieces: ArrayVec<&[u8], MOST_FRAMES> = ArrayVec::new();
    for frame in frames.iter().take(MOST_FRAMES) {
        pieces.push(umem.bytes(frame));
    }
    let given = match pieces.first_mut() {
        Some(head) => {
            *head = head.get(ethernet_length(head)..).unwrap_or(&[]);
            host.give_back_pieces(&pieces, false)
        }
        None => false,
    };
    if given {
        counters.given_back += 1;
    } else {
        counters.give_back_refused += 1;
    }
}

/// Copies a packet to the worker that owns its connection.
fn hand_off(
    frames: &[Frame],
    umem: &Umem,
    exchange: &Exchange,
    owner: ShardId,
    ingress: Port,
    counters: &mut WorkerCounters,
) {
    if exchange.send(owner, ingress, frames.iter().map(|frame| umem.bytes(frame))) {
        counters.handed_off += 1;
    } else {
        counters.handoff_full += 1;
    }
}

/// Lays bytes into as many frames as it takes; nothing when there are too few
/// free chunks.
fn unpack(bytes: &[u8], umem: &mut Umem, frames: &mut Vec<Frame>) -> bool {
    let room = umem.room().max(1);
    let needed = bytes.len().div_ceil(room);
    if needed > umem.free() || frames.len() + needed > frames.capacity() {
        return false;
    }
    for (number, piece) in (1..).zip(bytes.chunks(room)) {
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

/// Bytes before the IP header: 14, or 18 with an 802.1Q tag.
fn ethernet_length(frame: &[u8]) -> usize {
    if frame.get(12..14) == Some(&[0x81, 0x00]) {
        18
    } else {
        14
    }
}

/// Packets directed together; the size of the shard's own batches.
pub(super) const BATCH: usize = 32;
/// Frames of one packet at most: 9018 bytes in chunks of 2048 less headroom
/// take six.
const MOST_FRAMES: usize = 32;
/// Frames that wait for a port that is slower than the others, per port.
const BACKLOG: usize = 1024;
