//! Capture files as a queue: [`PcapQueue`].

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::Duration;

use af_xdp::{Frame, Umem};

use super::{LONGEST_PACKET, PcapError, PcapFault, PcapReader, PcapRecord, PcapWriter};
use crate::queue::{Capabilities, Checksum, Mode, Queue, QueueCounters};
use crate::spread::{Space, first_packet, frames_for, pieces, space, spread};

/// A queue that receives the packets of one capture and transmits into another.
///
/// What is sent carries the time of the last packet received, so that the same
/// capture gives the same file. Packets of which the capture holds only the
/// beginning are counted and passed over: forwarding half a packet as a whole
/// one would be a lie. A fault in either file ends that direction; it never
/// stops the caller, who asks for it with [`fault`](Self::fault).
#[derive(Debug)]
pub struct PcapQueue<R, W> {
    reader: PcapReader<R>,
    writer: PcapWriter<W>,
    /// The bytes of `waiting`; as long as a packet can be, from the start.
    packet: Vec<u8>,
    /// Read, and not yet handed over for want of room.
    waiting: Option<PcapRecord>,
    time: Duration,
    ended: bool,
    cut: u64,
    fault: Option<PcapError>,
    capabilities: Capabilities,
    counters: QueueCounters,
}

impl PcapQueue<BufReader<File>, BufWriter<File>> {
    /// Receives from the capture `input`; creates or replaces `output`.
    ///
    /// # Errors
    ///
    /// Either file cannot be opened, or `input` is not a capture of Ethernet
    /// frames; `output` is then left as it was.
    pub fn open(input: &Path, output: &Path) -> Result<Self, PcapError> {
        let at_start = |fault| PcapError { offset: 0, fault };
        let input = File::open(input).map_err(|error| at_start(PcapFault::Read(error)))?;
        let reader = ethernet(BufReader::new(input))?;
        let output = File::create(output).map_err(|error| at_start(PcapFault::Write(error)))?;
        Self::with_reader(reader, BufWriter::new(output))
    }
}

impl<R: Read + Send, W: Write + Send> PcapQueue<R, W> {
    /// Receives from `input` and transmits into `output`, both buffered already.
    ///
    /// # Errors
    ///
    /// As [`open`](PcapQueue::open).
    pub fn new(input: R, output: W) -> Result<Self, PcapError> {
        Self::with_reader(ethernet(input)?, output)
    }

    fn with_reader(reader: PcapReader<R>, output: W) -> Result<Self, PcapError> {
        let writer = PcapWriter::new(output).map_err(|error| PcapError {
            offset: 0,
            fault: PcapFault::Write(error),
        })?;
        Ok(Self {
            reader,
            writer,
            packet: Vec::with_capacity(LONGEST_PACKET),
            waiting: None,
            time: Duration::ZERO,
            ended: false,
            cut: 0,
            fault: None,
            capabilities: Capabilities {
                mode: Mode::Pcap,
                reason: "a capture file".to_owned(),
                checksum: Checksum::MaybePartial,
                max_frame: LONGEST_PACKET,
            },
            counters: QueueCounters::default(),
        })
    }

    /// Whether every packet of the input has been received, or the input was
    /// found damaged.
    pub fn is_exhausted(&self) -> bool {
        self.ended && self.waiting.is_none()
    }

    /// Packets passed over because the capture holds only their beginning.
    pub fn cut(&self) -> u64 {
        self.cut
    }

    /// The first fault of either file, if there was one.
    pub fn fault(&self) -> Option<&PcapError> {
        self.fault.as_ref()
    }

    /// The output, flushed as far as it could be.
    pub fn into_output(mut self) -> W {
        self.flush();
        self.writer.into_inner()
    }

    /// The next whole packet; its bytes are then in `self.packet`.
    fn next(&mut self) -> Option<PcapRecord> {
        if let Some(waiting) = self.waiting.take() {
            return Some(waiting);
        }
        while !self.ended {
            match self.reader.read_into(&mut self.packet) {
                Ok(Some(record)) if record.is_cut() => {
                    self.cut += 1;
                    self.counters.invalid += 1;
                }
                Ok(Some(record)) => return Some(record),
                Ok(None) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    self.fault.get_or_insert(error);
                }
            }
        }
        None
    }

    fn write_failed(&mut self, error: std::io::Error) {
        self.counters.kicks_link_down += 1;
        self.fault.get_or_insert(PcapError {
            offset: 0,
            fault: PcapFault::Write(error),
        });
    }
}

impl<R: Read + Send, W: Write + Send> Queue for PcapQueue<R, W> {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn refill(&mut self, _umem: &mut Umem) {}

    fn receive(&mut self, umem: &mut Umem, frames: &mut Vec<Frame>, limit: usize) -> usize {
        let before = frames.len();
        while let Some(record) = self.next() {
            let count = frames_for(record.captured, umem.room());
            let space = match count > umem.chunks() {
                true => Space::Never,
                false => space(frames, before, limit, count),
            };
            match space {
                Space::Now if count <= umem.free() => {
                    let start = frames.len();
                    frames.extend((0..count).filter_map(|_| umem.allocate()));
                    let room = umem.room();
                    spread(umem, &mut frames[start..], &[&self.packet], room);
                    self.time = record.time;
                    self.counters.received += count as u64;
                }
                Space::Never => self.counters.invalid += 1,
                Space::Now | Space::Later => {
                    self.waiting = Some(record);
                    break;
                }
            }
        }
        frames.len() - before
    }

