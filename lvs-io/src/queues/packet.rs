//! Opening lanes over AF_PACKET.

use af_xdp::Umem;

use super::{Lane, Opened, Opening};
use crate::error::Error;
use crate::packet::{PacketOptions, PacketQueue};
use crate::program::{Steering, XdpMode};
use crate::queue::Queue;

impl Opening<'_> {
    /// Every lane has one queue of every NIC: packet sockets share a NIC's
    /// frames whatever its own queues are.
    ///
    /// The steering program keeps the stack from answering what is the
    /// director's. Where tc cannot have it, that is the operator's to see to,
    /// and the queues say so.
    pub(super) fn packet(&self, because: &str) -> Result<Opened, Error> {
        let (steering, reason) = match Steering::attach(self.nics, XdpMode::Tc) {
            Ok(steering) => (Some(steering), because.to_owned()),
            Err(error) => {
                let both = "the kernel's stack sees the same frames";
                (None, format!("{because}; {both}: {error}"))
            }
        };
        let memories: Result<Vec<Umem>, Error> = (0..self.lanes)
            .map(|_| self.umem(self.nics.len(), AT_ONCE))
            .collect();
        let lane = |umem| Lane {
            umem,
            queues: Vec::with_capacity(self.nics.len()),
            nics: (0..self.nics.len()).collect(),
        };
        let mut lanes: Vec<Lane> = memories?.into_iter().map(lane).collect();
        for nic in self.nics {
            let count = self.lanes as u32;
            let options = PacketOptions::default();
            let queues = PacketQueue::open_sharing(nic, count, &reason, &options)?;
            for (lane, queue) in lanes.iter_mut().zip(queues) {
                lane.queues.push(Box::new(queue) as Box<dyn Queue>);
            }
        }
        Ok((steering, lanes))
    }
}

/// Frames a packet queue and its worker move at a time, generously: its backlog
/// is in the kernel's own memory.
const AT_ONCE: u32 = 256;
