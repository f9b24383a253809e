//! Cutting a super-packet into the frames that fit the link: [`Cut`].
//!
//! A virtual device hands over what a sender left to its NIC to cut, and any
//! device what the kernel joined on arrival: TCP or UDP of up to 64 KiB with
//! one header. A director must see the frames that are, or were, on the wire.

use crate::checksum::Sum;
use crate::layout::{Layout, TCP, UDP};

/// What a super-packet is made of, as the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Super {
    /// IP protocol of the transport, TCP or UDP.
    pub(crate) protocol: u8,
    /// Bytes of payload in each frame but the last.
    pub(crate) segment: usize,
    /// Whether CWR is a signal of its own, for the first segment alone
    /// (RFC 3168), and not part of a counter (RFC 9768).
    pub(crate) classic_ecn: bool,
}

/// How one super-packet is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    layout: Layout,
    of: Super,
    /// Bytes of headers that every frame repeats.
    headers: usize,
    count: usize,
}

/// Room for the headers of one frame.
pub(crate) type Headers = [u8; 256];

impl Cut {
    /// How to cut `packet`, a whole Ethernet frame; `None` if it is not of the
    /// kind that `of` says, or its headers are damaged or too long.
    pub(crate) fn new(packet: &[u8], of: Super) -> Option<Self> {
        let layout = Layout::of_frame(packet)?;
        let transport = packet.get(layout.transport..)?;
        let headers = layout.transport
            + match layout.protocol {
                TCP => usize::from(transport.get(12)? >> 4) * 4,
                UDP => 8,
                _ => return None,
            };
        let least = layout.transport + if layout.protocol == TCP { 20 } else { 8 };
        let fits = (least..=size_of::<Headers>()).contains(&headers) && headers <= packet.len();
        if layout.protocol != of.protocol || of.segment == 0 || !fits {
            return None;
        }
        Some(Self {
            layout,
            of,
            headers,
            count: (packet.len() - headers).div_ceil(of.segment).max(1),
        })
    }

    /// How to cut `packet`, of TCP, when nobody says how: into frames whose IP
    /// packets have at most `mtu` bytes.
    pub(crate) fn to_fit(packet: &[u8], mtu: usize) -> Option<Self> {
        // The headers' length is found on the way, whatever the segment's.
        let of = Super {
            protocol: TCP,
            segment: 1,
            classic_ecn: true,
        };
        let any = Self::new(packet, of)?;
        let segment = mtu.checked_sub(any.headers - any.layout.ip)?;
        Self::new(packet, Super { segment, ..of })
    }

    /// How many frames it makes.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Frame `index`: its headers, made in `headers`, and its payload, whose
    /// checksum they hold.
    pub(crate) fn frame<'h, 'p>(
        &self,
        packet: &'p [u8],
        index: usize,
        headers: &'h mut Headers,
    ) -> (&'h [u8], &'p [u8]) {
        let start = self.headers + index * self.of.segment;
        let end = packet.len().min(start + self.of.segment);
        let payload = &packet[start.min(end)..end];
        let headers = &mut headers[..self.headers];
        headers.copy_from_slice(&packet[..self.headers]);
        self.patch_ip(headers, index, payload.len());
        match self.layout.protocol {
            TCP => self.patch_tcp(headers, index),
            _ => {
                let len = (8 + payload.len()) as u16;
                put(headers, self.layout.transport + 4, len.to_be_bytes());
            }
        }
        self.patch_checksum(headers, payload);
        (headers, payload)
    }

    fn patch_ip(&self, headers: &mut [u8], index: usize, payload: usize) {
        let ip = self.layout.ip;
        let len = headers.len() - ip + payload;
        if self.layout.v6 {
            put(headers, ip + 4, ((len - 40) as u16).to_be_bytes());
            return;
        }
        let id = u16::from_be_bytes([headers[ip + 4], headers[ip + 5]]);
        put(headers, ip + 2, (len as u16).to_be_bytes());
        put(headers, ip + 4, id.wrapping_add(index as u16).to_be_bytes());
        put(headers, ip + 10, [0, 0]);
        let mut sum = Sum::default();
        sum.add(&headers[ip..self.layout.transport]);
        put(headers, ip + 10, sum.checksum());
    }

