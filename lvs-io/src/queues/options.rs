//! What to open and how: [`Options`].

use std::io;

use af_xdp::{BusyPoll, HugePages, ZeroCopy};

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
