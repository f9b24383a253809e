//! Ethernet frames around packets.

use lvs_core::{ChecksumState, Port};

use super::packet::Packet;

/// A link address.
pub(crate) type Mac = [u8; 6];

/// A frame on one of the director's ports.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) port: Port,
    pub(crate) to: Mac,
    pub(crate) from: Mac,
    /// The 802.1Q tag, if there is one.
    pub(crate) tag: Option<u16>,
    pub(crate) ether_type: u16,
    pub(crate) payload: Vec<u8>,
    /// What the port says of the TCP or UDP checksum.
    pub(crate) checksum: ChecksumState,
    /// Lengths of the chunks after the first, cut from the frame's end.
    pub(crate) tails: Vec<usize>,
    /// Room in front of it in its chunk.
    pub(crate) headroom: usize,
}

impl Frame {
    /// A frame with `packet` in it.
    pub(crate) fn new(port: Port, from: Mac, to: Mac, packet: &Packet) -> Self {
        let payload = packet.bytes();
        let ether_type = if payload[0] >> 4 == 4 { 0x0800 } else { 0x86dd };
        Self {
            port,
            to,
            from,
            tag: None,
            ether_type,
            payload,
            checksum: ChecksumState::Whole,
            tails: Vec::new(),
            headroom: 128,
        }
    }

    /// A frame that arrives as these bytes.
    pub(crate) fn arriving(port: Port, bytes: &[u8]) -> Self {
        let mac = |at: usize| bytes[at..at + 6].try_into().expect("six bytes");
        Self {
            port,
            to: mac(0),
            from: mac(6),
            tag: None,
            ether_type: u16::from_be_bytes([bytes[12], bytes[13]]),
            payload: bytes[14..].to_vec(),
            checksum: ChecksumState::Whole,
            tails: Vec::new(),
            headroom: 128,
        }
    }

    /// To another link address.
    pub(crate) fn to(mut self, mac: Mac) -> Self {
        self.to = mac;
        self
    }

    /// From another link address.
    pub(crate) fn from(mut self, mac: Mac) -> Self {
        self.from = mac;
        self
    }

    /// By another port.
    pub(crate) fn port(mut self, port: u8) -> Self {
        self.port = Port(port);
        self
    }

    /// With a VLAN tag.
    pub(crate) fn vlan(mut self, tag: u16) -> Self {
        self.tag = Some(tag);
        self
    }

    /// As another protocol's.
    pub(crate) fn ether_type(mut self, ether_type: u16) -> Self {
        self.ether_type = ether_type;
        self
    }

    /// With its payload as `change` leaves it.
    pub(crate) fn spoilt(mut self, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        change(&mut self.payload);
        self
    }

    /// Padded to the 60 bytes of the shortest frame and a little more, with
    /// what is no zero.
    pub(crate) fn padded(mut self) -> Self {
        self.payload.extend([0xdd; 3]);
        let header = if self.tag.is_some() { 18 } else { 14 };
        while self.payload.len() + header < 60 {
            self.payload.push(0xee);
        }
        self
    }

    /// From a port that says this of checksums.
    pub(crate) fn checksum(mut self, checksum: ChecksumState) -> Self {
        self.checksum = checksum;
        self
    }

    /// In several chunks: the last ones of these lengths, the first of the rest.
    pub(crate) fn in_chunks(mut self, tails: &[usize]) -> Self {
        self.tails = tails.to_vec();
        self
    }

    /// With only so much room in front.
    pub(crate) fn headroom(mut self, bytes: usize) -> Self {
        self.headroom = bytes;
        self
    }

    /// The whole frame's bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = [self.to, self.from].concat();
        if let Some(tag) = self.tag {
            bytes.extend([0x81, 0x00]);
            bytes.extend(tag.to_be_bytes());
        }
        bytes.extend(self.ether_type.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }
}
