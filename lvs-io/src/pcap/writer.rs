//! Writing a capture: [`PcapWriter`].

use std::io::{self, Write};
use std::time::Duration;

use super::{LINK_TYPE_ETHERNET, LONGEST_PACKET, MAGIC_NANOSECONDS, VERSION};

/// Writes Ethernet frames to a capture, little-endian, with nanoseconds.
#[derive(Debug)]
pub struct PcapWriter<W> {
    output: W,
}

impl<W: Write> PcapWriter<W> {
    /// Writes the file header. `output` should be buffered.
    ///
    /// # Errors
    ///
    /// The output's.
    pub fn new(mut output: W) -> io::Result<Self> {
        output.write_all(&MAGIC_NANOSECONDS.to_le_bytes())?;
        output.write_all(&VERSION.0.to_le_bytes())?;
        output.write_all(&VERSION.1.to_le_bytes())?;
        for word in [0, 0, LONGEST_PACKET as u32, LINK_TYPE_ETHERNET] {
            output.write_all(&word.to_le_bytes())?;
        }
        Ok(Self { output })
    }

    /// Appends one packet, given as the pieces that make it up in a row.
    /// `time` counts from 1970.
    ///
    /// # Errors
    ///
    /// `InvalidInput`, nothing written: the packet is longer than 256 KiB, or
    /// the time is past 2106. Otherwise the output's; the file then ends within
    /// this record.
    pub fn write<'p, P>(&mut self, time: Duration, pieces: P) -> io::Result<()>
    where
        P: IntoIterator<Item = &'p [u8]> + Clone,
    {
        let len: usize = pieces.clone().into_iter().map(<[u8]>::len).sum();
        let seconds = u32::try_from(time.as_secs())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "time past 2106"))?;
        if len > LONGEST_PACKET {
            let message = "packet longer than a capture can hold";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        for word in [seconds, time.subsec_nanos(), len as u32, len as u32] {
            self.output.write_all(&word.to_le_bytes())?;
        }
        pieces
            .into_iter()
            .try_for_each(|piece| self.output.write_all(piece))
    }

    /// Passes on what the output may have buffered.
    ///
    /// # Errors
    ///
    /// The output's.
    pub fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    /// Gives the output back, unflushed.
    pub fn into_inner(self) -> W {
        self.output
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pcap::PcapReader;

    #[test]
    fn reads_back_what_was_written() {
        let mut writer = PcapWriter::new(Vec::new()).unwrap();
        let time = Duration::new(1_700_000_000, 123_456_789);
        writer.write(time, [&b"one "[..], b"packet"]).unwrap();
        writer.write(Duration::ZERO, [&b""[..]]).unwrap();
        let file = writer.into_inner();

        let packets: Vec<_> = PcapReader::new(&file[..])
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(packets.len(), 2);
        assert_eq!(packets[0].bytes, b"one packet");
        assert_eq!(packets[0].record.time, time);
        assert!(!packets[0].record.is_cut());
        assert_eq!(packets[1].bytes, b"");
    }

    #[test]
    fn refuses_what_the_format_cannot_say() {
        let mut writer = PcapWriter::new(Vec::new()).unwrap();
        let long = vec![0; LONGEST_PACKET + 1];
        assert!(writer.write(Duration::ZERO, [&long[..]]).is_err());
        assert!(
            writer
                .write(Duration::from_secs(1 << 32), [&b"x"[..]])
                .is_err()
        );
        assert_eq!(writer.into_inner().len(), 24);
    }
}
