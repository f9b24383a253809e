//! Cutting the super-packets that generic XDP lets through: [`Cutter`].

use af_xdp::{Frame, Umem};

use crate::segment::{Cut, Headers};
use crate::spread::{Space, first_packet, frames_for, len_of, pieces, space, spread};

/// Stands between a socket and its reader, and hands on only what fits a link.
///
/// A sender on the same machine leaves TCP of up to 64 KiB to its NIC to cut. A
/// virtual NIC does not cut, and generic XDP, unlike native, does not make the
/// sender do it. Nor does the frame say how long its segments were to be, so
/// they become as long as the MTU allows when a tunnel's headers come on top, or
/// else a tunnel would refuse them however short the sender meant them to be;
/// super-packets of UDP, whose datagrams
/// have ends that nobody knows any more, are dropped.
#[derive(Debug)]
pub(super) struct Cutter {
    mtu: usize,
    /// Received, not handed on; packets whole.
    inbox: Vec<Frame>,
    /// The super-packet being handed on, in one piece.
    joined: Vec<u8>,
    cut: Option<(Cut, usize)>,
    /// Frames dropped.
    pub(super) invalid: u64,
}

/// Where frames go to, and how many.
struct Batch<'b> {
    umem: &'b mut Umem,
    frames: &'b mut Vec<Frame>,
    before: usize,
    limit: usize,
}

/// Whether there is anything more to hand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Done,
    /// There is, when there is room for it.
    Waits,
}

impl Cutter {
    /// For packets of at most `mtu` bytes.
    pub(super) fn new(mtu: u32) -> Self {
        Self {
            mtu: mtu as usize,
            inbox: Vec::with_capacity(INBOX),
            joined: Vec::with_capacity(LONGEST),
            cut: None,
            invalid: 0,
        }
    }

    pub(super) fn cut_to(&mut self, mtu: u32) {
        self.mtu = mtu as usize;
    }

    /// Frames it holds back.
    pub(super) fn held(&self) -> usize {
        self.inbox.len()
    }

    /// As [`Queue::receive`](crate::Queue::receive), of what `source`, likewise,
    /// receives.
    pub(super) fn receive(
        &mut self,
        umem: &mut Umem,
        frames: &mut Vec<Frame>,
        limit: usize,
        mut source: impl FnMut(&mut Umem, &mut Vec<Frame>, usize) -> usize,
    ) -> usize {
        let before = frames.len();
        loop {
            let mut batch = Batch {
                umem,
                frames,
                before,
                limit,
            };
            if self.hand_on(&mut batch) == Step::Waits || frames.len() - before >= limit {
                break;
            }
            if source(umem, &mut self.inbox, limit) == 0 {
                break;
            }
        }
        frames.len() - before
    }

    fn hand_on(&mut self, batch: &mut Batch<'_>) -> Step {
        loop {
            if self.hand_on_cut(batch) == Step::Waits {
                return Step::Waits;
            }
            let Some(count) = first_packet(&self.inbox) else {
                return Step::Done;
            };
            if len_of(&self.inbox[..count]) > self.mtu + ETHERNET_AND_TAG {
                self.join(batch.umem, count);
                continue;
            }
            match batch.space(count) {
                Space::Now => batch.frames.extend(self.inbox.drain(..count)),
                Space::Later => return Step::Waits,
                Space::Never => self.drop_first(batch.umem, count),
            }
        }
    }

    /// Hands on the frames of the super-packet that was joined.
    fn hand_on_cut(&mut self, batch: &mut Batch<'_>) -> Step {
        let Some((cut, next)) = &mut self.cut else {
            return Step::Done;
        };
        let mut headers: Headers = [0; size_of::<Headers>()];
        while *next < cut.count() {
            let (head, payload) = cut.frame(&self.joined, *next, &mut headers);
            let needed = frames_for(head.len() + payload.len(), batch.umem.room());
            match batch.space(needed) {
                Space::Now if batch.umem.free() >= needed => batch.put(&[head, payload], needed),
                Space::Now | Space::Later => return Step::Waits,
                Space::Never => self.invalid += 1,
            }
            *next += 1;
        }
        self.cut = None;
        Step::Done
    }

    /// Takes the first packet, of `count` frames, out of its chunks to be cut.
    fn join(&mut self, umem: &mut Umem, count: usize) {
        let packet = &self.inbox[..count];
        if len_of(packet) > self.joined.capacity() {
            return self.drop_first(umem, count);
        }
        self.joined.clear();
        let joined = &mut self.joined;
        pieces(umem, packet).for_each(|piece| joined.extend_from_slice(piece));
        match Cut::to_fit(&self.joined, self.mtu.saturating_sub(TUNNEL_ROOM)) {
            Some(cut) => {
                self.cut = Some((cut, 0));
                let packet = self.inbox.drain(..count);
                packet.for_each(|frame| umem.release(frame));
            }
            None => self.drop_first(umem, count),
        }
    }

    fn drop_first(&mut self, umem: &mut Umem, count: usize) {
        let packet = self.inbox.drain(..count);
        packet.for_each(|frame| umem.release(frame));
        self.invalid += count as u64;
    }
}

