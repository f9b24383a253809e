//! The director under test: shards, a clock, and what the control side holds.

use std::sync::Arc;
use std::time::Duration;

use lvs_core::{
    Config, Instant, Limits, Line, Network, PacketBuf, PlanError, Planner, Service, Shard,
    Snapshot, Tail, Verdict,
};

use super::frame::Frame;

/// Memory for the tables of so many shards, each of so many connections.
pub(crate) fn memory(shards: usize, connections: usize) -> Vec<Vec<Line>> {
    vec![vec![[0; 8]; Shard::memory_for(connections)]; shards]
}

/// A director whose clock the test turns.
#[derive(Debug)]
pub(crate) struct Bed<'m> {
    pub(crate) planner: Planner,
    pub(crate) config: Arc<Config>,
    pub(crate) network: Arc<Network>,
    pub(crate) shards: Vec<Shard<'m>>,
    pub(crate) now: Instant,
    /// Whether the next frames come from another shard.
    pub(crate) handed_over: bool,
    /// Whether shards adopt a snapshot bit by bit, a little after each frame, and not
    /// at once.
    pub(crate) bit_by_bit: bool,
}

/// What became of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) verdict: Verdict,
    /// The frame afterwards, further chunks included where they still belong to it.
    pub(crate) bytes: Vec<u8>,
}

impl<'m> Bed<'m> {
    /// A director of as many shards as there are tables in `memory`.
    pub(crate) fn new(memory: &'m mut [Vec<Line>], services: &[Service], network: Network) -> Self {
        let config = Config::new(services.to_vec()).expect("a valid configuration");
        Self::with(memory, config, network, Limits::default())
    }

    /// The same with a whole configuration and other limits; the number of
    /// shards is that of the tables.
    pub(crate) fn with(
        memory: &'m mut [Vec<Line>],
        config: Arc<Config>,
        network: Network,
        limits: Limits,
    ) -> Self {
        let limits = Limits {
            shards: memory.len() as u8,
            ..limits
        };
        let network = Arc::new(network);
        let mut planner = Planner::new(limits);
        let snapshot = planner.plan(&config, &network).expect("within the limits");
        let shards = memory.iter_mut().enumerate().map(|(index, lines)| {
            let id = lvs_core::ShardId(index as u8);
            Shard::new(id, lines, &limits, snapshot.clone()).expect("enough memory")
        });
        Self {
            shards: shards.collect(),
            planner,
            config,
            network,
            now: Instant::from_nanoseconds(1_000_000_000),
            handed_over: false,
            bit_by_bit: false,
        }
    }

    /// The snapshot its shards work by.
    pub(crate) fn snapshot(&self) -> &Arc<Snapshot> {
        self.shards[0].snapshot()
    }

    /// Puts other services in force.
    pub(crate) fn configure(&mut self, services: &[Service]) {
        let draft = lvs_core::Draft {
            services: services.to_vec(),
            ..self.config.draft().clone()
        };
        let config = Config::checked(draft).expect("a valid configuration");
        self.try_configure(config).expect("within the limits");
    }

    /// Puts another configuration in force, if it fits the limits.
    pub(crate) fn try_configure(&mut self, config: Arc<Config>) -> Result<(), PlanError> {
        self.publish(config, self.network.clone())
    }

    /// Puts another network in force.
    pub(crate) fn rewire(&mut self, network: Network) {
        let same = self.publish(self.config.clone(), Arc::new(network));
        same.expect("services as before");
    }

    fn publish(&mut self, config: Arc<Config>, network: Arc<Network>) -> Result<(), PlanError> {
        let snapshot = self.planner.plan(&config, &network)?;
        (self.config, self.network) = (config, network);
        for shard in &mut self.shards {
            match self.bit_by_bit {
                true => shard.begin_adoption(snapshot.clone()),
                false => drop(shard.adopt(snapshot.clone())),
            }
        }
        Ok(())
    }

