//! Packets: parsed once, into a type that proves its offsets.
//!
//! One header per file. This folder knows bytes and addresses, and nothing of
//! services or connections.

mod buffer;
pub(crate) mod checksum;
mod crc32c;
pub(crate) mod ethernet;
pub(crate) mod flow;
pub(crate) mod fragment;
pub(crate) mod icmp;
pub(crate) mod ipv4;
pub(crate) mod ipv6;
mod options;
mod pieces;
pub(crate) mod sctp;
pub(crate) mod transport;

pub use buffer::{ChecksumState, PacketBuf, Tail};
pub use ethernet::Mac;
pub use flow::{Addresses, FlowKey, Seed};
pub use pieces::Pieces;
pub(crate) use pieces::Shape;

use core::net::{IpAddr, Ipv4Addr};

use crate::verdict::{DropReason, Verdict};
use ethernet::Ethernet;
use ipv4::Ipv4;
use ipv6::Ipv6;

/// A parsed packet: its flow, and where its headers are.
///
/// It exists only for IPv4 and IPv6 packets whose headers lie whole in the
/// first chunk and whose lengths agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) flow: FlowKey,
    pub(crate) kind: Kind,
    /// Of the IP packet, header included, bytes.
    pub(crate) length: u32,
    /// Where the IP header begins in the frame.
    l3: u16,
    /// Where the header after it begins.
    l4: u16,
    pub(crate) source_mac: Mac,
    pub(crate) vlan: Option<u16>,
    /// TTL or hop limit.
    pub(crate) ttl: u8,
    /// Whether a router may not fragment it: DF in IPv4, always in IPv6.
    pub(crate) dont_fragment: bool,
    /// Of a packet put together from fragments, the longest of them, bytes;
    /// else 0. [`read`](Self::read) leaves it alone.
    pub(crate) longest_fragment: u32,
}

/// What a packet is to a director.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// The number of a kind is not hidden in what comes with it: it is asked for often.
#[repr(u8)]
pub(crate) enum Kind {
    /// A TCP segment with these flags (byte 13 of its header).
    Tcp { flags: u8 },
    /// A UDP datagram.
    Udp,
    /// An SCTP packet that counts by a chunk of this type; by none where it has
    /// no chunk, or only part of one.
    Sctp { chunk: Option<u8> },
    /// Of IPsec, AH or ESP. It has no ports, and goes by the flow of the key
    /// exchange it belongs to: UDP from port 500 to port 500.
    Ipsec,
    /// Of TCP, UDP or SCTP, and ends within the header. Where the ports still came
    /// it may be of a connection.
    Cut { has_ports: bool },
    /// An ICMP error about some other packet.
    IcmpError,
    /// A fragment of a TCP, UDP or SCTP packet; ports are not known.
    Fragment,
}

impl Packet {
    /// No packet yet: what a place for one begins with.
    pub(crate) const NONE: Self = Self {
        flow: FlowKey {
            addresses: Addresses::V4 {
                source: Ipv4Addr::UNSPECIFIED,
                destination: Ipv4Addr::UNSPECIFIED,
            },
            source_port: 0,
            destination_port: 0,
            protocol: 0,
        },
        kind: Kind::Fragment,
        length: 0,
        l3: 0,
        l4: 0,
        source_mac: [0; 6],
        vlan: None,
        ttl: 0,
        dont_fragment: false,
        longest_fragment: 0,
    };

    /// Becomes the packet in `buf`: parses its frame, trims link padding, and
    /// completes a half-made checksum.
    ///
    /// A packet is read into its place and not returned: moving one costs more
    /// than reading it.
    ///
    /// *Errors:* the verdict on what is not a packet for a director:
    /// [`Verdict::Host`] for other protocols, a named drop for malformed ones.
    /// `self` is no packet then.
    ///
    /// *Cost:* a few loads from the first 64 bytes.
    pub(crate) fn read(
        &mut self,
        buf: &mut PacketBuf<'_>,
        our_mac: Option<&Mac>,
    ) -> Result<(), Verdict> {
        let (frame, length) = (buf.bytes(), buf.length());
        let ethernet = Ethernet::parse(frame).ok_or(Verdict::Drop(DropReason::Truncated))?;
        if our_mac.is_some_and(|mac| mac != ethernet.destination) {
            // Group addresses are the host's: neighbour discovery and the like.
            let group = ethernet.destination[0] & 1 != 0;
            return Err(if group {
                Verdict::Host
            } else {
                Verdict::Drop(DropReason::NotOurMac)
            });
        }
        self.l3 = ethernet.length as u16;
        self.source_mac = *ethernet.source;
        self.vlan = ethernet.vlan;
        let bytes = frame.get(ethernet.length..).unwrap_or(&[]);
        let length = length - ethernet.length;
        let (header, fragment) = match ethernet.ether_type {
            ethernet::IPV4 => self.read_ipv4(bytes, length)?,
            ethernet::IPV6 => self.read_ipv6(bytes, length)?,
            _ => return Err(Verdict::Host),
        };
        self.l4 = self.l3 + header as u16;
        let bytes = &bytes[..bytes.len().min(self.length as usize)];
        let bytes = bytes.get(header..).unwrap_or(&[]);
        if self.flow.protocol == transport::TCP && !fragment {
            self.read_tcp(bytes)?;
        } else {
            self.read_other(bytes, fragment)?;
        }
        buf.end_at(self.l3() + self.length as usize);
        if buf.checksum() == ChecksumState::Whole {
            return Ok(());
        }
        self.complete(buf).map_err(Verdict::Drop)
    }