impl Batch<'_> {
    fn space(&self, needed: usize) -> Space {
        space(self.frames, self.before, self.limit, needed)
    }

    /// Adds a packet in new frames, which are known to be free.
    fn put(&mut self, packet: &[&[u8]], needed: usize) {
        let start = self.frames.len();
        let umem = &mut *self.umem;
        self.frames
            .extend((0..needed).map_while(|_| umem.allocate()));
        spread(umem, &mut self.frames[start..], packet, usize::MAX);
    }
}

/// Bytes left for outer headers in pieces of a super-packet: those of IPv6, UDP
/// and what a tunnel may put between.
const TUNNEL_ROOM: usize = 60;
/// Frames received at a time; a super-packet takes up to 40 of small chunks.
const INBOX: usize = 64;
/// The longest packet that can come: 17 fragments of a page and a head of one.
const LONGEST: usize = 18 * 4096;
/// Length of an Ethernet header and one 802.1Q tag, in bytes.
const ETHERNET_AND_TAG: usize = 14 + 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use af_xdp::{HugePages, UmemConfig};
    use std::collections::VecDeque;

    const CHUNKS: u32 = 64;

    fn umem() -> Umem {
        Umem::new(UmemConfig {
            chunks: CHUNKS,
            chunk_size: 2048,
            huge_pages: HugePages::Avoid,
            ..UmemConfig::default()
        })
        .unwrap()
    }

    /// Receives everything, `limit` frames at a time, and gives each packet back.
    fn received(packets: &[Vec<u8>], limit: usize, cutter: &mut Cutter) -> Vec<Vec<u8>> {
        let mut umem = umem();
        let mut waiting: VecDeque<&Vec<u8>> = packets.iter().collect();
        let mut source = |umem: &mut Umem, inbox: &mut Vec<Frame>, _limit: usize| {
            let Some(packet) = waiting.pop_front() else {
                return 0;
            };
            let (start, needed) = (inbox.len(), frames_for(packet.len(), umem.room()));
            inbox.extend((0..needed).map(|_| umem.allocate().unwrap()));
            spread(umem, &mut inbox[start..], &[packet], usize::MAX);
            needed
        };
        let mut all = Vec::new();
        let mut frames = Vec::with_capacity(limit.max(2));
        loop {
            let count = cutter.receive(&mut umem, &mut frames, limit, &mut source);
            assert_eq!(count, frames.len());
            assert!(count <= limit.max(2), "{count} frames at once");
            assert_eq!(umem.free() + count + cutter.held(), CHUNKS as usize);
            if count == 0 {
                return all;
            }
            while let Some(count) = first_packet(&frames) {
                all.push(pieces(&umem, &frames[..count]).collect::<Vec<_>>().concat());
                frames.drain(..count).for_each(|frame| umem.release(frame));
            }
        }
    }

    fn payload(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at * 7) as u8).collect()
    }

    #[test]
    fn super_packets_become_frames_and_all_stays_in_order() {
        let (short, long) = (sample::udp4(b"short"), sample::tcp4(&payload(60_000)));
        let packets = [
            short.clone(),
            long.clone(),
            short.clone(),
            long,
            short.clone(),
        ];
        for limit in [1, 5, 32] {
            let mut cutter = Cutter::new(1500);
            let frames = received(&packets, limit, &mut cutter);
            let of_long = 60_000_usize.div_ceil(1500 - TUNNEL_ROOM - 20 - 32);
            assert_eq!(frames.len(), 3 + 2 * of_long);
            for at in [0, 1 + of_long, 2 + 2 * of_long] {
                assert_eq!(frames[at], short);
            }
            let cut = &frames[1..=of_long];
            assert!(
                cut.iter()
                    .all(|frame| frame.len() <= 1514 && sample::is_right(frame))
            );
            let joined: Vec<u8> = cut.iter().flat_map(|frame| &frame[66..]).copied().collect();
            assert_eq!(joined, payload(60_000));
            assert_eq!(cutter.invalid, 0);
        }
    }

    #[test]
    fn jumbo_frames_are_cut_into_packets_of_several_frames() {
        let mut cutter = Cutter::new(9000);
        let frames = received(&[sample::tcp4(&payload(20_000))], 8, &mut cutter);
        let lengths: Vec<usize> = frames.iter().map(Vec::len).collect();
        let whole = 9014 - TUNNEL_ROOM;
        assert_eq!(lengths, [whole, whole, 20_000 - 2 * (whole - 66) + 66]);
    }

    #[test]
    fn what_cannot_be_cut_is_dropped_and_keeps_no_chunk() {
        let mut cutter = Cutter::new(1500);
        let packets = [sample::udp4(&payload(4000)), sample::udp4(b"after")];
        let frames = received(&packets, 32, &mut cutter);
        assert_eq!(frames, packets[1..]);
        assert_eq!(cutter.invalid, 3);
    }

    #[test]
    fn what_fits_the_link_is_not_touched() {
        let mut spoilt = sample::tcp4(&payload(1448));
        spoilt[50] ^= 1;
        let mut cutter = Cutter::new(1500);
        let frames = received(&[spoilt.clone()], 32, &mut cutter);
        assert_eq!(frames, [spoilt]);
    }
}
