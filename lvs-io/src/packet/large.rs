//! Frames that do not stay as they came: [`Large`].

use std::ops::Range;

use crate::layout::{TCP, UDP};
use crate::segment::{Cut, Headers, Super};
use crate::sys::packet::Arrival;

/// A jumbo frame or a super-packet, joined in its slab, on its way into frames.
#[derive(Debug)]
pub(super) struct Large {
    /// Where it lies among the slabs.
    place: Range<usize>,
    kind: Kind,
    /// The frame to be handed over next.
    next: usize,
}

#[derive(Debug)]
enum Kind {
    /// One frame, with a checksum that may be unready.
    Whole { checksum_unready: bool },
    /// A super-packet, whose frames get checksums of their own.
    Super(Cut),
}

impl Large {
    /// Joins what the `chunk` holds of an arrival with what overflowed into the
    /// slab at `from`. None if it is cut, too short to be a frame, or not a
    /// super-packet of the kind it claims to be.
    pub(super) fn join(
        slabs: &mut [u8],
        from: usize,
        chunk: &[u8],
        arrival: &Arrival,
    ) -> Option<Self> {
        let in_chunk = arrival.len.min(chunk.len());
        if arrival.cut || arrival.len < ETHERNET {
            return None;
        }
        let slab = slabs.get_mut(from..from + SLAB)?;
        slab[TAG..TAG + in_chunk].copy_from_slice(&chunk[..in_chunk]);
        let start = match arrival.tag {
            Some(tag) => insert_tag(slab, TAG, tag),
            None => TAG,
        };
        let packet = slab.get(start..TAG + arrival.len)?;
        let kind = match arrival.super_kind {
            NO_SUPER => Kind::Whole {
                checksum_unready: arrival.checksum_unready,
            },
            _ => Kind::Super(Cut::new(packet, meaning(arrival)?)?),
        };
        Some(Self {
            place: from + start..from + TAG + arrival.len,
            kind,
            next: 0,
        })
    }

    /// The next frame, in two parts; none if all were handed over.
    pub(super) fn frame<'l>(
        &self,
        slabs: &'l [u8],
        headers: &'l mut Headers,
    ) -> Option<(&'l [u8], &'l [u8])> {
        let packet = slabs.get(self.place.clone())?;
        match &self.kind {
            Kind::Whole { .. } if self.next == 0 => Some((&[], packet)),
            Kind::Super(cut) if self.next < cut.count() => {
                Some(cut.frame(packet, self.next, headers))
            }
            _ => None,
        }
    }

    /// Goes on to the frame after this.
    pub(super) fn advance(&mut self) {
        self.next += 1;
    }

    /// Whether its frames have transport checksums yet to be made.
    pub(super) fn checksum_unready(&self) -> bool {
        matches!(
            self.kind,
            Kind::Whole {
                checksum_unready: true
            }
        )
    }
}

/// Whether an arrival may stay in its chunk as it is.
pub(super) fn is_short(arrival: &Arrival, room: usize) -> bool {
    (ETHERNET..=room).contains(&arrival.len) && arrival.super_kind == NO_SUPER && !arrival.cut
}

/// The part of a slab for what does not fit the `room` of a chunk.
pub(super) fn overflow(slab: &mut [u8], room: usize) -> &mut [u8] {
    &mut slab[TAG + room..]
}

/// Puts a VLAN tag back between the MACs of the frame at `start` and what
/// follows them; where the frame starts then, 4 bytes earlier.
pub(super) fn insert_tag(bytes: &mut [u8], start: usize, tag: [u8; TAG]) -> usize {
    bytes.copy_within(start..start + MACS, start - TAG);
    bytes[start + MACS - TAG..start + MACS].copy_from_slice(&tag);
    start - TAG
}