    /// Lets time pass, ending what ends in it.
    pub(crate) fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        for shard in &mut self.shards {
            shard.expire(self.now, u32::MAX);
        }
    }

    /// Hands one frame to a shard.
    pub(crate) fn take(&mut self, shard: usize, frame: &Frame) -> Taken {
        let mut taken = self.take_all(shard, std::slice::from_ref(frame));
        taken.remove(0)
    }

    /// What leaves a shard in the stead of fragments it held.
    pub(crate) fn released(&mut self, shard: usize) -> Vec<Taken> {
        let mut into = vec![0x5a; Shard::LONGEST_FRAME];
        let release = || {
            let released = self.shards[shard].release(self.now, &mut into)?;
            Some(Taken {
                verdict: released.verdict,
                bytes: into[..released.length].to_vec(),
            })
        };
        std::iter::from_fn(release).collect()
    }

    /// Hands frames to a shard, all at once.
    pub(crate) fn take_all(&mut self, shard: usize, frames: &[Frame]) -> Vec<Taken> {
        let mut held: Vec<Held> = frames.iter().map(Held::new).collect();
        let mut verdicts = vec![Verdict::Host; frames.len()];
        let mut packets: Vec<_> = held.iter_mut().map(Held::packet).collect();
        self.shards[shard].process(self.now, &mut packets, &mut verdicts);
        let kept: Vec<bool> = packets.iter().map(PacketBuf::keeps_tail).collect();
        drop(packets);
        self.shards[shard].continue_adoption(1);
        for (held, verdict) in held.iter().zip(&mut verdicts) {
            if *verdict == Verdict::Fragment {
                *verdict = held.hold(&mut self.shards[shard], self.now, self.handed_over);
            }
        }
        let frames = held.into_iter().zip(kept).zip(verdicts);
        frames
            .map(|((held, keeps_tail), verdict)| Taken {
                verdict,
                bytes: held.bytes(keeps_tail),
            })
            .collect()
    }
}

/// A frame in chunks, as a queue would hold it.
struct Held {
    chunk: Vec<u8>,
    range: std::ops::Range<usize>,
    rest: Vec<u8>,
    tail: Tail,
    checksum: lvs_core::ChecksumState,
    port: lvs_core::Port,
}

impl Held {
    fn new(frame: &Frame) -> Self {
        let bytes = frame.bytes();
        let first = bytes.len() - frame.tails.iter().sum::<usize>();
        let mut tail = Tail::NONE;
        let mut at = first;
        for length in &frame.tails {
            tail = match frame.checksum {
                // As a worker would: whole checksums need no second look.
                lvs_core::ChecksumState::Whole => tail.followed_by_unsummed(*length),
                _ => tail.followed_by(&bytes[at..at + length]),
            };
            at += length;
        }
        let mut chunk = vec![0xa5; frame.headroom];
        chunk.extend(&bytes[..first]);
        chunk.extend([0x5a; 32]);
        Self {
            range: frame.headroom..frame.headroom + first,
            chunk,
            rest: bytes[first..].to_vec(),
            tail,
            checksum: frame.checksum,
            port: frame.port,
        }
    }

    fn packet(&mut self) -> PacketBuf<'_> {
        PacketBuf::new(&mut self.chunk, &mut self.range, self.port)
            .with_tail(self.tail)
            .with_checksum(self.checksum)
    }

    /// Gives a fragment to its shard.
    fn hold(&self, shard: &mut Shard<'_>, now: Instant, handed_over: bool) -> Verdict {
        let head = &self.chunk[self.range.clone()];
        shard.hold(now, self.port, handed_over, &[head, &self.rest])
    }

    fn bytes(&self, keeps_tail: bool) -> Vec<u8> {
        let mut bytes = self.chunk[self.range.clone()].to_vec();
        if keeps_tail {
            bytes.extend(&self.rest);
        }
        bytes
    }
}
