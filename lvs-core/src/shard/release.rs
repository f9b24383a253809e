//! What held fragments make together goes out, a frame at a time.

use core::ops::Range;

use super::Shard;
use crate::datagram::{Laid, Ready};
use crate::forward::{self, Answer, Stopped};
use crate::network::Resolution;
use crate::packet::ethernet::{self, Ethernet};
use crate::packet::fragment::FRAGMENT_HEADER;
use crate::packet::{Packet, PacketBuf, Pieces, Shape, ipv4, ipv6};
use crate::snapshot::Port;
use crate::time::Instant;
use crate::verdict::{DropReason, Verdict};

/// A frame that leaves in the stead of fragments that were held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Released {
    /// What to do with it: [`Verdict::Transmit`], [`Verdict::Host`],
    /// [`Verdict::Deliver`] or [`Verdict::Handoff`], and no other.
    pub verdict: Verdict,
    /// The port its fragment was received on.
    pub ingress: Port,
    /// Its length, bytes.
    pub length: usize,
}

/// A datagram whose pieces are leaving.
#[derive(Clone, Debug)]
pub(super) struct Leaving {
    /// Its slot.
    slot: u32,
    ingress: Port,
    /// Where its frame lies.
    frame: Range<usize>,
    how: How,
}

/// In which pieces a datagram leaves.
#[derive(Clone, Copy, Debug)]
enum How {
    /// In the fragments it came in, as they came; the next of them.
    AsItCame(Verdict, u32),
    /// In the same pieces, rewritten; the next of them.
    ///
    /// The number is of bytes in front of the data of the first.
    Rewritten(Port, Shape, usize, u32),
    /// In pieces for the MTU ahead.
    Cut(Port, Pieces),
    /// In one.
    Whole(Verdict),
    /// No more of it.
    Gone,
}

