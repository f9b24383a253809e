//! Lanes without a kernel, for tests and for embedders.

use af_xdp::{HugePages, Umem, UmemConfig};

use super::{Lane, Queues};
use crate::error::Error;
use crate::loopback::{Loopback, LoopbackPeer};
use crate::nic::Nic;
use crate::queue::{Checksum, Queue};

impl Queues {
    /// Queues over plain memory: `lanes` lanes with a queue of each of `nics`,
    /// each direction holding `depth` packets. The far end of the queue of NIC
    /// `n` in lane `l` is `peers[l][n]`.
    ///
    /// # Errors
    ///
    /// There is no memory for the packets.
    pub fn loopback(
        nics: Vec<Nic>,
        lanes: usize,
        depth: usize,
    ) -> Result<(Self, Vec<Vec<LoopbackPeer>>), Error> {
        let opened: Result<Vec<_>, Error> = (0..lanes)
            .map(|lane| open_lane(&nics, lane, depth))
            .collect();
        let (lanes, peers) = opened?.into_iter().unzip();
        let queues = Self {
            steering: None,
            nics,
            lanes,
        };
        Ok((queues, peers))
    }
}

impl Nic {
    /// A NIC that exists in memory only, of one queue: number `index`, with the
    /// locally administered MAC that ends in it.
    pub fn in_memory(name: &str, index: u8, mtu: u32) -> Self {
        Self {
            name: name.to_owned(),
            index: u32::from(index),
            mac: [2, 0, 0, 0, 0, index],
            mtu,
            queues: 1,
            driver: "loopback".to_owned(),
            checksum: Checksum::MaybePartial,
        }
    }
}

fn open_lane(nics: &[Nic], lane: usize, depth: usize) -> Result<(Lane, Vec<LoopbackPeer>), Error> {
    let umem = Umem::new(UmemConfig {
        // Both directions of every queue full, and as many in the worker's hands.
        chunks: (depth * 3 * nics.len().max(1)) as u32,
        huge_pages: HugePages::Avoid,
        ..UmemConfig::default()
    });
    let umem = umem.map_err(|error| Error::new("map packet memory", error))?;
    let pairs = nics.iter().map(|nic| {
        let name = format!("{} queue {lane}", nic.name);
        let (queue, peer) = Loopback::pair(&name, depth, nic.mtu as usize + 14);
        (Box::new(queue) as Box<dyn Queue>, peer)
    });
    let (queues, peers) = pairs.unzip();
    let lane = Lane {
        umem,
        queues,
        nics: (0..nics.len()).collect(),
    };
    Ok((lane, peers))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Mode;

    #[test]
    fn every_lane_has_a_queue_of_every_nic() {
        let nics = vec![
            Nic::in_memory("left", 1, 1500),
            Nic::in_memory("right", 2, 9000),
        ];
        let (queues, peers) = Queues::loopback(nics, 3, 16).unwrap();
        assert!(queues.steering.is_none());
        assert_eq!(
            (queues.nics.len(), queues.lanes.len(), peers.len()),
            (2, 3, 3)
        );
        for (lane, peers) in queues.lanes.iter().zip(&peers) {
            assert_eq!((&lane.nics[..], peers.len()), (&[0, 1][..], 2));
            assert_eq!(lane.umem.free(), 16 * 3 * 2);
            let longest = lane
                .queues
                .iter()
                .map(|queue| queue.capabilities().max_frame);
            assert_eq!(longest.collect::<Vec<_>>(), [1514, 9014]);
            let mode = lane.queues[1].capabilities().mode;
            assert_eq!(mode, Mode::Loopback);
        }
    }
}
