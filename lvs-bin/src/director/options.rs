//! How a director runs: [`DirectorOptions`].

use lvs_core::{FragmentLimits, Network};

use super::idle::Waiting;

/// How a director runs, apart from what it directs. Begin with the default and
/// change what should differ.
#[derive(Clone, Debug)]
pub struct DirectorOptions {
    /// Connections it can hold, over all workers: 160 to 192 bytes each.
    pub connections: usize,
    /// Services it can have at one time.
    pub services: usize,
    /// Real servers it can have at one time, removed ones that still hold
    /// connections included.
    pub real_servers: usize,
    /// How many fragments it keeps until the rest of their datagrams comes, and
    /// for how long; as Linux does by default.
    pub fragments: FragmentLimits,
    /// What workers do when there are no frames.
    pub waiting: Waiting,
    /// Whether each worker stays on one processor.
    pub pin: bool,
    /// The network around it; the host's, followed as it changes, if not given.
    pub network: Option<Network>,
    /// A seed for the hashes; a random one if not given.
    pub seed: Option<u64>,
}

impl Default for DirectorOptions {
    fn default() -> Self {
        Self {
            connections: 1 << 20,
            services: 16_384,
            real_servers: 131_072,
            fragments: FragmentLimits::LINUX,
            waiting: Waiting::Adaptive,
            pin: true,
            network: None,
            seed: None,
        }
    }
}
