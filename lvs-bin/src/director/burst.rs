//! Frames on their way through a worker: in from a queue, past the shard, out
//! to where the verdicts say.

use arrayvec::ArrayVec;

use af_xdp::{Frame, Umem};
use lvs_core::{ChecksumState, Instant, PacketBuf, Port, Shard, Tail, Verdict};
use lvs_io::Queue;

use super::counters::WorkerCounters;
use super::handoff::Exchange;
use super::host_port::HostPort;
use super::outlets::{Outlets, give_back, hand_off, lay_out, send_on};
use super::pieces::Blank;

/// The packets a worker has in its hands, in order; a packet is one frame, or
/// several of which all but the last continue.
#[derive(Debug)]
pub(super) struct Burst {
    /// Whether the host gets every frame too, and loses only what the director
    /// asks for: so it is with packet sockets.
    shared: bool,
    /// Whether other workers handed it over.
    handed_over: bool,
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

impl Burst {
    /// An empty burst with room for a batch of packets of up to `frames_each`
    /// frames.
    pub(super) fn new(shared: bool, frames_each: usize) -> Self {
        Self {
            shared,
            handed_over: false,
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
        self.handed_over = false;
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
        self.handed_over = true;
        exchange.receive(BATCH, |parcel| {
            counters.taken_over += 1;
            let first = self.frames.len();
            if lay_out(&parcel.bytes, umem, &mut self.frames) {
                self.note(first, self.frames.len() - first, parcel.ingress);
            } else {
                counters.no_chunk += 1;
            }
        })
    }

    /// Takes packets that the host itself sends; returns how many.
    pub(super) fn hear(
        &mut self,
        host: &mut HostPort,
        umem: &mut Umem,
        counters: &mut WorkerCounters,
    ) -> usize {
        self.packets.clear();
        let mut count = 0;
        while count < BATCH
            && let Some(bytes) = host.receive()
        {
            count += 1;
            let first = self.frames.len();
            if lay_out(bytes, umem, &mut self.frames) {
                self.note(first, self.frames.len() - first, Port::HOST);
            } else {
                counters.no_chunk += 1;
            }
        }
        counters.heard += count as u64;
        count
    }

    /// Asks the shard what becomes of each packet, and which fragments it keeps.
    pub(super) fn process(
        &mut self,
        umem: &mut Umem,
        shard: &mut Shard<'_>,
        usual: ChecksumState,
        now: Instant,
    ) {
        self.decide(umem, shard, usual, now);
        let mut packets = self.packets.iter();
        if packets.any(|packet| packet.verdict == Verdict::Fragment) {
            self.hold(umem, shard, now);
        }
    }

    fn decide(
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
            packet.verdict = verdict;
            packet.keeps_tail = buf.keeps_tail();
            packet.host_keeps = self.shared
                && verdict == Verdict::Host
                && packet.ingress != Port::HOST
                && !shard.claims(buf);
        }
    }

    fn hold(&mut self, umem: &Umem, shard: &mut Shard<'_>, now: Instant) {
        let mut rest = &self.frames[..];
        for packet in &mut self.packets {
            let (frames, behind) = rest.split_at(packet.frames);
            rest = behind;
            if packet.verdict == Verdict::Fragment {
                let frames = frames.iter().take(MOST_FRAMES);
                let parts: ArrayVec<&[u8], MOST_FRAMES> =
                    frames.map(|frame| umem.bytes(frame)).collect();
                packet.verdict = shard.hold(now, packet.ingress, self.handed_over, &parts);
            }
        }
    }

    /// Acts on each verdict: every frame is passed on or freed, and the burst
    /// is empty afterwards.
    pub(super) fn act(
        &mut self,
        shard: &mut Shard<'_>,
        blank: &mut Blank,
        outlets: &mut Outlets<'_>,
    ) {
        let mut frames = self.frames.drain(..);
        for packet in &self.packets {
            let kept = if packet.keeps_tail { packet.frames } else { 1 };
            let whole = frames.as_slice().get(..packet.frames).unwrap_or(&[]);
            let bytes = whole.iter().map(|frame| outlets.umem.bytes(frame));
            match packet.verdict {
                Verdict::Host if packet.host_keeps => outlets.counters.host_has_copy += 1,
                Verdict::Host if packet.ingress == Port::HOST => {
                    send_on(bytes, outlets.host, outlets.counters);
                }
                // The copy that the host may have is not rewritten.
                Verdict::Deliver if outlets.host.is_none() => {
                    outlets.counters.give_back_refused += 1;
                }
                Verdict::Host | Verdict::Deliver => {
                    give_back(bytes, outlets.host, outlets.counters);
                }
                Verdict::Handoff(owner) => {
                    let (exchange, ingress) = (outlets.exchange, packet.ingress);
                    hand_off(bytes, exchange, owner, ingress, outlets.counters);
                }
                Verdict::Cut(port, mtu) => {
                    let whole = whole.get(..kept).unwrap_or(&[]);
                    blank.cut(whole, (port, mtu), shard, outlets);
                }
                Verdict::Transmit(_) | Verdict::Drop(_) | Verdict::Held | Verdict::Fragment => {}
            }
            let frames = frames.by_ref().take(packet.frames);
            match packet.verdict {
                Verdict::Transmit(port) => outlets.transmit(frames, kept, port),
                _ => outlets.free(frames),
            }
        }
        outlets.free(frames);
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

/// Packets directed together; the size of the shard's own batches.
pub(super) const BATCH: usize = 32;
/// Frames of one packet at most: 9018 bytes in chunks of 2048 less headroom
/// take six.
pub(super) const MOST_FRAMES: usize = 32;
