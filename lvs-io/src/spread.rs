//! Packets laid over frames and read back, for the queues that copy.

use af_xdp::{Frame, Umem};

/// Whether a packet goes into a batch now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    /// It does.
    Now,
    /// Not into what is left of this batch.
    Later,
    /// Not into any batch of this caller.
    Never,
}

/// Whether `needed` frames more go into a batch that was `before` frames long
/// when the call began and may grow by `limit`, or by one longer packet.
pub(crate) fn space(frames: &Vec<Frame>, before: usize, limit: usize, needed: usize) -> Space {
    let taken = frames.len() - before;
    let left = frames.capacity() - frames.len();
    if needed > frames.capacity() {
        Space::Never
    } else if needed <= left && limit > 0 && (taken == 0 || taken + needed <= limit) {
        Space::Now
    } else {
        Space::Later
    }
}

/// How many frames hold a packet of `len` bytes when each takes `piece` bytes.
pub(crate) fn frames_for(len: usize, piece: usize) -> usize {
    len.div_ceil(piece.max(1)).max(1)
}

/// Copies a packet, given as slices in a row, into as many frames as
/// [`frames_for`] says, at most `piece` bytes in each, and links them.
pub(crate) fn spread(umem: &mut Umem, frames: &mut [Frame], packet: &[&[u8]], piece: usize) {
    let piece = piece.clamp(1, umem.room());
    let mut slices = packet.iter().copied();
    let mut rest: &[u8] = &[];
    let last = frames.len().saturating_sub(1);
    for (index, frame) in frames.iter_mut().enumerate() {
        let parts = umem.parts_mut(frame);
        parts.range.end = parts.range.start;
        while parts.range.len() < piece {
            if rest.is_empty() {
                match slices.next() {
                    Some(slice) => rest = slice,
                    None => break,
                }
            }
            let (now, later) = rest.split_at(rest.len().min(piece - parts.range.len()));
            parts.chunk[parts.range.end..][..now.len()].copy_from_slice(now);
            parts.range.end += now.len();
            rest = later;
        }
        frame.set_continues(index < last);
    }
}

/// How many frames the first packet of `frames` takes; `None` if it is not whole.
pub(crate) fn first_packet(frames: &[Frame]) -> Option<usize> {
    Some(frames.iter().position(|frame| !frame.continues())? + 1)
}

/// The bytes of a packet's frames, in order.
pub(crate) fn pieces<'a>(
    umem: &'a Umem,
    frames: &'a [Frame],
) -> impl Iterator<Item = &'a [u8]> + Clone {
    frames.iter().map(|frame| umem.bytes(frame))
}

/// Length of a packet over all its frames, in bytes.
pub(crate) fn len_of(frames: &[Frame]) -> usize {
    frames.iter().map(Frame::len).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use af_xdp::{HugePages, UmemConfig};

    fn umem() -> Umem {
        Umem::new(UmemConfig {
            chunks: 16,
            chunk_size: 2048,
            huge_pages: HugePages::Avoid,
            ..UmemConfig::default()
        })
        .unwrap()
    }

    #[test]
    fn spreads_and_gathers_the_same_bytes() {
        let mut umem = umem();
        let packet: Vec<u8> = (0..4000u32).map(|byte| byte as u8).collect();
        for piece in [1792, 1000, 999, 4000] {
            let needed = frames_for(packet.len(), piece.min(umem.room()));
            let mut frames: Vec<Frame> = (0..needed).map(|_| umem.allocate().unwrap()).collect();
            let halves = [&packet[..7], &packet[7..2500], &[], &packet[2500..]];
            spread(&mut umem, &mut frames, &halves, piece);
            assert_eq!(first_packet(&frames), Some(needed));
            assert_eq!(len_of(&frames), packet.len());
            assert_eq!(pieces(&umem, &frames).collect::<Vec<_>>().concat(), packet);
            frames.into_iter().for_each(|frame| umem.release(frame));
        }
    }

    #[test]
    fn an_empty_packet_is_one_empty_frame() {
        let mut umem = umem();
        assert_eq!(frames_for(0, 1792), 1);
        let mut frames = vec![umem.allocate().unwrap()];
        spread(&mut umem, &mut frames, &[], 1792);
        assert!(frames[0].is_empty() && !frames[0].continues());
    }

    #[test]
    fn a_packet_without_its_end_is_not_whole() {
        let mut umem = umem();
        let mut frame = umem.allocate().unwrap();
        frame.set_continues(true);
        assert_eq!(first_packet(&[frame]), None);
        assert_eq!(first_packet(&[]), None);
    }

    #[test]
    fn the_limit_yields_only_to_a_first_packet() {
        let mut umem = umem();
        let mut frames = Vec::with_capacity(8);
        assert_eq!(space(&frames, 0, 2, 3), Space::Now);
        assert_eq!(space(&frames, 0, 0, 1), Space::Later);
        assert_eq!(space(&frames, 0, 100, 9), Space::Never);
        frames.push(umem.allocate().unwrap());
        assert_eq!(space(&frames, 0, 2, 1), Space::Now);
        assert_eq!(space(&frames, 0, 2, 2), Space::Later);
        assert_eq!(space(&frames, 1, 2, 3), Space::Now);
        assert_eq!(space(&frames, 1, 100, 8), Space::Later);
    }
}
