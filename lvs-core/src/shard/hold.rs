//! Fragments come in, and are kept until their datagram is whole.
//!
//! ```text
//!  process ──> Verdict::Fragment ──> hold ──> Held: a copy is kept
//!                                     │       Host, Handoff, Drop: as it is
//!                                     v
//!                                  release ──> one frame after the other
//! ```

use super::Shard;
use super::claims::asks_for;
use crate::datagram::Whose;
use crate::packet::fragment::Fragment;
use crate::packet::{FlowKey, Kind, Packet, PacketBuf, Tail};
use crate::snapshot::Port;
use crate::steer;
use crate::time::Instant;
use crate::verdict::{DropReason, Verdict};

impl Shard<'_> {
    /// Decides what becomes of a packet with verdict [`Verdict::Fragment`], of
    /// which `parts` are all bytes, headers whole in the first.
    ///
    /// `handed_over` says that another shard has handed it over. A fragment goes
    /// to the shard of its datagram, a hash of what its fragments have in common;
    /// a datagram goes on to that of its connection, in the fragments it came in,
    /// and is put together there again.
    ///
    /// Returns [`Verdict::Held`] (there is a copy: free it),
    /// [`Verdict::Host`], [`Verdict::Handoff`] or [`Verdict::Drop`], never
    /// another. The frame is not changed.
    ///
    /// *Cost:* a copy of the fragment. Never allocates, blocks or panics.
    #[cold]
    pub fn hold(
        &mut self,
        now: Instant,
        ingress: Port,
        handed_over: bool,
        parts: &[&[u8]],
    ) -> Verdict {
        let verdict = self.take_fragment(now, ingress, handed_over, parts);
        let verdict = verdict.unwrap_or_else(Verdict::Drop);
        self.stats.count(verdict);
        verdict
    }

    fn take_fragment(
        &mut self,
        now: Instant,
        ingress: Port,
        handed_over: bool,
        parts: &[&[u8]],
    ) -> Result<Verdict, DropReason> {
        let mut head = [0u8; LONGEST_HEAD];
        let mut packet = Packet::NONE;
        let fragment = match read(ingress, parts, &mut head, &mut packet)? {
            Ok(fragment) => fragment,
            Err(verdict) => return Ok(verdict),
        };
        let key = &fragment.datagram;
        if !self.snapshot.may_have_fragment(ingress, &packet) {
            return Ok(Verdict::Host);
        }
        if !handed_over {
            let hash = key.hash(self.snapshot.seed);
            let owner = steer::shard_by(hash, self.snapshot.shards);
            if owner != self.id {
                return Ok(Verdict::Handoff(owner));
            }
        }
        let mut whose = self.datagrams.whose(now, key);
        if let Some(flow) = fragment.flow {
            let told = self.whose(ingress, &packet, &flow);
            self.datagrams.tell(now, key, told, &mut self.stats);
            whose = Some(told);
        }
        if whose == Some(Whose::Hosts) {
            return Ok(Verdict::Host);
        }
        let frame = (ingress, parts);
        self.datagrams
            .hold(now, &fragment, frame, &mut self.stats)?;
        Ok(Verdict::Held)
    }

    /// Whose a datagram is whose first fragment this is.
    fn whose(&self, ingress: Port, fragment: &Packet, flow: &FlowKey) -> Whose {
        let classifier = self.snapshot.config.classifier();
        let mark = classifier.mark_first_fragment(ingress, fragment, *flow);
        let known = || {
            let hash = self.table.hash(flow);
            self.table.find(flow, hash, None).is_some()
        };
        if asks_for(&self.snapshot, flow, mark) || known() {
            Whose::Services
        } else {
            Whose::Hosts
        }
    }
}

/// Reads a fragment's headers, copied into `head`, as `packet`; a verdict for
/// what is none.
fn read(
    ingress: Port,
    parts: &[&[u8]],
    head: &mut [u8; LONGEST_HEAD],
    packet: &mut Packet,
) -> Result<Result<Fragment, Verdict>, DropReason> {
    let first = parts.first().copied().unwrap_or(&[]);
    let count = first.len().min(LONGEST_HEAD);
    for (to, from) in head.iter_mut().zip(first) {
        *to = *from;
    }
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let tail = Tail::NONE.followed_by_unsummed(length - count);
    let mut range = 0..count;
    let mut buf = PacketBuf::new(head, &mut range, ingress).with_tail(tail);
    match packet.read(&mut buf, None) {
        Ok(()) if packet.kind == Kind::Fragment => Fragment::read(&buf, packet).map(Ok),
        Ok(()) => Ok(Err(Verdict::Host)),
        Err(verdict) => Ok(Err(verdict)),
    }
}

/// As much of a fragment as its headers may take: far more than any of IPv4, and
/// more extension headers in front of IPv6's fragment header than anybody sends.
const LONGEST_HEAD: usize = 512;