    fn transmit(&mut self, umem: &mut Umem, frames: &mut Vec<Frame>) -> usize {
        let mut taken = 0;
        while let Some(count) = first_packet(&frames[taken..]) {
            let packet = &frames[taken..taken + count];
            match self.writer.write(self.time, pieces(umem, packet)) {
                Ok(()) => self.counters.transmitted += count as u64,
                Err(error) => self.write_failed(error),
            }
            taken += count;
        }
        self.counters.completed = self.counters.transmitted;
        frames.drain(..taken).for_each(|frame| umem.release(frame));
        taken
    }

    fn reclaim(&mut self, _umem: &mut Umem) -> usize {
        0
    }

    fn flush(&mut self) {
        if let Err(error) = self.writer.flush() {
            self.write_failed(error);
        }
    }

    fn in_flight(&self) -> usize {
        0
    }

    fn wait_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn counters(&self) -> QueueCounters {
        self.counters
    }
}

fn ethernet<R: Read>(input: R) -> Result<PcapReader<R>, PcapError> {
    let reader = PcapReader::new(input)?;
    match reader.is_ethernet() {
        true => Ok(reader),
        false => Err(PcapError {
            offset: 0,
            fault: PcapFault::NotEthernet(reader.link_type()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use af_xdp::{HugePages, UmemConfig};

    fn umem(chunks: u32) -> Umem {
        Umem::new(UmemConfig {
            chunks,
            chunk_size: 2048,
            huge_pages: HugePages::Avoid,
            ..UmemConfig::default()
        })
        .unwrap()
    }

    /// A capture of packets of these lengths, the n-th filled with n, at n seconds.
    fn capture(lengths: &[usize]) -> Vec<u8> {
        let mut writer = PcapWriter::new(Vec::new()).unwrap();
        for (number, len) in lengths.iter().enumerate() {
            let packet = vec![number as u8; *len];
            let time = Duration::from_secs(number as u64);
            writer.write(time, [&packet[..]]).unwrap();
        }
        writer.into_inner()
    }

    #[test]
    fn what_is_sent_back_is_the_same_file() {
        let file = capture(&[60, 1514, 9000, 60]);
        let mut umem = umem(8);
        let mut queue = PcapQueue::new(&file[..], Vec::new()).unwrap();
        let mut frames = Vec::with_capacity(8);
        while !queue.is_exhausted() {
            // One packet a turn, so that each leaves with its own time.
            queue.receive(&mut umem, &mut frames, 1);
            queue.transmit(&mut umem, &mut frames);
        }
        assert_eq!(umem.free(), umem.chunks());
        assert_eq!(queue.counters().transmitted, 1 + 1 + 6 + 1);
        assert!(queue.into_output() == file);
    }

    #[test]
    fn keeps_a_packet_until_there_is_room() {
        let file = capture(&[5000, 60]);
        let mut umem = umem(3);
        let mut queue = PcapQueue::new(&file[..], Vec::new()).unwrap();
        let mut frames = Vec::with_capacity(8);
        let held = umem.allocate().unwrap();
        assert_eq!(queue.receive(&mut umem, &mut frames, 8), 0);
        umem.release(held);
        assert_eq!(queue.receive(&mut umem, &mut frames, 8), 3);
        assert!(!queue.is_exhausted());
        queue.transmit(&mut umem, &mut frames);
        assert_eq!(queue.receive(&mut umem, &mut frames, 8), 1);
    }

    #[test]
    fn counts_what_it_cannot_hand_over_whole() {
        let mut file = capture(&[60, 60, 9000, 60]);
        let second = 24 + 76;
        file[second + 12..second + 16].copy_from_slice(&61u32.to_le_bytes());
        let mut umem = umem(2);
        let mut queue = PcapQueue::new(&file[..], Vec::new()).unwrap();
        let mut frames = Vec::with_capacity(8);
        assert_eq!(queue.receive(&mut umem, &mut frames, 8), 2);
        assert_eq!((queue.cut(), queue.counters().invalid), (1, 2));
        assert!(queue.fault().is_none());
    }

    #[test]
    fn damage_ends_the_reception_and_is_kept() {
        let mut file = capture(&[60, 60]);
        file.truncate(file.len() - 1);
        let mut umem = umem(4);
        let mut queue = PcapQueue::new(&file[..], Vec::new()).unwrap();
        let mut frames = Vec::with_capacity(8);
        assert_eq!(queue.receive(&mut umem, &mut frames, 8), 1);
        queue.receive(&mut umem, &mut frames, 8);
        assert!(queue.is_exhausted());
        assert_eq!(queue.fault().unwrap().offset, 24 + 76);
    }

    #[test]
    fn a_failing_output_stops_nobody() {
        let file = capture(&[60, 60]);
        let mut umem = umem(4);
        let mut space = [0; 24];
        let mut queue = PcapQueue::new(&file[..], &mut space[..]).unwrap();
        let mut frames = Vec::with_capacity(8);
        queue.receive(&mut umem, &mut frames, 8);
        assert_eq!(queue.transmit(&mut umem, &mut frames), 2);
        assert_eq!(queue.counters().kicks_link_down, 2);
        assert_eq!(umem.free(), 4);
        let fault = &queue.fault().unwrap().fault;
        assert!(matches!(fault, PcapFault::Write(_)));
    }

    #[test]
    fn only_ethernet_is_forwarded() {
        let mut file = capture(&[60]);
        file[20] = 101; // LINKTYPE_RAW
        let error = PcapQueue::new(&file[..], Vec::new()).unwrap_err();
        assert!(matches!(error.fault, PcapFault::NotEthernet(101)));
    }
}
