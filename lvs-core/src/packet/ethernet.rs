//! Ethernet II, with at most one 802.1Q tag.
//!
//! ```text
//!  0      6      12    14
//!  | dst  | src  | type |                         untagged
//!  | dst  | src  | 8100 | tag | type |            tagged, 18 bytes
//! ```

/// A 48-bit link address.
pub type Mac = [u8; 6];

/// Bytes of a header without a tag.
pub(crate) const HEADER: usize = 14;
/// Bytes an 802.1Q tag adds.
pub(crate) const TAG: usize = 4;

/// EtherType of IPv4 (RFC 894).
pub(crate) const IPV4: u16 = 0x0800;
/// EtherType of IPv6 (RFC 2464).
pub(crate) const IPV6: u16 = 0x86dd;
/// EtherType of a customer VLAN tag (IEEE 802.1Q).
const VLAN: u16 = 0x8100;

/// What a frame's Ethernet header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ethernet<'f> {
    pub(crate) destination: &'f Mac,
    pub(crate) source: &'f Mac,
    /// The 802.1Q VLAN number, if tagged; priority bits are not kept.
    pub(crate) vlan: Option<u16>,
    /// Of the payload.
    pub(crate) ether_type: u16,
    /// Bytes before the payload.
    pub(crate) length: usize,
}

impl<'f> Ethernet<'f> {
    /// Reads the header at the start of `frame`; `None` when it is cut off.
    #[inline]
    pub(crate) fn parse(frame: &'f [u8]) -> Option<Self> {
        let header: &[u8; HEADER] = frame.first_chunk()?;
        let (destination, rest) = header.split_first_chunk()?;
        let (source, ether_type) = rest.split_first_chunk()?;
        let untagged = Self {
            destination,
            source,
            vlan: None,
            ether_type: u16::from_be_bytes(*ether_type.first_chunk()?),
            length: HEADER,
        };
        if untagged.ether_type != VLAN {
            return Some(untagged);
        }
        let [c0, c1, t0, t1] = *frame.get(HEADER..)?.first_chunk::<TAG>()?;
        Some(Self {
            // Tag 0 carries a priority only and names no VLAN.
            vlan: Some(u16::from_be_bytes([c0, c1]) & 0x0fff).filter(|vlan| *vlan != 0),
            ether_type: u16::from_be_bytes([t0, t1]),
            length: HEADER + TAG,
            ..untagged
        })
    }

    /// Bytes of a header with or without a tag.
    pub(crate) const fn length_with(vlan: Option<u16>) -> usize {
        if vlan.is_some() { HEADER + TAG } else { HEADER }
    }

    /// Writes the header into `bytes`, which is [`length_with`](Self::length_with) long.
    pub(crate) fn write(
        bytes: &mut [u8],
        destination: Mac,
        source: Mac,
        vlan: Option<u16>,
        ether_type: u16,
    ) {
        // Lengths known at compile time: a few moves each, no call.
        let ether_type = ether_type.to_be_bytes();
        let Some((header, rest)) = bytes.split_first_chunk_mut::<HEADER>() else {
            return;
        };
        header[..6].copy_from_slice(&destination);
        header[6..12].copy_from_slice(&source);
        let Some(vlan) = vlan else {
            header[12..].copy_from_slice(&ether_type);
            return;
        };
        header[12..].copy_from_slice(&VLAN.to_be_bytes());
        if let Some(tag) = rest.first_chunk_mut::<TAG>() {
            tag[..2].copy_from_slice(&vlan.to_be_bytes());
            tag[2..].copy_from_slice(&ether_type);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_written_reads_back() {
        for vlan in [None, Some(100), Some(4094)] {
            let mut bytes = [0xa5u8; 18];
            let length = Ethernet::length_with(vlan);
            Ethernet::write(&mut bytes[..length], [1; 6], [2; 6], vlan, IPV6);
            let read = Ethernet::parse(&bytes[..length]).unwrap();
            assert_eq!((read.destination, read.source), (&[1; 6], &[2; 6]));
            assert_eq!(
                (read.vlan, read.ether_type, read.length),
                (vlan, IPV6, length)
            );
        }
    }

    #[test]
    fn a_cut_header_is_none() {
        let mut bytes = [0u8; 18];
        Ethernet::write(&mut bytes, [1; 6], [2; 6], Some(5), IPV4);
        for length in 0..18 {
            assert_eq!(Ethernet::parse(&bytes[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn a_priority_tag_names_no_vlan() {
        let mut bytes = [0u8; 18];
        Ethernet::write(&mut bytes, [1; 6], [2; 6], Some(0), IPV4);
        let read = Ethernet::parse(&bytes).unwrap();
        assert_eq!((read.vlan, read.length), (None, 18));
    }
}
