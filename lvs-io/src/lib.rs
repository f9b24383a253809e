//! Frames in and out: NIC queues by AF_XDP or AF_PACKET, capture files and
//! plain memory, all behind one contract.
//!
//! This crate moves bytes. It knows neither services nor connections.
#![deny(unsafe_code)]

mod checksum;
mod detour;
mod error;
mod layout;
mod loopback;
pub mod netlink;
mod nic;
mod packet;
pub mod pcap;
pub mod program;
mod punt;
mod queue;
mod queues;
#[cfg(test)]
mod sample;
mod segment;
mod spread;
#[allow(unsafe_code)]
mod sys;
mod xdp;

pub use detour::{Detour, OwnEnd};
pub use error::Error;
pub use loopback::{Delivery, Loopback, LoopbackPeer, Received};
pub use nic::{Nic, Setup, Spread};
pub use packet::{PacketOptions, PacketQueue};
pub use punt::{Punt, PuntCounters};
pub use queue::{Capabilities, Checksum, Mode, Queue, QueueCounters};
pub use queues::{Lane, Options, Owner, Queues, WantedMode};
pub use sys::poll::Watch;
pub use xdp::{Attachment, XdpQueue};