impl Shard<'_> {
    /// Bytes of the longest frame there is: an Ethernet header with a tag and the
    /// longest IP packet.
    pub const LONGEST_FRAME: usize = 18 + ipv6::HEADER + 0xffff;

    /// Whether [`release`](Self::release) may have a frame.
    ///
    /// *Cost:* two comparisons.
    #[must_use]
    pub const fn is_release_due(&self) -> bool {
        self.leaving.is_some() || self.datagrams.is_ready()
    }

    /// Writes the next frame that leaves in the stead of held fragments to the
    /// start of `into`, and says what to do with it; `None` when there is none.
    ///
    /// To be called until it returns `None` after every batch in which a fragment
    /// was held, and after [`expire`](Self::expire). A datagram is decided on
    /// with its first frame; what has not been fetched waits here.
    ///
    /// What does not fit `into` is lost: it should take the longest frame there
    /// is, [`LONGEST_FRAME`](Self::LONGEST_FRAME).
    ///
    /// *Cost:* a copy of the frame, and two of the datagram. Never allocates,
    /// blocks or panics.
    #[cold]
    pub fn release(&mut self, now: Instant, into: &mut [u8]) -> Option<Released> {
        loop {
            let mut leaving = match self.leaving.take() {
                Some(leaving) => leaving,
                None => self.begin_release(now)?,
            };
            if let Some(released) = self.next_of(&mut leaving, into) {
                self.leaving = Some(leaving);
                return Some(released);
            }
            self.datagrams.finish(leaving.slot);
        }
    }

    /// The pieces of a packet with verdict [`Verdict::Cut`] and this MTU, whose
    /// frame begins with `head`, in which its headers lie whole.
    ///
    /// `None` only for a frame that is not one of a packet with that verdict.
    #[cold]
    pub fn cut(&mut self, head: &[u8], mtu: u16) -> Option<Pieces> {
        self.cuts = self.cuts.wrapping_add(1);
        // An odd factor: no number comes twice before all have come, and who does
        // not know the seed cannot tell the next (RFC 7739).
        let mixed = self.cuts.wrapping_mul(self.seed as u32 | 1);
        let identification = mixed ^ (self.seed >> 32) as u32;
        Pieces::of(head, mtu, identification)
    }

    /// Decides on the next datagram that may leave, and counts it.
    fn begin_release(&mut self, now: Instant) -> Option<Leaving> {
        let (slot, why) = self.datagrams.first_ready()?;
        let mut leaving = Leaving {
            slot,
            ingress: Port(0),
            frame: 0..0,
            how: How::Gone,
        };
        let mut scratch = core::mem::take(&mut self.scratch);
        let verdict = match why {
            Ready::Whole => self.decide_whole(now, &mut leaving, &mut scratch),
            Ready::TimedOut => self.answer_late(now, &mut leaving, &mut scratch),
            Ready::Hosts => {
                let first = self.datagrams.first_piece(slot);
                leaving.how = first.map_or(How::Gone, |first| How::AsItCame(Verdict::Host, first));
                Verdict::Host
            }
        };
        self.scratch = scratch;
        self.stats.count(verdict);
        let fragments = u64::from(self.datagrams.count_of(slot));
        match verdict {
            Verdict::Drop(_) => self.stats.given_up += fragments,
            _ if why == Ready::TimedOut => self.stats.given_up += fragments,
            _ => self.stats.joined += fragments,
        }
        Some(leaving)
    }

    /// Lays a datagram together and decides on it as on any packet.
    fn decide_whole(&mut self, now: Instant, leaving: &mut Leaving, scratch: &mut [u8]) -> Verdict {
        let laid = match self.datagrams.lay(leaving.slot, scratch) {
            Ok(laid) => laid,
            Err(reason) => return Verdict::Drop(reason),
        };
        (leaving.ingress, leaving.frame) = (laid.ingress, laid.range.clone());
        let answers = self.stats.answers;
        let mut packet = Packet::NONE;
        packet.longest_fragment = laid.longest;
        let mut buf = PacketBuf::new(scratch, &mut leaving.frame, laid.ingress);
        let verdict = match packet.read(&mut buf, None) {
            Ok(()) => {
                let hash = self.table.hash(&packet.flow);
                let (mut step, _) = self.step(now);
                step.decide(&mut buf, &packet, hash, None)
            }
            Err(verdict) => verdict,
        };
        let answered = self.stats.answers != answers;
        match self.how((verdict, answered), &laid, leaving, scratch) {
            Some(how) => leaving.how = how,
            None => return Verdict::Drop(DropReason::BadFragment),
        }
        verdict
    }

    /// How a datagram leaves that was decided on like this, and perhaps answered;
    /// `None` for one that cannot be cut as it must be.
    fn how(
        &mut self,
        (verdict, answered): (Verdict, bool),
        laid: &Laid,
        leaving: &Leaving,
        scratch: &[u8],
    ) -> Option<How> {
        let (port, mtu) = match verdict {
            Verdict::Host | Verdict::Handoff(_) => {
                let first = self.datagrams.first_piece(leaving.slot)?;
                return Some(How::AsItCame(verdict, first));
            }
            Verdict::Deliver => return Some(How::Whole(verdict)),
            Verdict::Transmit(_) if answered => return Some(How::Whole(verdict)),
            Verdict::Transmit(port) => (port, None),
            Verdict::Cut(port, mtu) => (port, Some(u32::from(mtu))),
            Verdict::Drop(_) | Verdict::Fragment | Verdict::Held => return Some(How::Gone),
        };
        self.cut_again((port, mtu), laid, leaving, scratch)
    }

    /// The pieces of a datagram that is sent on, by itself or in a tunnel.
    ///
    /// As Linux 6.12 (ip_output.c, ip6_output.c): IPv4 goes in nothing longer
    /// than the longest fragment that came, the outer packet of a tunnel
    /// included; the fragments are kept as they were cut, what is inside the
    /// tunnel in front being part of the first, where they fit and that part is
    /// of a length a fragment may have.
    fn cut_again(
        &mut self,
        (port, mtu): (Port, Option<u32>),
        laid: &Laid,
        leaving: &Leaving,
        scratch: &[u8],
    ) -> Option<How> {
        let frame = scratch.get(leaving.frame.clone())?;
        let ethernet = Ethernet::parse(frame)?;
        let outer = Outside::of(&ethernet, leaving.frame.start, laid);
        let limit = match mtu {
            _ if outer.keeps_to_longest => laid.longest.min(mtu.unwrap_or(u32::MAX)),
            None => return Some(How::Whole(Verdict::Transmit(port))),
            Some(mtu) => mtu,
        };
        let length = frame.len() - ethernet.length;
        let limit = usize::try_from(limit).ok()?;
        // Never so with IPv4 by itself, of which the longest is not all. IPv6 is
        // shorter by a fragment header now.
        if length <= limit {
            return Some(How::Whole(Verdict::Transmit(port)));
        }
        let pieces = self.cut(frame, u16::try_from(limit).ok()?);
        let data = limit.checked_sub(outer.header + outer.extra)?;
        let fit = || self.datagrams.fit(leaving.slot, outer.shift, data);
        if outer.may_keep_fragments && outer.shift.is_multiple_of(8) && fit() {
            let shape = match outer.tunnelled {
                true => pieces?.shape(),
                false => {
                    let v6 = laid.next_header.map(|at| (at, laid.identification));
                    let l3 = ethernet.length;
                    Shape::of_datagram(l3, l3 + laid.header, v6)
                }
            };
            let first = self.datagrams.first_piece(leaving.slot)?;
            return Some(How::Rewritten(port, shape, outer.shift, first));
        }
        let pieces = pieces?;
        let pieces = if laid.dont_fragment {
            pieces.with_df()
        } else {
            pieces
        };
        Some(How::Cut(port, pieces))
    }

    /// Tells the sender of a datagram that the rest of it did not come in time.
    fn answer_late(&mut self, now: Instant, leaving: &mut Leaving, scratch: &mut [u8]) -> Verdict {
        let dropped = DropReason::FragmentTimeout;
        let Some((frame, ingress)) = self.datagrams.lay_first(leaving.slot, scratch) else {
            return Verdict::Drop(dropped);
        };
        (leaving.ingress, leaving.frame) = (ingress, frame);
        let mut packet = Packet::NONE;
        let mut buf = PacketBuf::new(scratch, &mut leaving.frame, ingress);
        if packet.read(&mut buf, None).is_err() {
            return Verdict::Drop(dropped);
        }
        let vip = packet.flow.addresses.destination();
        if self.snapshot.network.resolve(vip) != Resolution::Local {
            // The kernel waits for the rest of what it forwards when it has
            // taken one off its TTL.
            let _ = forward::take_ttl(&mut buf, &packet);
        }
        let (mut step, _) = self.step(now);
        let answered = Stopped::Answered(Answer::ReassemblyTime, dropped);
        let verdict = step.stop(&mut buf, &packet, answered);
        if let Verdict::Transmit(_) = verdict {
            leaving.how = How::Whole(verdict);
        }
        verdict
    }

    /// Writes the next frame of a datagram; `None` when there are no more.
    fn next_of(&self, leaving: &mut Leaving, into: &mut [u8]) -> Option<Released> {
        let frame = self.scratch.get(leaving.frame.clone())?;
        let (verdict, length) = match &mut leaving.how {
            How::AsItCame(verdict, piece) => {
                let (length, ingress, next) = self.datagrams.frame_of(*piece, into)?;
                *piece = next;
                leaving.ingress = ingress;
                (*verdict, length)
            }
            How::Rewritten(port, shape, shift, piece) => {
                let (mut data, next) = self.datagrams.data_of(*piece)?;
                data.start = if data.start == 0 {
                    0
                } else {
                    *shift + data.start
                };
                data.end += *shift;
                let more = self.datagrams.data_of(next).is_some();
                let length = shape.write(&[frame], data, more, into)?;
                *piece = next;
                (Verdict::Transmit(*port), length)
            }
            How::Cut(port, pieces) => {
                let length = pieces.write_next(&[frame], into)?;
                (Verdict::Transmit(*port), length)
            }
            How::Whole(verdict) => {
                let verdict = *verdict;
                into.get_mut(..frame.len())?.copy_from_slice(frame);
                leaving.how = How::Gone;
                (verdict, frame.len())
            }
            How::Gone => return None,
        };
        Some(Released {
            verdict,
            ingress: leaving.ingress,
            length,
        })
    }
}

