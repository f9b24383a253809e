//! Who is measured: the shard, and the floors under it.

use std::fmt;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use lvs_core::{Instant, Limits, Line, PacketBuf, Shard, ShardId, Snapshot, Verdict};

use crate::class::Class;
use crate::traffic::{BATCH, Frames};
use crate::world;

/// Something that is handed batches of frames.
pub trait Director {
    /// Forwards the frames of a batch, rewriting them in place.
    fn process(&mut self, frames: &mut Frames<'_>);

    /// Ends every connection it holds.
    fn forget_all(&mut self);

    /// Whether every packet so far was sent on, so that nothing cheaper was
    /// measured by mistake.
    fn sent_all(&self) -> bool;
}

/// A shard, called as a worker calls it.
pub struct Lvs<'m> {
    shard: Shard<'m>,
    now: Instant,
    verdicts: [Verdict; BATCH],
}

impl<'m> Lvs<'m> {
    /// A shard for `class` with its table in `memory`, which is made zero.
    ///
    /// # Panics
    ///
    /// If `memory` is too little for one connection.
    #[must_use]
    pub fn new(class: Class, memory: &'m mut [Line]) -> Self {
        Self::with_plan(world::plan(class), memory)
    }

    /// The first shard of a director of this plan.
    ///
    /// # Panics
    ///
    /// If `memory` is too little for one connection.
    #[must_use]
    pub fn with_plan((limits, snapshot): (Limits, Arc<Snapshot>), memory: &'m mut [Line]) -> Self {
        memory.fill([0; 8]);
        let shard = Shard::new(ShardId(0), memory, &limits, snapshot);
        Self {
            shard: shard.expect("memory for a table"),
            now: Instant::from_nanoseconds(1 << 40),
            verdicts: [Verdict::Host; BATCH],
        }
    }

    /// Connections it holds.
    #[must_use]
    pub const fn connections(&self) -> usize {
        self.shard.connections()
    }
}

impl fmt::Debug for Lvs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lvs")
            .field("stats", self.shard.stats())
            .finish()
    }
}

impl Director for Lvs<'_> {
    fn process(&mut self, frames: &mut Frames<'_>) {
        let mut pairs = frames.chunks.iter_mut().zip(&mut *frames.ranges);
        let mut packets: [PacketBuf<'_>; BATCH] = std::array::from_fn(|_| {
            let (chunk, range) = pairs.next().expect("a batch is so many frames");
            PacketBuf::new(chunk, range, frames.port)
        });
        self.now = self.now + BETWEEN_BATCHES;
        self.shard
            .process(self.now, &mut packets, &mut self.verdicts);
        black_box(&self.verdicts);
    }

    fn forget_all(&mut self) {
        self.now = self.now + LONGER_THAN_ANY_TIMEOUT;
        while self.shard.connections() > 0 {
            self.shard.expire(self.now, u32::MAX);
        }
    }

    fn sent_all(&self) -> bool {
        self.shard.stats().transmitted == self.shard.stats().packets
    }
}

/// The floor: frames are restored and left alone.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

impl Director for Nothing {
    fn process(&mut self, frames: &mut Frames<'_>) {
        black_box(frames);
    }

    fn forget_all(&mut self) {}

    fn sent_all(&self) -> bool {
        true
    }
}

/// The floor above it: every byte of a frame is read once.
#[derive(Clone, Copy, Debug)]
pub struct Touch;

impl Director for Touch {
    fn process(&mut self, frames: &mut Frames<'_>) {
        for (chunk, range) in frames.chunks.iter().zip(&*frames.ranges) {
            let (words, rest) = chunk[range.clone()].as_chunks::<8>();
            let sum = words
                .iter()
                .fold(0, |sum, word| sum ^ u64::from_ne_bytes(*word));
            black_box(rest.iter().fold(sum, |sum, byte| sum ^ u64::from(*byte)));
        }
    }

    fn forget_all(&mut self) {}

    fn sent_all(&self) -> bool {
        true
    }
}

/// What a batch takes on a worker, roughly; only the timer wheel looks at it.
const BETWEEN_BATCHES: Duration = Duration::from_micros(1);
/// Established TCP is kept longest: 900 s.
const LONGER_THAN_ANY_TIMEOUT: Duration = Duration::from_secs(1000);
