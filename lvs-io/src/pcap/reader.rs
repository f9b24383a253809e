//! Reading a capture: [`PcapReader`].

use std::io::{self, Read};
use std::time::Duration;

use super::{
    FILE_HEADER_BYTES, LINK_TYPE_ETHERNET, LONGEST_PACKET, MAGIC_MICROSECONDS, MAGIC_NANOSECONDS,
    PcapError, PcapFault, RECORD_HEADER_BYTES, VERSION,
};

/// Reads the packets of a capture, in both byte orders and both resolutions.
///
/// As an iterator it yields packets with their own bytes;
/// [`read_into`](Self::read_into) reuses the caller's buffer. After the first
/// error there is nothing more to read: a record of unknown length hides where
/// the next one begins.
#[derive(Debug)]
pub struct PcapReader<R> {
    input: R,
    offset: u64,
    order: Order,
    fractions_per_second: u32,
    link_type: u32,
    ended: bool,
}

/// One packet of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PcapPacket {
    /// When and how long.
    pub record: PcapRecord,
    /// The captured bytes.
    pub bytes: Vec<u8>,
}

/// What a capture says about a packet besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PcapRecord {
    /// Time since 1970-01-01T00:00:00Z.
    pub time: Duration,
    /// Bytes that were captured.
    pub captured: usize,
    /// Bytes that were on the wire.
    pub original: usize,
}

#[derive(Clone, Copy, Debug)]
enum Order {
    Little,
    Big,
}

impl<R: Read> PcapReader<R> {
    /// Reads the file header. `input` should be buffered.
    ///
    /// # Errors
    ///
    /// The header is missing, cut, or not that of a classic pcap file.
    pub fn new(mut input: R) -> Result<Self, PcapError> {
        let mut header = [0; FILE_HEADER_BYTES];
        let fault = |fault| PcapError { offset: 0, fault };
        let got = fill(&mut input, &mut header).map_err(|error| fault(PcapFault::Read(error)))?;
        let (order, fractions_per_second) = magic(&header[..got.min(4)]).map_err(fault)?;
        if got < header.len() {
            return Err(fault(PcapFault::HeaderCut));
        }
        let version = (
            order.u16([header[4], header[5]]),
            order.u16([header[6], header[7]]),
        );
        if version != VERSION {
            return Err(fault(PcapFault::Version(version.0, version.1)));
        }
        Ok(Self {
            input,
            offset: FILE_HEADER_BYTES as u64,
            order,
            fractions_per_second,
            // The upper bits tell of frame check sequences.
            link_type: order.word(&header, 5) & 0x0fff_ffff,
            ended: false,
        })
    }

    /// The kind of link the packets are from (a LINKTYPE_ number; 1 is Ethernet).
    pub fn link_type(&self) -> u32 {
        self.link_type
    }

    /// Whether the packets are Ethernet frames.
    pub fn is_ethernet(&self) -> bool {
        self.link_type == LINK_TYPE_ETHERNET
    }

    /// Reads the next packet's bytes into `bytes`, replacing what was there.
    /// `None` at the end of the file.
    ///
    /// # Errors
    ///
    /// The record is cut or damaged; `bytes` is then empty, and the reader is
    /// at its end.
    ///
    /// # Cost
    ///
    /// Allocates only when `bytes` is too small, never more than 256 KiB.
    pub fn read_into(&mut self, bytes: &mut Vec<u8>) -> Result<Option<PcapRecord>, PcapError> {
        bytes.clear();
        if self.ended {
            return Ok(None);
        }
        let answer = self.record(bytes).map_err(|fault| PcapError {
            offset: self.offset,
            fault,
        });
        match &answer {
            Ok(Some(record)) => self.offset += (RECORD_HEADER_BYTES + record.captured) as u64,
            Ok(None) => self.ended = true,
            Err(_) => {
                self.ended = true;
                bytes.clear();
            }
        }
        answer
    }

    fn record(&mut self, bytes: &mut Vec<u8>) -> Result<Option<PcapRecord>, PcapFault> {
        let mut header = [0; RECORD_HEADER_BYTES];
        match fill(&mut self.input, &mut header).map_err(PcapFault::Read)? {
            0 => return Ok(None),
            RECORD_HEADER_BYTES => {}
            _ => return Err(PcapFault::RecordCut),
        }
        let [seconds, fraction, captured, original] =
            [0, 1, 2, 3].map(|index| self.order.word(&header, index));
        if captured as usize > LONGEST_PACKET {
            return Err(PcapFault::TooLong(captured));
        }
        if captured > original {
            return Err(PcapFault::MoreThanOriginal { captured, original });
        }
        if fraction >= self.fractions_per_second {
            return Err(PcapFault::TimeFraction(fraction));
        }
        bytes.resize(captured as usize, 0);
        if fill(&mut self.input, bytes).map_err(PcapFault::Read)? < bytes.len() {
            return Err(PcapFault::RecordCut);
        }
        let nanoseconds = fraction * (1_000_000_000 / self.fractions_per_second);
        Ok(Some(PcapRecord {
            time: Duration::new(seconds.into(), nanoseconds),
            captured: captured as usize,
            original: original as usize,
        }))
    }
}

impl<R: Read> Iterator for PcapReader<R> {
    type Item = Result<PcapPacket, PcapError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut bytes = Vec::new();
        let record = self.read_into(&mut bytes).transpose()?;
        Some(record.map(|record| PcapPacket { record, bytes }))
    }
}

impl PcapRecord {
    /// Whether the capture holds only the beginning of the packet.
    pub fn is_cut(&self) -> bool {
        self.captured < self.original
    }
}

