//! Frames that landed on the queue of one worker and belong to another.
//!
//! A masqueraded connection lives where its client's hash says, so that both
//! directions find it; the NIC may deliver either one elsewhere. The frame is
//! then copied, whole, into a parcel, and the parcel travels to its owner and
//! back. Parcels are made at the start, so nothing is allocated on the way.
//!
//! ```text
//!  worker 0 ──> [ full  ] ──> worker 1        a pair of rings for each
//!           <── [ empty ] <──                 ordered pair of workers
//! ```

use std::sync::Arc;

use crossbeam::queue::ArrayQueue;
use lvs_core::{Port, ShardId};

use super::doorbell::Doorbell;

/// A packet between two workers.
#[derive(Debug)]
pub(super) struct Parcel {
    /// Its bytes, frames joined.
    pub(super) bytes: Vec<u8>,
    /// Where it was received.
    pub(super) ingress: Port,
}

/// One direction between two workers.
#[derive(Debug)]
struct Line {
    full: ArrayQueue<Parcel>,
    empty: ArrayQueue<Parcel>,
}

/// One worker's ends of all lines.
#[derive(Debug)]
pub(super) struct Exchange {
    /// By the shard at the other end; `None` for its own.
    out: Vec<Option<(Arc<Line>, Arc<Doorbell>)>>,
    into: Vec<Arc<Line>>,
}

/// The ends of `workers` workers, for packets of at most `most` bytes.
pub(super) fn exchange(bells: &[Arc<Doorbell>], most: usize) -> Vec<Exchange> {
    let workers = bells.len();
    let lines: Vec<Vec<Arc<Line>>> = (0..workers)
        .map(|_| (0..workers).map(|_| Arc::new(Line::new(most))).collect())
        .collect();
    (0..workers)
        .map(|me| Exchange {
            out: (0..workers)
                .map(|to| (to != me).then(|| (lines[me][to].clone(), bells[to].clone())))
                .collect(),
            into: (0..workers)
                .filter(|from| *from != me)
                .map(|from| lines[from][me].clone())
                .collect(),
        })
        .collect()
}

impl Line {
    fn new(most: usize) -> Self {
        let line = Self {
            full: ArrayQueue::new(PARCELS),
            empty: ArrayQueue::new(PARCELS),
        };
        for _ in 0..PARCELS {
            let parcel = Parcel {
                bytes: Vec::with_capacity(most),
                ingress: Port(0),
            };
            // As many as there is room for.
            let _ = line.empty.push(parcel);
        }
        line
    }
}

impl Exchange {
    /// Sends a packet, given in pieces, to the worker of `shard`; `false` when
    /// there is no such worker, it is too far behind, or the packet too long.
    pub(super) fn send<'p>(
        &self,
        shard: ShardId,
        ingress: Port,
        pieces: impl Iterator<Item = &'p [u8]>,
    ) -> bool {
        let Some(Some((line, _))) = self.out.get(shard.index()) else {
            return false;
        };
        let Some(mut parcel) = line.empty.pop() else {
            return false;
        };
        parcel.bytes.clear();
        parcel.ingress = ingress;
        let mut fits = true;
        for piece in pieces {
            // Growing would allocate: what is too long is refused.
            fits &= parcel.bytes.len() + piece.len() <= parcel.bytes.capacity();
            if fits {
                parcel.bytes.extend_from_slice(piece);
            }
        }
        let ring = if fits { &line.full } else { &line.empty };
        ring.push(parcel).is_ok() && fits
    }

    /// Wakes the workers that packets were sent to in this turn.
    pub(super) fn ring(&self) {
        for (line, bell) in self.out.iter().flatten() {
            if !line.full.is_empty() {
                bell.ring();
            }
        }
    }

    /// Whether a packet waits here.
    pub(super) fn is_empty(&self) -> bool {
        self.into.iter().all(|line| line.full.is_empty())
    }

    /// Shows up to `most` packets, from each line in turn, to `receive`, and
    /// sends their parcels back.
    pub(super) fn receive(&self, most: usize, mut receive: impl FnMut(&Parcel)) -> usize {
        let mut count = 0;
        for line in &self.into {
            for _ in 0..most / self.into.len().max(1) {
                let Some(parcel) = line.full.pop() else { break };
                receive(&parcel);
                count += 1;
                // There is room: it was made here.
                let _ = line.empty.push(parcel);
            }
        }
        count
    }
}

/// Parcels of a line: what a worker may fall behind before packets for it are
/// dropped. Four batches of 32 from a peer that got its share of one burst.
const PARCELS: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> (Exchange, Exchange) {
        let bells: Vec<_> = (0..2).map(|_| Arc::new(Doorbell::new().unwrap())).collect();
        let mut ends = exchange(&bells, 100).into_iter();
        (ends.next().unwrap(), ends.next().unwrap())
    }

    #[test]
    fn pieces_arrive_joined_and_in_order() {
        let (one, other) = two();
        for n in 0..3u8 {
            assert!(one.send(ShardId(1), Port(n), [&[n, 1][..], &[2]].into_iter()));
        }
        let mut seen = Vec::new();
        let count = other.receive(32, |parcel| {
            seen.push((parcel.ingress, parcel.bytes.clone()))
        });
        assert_eq!(count, 3);
        for (n, (ingress, bytes)) in (0u8..).zip(seen) {
            assert_eq!((ingress, bytes), (Port(n), vec![n, 1, 2]));
        }
        assert!(other.is_empty() && one.is_empty());
    }

    #[test]
    fn what_does_not_fit_is_refused_and_nothing_is_lost() {
        let (one, other) = two();
        let long = [0u8; 101];
        assert!(
            !one.send(ShardId(1), Port(0), [&long[..]].into_iter()),
            "too long"
        );
        assert!(
            !one.send(ShardId(0), Port(0), [&long[..1]].into_iter()),
            "to itself"
        );
        assert!(
            !one.send(ShardId(7), Port(0), [&long[..1]].into_iter()),
            "to nobody"
        );
        for _ in 0..3 {
            let sent = (0..PARCELS + 5)
                .filter(|_| one.send(ShardId(1), Port(0), [&long[..9]].into_iter()));
            assert_eq!(sent.count(), PARCELS, "every parcel came back");
            assert_eq!(other.receive(PARCELS + 5, |_| ()), PARCELS);
        }
    }
}
