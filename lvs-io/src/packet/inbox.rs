//! From what the kernel copied to packets in frames: [`Inbox`].

use std::collections::VecDeque;
use std::io;
use std::os::fd::BorrowedFd;

use af_xdp::{Frame, Umem};

use super::large::{self, Large, SLAB};
use crate::queue::QueueCounters;
use crate::segment::Headers;
use crate::spread::{self, Space, frames_for, spread};
use crate::sys::packet::{self, Arrival, MOST_ARRIVALS};

/// Frames received in one call, until they are handed over.
///
/// Each begins in a chunk of its own and, if it is short, stays there. What
/// does not fit, of jumbo frames and super-packets, lies in a slab beside the
/// chunk; such a [`Large`] one is joined in its slab and goes from there into
/// as many frames as it needs.
#[derive(Debug)]
pub(super) struct Inbox {
    /// Chunks given for reception. Those at the front hold what `next..count`
    /// of `arrivals` tell of, in order; the others are idle.
    filled: VecDeque<Frame>,
    arrivals: [Arrival; MOST_ARRIVALS],
    next: usize,
    count: usize,
    slabs: Box<[u8]>,
    /// The arrival at `next`, while it is being handed over in parts.
    large: Option<Large>,
}

/// Where packets go, and how many.
pub(super) struct Batch<'b> {
    pub(super) umem: &'b mut Umem,
    pub(super) frames: &'b mut Vec<Frame>,
    /// Length of `frames` when the call began.
    pub(super) before: usize,
    pub(super) limit: usize,
    pub(super) counters: &'b mut QueueCounters,
}

/// What became of the arrival at the front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It is dealt with.
    Done,
    /// It, or the rest of it, waits for room.
    Waits,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self {
            filled: VecDeque::with_capacity(MOST_ARRIVALS),
            arrivals: [Arrival::default(); MOST_ARRIVALS],
            next: 0,
            count: 0,
            slabs: vec![0; MOST_ARRIVALS * SLAB].into_boxed_slice(),
            large: None,
        }
    }

    /// Whether everything received was handed over.
    pub(super) fn is_empty(&self) -> bool {
        self.next == self.count
    }

    /// Takes free chunks for reception, as many as one call can use. Of a small
    /// UMEM it leaves half: what is large goes into chunks that nothing waits
    /// in, and would wait for ever if there were none.
    pub(super) fn refill(&mut self, umem: &mut Umem) {
        let most = MOST_ARRIVALS.min(umem.chunks().div_ceil(2));
        while self.filled.len() < most {
            let Some(frame) = umem.allocate() else { break };
            self.filled.push_back(frame);
        }
    }

    /// Receives what waits, as much as there are chunks for; how many frames
    /// came. Only when [empty](Self::is_empty).
    pub(super) fn fetch(&mut self, socket: BorrowedFd<'_>, umem: &mut Umem) -> io::Result<usize> {
        debug_assert!(self.is_empty());
        self.refill(umem);
        (self.next, self.count) = (0, 0);
        if self.filled.is_empty() {
            return Ok(0);
        }
        let room = umem.room();
        let chunks = umem.parts_of(self.filled.make_contiguous());
        let slabs = self.slabs.chunks_exact_mut(SLAB);
        let buffers = chunks.zip(slabs).map(|(parts, slab)| {
            let chunk = &mut parts.chunk[parts.range.start..];
            [chunk, large::overflow(slab, room)]
        });
        self.count = packet::receive(socket, buffers, &mut self.arrivals)?;
        Ok(self.count)
    }

    /// Hands packets over while there is room for them.
    pub(super) fn hand_over(&mut self, batch: &mut Batch<'_>) {
        while !self.is_empty() && self.hand_over_first(batch) == Step::Done {
            self.next += 1;
        }
    }

    fn hand_over_first(&mut self, batch: &mut Batch<'_>) -> Step {
        if self.large.is_none() {
            let arrival = self.arrivals[self.next];
            if large::is_short(&arrival, batch.umem.room()) {
                return self.short(batch, &arrival);
            }
            self.large = self.join(batch.umem, &arrival);
            if self.large.is_none() {
                batch.counters.invalid += 1;
                self.recycle_first();
                return Step::Done;
            }
        }
        let step = self.spread_large(batch);
        if step == Step::Done {
            self.large = None;
            self.recycle_first();
        }
        step
    }

    /// Hands over a frame that fits its chunk, as it lies there.
    fn short(&mut self, batch: &mut Batch<'_>, arrival: &Arrival) -> Step {
        match batch.space(0) {
            Space::Now => {}
            Space::Later => return Step::Waits,
            Space::Never => {
                batch.counters.invalid += 1;
                self.recycle_first();
                return Step::Done;
            }
        }
        let Some(mut frame) = self.filled.pop_front() else {
            return Step::Waits;
        };
        let parts = batch.umem.parts_mut(&mut frame);
        parts.range.end = parts.range.start + arrival.len;
        if let Some(tag) = arrival.tag {
            parts.range.start = large::insert_tag(parts.chunk, parts.range.start, tag);
        }
        frame.set_checksum_unready(arrival.checksum_unready);
        batch.frames.push(frame);
        batch.counters.received += 1;
        Step::Done
    }

    /// Joins the arrival at the front in its slab; none if it is damaged.
    fn join(&mut self, umem: &mut Umem, arrival: &Arrival) -> Option<Large> {
        let room = umem.room();
        let parts = umem.parts_mut(self.filled.front_mut()?);
        let chunk = &parts.chunk[parts.range.start..];
        let from = self.next * SLAB;
        Large::join(&mut self.slabs, from, &chunk[..room], arrival)
    }

    fn spread_large(&mut self, batch: &mut Batch<'_>) -> Step {
        let Some(large) = &mut self.large else {
            return Step::Done;
        };
        let mut headers: Headers = [0; size_of::<Headers>()];
        while let Some((head, payload)) = large.frame(&self.slabs, &mut headers) {
            let needed = frames_for(head.len() + payload.len(), batch.umem.room());
            if batch.umem.free() < needed {
                for idle in self.filled.drain(self.count - self.next..) {
                    batch.umem.release(idle);
                }
            }
            match batch.space(needed) {
                Space::Now => batch.put(&[head, payload], needed, large.checksum_unready()),
                Space::Later => return Step::Waits,
                Space::Never => batch.counters.invalid += 1,
            }
            large.advance();
        }
        Step::Done
    }

    /// The chunk at the front is idle again.
    fn recycle_first(&mut self) {
        if let Some(frame) = self.filled.pop_front() {
            self.filled.push_back(frame);
        }
    }
}