    fn patch_tcp(&self, headers: &mut [u8], index: usize) {
        let tcp = &mut headers[self.layout.transport..];
        let sequence = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]);
        let sequence = sequence.wrapping_add((index * self.of.segment) as u32);
        tcp[4..8].copy_from_slice(&sequence.to_be_bytes());
        if index + 1 < self.count {
            tcp[13] &= !(FIN | PSH);
        }
        if index > 0 && self.of.classic_ecn {
            tcp[13] &= !CWR;
        }
    }

    fn patch_checksum(&self, headers: &mut [u8], payload: &[u8]) {
        let transport = self.layout.transport;
        let field = transport + if self.layout.protocol == TCP { 16 } else { 6 };
        put(headers, field, [0, 0]);
        let len = headers.len() - transport + payload.len();
        let mut sum = self.layout.pseudo_header(headers, len);
        sum.add(&headers[transport..]);
        sum.add(payload);
        put(headers, field, self.layout.sent(sum.checksum()));
    }
}

fn put(bytes: &mut [u8], offset: usize, value: [u8; 2]) {
    bytes[offset..offset + 2].copy_from_slice(&value);
}

const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const CWR: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn payload() -> Vec<u8> {
        (0..3333u32).map(|byte| (byte * 7) as u8).collect()
    }

    fn cut(packet: &[u8], of: Super) -> Vec<Vec<u8>> {
        let cut = Cut::new(packet, of).unwrap();
        let mut headers = [0xaa; size_of::<Headers>()];
        (0..cut.count())
            .map(|index| {
                let (headers, payload) = cut.frame(packet, index, &mut headers);
                [headers, payload].concat()
            })
            .collect()
    }

    fn tcp(segment: usize) -> Super {
        Super {
            protocol: TCP,
            segment,
            classic_ecn: true,
        }
    }

    #[test]
    fn tcp_goes_on_from_segment_to_segment() {
        for (packet, transport) in [
            (sample::tcp4(&payload()), 34),
            (sample::tcp6(&payload()), 54),
        ] {
            let frames = cut(&packet, tcp(1001));
            assert_eq!(frames.len(), 4);
            let mut joined: Vec<u8> = Vec::new();
            for (index, frame) in frames.iter().enumerate() {
                assert!(sample::is_right(frame), "checksums of frame {index}");
                let sequence: [u8; 4] = frame[transport + 4..transport + 8].try_into().unwrap();
                let expected = 0xffff_fff0_u32.wrapping_add(index as u32 * 1001);
                assert_eq!(u32::from_be_bytes(sequence), expected);
                joined.extend(&frame[transport + 32..]);
            }
            assert_eq!(joined, payload());
            let flags: Vec<u8> = frames.iter().map(|frame| frame[transport + 13]).collect();
            assert_eq!(flags, [0x90, 0x10, 0x10, 0x19]);
        }
    }

    #[test]
    fn every_ipv4_frame_has_its_length_and_identification() {
        let frames = cut(&sample::tcp4(&payload()), tcp(1001));
        for (index, frame) in frames.iter().enumerate() {
            let number = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
            assert_eq!(usize::from(number(16)), frame.len() - 14);
            assert_eq!(number(18), 0xfffe_u16.wrapping_add(index as u16));
        }
    }

    #[test]
    fn cut_to_fit_every_frame_is_as_long_as_the_link_takes() {
        for packet in [
            sample::tcp4(&payload()),
            sample::tcp6(&payload()),
            sample::tagged(&sample::tcp4(&payload())),
        ] {
            let cut = Cut::to_fit(&packet, 1200).unwrap();
            let mut headers = [0; size_of::<Headers>()];
            let ip = cut.layout.ip;
            let lengths = (0..cut.count()).map(|index| {
                let (headers, payload) = cut.frame(&packet, index, &mut headers);
                headers.len() - ip + payload.len()
            });
            let lengths: Vec<usize> = lengths.collect();
            assert_eq!(lengths[..2], [1200, 1200]);
            assert!(lengths.iter().all(|&length| length <= 1200));
        }
        assert!(
            Cut::to_fit(&sample::tcp4(&payload()), 52).is_none(),
            "no room for payload"
        );
        assert!(Cut::to_fit(&sample::udp4(&payload()), 1200).is_none());
    }

    #[test]
    fn the_ecn_counter_stays_in_every_segment() {
        let of = Super {
            classic_ecn: false,
            ..tcp(1001)
        };
        for frame in cut(&sample::tcp4(&payload()), of) {
            assert_eq!(frame[34 + 13] & CWR, CWR);
        }
    }

    #[test]
    fn udp_becomes_datagrams() {
        let of = Super {
            protocol: UDP,
            segment: 1000,
            classic_ecn: false,
        };
        for (packet, transport) in [
            (sample::udp4(&payload()), 34),
            (sample::udp6(&payload()), 54),
        ] {
            let frames = cut(&packet, of);
            assert_eq!(frames.len(), 4);
            let mut joined: Vec<u8> = Vec::new();
            for frame in &frames {
                assert!(sample::is_right(frame));
                let len = u16::from_be_bytes([frame[transport + 4], frame[transport + 5]]);
                assert_eq!(usize::from(len), frame.len() - transport);
                joined.extend(&frame[transport + 8..]);
            }
            assert_eq!(joined, payload());
        }
    }

    #[test]
    fn tags_are_kept() {
        let packet = sample::tagged(&sample::tcp4(&payload()));
        let frames = cut(&packet, tcp(1400));
        assert_eq!(frames.len(), 3);
        for frame in frames {
            assert_eq!(frame[12..16], [0x81, 0, 0, 5]);
            assert!(sample::is_right(&[&frame[..12], &frame[16..]].concat()));
        }
    }

    #[test]
    fn refuses_what_is_not_as_it_was_said() {
        let packet = sample::tcp4(&payload());
        assert!(Cut::new(&packet, tcp(0)).is_none());
        assert!(Cut::new(&sample::udp4(b"x"), tcp(1000)).is_none());
        for len in 0..66 {
            assert!(Cut::new(&packet[..len], tcp(1000)).is_none(), "{len} bytes");
        }
        let mut short = packet;
        short[34 + 12] = 0x40;
        assert!(Cut::new(&short, tcp(1000)).is_none());
    }

    /// Whatever the headers say, the frames stay within what was given.
    #[test]
    fn damage_never_breaks_it() {
        let packets = [sample::tcp4(&payload()), sample::udp6(&payload())];
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 16) as usize % below
        };
        let mut made = 0;
        for _ in 0..20_000 {
            let mut packet = packets[random(2)].clone();
            packet.truncate(random(packet.len()) + 1);
            for _ in 0..random(4) {
                let at = random(packet.len().min(80));
                packet[at] = random(256) as u8;
            }
            let of = Super {
                protocol: [TCP, UDP][random(2)],
                segment: random(1 << 16),
                classic_ecn: random(2) == 0,
            };
            let Some(cut) = Cut::new(&packet, of) else {
                continue;
            };
            let mut headers = [0; size_of::<Headers>()];
            let total: usize = (0..cut.count())
                .map(|index| cut.frame(&packet, index, &mut headers).1.len())
                .sum();
            assert_eq!(total + cut.headers, packet.len());
            made += 1;
        }
        assert!(made > 1000, "{made}");
    }

    #[test]
    fn a_packet_that_fits_is_one_frame_made_whole() {
        let packet = sample::tcp4(b"");
        let mut spoilt = packet.clone();
        spoilt[34 + 16] ^= 1;
        assert_eq!(cut(&spoilt, tcp(1000)), [packet]);
    }
}
