//! Capture files in the classic pcap format, read, written, and used as a queue.
//!
//! Golden tests and bug reports live on these: the packets that showed a fault
//! go through the director again, byte for byte, and what it sent is a file too.
//! A queue made of files needs no privilege and no NIC.
//!
//! Source: draft-ietf-opsawg-pcap, sections 4 and 5.

mod error;
mod queue;
mod reader;
mod writer;

pub use error::{PcapError, PcapFault};
pub use queue::PcapQueue;
pub use reader::{PcapPacket, PcapReader, PcapRecord};
pub use writer::PcapWriter;

/// First word of a file whose times count microseconds.
const MAGIC_MICROSECONDS: u32 = 0xa1b2_c3d4;
/// First word of a file whose times count nanoseconds.
const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;
/// The only version of the format in use.
const VERSION: (u16, u16) = (2, 4);
const FILE_HEADER_BYTES: usize = 24;
const RECORD_HEADER_BYTES: usize = 16;
/// Longest packet a file may hold, as in libpcap (MAXIMUM_SNAPLEN). A length
/// field beyond it is damage, and must not become an allocation.
const LONGEST_PACKET: usize = 262_144;
/// LINKTYPE_ETHERNET.
const LINK_TYPE_ETHERNET: u32 = 1;
