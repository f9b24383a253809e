//! Frames that the shard writes: the pieces of a packet too long for the link
//! ahead, and what leaves in the stead of fragments it has held.
//!
//! They are written into one blank and copied from there into packet memory, as
//! only then is known how long they are. That is one copy more than needed, of
//! packets that are copied more than once anyway.

use std::iter::once;

use arrayvec::ArrayVec;

use af_xdp::Frame;
use lvs_core::{Instant, Port, Shard, Verdict};

use super::burst::MOST_FRAMES;
use super::outlets::{Outlets, give_back, hand_off, send_on};

/// Room for one frame, as long as frames get.
#[derive(Debug)]
pub(super) struct Blank {
    bytes: Box<[u8]>,
}

impl Blank {
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![0; Shard::LONGEST_FRAME].into_boxed_slice(),
        }
    }

    /// Sends the packet in `frames` by `port`, in pieces of at most `mtu` bytes.
    /// Once one is lost, so are the others: nobody could join them.
    pub(super) fn cut(
        &mut self,
        frames: &[Frame],
        (port, mtu): (Port, u16),
        shard: &mut Shard<'_>,
        outlets: &mut Outlets<'_>,
    ) {
        let head = frames
            .first()
            .map_or(&[][..], |head| outlets.umem.bytes(head));
        let Some(mut pieces) = shard.cut(head, mtu) else {
            outlets.counters.not_cut += 1;
            return;
        };
        loop {
            let written = {
                let parts: ArrayVec<&[u8], MOST_FRAMES> = frames
                    .iter()
                    .take(MOST_FRAMES)
                    .map(|frame| outlets.umem.bytes(frame))
                    .collect();
                pieces.write_next(&parts, &mut self.bytes)
            };
            let Some(length) = written else { break };
            if !outlets.transmit_copy(self.written(length), port) {
                return;
            }
            outlets.counters.pieces += 1;
        }
        if !pieces.is_done() {
            outlets.counters.not_cut += 1;
        }
    }

    /// Passes on what leaves in the stead of held fragments, as much as a port
    /// takes at a time and there are chunks for; the rest waits in the shard.
    pub(super) fn release(
        &mut self,
        now: Instant,
        shard: &mut Shard<'_>,
        outlets: &mut Outlets<'_>,
    ) {
        for _ in 0..AT_A_TIME {
            if !shard.is_release_due() || outlets.umem.free() < MOST_FRAMES {
                return;
            }
            let Some(released) = shard.release(now, &mut self.bytes) else {
                return;
            };
            let frame = self.written(released.length);
            match released.verdict {
                Verdict::Transmit(port) => {
                    let sent = outlets.transmit_copy(frame, port);
                    outlets.counters.pieces += u64::from(sent);
                }
                Verdict::Host if released.ingress == Port::HOST => {
                    send_on(once(frame), outlets.host, outlets.counters);
                }
                Verdict::Host | Verdict::Deliver => {
                    give_back(once(frame), outlets.host, outlets.counters);
                }
                Verdict::Handoff(owner) => {
                    let (exchange, ingress) = (outlets.exchange, released.ingress);
                    hand_off(once(frame), exchange, owner, ingress, outlets.counters);
                }
                // It says no other.
                Verdict::Cut(..) | Verdict::Drop(_) | Verdict::Fragment | Verdict::Held => {}
            }
        }
    }

    fn written(&self, length: usize) -> &[u8] {
        self.bytes.get(..length).unwrap_or(&[])
    }
}

/// Frames released between two looks at the rings; a quarter of what may wait
/// for a port.
const AT_A_TIME: usize = 256;

#[cfg(test)]
mod tests {
    use super::super::allocation::{fragments, udp, worker};
    use super::super::worker::Worker;
    use super::*;
    use lvs_core::{Limits, Line, Planner};

    /// Takes free chunks until only so many are left.
    fn take_all_but(worker: &mut Worker<'_>, left: usize) -> Vec<Frame> {
        let umem = &mut worker.lane.umem;
        let taken = umem.free() - left;
        (0..taken).map(|_| umem.allocate().unwrap()).collect()
    }

    fn give(worker: &mut Worker<'_>, frames: Vec<Frame>) {
        let frames = frames.into_iter();
        frames.for_each(|frame| worker.lane.umem.release(frame));
    }

    #[test]
    fn a_packet_that_loses_a_piece_loses_the_rest() {
        let mut memory = vec![Line::default(); Shard::memory_for(100)];
        let mut planner = Planner::new(Limits::default());
        let (mut worker, _publisher, peers) = worker(&mut memory, &mut planner);
        let now = Instant::default();
        while worker.turn(now) {}
        let free = worker.lane.umem.free();
        for (left, pieces, lost) in [(0, 0, 1), (1, 1, 1), (2, 2, 0)] {
            let (before, taken) = (worker.counters, take_all_but(&mut worker, left));
            // In a tunnel it needs two.
            assert!(peers[0].send(&udp(5, 3, 64, 1470)));
            worker.turn(now);
            let counters = worker.counters;
            assert_eq!(counters.pieces - before.pieces, pieces, "{left} left");
            let lost_now = counters.no_chunk_for_piece - before.no_chunk_for_piece;
            assert_eq!(lost_now, lost, "{left} left");
            give(&mut worker, taken);
            worker.turn(now);
            while peers[1].receive().is_some() {}
            worker.turn(now);
            assert_eq!(worker.lane.umem.free(), free);
        }
        assert_eq!(worker.shard.stats().cut, 3);
    }

    #[test]
    fn what_there_are_no_chunks_for_waits() {
        let mut memory = vec![Line::default(); Shard::memory_for(100)];
        let mut planner = Planner::new(Limits::default());
        let (mut worker, _publisher, peers) = worker(&mut memory, &mut planner);
        let now = Instant::default();
        while worker.turn(now) {}
        let taken = take_all_but(&mut worker, MOST_FRAMES / 2);
        for fragment in fragments(5, 1, 3000) {
            assert!(peers[0].send(&fragment));
        }
        assert!(worker.turn(now));
        assert!(worker.turn(now), "busy as long as something waits");
        assert_eq!(worker.counters.pieces, 0);
        give(&mut worker, taken);
        while worker.turn(now) {}
        assert_eq!(worker.counters.pieces, 4);
        let lengths = std::iter::from_fn(|| peers[1].receive()).map(|piece| piece.len());
        assert_eq!(lengths.collect::<Vec<_>>(), [1034, 1034, 1034, 42]);
    }
}
