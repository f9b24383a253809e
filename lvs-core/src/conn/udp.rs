//! What a director believes of a UDP flow: that there was a packet.
//!
//! UDP has one state. Every packet, whichever way it goes, keeps the flow for
//! the same span again. A flow never counts as active with its real server, so
//! schedulers that look at active connections see none.
//!
//! *Source:* the behaviour of `ip_vs_proto_udp.c`, Linux 6.12.

use core::time::Duration;

use crate::config::Timeouts;

/// The name of the one state in listings of connections.
pub const NAME: &str = "UDP";

/// How long a flow is kept after its last packet.
#[must_use]
pub const fn timeout(timeouts: &Timeouts) -> Duration {
    timeouts.udp
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_span_is_the_one_that_was_set() {
        assert_eq!(timeout(&Timeouts::default()), Duration::from_secs(300));
        let udp = Duration::from_secs(7);
        let set = Timeouts {
            udp,
            ..Timeouts::default()
        };
        assert_eq!(timeout(&set), udp);
    }
}
