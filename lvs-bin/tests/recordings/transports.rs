//! Takes what is in an IP packet apart: transports, tunnels, ICMP errors.

use crate::frame::{self, ICMP, ICMP_V6, IPIP, TCP, UDP, word};
use crate::headers::{Ends, Header, ipv4, ipv6, told};

/// What is in an IP packet.
pub(crate) fn inside(
    frame: &[u8],
    protocol: u8,
    start: usize,
    ends: Ends,
    headers: &mut Vec<Header>,
) -> Option<()> {
    let whole = ends.end.and_then(|end| frame.get(start..end));
    let sum = whole.map(|it| frame::transport_sum(ends.from, ends.to, protocol, it) == 0xffff);
    let here = frame.get(start..)?;
    match protocol {
        IPIP => ipv4(frame, start, headers),
        IPV6 => ipv6(frame, start, headers),
        TCP => tcp(here, start, sum, headers),
        UDP => udp(frame, start, sum, headers),
        ICMP | ICMP_V6 => icmp(frame, protocol, start, sum, headers),
        SCTP => sctp(here, start, headers),
        GRE => gre(frame, start, ends.end, headers),
        _ => {
            headers.push(Header {
                name: "unknown",
                start,
                fields: Vec::new(),
                text: format!("protocol {protocol}"),
                fits: None,
            });
            None
        }
    }
}

fn tcp(here: &[u8], start: usize, fits: Option<bool>, headers: &mut Vec<Header>) -> Option<()> {
    let header = here.get(..14)?;
    let number =
        |at: usize| u32::from_be_bytes([here[at], here[at + 1], here[at + 2], here[at + 3]]);
    let flags: String = "FSRPAUEW"
        .chars()
        .enumerate()
        .filter_map(|(bit, name)| (header[13] >> bit & 1 == 1).then_some(name))
        .collect();
    let (from, to) = (word(header, 0), word(header, 2));
    let (sequence, acknowledged) = (number(4), number(8));
    headers.push(Header {
        name: "TCP",
        start,
        fields: vec![
            ("source port", 2),
            ("destination port", 2),
            ("sequence number", 4),
            ("acknowledgement number", 4),
            ("data offset", 1),
            ("flags", 1),
            ("window", 2),
            ("checksum", 2),
            ("urgent pointer", 2),
            (
                "options",
                (usize::from(header[12] >> 4) * 4).saturating_sub(20),
            ),
        ],
        text: format!(
            "TCP {from} > {to} {flags} seq {sequence} ack {acknowledged}{}",
            told(fits)
        ),
        fits,
    });
    None
}

fn udp(frame: &[u8], start: usize, fits: Option<bool>, headers: &mut Vec<Header>) -> Option<()> {
    let header = frame.get(start..start + 8)?;
    let (from, to, length) = (word(header, 0), word(header, 2), word(header, 4));
    let has_sum = word(header, 6) != 0;
    let fits = fits.filter(|_| has_sum);
    let state = if has_sum {
        told(fits)
    } else {
        " without checksum"
    };
    headers.push(Header {
        name: "UDP",
        start,
        fields: vec![
            ("source port", 2),
            ("destination port", 2),
            ("length", 2),
            ("checksum", 2),
        ],
        text: format!("UDP {from} > {to} length {length}{state}"),
        fits,
    });
    if !GUE_PORTS.contains(&to) {
        return None;
    }
    let (start, gue) = (start + 8, frame.get(start + 8..start + 12)?);
    let length = 4 + usize::from(gue[0] & 0x1f) * 4;
    headers.push(Header {
        name: "GUE",
        start,
        fields: vec![
            ("version, flags and length", 1),
            ("protocol", 1),
            ("flags", 2),
            ("fields", length - 4),
        ],
        text: format!("GUE protocol {} flags {:#06x}", gue[1], word(gue, 2)),
        fits: None,
    });
    // What is in it may have its checksum left to the other end.
    let outer = headers.len();
    let read = match gue[1] {
        IPIP => ipv4(frame, start + length, headers),
        IPV6 => ipv6(frame, start + length, headers),
        _ => None,
    };
    if word(gue, 2) & REMOTE_CHECKSUM != 0 {
        for header in headers.iter_mut().skip(outer) {
            header.fits = header.fits.filter(|_| header.name == "IPv4");
        }
    }
    read
}

fn gre(frame: &[u8], start: usize, end: Option<usize>, headers: &mut Vec<Header>) -> Option<()> {
    let header = frame.get(start..start + 4)?;
    let has_sum = header[0] & 0x80 != 0;
    let whole = end.and_then(|end| frame.get(start..end));
    let fits = whole.filter(|_| has_sum).map(|it| frame::sum(it) == 0xffff);
    let mut fields = vec![("flags and version", 2), ("protocol", 2)];
    if has_sum {
        fields.extend([("checksum", 2), ("reserved bytes", 2)]);
    }
    let kind = word(header, 2);
    headers.push(Header {
        name: "GRE",
        start,
        fields,
        text: format!("GRE protocol {kind:#06x}{}", told(fits)),
        fits,
    });
    let inner = start + if has_sum { 8 } else { 4 };
    match kind {
        0x0800 => ipv4(frame, inner, headers),
        0x86dd => ipv6(frame, inner, headers),
        _ => None,
    }
}

fn icmp(
    frame: &[u8],
    protocol: u8,
    start: usize,
    fits: Option<bool>,
    headers: &mut Vec<Header>,
) -> Option<()> {
    let header = frame.get(start..start + 8)?;
    let (kind, code) = (header[0], header[1]);
    let name = if protocol == ICMP { "ICMP" } else { "ICMPv6" };
    headers.push(Header {
        name,
        start,
        fields: vec![
            ("type", 1),
            ("code", 1),
            ("checksum", 2),
            ("second word", 4),
        ],
        text: format!("{name} type {kind} code {code}{}", told(fits)),
        fits,
    });
    let is_error = match protocol {
        ICMP => matches!(kind, 3..=5 | 11 | 12),
        _ => kind < 128,
    };
    // What is quoted is seldom whole, and may be what was wrong.
    let outer = headers.len();
    let read = match protocol {
        _ if !is_error => None,
        ICMP => ipv4(frame, start + 8, headers),
        _ => ipv6(frame, start + 8, headers),
    };
    for header in headers.iter_mut().skip(outer) {
        header.text.insert_str(0, "quoted ");
        header.fits = None;
    }
    read
}

fn sctp(here: &[u8], start: usize, headers: &mut Vec<Header>) -> Option<()> {
    let header = here.get(..12)?;
    let (from, to) = (word(header, 0), word(header, 2));
    let chunk = here.get(12).map_or("none".to_string(), u8::to_string);
    headers.push(Header {
        name: "SCTP",
        start,
        fields: vec![
            ("source port", 2),
            ("destination port", 2),
            ("verification tag", 4),
            ("checksum", 4),
            ("chunk type", 1),
            ("chunk flags", 1),
            ("chunk length", 2),
        ],
        text: format!("SCTP {from} > {to} chunk {chunk}"),
        fits: None,
    });
    None
}

/// IP protocol numbers.
const IPV6: u8 = 41;
const GRE: u8 = 47;
const SCTP: u8 = 132;
/// The ports at which the recorded real servers take GUE.
const GUE_PORTS: [u16; 2] = [6080, 6081];
/// The flag of GUE for what only Linux knows: that the receiver makes the checksum.
const REMOTE_CHECKSUM: u16 = 0x0001;