    /// Completes a checksum that is, or may be, half-made.
    fn complete(&self, buf: &mut PacketBuf<'_>) -> Result<(), DropReason> {
        match (self.kind, buf.checksum()) {
            (Kind::Tcp { .. } | Kind::Udp, ChecksumState::MaybePartial) => {
                transport::complete(buf, self, false)
            }
            (Kind::Tcp { .. } | Kind::Udp, ChecksumState::Partial) => {
                transport::complete(buf, self, true)
            }
            (Kind::Sctp { .. }, ChecksumState::MaybePartial | ChecksumState::Partial) => {
                sctp::complete(buf, self)
            }
            _ => Ok(()),
        }
    }

    /// Reads the IPv4 header of a packet at the start of `bytes`, of whose
    /// `length` bytes some may be in further chunks: how long the header is, and
    /// whether the packet is a fragment.
    fn read_ipv4(&mut self, bytes: &[u8], length: usize) -> Result<(usize, bool), Verdict> {
        let header = Ipv4::parse(bytes).map_err(Verdict::Drop)?;
        if header.total_length > length {
            return Err(Verdict::Drop(DropReason::Truncated));
        }
        if !header.checksum_fits(bytes) {
            return Err(Verdict::Drop(DropReason::BadIpChecksum));
        }
        if header.header_length > ipv4::HEADER
            && !options::are_plain(&bytes[ipv4::HEADER..header.header_length])
        {
            return Err(Verdict::Host);
        }
        self.flow.addresses = Addresses::V4 {
            source: header.source,
            destination: header.destination,
        };
        self.flow.protocol = header.protocol;
        self.length = header.total_length as u32;
        self.ttl = header.ttl;
        self.dont_fragment = header.dont_fragment;
        Ok((header.header_length, header.fragment))
    }

    /// The same of an IPv6 packet; its extension headers belong to the header.
    fn read_ipv6(&mut self, bytes: &[u8], length: usize) -> Result<(usize, bool), Verdict> {
        let header = Ipv6::parse(bytes).map_err(Verdict::Drop)?;
        if header.total_length > length || header.total_length < header.header_length {
            return Err(Verdict::Drop(DropReason::Truncated));
        }
        if header.segments_left {
            return Err(Verdict::Host);
        }
        self.flow.addresses = Addresses::V6 {
            source: header.source,
            destination: header.destination,
        };
        self.flow.protocol = header.protocol;
        self.length = header.total_length as u32;
        self.ttl = header.hop_limit;
        self.dont_fragment = true;
        Ok((header.header_length, header.fragment))
    }

    fn read_tcp(&mut self, bytes: &[u8]) -> Result<(), Verdict> {
        let Some(header) = bytes.first_chunk::<{ transport::TCP_HEADER }>() else {
            return self.read_cut(bytes);
        };
        self.kind = Kind::Tcp { flags: header[13] };
        self.flow.source_port = u16::from_be_bytes([header[0], header[1]]);
        self.flow.destination_port = u16::from_be_bytes([header[2], header[3]]);
        Ok(())
    }