/// What the kernel says a super-packet is; none if it cannot be cut here.
///
/// # Source
///
/// include/uapi/linux/virtio_net.h, VIRTIO_NET_HDR_GSO_*.
fn meaning(arrival: &Arrival) -> Option<Super> {
    const TCP_V4: u8 = 1;
    const TCP_V6: u8 = 4;
    const UDP_SEGMENTS: u8 = 5;
    const ECN: u8 = 0x80;
    Some(Super {
        protocol: match arrival.super_kind & !ECN {
            TCP_V4 | TCP_V6 => TCP,
            UDP_SEGMENTS => UDP,
            _ => return None,
        },
        segment: arrival.segment.into(),
        classic_ecn: arrival.super_kind & ECN != 0,
    })
}

/// Bytes of one slab: a tag, the longest chunk, and a frame of 64 KiB with
/// several more tags. That the frame's beginning is counted twice is what lets
/// the chunk's length change with the UMEM.
pub(super) const SLAB: usize = TAG + 4096 + 65536 + 64;
const NO_SUPER: u8 = 0;
const TAG: usize = 4;
const MACS: usize = 12;
const ETHERNET: usize = 14;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    const ROOM: usize = 1792;

    /// Slabs and a chunk as the kernel leaves them after a frame.
    fn received(frame: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let mut slabs = vec![0xaa; 2 * SLAB];
        let mut chunk = frame[..frame.len().min(ROOM)].to_vec();
        chunk.resize(ROOM, 0xaa);
        let rest = &frame[frame.len().min(ROOM)..];
        overflow(&mut slabs[SLAB..], ROOM)[..rest.len()].copy_from_slice(rest);
        (slabs, chunk)
    }

    fn frames(frame: &[u8], arrival: &Arrival) -> Option<Vec<Vec<u8>>> {
        let (mut slabs, chunk) = received(frame);
        let mut large = Large::join(&mut slabs, SLAB, &chunk, arrival)?;
        let mut headers = [0; size_of::<Headers>()];
        let mut all = Vec::new();
        while let Some((head, payload)) = large.frame(&slabs, &mut headers) {
            all.push([head, payload].concat());
            large.advance();
        }
        Some(all)
    }

    #[test]
    fn a_jumbo_frame_is_joined_with_its_tag() {
        let frame = sample::udp4(&[9; 8000]);
        let mut arrival = Arrival {
            len: frame.len(),
            ..Arrival::default()
        };
        assert!(!is_short(&arrival, ROOM));
        assert_eq!(
            frames(&frame, &arrival).unwrap(),
            std::slice::from_ref(&frame)
        );
        arrival.tag = Some([0x81, 0, 0, 5]);
        assert_eq!(frames(&frame, &arrival).unwrap(), [sample::tagged(&frame)]);
    }

    #[test]
    fn a_super_packet_is_cut_whether_or_not_it_fits_its_chunk() {
        for len in [1500, 60_000] {
            let payload = vec![5; len];
            let frame = sample::tcp4(&payload);
            let arrival = Arrival {
                len: frame.len(),
                super_kind: 1,
                segment: 1000,
                tag: Some([0x81, 0, 0, 5]),
                ..Arrival::default()
            };
            let frames = frames(&frame, &arrival).unwrap();
            assert_eq!(frames.len(), len.div_ceil(1000));
            for frame in frames {
                assert_eq!(frame[12..16], [0x81, 0, 0, 5]);
                assert!(sample::is_right(&[&frame[..12], &frame[16..]].concat()));
            }
        }
    }

    #[test]
    fn what_is_damaged_is_none() {
        let frame = sample::udp4(&[9; 3000]);
        let good = Arrival {
            len: frame.len(),
            ..Arrival::default()
        };
        let cut = Arrival { cut: true, ..good };
        assert!(!is_short(&cut, usize::MAX));
        let runt = Arrival { len: 13, ..good };
        let nameless = Arrival {
            super_kind: 3,
            segment: 1000,
            ..good
        };
        for arrival in [cut, runt, nameless] {
            assert_eq!(frames(&frame, &arrival), None, "{arrival:?}");
        }
    }
}