impl Order {
    fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    fn word(self, header: &[u8], index: usize) -> u32 {
        let bytes = [0, 1, 2, 3].map(|byte| header[4 * index + byte]);
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }
}

/// The byte order and the fractions of a second that the first word tells.
fn magic(bytes: &[u8]) -> Result<(Order, u32), PcapFault> {
    const PCAPNG: u32 = 0x0a0d_0d0a;
    let bytes = <[u8; 4]>::try_from(bytes).map_err(|_| PcapFault::HeaderCut)?;
    for order in [Order::Little, Order::Big] {
        match order.word(&bytes, 0) {
            MAGIC_MICROSECONDS => return Ok((order, 1_000_000)),
            MAGIC_NANOSECONDS => return Ok((order, 1_000_000_000)),
            PCAPNG => return Err(PcapFault::PcapNg),
            _ => {}
        }
    }
    Err(PcapFault::NotPcap(u32::from_be_bytes(bytes)))
}

/// Reads until `bytes` is full or the input ends; how many were read.
fn fill(input: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < bytes.len() {
        match input.read(&mut bytes[got..]) {
            Ok(0) => break,
            Ok(more) => got += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One packet of four bytes, cut from six, at 1 s and `fraction`.
    fn file(magic: u32, fraction: u32, word: fn(u32) -> [u8; 4]) -> Vec<u8> {
        // Version 2.4 is one word too: the halves swap with the byte order.
        let version = if word(1)[0] == 1 {
            0x0004_0002
        } else {
            0x0002_0004
        };
        let words = [magic, version, 0, 0, 65535, 1, 1, fraction, 4, 6];
        let mut bytes: Vec<u8> = words.into_iter().flat_map(word).collect();
        bytes.extend([0xde, 0xad, 0xbe, 0xef]);
        bytes
    }

    fn good() -> Vec<u8> {
        file(MAGIC_MICROSECONDS, 7, u32::to_le_bytes)
    }

    fn first_fault(bytes: &[u8]) -> PcapError {
        match PcapReader::new(bytes) {
            Err(error) => error,
            Ok(reader) => reader
                .take(10)
                .find_map(Result::err)
                .expect("a fault in the file"),
        }
    }

    #[test]
    fn reads_both_orders_and_resolutions() {
        for (magic, nanoseconds) in [(MAGIC_MICROSECONDS, 7_000), (MAGIC_NANOSECONDS, 7)] {
            for word in [u32::to_le_bytes, u32::to_be_bytes] {
                let bytes = file(magic, 7, word);
                let mut reader = PcapReader::new(&bytes[..]).unwrap();
                assert!(reader.is_ethernet());
                let packet = reader.next().unwrap().unwrap();
                assert_eq!(packet.bytes, [0xde, 0xad, 0xbe, 0xef]);
                assert_eq!(packet.record.time, Duration::new(1, nanoseconds));
                assert!(packet.record.is_cut());
                assert!(reader.next().is_none());
            }
        }
    }

    #[test]
    fn every_cut_is_an_error_with_its_place() {
        let good = good();
        for len in 0..good.len() {
            let expected = match len {
                0..24 => 0,
                24 => continue, // A file without packets.
                _ => 24,
            };
            let error = first_fault(&good[..len]);
            assert_eq!(error.offset, expected, "cut to {len} bytes: {error}");
            assert!(matches!(
                error.fault,
                PcapFault::HeaderCut | PcapFault::RecordCut
            ));
        }
    }

    #[test]
    fn damage_is_named() {
        let damaged = |at: usize, value: u32| {
            let mut bytes = good();
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
            first_fault(&bytes)
        };
        assert!(matches!(damaged(0, 5).fault, PcapFault::NotPcap(_)));
        assert!(matches!(damaged(0, 0x0a0d_0d0a).fault, PcapFault::PcapNg));
        assert!(matches!(damaged(4, 1).fault, PcapFault::Version(1, 0)));
        let error = damaged(32, u32::MAX);
        assert!(matches!(error.fault, PcapFault::TooLong(u32::MAX)));
        assert_eq!(error.offset, 24);
        assert!(matches!(
            damaged(36, 3).fault,
            PcapFault::MoreThanOriginal {
                captured: 4,
                original: 3
            }
        ));
        assert!(matches!(
            damaged(28, 1_000_000).fault,
            PcapFault::TimeFraction(1_000_000)
        ));
    }

    #[test]
    fn whatever_the_bytes_it_ends() {
        let good: Vec<u8> = [good(), good()[24..].to_vec()].concat();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..20_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let mut bytes = good.clone();
            let at = (state >> 8) as usize % bytes.len();
            bytes[at] = (state >> 32) as u8;
            bytes.truncate((state >> 40) as usize % (2 * good.len()) + 1);
            let Ok(reader) = PcapReader::new(&bytes[..]) else {
                continue;
            };
            let packets: Vec<_> = reader.collect();
            assert!(packets.len() <= bytes.len() / RECORD_HEADER_BYTES);
            let error = packets.iter().position(|packet| packet.is_err());
            assert!(error.is_none_or(|at| at + 1 == packets.len()));
        }
    }

    #[test]
    fn ends_after_an_error() {
        let mut bytes = good();
        bytes.truncate(42);
        let mut reader = PcapReader::new(&bytes[..]).unwrap();
        let mut packet = Vec::new();
        assert!(reader.read_into(&mut packet).is_err());
        assert!(packet.is_empty());
        assert!(reader.read_into(&mut packet).unwrap().is_none());
    }
}
