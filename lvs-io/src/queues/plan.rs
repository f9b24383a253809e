//! Which lane serves which queue, and how large its memory is.

use std::io;

use crate::error::Error;
use crate::nic::Nic;

/// A queue to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The position of its NIC.
    pub(super) nic: usize,
    /// Its number on that NIC.
    pub(super) queue: u32,
}

/// How many lanes there are: each has a queue of every NIC to send by.
pub(super) fn lanes(
    nics: &[Nic],
    workers: Option<usize>,
    processors: usize,
) -> Result<usize, Error> {
    let Some(fewest) = nics.iter().min_by_key(|nic| nic.queues) else {
        return Ok(0);
    };
    let most = fewest.queues as usize;
    match workers {
        None => Ok(most.min(processors).max(1)),
        Some(0) => Err(Error::new(
            "count the workers",
            io::Error::other("there are none"),
        )),
        Some(workers) if workers > most => {
            let advice = format!(
                "it has {most}, and {workers} workers need one each: ask for {most}, or leave \
                 the number out, or give it more by ethtool -L {} combined {workers} \
                 (or rx {workers} tx {workers})",
                fewest.name
            );
            Err(Error::new("count its queues", io::Error::other(advice)).on(&fewest.name))
        }
        Some(workers) => Ok(workers),
    }
}

/// The queues of one lane: of every NIC the one of its own number, in the NICs'
/// order; then those beyond the number of lanes, dealt out in turn, because a
/// frame can come in on any.
pub(super) fn places(nics: &[Nic], lane: usize, lanes: usize) -> Vec<Place> {
    let of = |nic: usize, queue: usize| Place {
        nic,
        queue: queue as u32,
    };
    let own = (0..nics.len()).map(|nic| of(nic, lane));
    let further = nics.iter().enumerate().flat_map(|(position, nic)| {
        let queues = (lane + lanes..nic.queues as usize).step_by(lanes);
        queues.map(move |queue| of(position, queue))
    });
    own.chain(further).collect()
}

/// Chunks for a lane of so many queues: all fill rings full, as many again in
/// the drivers that use the memory themselves and take them out of there, and
/// some for the worker's hands.
pub(super) fn chunks(queues: usize, ring: u32) -> u32 {
    2 * queues as u32 * ring + IN_HAND
}

/// Frames a worker holds between receiving and transmitting: batches, packets
/// waiting for a neighbour.
const IN_HAND: u32 = 1024;
/// Length of an Ethernet header and one 802.1Q tag, in bytes.
pub(super) const ETHERNET_AND_TAG: u32 = 14 + 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Checksum;

    fn nics<const N: usize>(queues: [u32; N]) -> [Nic; N] {
        queues.map(|queues| Nic {
            name: format!("eth{queues}"),
            index: 1,
            mac: [2, 0, 0, 0, 0, 1],
            mtu: 1500,
            queues,
            driver: String::new(),
            checksum: Checksum::Whole,
        })
    }

    #[test]
    fn there_are_no_more_lanes_than_queues_or_processors() {
        assert_eq!(lanes(&nics([4, 2]), None, 8).unwrap(), 2);
        assert_eq!(lanes(&nics([4, 8]), None, 3).unwrap(), 3);
        assert_eq!(lanes(&nics([4]), Some(4), 1).unwrap(), 4);
        assert!(lanes(&nics([4]), Some(0), 1).is_err());
    }

    #[test]
    fn too_many_workers_are_told_what_to_type() {
        let error = lanes(&nics([8, 2]), Some(3), 1).unwrap_err();
        assert_eq!(error.nic(), Some("eth2"));
        assert!(
            error.to_string().contains("ethtool -L eth2 combined 3"),
            "{error}"
        );
        assert!(error.to_string().contains("ask for 2, or leave"), "{error}");
    }

    #[test]
    fn every_lane_has_a_queue_of_every_nic_first() {
        for queues in [[1, 1], [2, 5], [16, 3]] {
            let nics = nics(queues);
            let lanes = lanes(&nics, None, 2).unwrap();
            for lane in 0..lanes {
                let places = places(&nics, lane, lanes);
                for (nic, place) in places[..nics.len()].iter().enumerate() {
                    assert_eq!((place.nic, place.queue as usize), (nic, lane));
                }
            }
        }
    }

    #[test]
    fn every_queue_is_in_exactly_one_lane() {
        for queues in [[1, 1], [2, 5], [16, 3]] {
            let nics = nics(queues);
            let lanes = lanes(&nics, None, 2).unwrap();
            let all = (0..lanes).flat_map(|lane| places(&nics, lane, lanes));
            let mut all: Vec<(usize, u32)> = all.map(|place| (place.nic, place.queue)).collect();
            all.sort_unstable();
            let every = |nic: usize| (0..queues[nic]).map(move |queue| (nic, queue));
            assert_eq!(all, every(0).chain(every(1)).collect::<Vec<_>>());
        }
    }
}