impl Batch<'_> {
    /// Whether a packet goes in that needs so many free chunks; none if it has
    /// its one already.
    fn space(&self, chunks: usize) -> Space {
        if chunks > self.umem.chunks() / 2 {
            return Space::Never;
        }
        match spread::space(self.frames, self.before, self.limit, chunks.max(1)) {
            Space::Now if chunks > self.umem.free() => Space::Later,
            space => space,
        }
    }

    /// Copies a packet into so many free chunks.
    fn put(&mut self, packet: &[&[u8]], chunks: usize, checksum_unready: bool) {
        let first = self.frames.len();
        self.frames
            .extend((0..chunks).filter_map(|_| self.umem.allocate()));
        let room = self.umem.room();
        spread(self.umem, &mut self.frames[first..], packet, room);
        if let Some(frame) = self.frames.get_mut(first) {
            frame.set_checksum_unready(checksum_unready);
        }
        self.counters.received += chunks as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use af_xdp::{HugePages, UmemConfig};

    /// What the director's side of a test looks at.
    struct Side {
        umem: Umem,
        inbox: Inbox,
        counters: QueueCounters,
    }

    impl Side {
        fn new(chunks: u32) -> Self {
            let umem = UmemConfig {
                chunks,
                chunk_size: 2048,
                huge_pages: HugePages::Avoid,
                ..UmemConfig::default()
            };
            Self {
                umem: Umem::new(umem).unwrap(),
                inbox: Inbox::new(),
                counters: QueueCounters::default(),
            }
        }

        /// Puts frames where the kernel would.
        fn arrive(&mut self, frames: &[(&[u8], Arrival)]) {
            let (umem, inbox) = (&mut self.umem, &mut self.inbox);
            inbox.refill(umem);
            let room = umem.room();
            (inbox.next, inbox.count) = (0, frames.len());
            for (index, (bytes, arrival)) in frames.iter().enumerate() {
                let (head, rest) = bytes.split_at(bytes.len().min(room));
                let parts = umem.parts_mut(&mut inbox.filled[index]);
                parts.chunk[parts.range.start..][..head.len()].copy_from_slice(head);
                let slab = &mut inbox.slabs[index * SLAB..][..SLAB];
                large::overflow(slab, room)[..rest.len()].copy_from_slice(rest);
                inbox.arrivals[index] = Arrival {
                    len: bytes.len(),
                    ..*arrival
                };
            }
        }

        fn hand_over(&mut self, capacity: usize, limit: usize) -> Vec<Vec<u8>> {
            let mut frames = Vec::with_capacity(capacity);
            self.inbox.hand_over(&mut Batch {
                umem: &mut self.umem,
                frames: &mut frames,
                before: 0,
                limit,
                counters: &mut self.counters,
            });
            assert_eq!(frames.capacity(), capacity, "grown");
            let mut packets = vec![Vec::new()];
            for frame in frames {
                let last = packets.len() - 1;
                packets[last].extend_from_slice(self.umem.bytes(&frame));
                if !frame.continues() {
                    packets.push(Vec::new());
                }
                self.umem.release(frame);
            }
            assert_eq!(packets.pop(), Some(Vec::new()), "the last is whole");
            packets
        }

        fn assert_no_chunk_is_lost(&self) {
            let held = self.inbox.filled.len();
            assert_eq!(self.umem.free() + held, self.umem.chunks());
        }
    }

    fn plain() -> Arrival {
        Arrival::default()
    }

    fn tcp() -> Arrival {
        Arrival {
            super_kind: 1,
            segment: 1000,
            ..Arrival::default()
        }
    }

    #[test]
    fn short_and_large_ones_keep_their_order_whatever_the_limit() {
        let (first, jumbo, last) = (vec![1; 60], vec![2; 5000], vec![3; 61]);
        let many = sample::tcp4(&[4; 4500]);
        for limit in [1, 2, 3, 64] {
            let mut side = Side::new(16);
            side.arrive(&[
                (&first, plain()),
                (&jumbo, plain()),
                (&many, tcp()),
                (&last, plain()),
            ]);
            let mut packets = Vec::new();
            while !side.inbox.is_empty() {
                let batch = side.hand_over(64, limit);
                assert!(!batch.is_empty());
                packets.extend(batch);
                side.assert_no_chunk_is_lost();
            }
            assert_eq!(packets.len(), 1 + 1 + 5 + 1);
            assert_eq!((&packets[0], &packets[1]), (&first, &jumbo));
            assert!(packets[2..7].iter().all(|packet| sample::is_right(packet)));
            assert_eq!(packets[7], last);
            assert_eq!(side.counters.received, 1 + 3 + 5 + 1);
        }
    }

    #[test]
    fn a_batch_too_small_for_a_packet_loses_that_packet_alone() {
        let (jumbo, last) = (vec![2; 5000], vec![3; 61]);
        let mut side = Side::new(16);
        side.arrive(&[(&jumbo, plain()), (&last, plain())]);
        assert_eq!(side.hand_over(2, 64), [last]);
        assert_eq!(side.counters.invalid, 1);
        side.assert_no_chunk_is_lost();
    }

    #[test]
    fn waits_for_chunks() {
        let jumbo = vec![2; 5000];
        let mut side = Side::new(16);
        side.arrive(&[(&jumbo, plain())]);
        let held: Vec<Frame> = std::iter::from_fn(|| side.umem.allocate()).collect();
        // Of those given for reception all but the one with the packet are idle.
        assert_eq!(side.hand_over(64, 64), std::slice::from_ref(&jumbo));
        held.into_iter().for_each(|frame| side.umem.release(frame));

        side.arrive(&[(&jumbo, plain())]);
        let rest = side.inbox.filled.drain(1..);
        rest.for_each(|frame| side.umem.release(frame));
        let held: Vec<Frame> = std::iter::from_fn(|| side.umem.allocate()).collect();
        assert_eq!(side.hand_over(64, 64), Vec::<Vec<u8>>::new());
        held.into_iter().for_each(|frame| side.umem.release(frame));
        assert_eq!(side.hand_over(64, 64), [jumbo]);
    }

    #[test]
    fn damage_is_counted_and_passed_over() {
        let good = vec![1; 60];
        let cut = Arrival {
            cut: true,
            ..plain()
        };
        let mut side = Side::new(16);
        side.arrive(&[(&good, cut), (&good[..13], plain()), (&good, tcp())]);
        assert_eq!(side.hand_over(64, 64), Vec::<Vec<u8>>::new());
        assert_eq!(side.counters.invalid, 3);
        side.assert_no_chunk_is_lost();
    }
}