    /// Reads the header of a packet that is not of TCP, or one of several fragments.
    fn read_other(&mut self, bytes: &[u8], fragment: bool) -> Result<(), Verdict> {
        (self.flow.source_port, self.flow.destination_port) = (0, 0);
        let cut = Verdict::Drop(DropReason::BadTransportHeader);
        let is_icmp = match self.flow.addresses {
            Addresses::V4 { .. } => self.flow.protocol == icmp::V4,
            Addresses::V6 { .. } => self.flow.protocol == icmp::V6,
        };
        match self.flow.protocol {
            transport::TCP | transport::UDP | transport::SCTP if fragment => {
                self.kind = Kind::Fragment;
                return Ok(());
            }
            transport::UDP => {
                if bytes.len() < transport::UDP_HEADER {
                    return self.read_cut(bytes);
                }
                self.kind = Kind::Udp;
            }
            transport::AH | transport::ESP => {
                let port = transport::ISAKMP;
                self.kind = Kind::Ipsec;
                self.flow.protocol = transport::UDP;
                (self.flow.source_port, self.flow.destination_port) = (port, port);
                return Ok(());
            }
            transport::SCTP => {
                if bytes.len() < sctp::HEADER {
                    return self.read_cut(bytes);
                }
                let chunk = sctp::chunk(bytes);
                self.kind = Kind::Sctp { chunk };
            }
            _ if is_icmp && !fragment => {
                let [kind, ..] = *bytes.first_chunk::<{ icmp::HEADER }>().ok_or(cut)?;
                if !icmp::is_error(&self.flow.addresses, kind) {
                    return Err(Verdict::Host);
                }
                self.kind = Kind::IcmpError;
                return Ok(());
            }
            _ => return Err(Verdict::Host),
        }
        let [s0, s1, d0, d1] = *bytes.first_chunk().ok_or(cut)?;
        self.flow.source_port = u16::from_be_bytes([s0, s1]);
        self.flow.destination_port = u16::from_be_bytes([d0, d1]);
        Ok(())
    }

    /// Reads what is there of a header that is not whole: because the packet ends
    /// before it does, or else the first chunk.
    #[cold]
    fn read_cut(&mut self, bytes: &[u8]) -> Result<(), Verdict> {
        if bytes.len() < self.transport_length() {
            return Err(Verdict::Drop(DropReason::BadTransportHeader));
        }
        let ports = bytes.first_chunk::<4>();
        let [s0, s1, d0, d1] = *ports.unwrap_or(&[0; 4]);
        self.kind = Kind::Cut {
            has_ports: ports.is_some(),
        };
        self.flow.source_port = u16::from_be_bytes([s0, s1]);
        self.flow.destination_port = u16::from_be_bytes([d0, d1]);
        Ok(())
    }

    /// Reads the addresses that lie in the packet now, after a rewrite.
    pub(crate) fn parse_addresses(
        buf: &PacketBuf<'_>,
        packet: &Self,
    ) -> Result<Addresses, DropReason> {
        Ok(match packet.flow.addresses {
            Addresses::V4 { .. } => {
                let bytes = buf
                    .array::<8>(packet.l3() + 12)
                    .ok_or(DropReason::Truncated)?;
                let [a, b, c, d, e, f, g, h] = *bytes;
                Addresses::V4 {
                    source: [a, b, c, d].into(),
                    destination: [e, f, g, h].into(),
                }
            }
            Addresses::V6 { .. } => {
                let source = buf
                    .array::<16>(packet.l3() + 8)
                    .ok_or(DropReason::Truncated)?;
                let destination = buf
                    .array::<16>(packet.l3() + 24)
                    .ok_or(DropReason::Truncated)?;
                Addresses::V6 {
                    source: (*source).into(),
                    destination: (*destination).into(),
                }
            }
        })
    }

    /// Records `address` in the packet's IPv4 header, if its options ask for it
    /// and have room.
    #[inline]
    pub(crate) fn record_route(&self, buf: &mut PacketBuf<'_>, address: IpAddr) {
        if let (Addresses::V4 { .. }, IpAddr::V4(address)) = (self.flow.addresses, address)
            && self.l4() > self.l3() + ipv4::HEADER
        {
            self.record_in_options(buf, address);
        }
    }

    #[cold]
    fn record_in_options(&self, buf: &mut PacketBuf<'_>, address: Ipv4Addr) {
        if let Some(header) = buf.bytes_mut().get_mut(self.l3()..self.l4())
            && options::record_route(header, address)
        {
            ipv4::write_checksum(header);
        }
    }

    /// Where the IP header begins in the frame.
    pub(crate) const fn l3(&self) -> usize {
        self.l3 as usize
    }

    /// Where the header after it begins.
    pub(crate) const fn l4(&self) -> usize {
        self.l4 as usize
    }

    /// Bytes from the transport header to the end of the packet.
    pub(crate) const fn transport_length(&self) -> usize {
        (self.length as usize).saturating_sub(self.l4() - self.l3())
    }

    /// The 802.1Q tag it carries, a priority tag as VLAN 0.
    pub(crate) const fn link_vlan(&self) -> Option<u16> {
        match self.vlan {
            None if self.l3() > ethernet::HEADER => Some(0),
            vlan => vlan,
        }
    }
}