/// The outermost IP header of a datagram that is sent on.
#[derive(Clone, Copy, Debug)]
struct Outside {
    /// Whether it is that of a tunnel.
    tunnelled: bool,
    /// Its length, and that of a fragment header behind it, bytes.
    header: usize,
    extra: usize,
    /// Bytes of data in front of the datagram's own.
    shift: usize,
    /// Whether no piece may be longer than the longest fragment that came.
    keeps_to_longest: bool,
    /// Whether fragments may leave as they were cut.
    may_keep_fragments: bool,
}

impl Outside {
    /// That of a frame that begins at `start` of the room `laid` was laid into.
    fn of(ethernet: &Ethernet, start: usize, laid: &Laid) -> Self {
        let inner = laid.range.start + laid.l3;
        let outer = start + ethernet.length;
        let tunnelled = outer < inner;
        let is_ipv4 = ethernet.ether_type == ethernet::IPV4;
        let holds_ipv4 = laid.next_header.is_none();
        let (header, extra) = match (tunnelled, is_ipv4) {
            (false, true) => (laid.header, 0),
            (false, false) => (laid.header, FRAGMENT_HEADER),
            (true, true) => (ipv4::HEADER, 0),
            (true, false) => (ipv6::HEADER, FRAGMENT_HEADER),
        };
        Self {
            tunnelled,
            header,
            extra,
            shift: (inner + laid.header).saturating_sub(outer + header),
            keeps_to_longest: !tunnelled || is_ipv4 && holds_ipv4,
            may_keep_fragments: is_ipv4 || !holds_ipv4,
        }
    }
}
