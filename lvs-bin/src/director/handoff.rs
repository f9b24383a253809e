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

use super::burst::BATCH;
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
    /// Whose turn it is to be received from.
    next: usize,
}

/// The ends of `workers` workers, for packets of at most `most` bytes.
pub(super) fn exchange(bells: &[Arc<Doorbell>], most: usize) -> Vec<Exchange> {
    let workers = bells.len();
    let parcels = parcels(workers);
    let lines: Vec<Vec<Arc<Line>>> = (0..workers)
        .map(|_| {
            (0..workers)
                .map(|_| Arc::new(Line::new(parcels, most)))
                .collect()
        })
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
            next: 0,
        })
        .collect()
}

impl Line {
    fn new(parcels: usize, most: usize) -> Self {
        let line = Self {
            full: ArrayQueue::new(parcels),
            empty: ArrayQueue::new(parcels),
        };
        for _ in 0..parcels {
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

    /// Shows up to `most` packets to `receive`, one from each line in turn, and
    /// sends their parcels back.
    pub(super) fn receive(&mut self, most: usize, mut receive: impl FnMut(&Parcel)) -> usize {
        let (mut count, mut empty_in_a_row) = (0, 0);
        while count < most && empty_in_a_row < self.into.len() {
            let line = &self.into[self.next];
            self.next = (self.next + 1) % self.into.len();
            let Some(parcel) = line.full.pop() else {
                empty_in_a_row += 1;
                continue;
            };
            receive(&parcel);
            count += 1;
            empty_in_a_row = 0;
            // There is room: it came from there.
            let _ = line.empty.push(parcel);
        }
        count
    }
}

/// Parcels of a line: what a worker may fall behind one other before packets
/// for it are dropped.
///
/// A thousand packets are what a NIC's ring holds while a worker is kept from
/// its core for a moment; of many others each sends less. Memory grows with the
/// number of workers, not with its square, down to four batches a line.
fn parcels(workers: usize) -> usize {
    (PARCELS / workers.saturating_sub(1).max(1)).clamp(4 * BATCH, 1024)
}

/// Parcels that may be on their way to one worker.
const PARCELS: usize = 4096;

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
        let (one, mut other) = two();
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
        let (one, mut other) = two();
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
            let sent = (0..parcels(2) + 5)
                .filter(|_| one.send(ShardId(1), Port(0), [&long[..9]].into_iter()));
            assert_eq!(sent.count(), parcels(2), "every parcel came back");
            assert_eq!(other.receive(PARCELS, |_| ()), parcels(2));
        }
    }
    #[test]
    fn more_senders_than_a_batch_all_get_their_turn() {
        let bells: Vec<_> = (0..40)
            .map(|_| Arc::new(Doorbell::new().unwrap()))
            .collect();
        let mut ends = exchange(&bells, 10);
        for from in 1..40u8 {
            let sent =
                ends[usize::from(from)].send(ShardId(0), Port(from), [&[from][..]].into_iter());
            assert!(sent);
        }
        let mut senders = Vec::new();
        let mut receive =
            |end: &mut Exchange| end.receive(32, |parcel| senders.push(parcel.ingress));
        assert_eq!((receive(&mut ends[0]), receive(&mut ends[0])), (32, 7));
        assert_eq!(receive(&mut ends[0]), 0);
        senders.sort_unstable();
        assert_eq!(senders, (1..40).map(Port).collect::<Vec<_>>());
    }
}
