//! What to open and how: [`Options`].

use std::io;
use std::thread;

use af_xdp::{BusyPoll, HugePages, ZeroCopy};

use super::plan;
use crate::error::Error;
use crate::nic::Nic;

/// What [`Queues::open`](super::Queues::open) opens. Begin with
/// [`Options::new`] and change what should differ.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// The network interfaces, each once.
    pub interfaces: Vec<String>,
    /// How frames should travel.
    pub mode: WantedMode,
    /// How many workers will serve the lanes. If it is not said, as many as
    /// there are processors, or queues on the interface that has fewest.
    pub workers: Option<usize>,
    /// Slots of each ring of each queue, a power of two.
    pub ring: u32,
    /// Chunks per lane; by default enough to fill all its rings.
    pub chunks: Option<u32>,
    /// Bytes per chunk, 2048 or 4096. The smaller one is for copying modes: see
    /// [`UmemConfig`](af_xdp::UmemConfig).
    pub chunk_size: u32,
    /// Whether packet memory should lie in huge pages.
    pub huge_pages: HugePages,
    /// Whether the workers' system calls should run the drivers.
    pub busy_poll: Option<BusyPoll>,
    /// Whether drivers should use packet memory directly. If they must, only
    /// native XDP is tried.
    pub zero_copy: ZeroCopy,
}

/// How frames should travel between NICs and workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WantedMode {
    /// Native XDP, else generic XDP, else AF_PACKET: the first that all
    /// interfaces can do. Each queue says why it was not an earlier one. An
    /// error if another program has an interface's XDP.
    #[default]
    Auto,
    /// Native XDP or an error.
    Native,
    /// Generic XDP or an error.
    Generic,
    /// AF_PACKET or an error.
    Packet,
}

impl Options {
    /// All queues of these interfaces, in the fastest mode they have, with
    /// rings of 2048 slots, chunks of 4096 bytes, and huge pages if there are any.
    pub fn new<I>(interfaces: I) -> Self
    where
        I: IntoIterator<Item: Into<String>>,
    {
        Self {
            interfaces: interfaces.into_iter().map(Into::into).collect(),
            mode: WantedMode::Auto,
            workers: None,
            ring: 2048,
            chunks: None,
            chunk_size: 4096,
            huge_pages: HugePages::Prefer,
            busy_poll: None,
            zero_copy: ZeroCopy::Auto,
        }
    }

    /// How many lanes, one for each worker, [`Queues::open`] makes on these
    /// NICs.
    ///
    /// # Errors
    ///
    /// More workers are asked for than a NIC has queues, or none.
    ///
    /// [`Queues::open`]: super::Queues::open
    pub fn lanes(&self, nics: &[Nic]) -> Result<usize, Error> {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        match (self.mode, self.workers) {
            // Packet sockets are as many as are wanted, whatever the NICs have.
            (WantedMode::Packet, Some(workers @ 1..)) => Ok(workers),
            (_, workers) => plan::lanes(nics, workers, processors),
        }
    }

    /// Bytes of packet memory that AF_XDP takes for these NICs, all of it
    /// locked. AF_PACKET takes less, and locks none.
    ///
    /// # Errors
    ///
    /// As [`Options::lanes`].
    pub fn packet_memory(&self, nics: &[Nic]) -> Result<u64, Error> {
        let lanes = self.lanes(nics)?;
        let chunks = |lane| {
            let queues = plan::places(nics, lane, lanes).len();
            self.chunks.unwrap_or(plan::chunks(queues, self.ring))
        };
        let chunks: u64 = (0..lanes).map(|lane| u64::from(chunks(lane))).sum();
        Ok(chunks * u64::from(self.chunk_size))
    }

    /// The interfaces, as the kernel describes them.
    pub(super) fn nics(&self) -> Result<Vec<Nic>, Error> {
        let named: Result<Vec<Nic>, Error> = self
            .interfaces
            .iter()
            .map(|name| Nic::named(name))
            .collect();
        let nics = named?;
        for (at, nic) in nics.iter().enumerate() {
            if nics[..at].iter().any(|other| other.index == nic.index) {
                let twice = io::Error::other("it is listed twice");
                return Err(Error::new("open the network interface", twice).on(&nic.name));
            }
        }
        match nics.is_empty() {
            true => Err(Error::new(
                "open queues",
                io::Error::other("no interface is named"),
            )),
            false => Ok(nics),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packet_memory_is_that_of_all_lanes() {
        let nics = [1, 2].map(|index| Nic::in_memory("nic", index, 1500));
        let options = Options::new(["one", "other"]);
        // Two queues of 2048 slots, both directions, and some in hand.
        assert_eq!(
            options.packet_memory(&nics).unwrap(),
            (2 * 2 * 2048 + 1024) * 4096
        );
        let too_many = Options {
            workers: Some(2),
            ..options
        };
        assert!(too_many.packet_memory(&nics).is_err());
    }
}
