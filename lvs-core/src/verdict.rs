//! What becomes of a packet.

use crate::snapshot::{Port, ShardId};

/// What the caller must do with a packet after [`Shard::process`](crate::Shard::process).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Send it by this port; its bytes are ready for the wire.
    Transmit(Port),
    /// Longer than the MTU ahead, and free to be fragmented: send it by this
    /// port in pieces of so many bytes, which [`Shard::cut`](crate::Shard::cut)
    /// makes of it.
    Cut(Port, u16),
    /// It is not the director's business: give it to the host's own stack,
    /// unchanged.
    Host,
    /// The host itself is its real server: give it to the host's own stack as
    /// it is now, its headers rewritten.
    Deliver,
    /// It ends here, for this reason.
    Drop(DropReason),
    /// Its connection lives with another shard: give it there, unchanged.
    Handoff(ShardId),
    /// A fragment, unchanged so far: give it, whole, to
    /// [`Shard::hold`](crate::Shard::hold), which says what becomes of it.
    Fragment,
    /// A fragment the shard has a copy of until the rest of its datagram comes:
    /// free it. What leaves in its stead is fetched with
    /// [`Shard::release`](crate::Shard::release).
    Held,
}

/// Declares the drop reasons once, with a name for people and a counter index
/// for each.
macro_rules! drop_reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident => $name:literal,)+) => {
        /// Why a packet ended in the director. Each has its own counter.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum DropReason {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl DropReason {
            /// Every reason, in counter order.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// Its name in listings and metrics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

drop_reasons! {
    /// The frame ends before its headers do.
    Truncated => "truncated",
    /// The Ethernet destination is neither this port nor a group.
    NotOurMac => "not_our_mac",
    /// Version, header length or total length of an IP header contradict each other.
    BadIpHeader => "bad_ip_header",
    /// The IPv4 header checksum does not fit (RFC 1122 3.2.1.2).
    BadIpChecksum => "bad_ip_checksum",
    /// The packet ends within its TCP, UDP or SCTP header, or before the first
    /// chunk of SCTP, and is of no connection that it could be sent on by.
    BadTransportHeader => "bad_transport_header",
    /// An SCTP packet in several buffers whose checksum was left to hardware.
    ChecksumNotMade => "checksum_not_made",
    /// Sent from an address nobody can be answered at.
    BadSource => "bad_source",
    /// An ICMP error whose own checksum does not fit, so that it must not be
    /// rewritten.
    BadIcmpChecksum => "bad_icmp_checksum",
    /// A fragment that contradicts its own headers: no data, a length that is no
    /// multiple of eight though more follow, or data beyond the 65535 bytes a
    /// packet may have; or a datagram some fragments of which say that congestion
    /// cannot be marked, and others that it can (RFC 3168 section 5.3).
    BadFragment => "bad_fragment",
    /// A fragment that overlaps another of its datagram without being the same
    /// again, or disagrees with it on where the datagram ends; the datagram is
    /// given up (RFC 5722).
    FragmentOverlap => "fragment_overlap",
    /// The rest of a datagram did not come in time.
    FragmentTimeout => "fragment_timeout",
    /// A datagram that was given up for others as the memory for fragments was
    /// full, or a fragment for which there was none.
    FragmentMemory => "fragment_memory",
    /// The same where it was its source that has no larger share of that memory.
    FragmentShare => "fragment_share",
    /// A fragment that had come before.
    FragmentDuplicate => "fragment_duplicate",
    /// A fragment of a datagram in more of them than any link needs.
    TooManyFragments => "too_many_fragments",
    /// No real server of the service takes new connections, and the client
    /// cannot be told (the packet was an error itself, or has no room for an answer).
    NoRealServer => "no_real_server",
    /// The connection's real server has been removed from its service.
    RealServerGone => "real_server_gone",
    /// One of the new connections given up for the others (`drop_packet`).
    Defence => "defence",
    /// A packet of a masqueraded real server's port that is of no connection,
    /// refused by `nat_icmp_send`, and the real server cannot be told.
    NoConnection => "no_connection",
    /// The connection table is full.
    TableFull => "table_full",
    /// Both index buckets of the connection are full though the table is not.
    IndexFull => "index_full",
    /// The hop towards the destination has no known link address yet.
    NextHopUnresolved => "next_hop_unresolved",
    /// No route leads to the destination.
    Unreachable => "unreachable",
    /// TTL or hop limit ran out, and no answer can be made of this packet.
    TtlExpired => "ttl_expired",
    /// Longer than the MTU ahead, and no answer can be made of this packet.
    TooBig => "too_big",
    /// Its sender was owed an ICMP answer, but too many were sent just now.
    AnswerLimited => "answer_limited",
    /// An ICMP error about a tunnel of the director's own, taken note of; the
    /// client need not hear of it.
    TunnelError => "tunnel_error",
    /// A tunnel whose path takes too little for the least packets of its own family.
    TunnelTooNarrow => "tunnel_too_narrow",
    /// A tunnel's checksum covers the packet, whose sum is not known: part of it
    /// was never summed, and it has no checksum itself.
    TunnelChecksumUnknown => "tunnel_checksum_unknown",
    /// No room in front of the packet for the headers it needs.
    NoHeadroom => "no_headroom",
    /// The verdict would send it to a shard that does not exist.
    NoSuchShard => "no_such_shard",
}

impl DropReason {
    /// Its place in [`DropReason::ALL`].
    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_counter_and_name() {
        for (index, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason.index(), index);
            let same_name = DropReason::ALL
                .into_iter()
                .filter(|r| r.name() == reason.name());
            assert_eq!(same_name.count(), 1, "{}", reason.name());
        }
    }
}
