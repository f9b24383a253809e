//! What can be wrong with a capture: [`PcapError`].

use std::fmt;
use std::io;

use super::LONGEST_PACKET;

/// A fault of a capture file and where it is.
#[derive(Debug)]
pub struct PcapError {
    /// Bytes from the start of the file to the header or record at fault.
    pub offset: u64,
    /// What is wrong there.
    pub fault: PcapFault,
}

/// What can be wrong with a capture file.
#[derive(Debug)]
#[non_exhaustive]
pub enum PcapFault {
    /// The file could not be read.
    Read(io::Error),
    /// The file could not be written.
    Write(io::Error),
    /// Its packets are not Ethernet frames; their LINKTYPE_ number.
    NotEthernet(u32),
    /// The file does not begin as a pcap file does; its first word.
    NotPcap(u32),
    /// It is a pcapng file, another format.
    PcapNg,
    /// A version other than 2.4.
    Version(u16, u16),
    /// The file ends within its header.
    HeaderCut,
    /// The file ends within a record.
    RecordCut,
    /// A record claims more bytes than any packet has.
    TooLong(u32),
    /// A record claims to hold more bytes than were on the wire.
    MoreThanOriginal {
        /// Bytes it claims to hold.
        captured: u32,
        /// Bytes it claims were on the wire.
        original: u32,
    },
    /// The part of the time below a second is a second or more.
    TimeFraction(u32),
}

impl fmt::Display for PcapError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "capture file, offset {}: {}", self.offset, self.fault)
    }
}

impl std::error::Error for PcapError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            PcapFault::Read(error) | PcapFault::Write(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for PcapFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(out, "cannot be read: {error}"),
            Self::Write(error) => write!(out, "cannot be written: {error}"),
            Self::NotEthernet(link) => write!(out, "link type {link}, not Ethernet"),
            Self::NotPcap(word) => write!(out, "not a pcap file (begins with {word:#010x})"),
            Self::PcapNg => out.write_str("a pcapng file; convert it to classic pcap"),
            Self::Version(major, minor) => write!(out, "version {major}.{minor}, not 2.4"),
            Self::HeaderCut => out.write_str("the file ends within its header"),
            Self::RecordCut => out.write_str("the file ends within this record"),
            Self::TooLong(claimed) => write!(
                out,
                "the record claims {claimed} bytes, more than {LONGEST_PACKET}"
            ),
            Self::MoreThanOriginal { captured, original } => write!(
                out,
                "the record claims {captured} bytes of a packet of {original}"
            ),
            Self::TimeFraction(fraction) => {
                write!(out, "the time's fraction {fraction} is a second or more")
            }
        }
    }
}
