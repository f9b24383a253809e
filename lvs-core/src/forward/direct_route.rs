//! Direct routing: the packet stays as it is, only its Ethernet header changes.
//!
//! ```text
//!  | eth: real server's MAC | ip: client -> vip | tcp | data |
//! ```
//!
//! The real server has the VIP on an interface that answers no ARP, takes the
//! packet as its own, and replies to the client itself.

use crate::packet::{Packet, PacketBuf};
use crate::verdict::DropReason;

/// Nothing but what every method does.
#[expect(
    clippy::unnecessary_wraps,
    reason = "one shape for all forwarding methods"
)]
pub(super) fn request(_: &mut PacketBuf<'_>, _: &Packet) -> Result<(), DropReason> {
    Ok(())
}
