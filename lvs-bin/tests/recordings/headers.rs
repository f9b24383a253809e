//! Takes a frame apart into its headers, for people. Like `frame` it shares
//! nothing with the director.
//!
//! Tunnels are taken apart, and so is what ICMP errors quote.

use std::net::IpAddr;

use crate::frame::{self, ETHERNET, word};
use crate::transports::inside;

/// A header.
pub(crate) struct Header {
    pub(crate) name: &'static str,
    /// Its first byte.
    pub(crate) start: usize,
    /// Names and lengths, one after the other.
    pub(crate) fields: Vec<(&'static str, usize)>,
    pub(crate) text: String,
    /// Whether its checksum fits, if that can be said.
    pub(crate) fits: Option<bool>,
}

/// The headers of a frame, the outermost first; none of what is malformed.
pub(crate) fn headers(frame: &[u8]) -> Vec<Header> {
    let mut headers = Vec::new();
    // What could not be read is left out.
    let _ = ethernet(frame, &mut headers);
    headers
}

fn ethernet(frame: &[u8], headers: &mut Vec<Header>) -> Option<()> {
    let end = |at: usize| Some(crate::differences::hexadecimal(frame.get(at..at + 2)?));
    headers.push(Header {
        name: "Ethernet",
        start: 0,
        fields: vec![("destination", 6), ("source", 6), ("type", 2)],
        text: format!("{}>{}", end(10)?, end(4)?),
        fits: None,
    });
    match frame.get(12..ETHERNET)? {
        [0x08, 0x00] => ipv4(frame, ETHERNET, headers),
        [0x86, 0xdd] => ipv6(frame, ETHERNET, headers),
        _ => None,
    }
}

/// What a transport header needs to know of the IP header before it.
#[derive(Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) from: IpAddr,
    pub(crate) to: IpAddr,
    /// Where the packet ends in the frame, if it is there to its end and is no
    /// fragment.
    pub(crate) end: Option<usize>,
}

pub(crate) fn ipv4(frame: &[u8], start: usize, headers: &mut Vec<Header>) -> Option<()> {
    let header = frame.get(start..start + 20)?;
    let length = usize::from(header[0] & 0xf) * 4;
    let at = |place: usize| <[u8; 4]>::try_from(&header[place..place + 4]).ok();
    let (from, to) = (IpAddr::from(at(12)?), IpAddr::from(at(16)?));
    let (total, pieces) = (usize::from(word(header, 2)), word(header, 6));
    let fits = frame::sum(frame.get(start..start + length.max(20))?) == 0xffff;
    let (ttl, tos, id) = (header[8], header[1], word(header, 4));
    let mut text = format!("IPv4 {from} > {to} ttl {ttl} tos {tos:#04x} id {id} length {total}");
    text += if pieces & 0x4000 != 0 { " DF" } else { "" };
    let is_piece = pieces & 0x3fff != 0;
    if is_piece {
        let more = if pieces & 0x2000 != 0 { "+" } else { "" };
        text += &format!(" piece at {}{more}", (pieces & 0x1fff) * 8);
    }
    headers.push(Header {
        name: "IPv4",
        start,
        fields: vec![
            ("version and header length", 1),
            ("type of service", 1),
            ("total length", 2),
            ("identification", 2),
            ("flags and fragment offset", 2),
            ("TTL", 1),
            ("protocol", 1),
            ("header checksum", 2),
            ("source address", 4),
            ("destination address", 4),
            ("options", length.saturating_sub(20)),
        ],
        text: text + told(Some(fits)),
        fits: Some(fits),
    });
    let end = start + total;
    let ends = Ends {
        from,
        to,
        end: (!is_piece && end <= frame.len()).then_some(end),
    };
    if pieces & 0x1fff != 0 {
        return None;
    }
    inside(frame, header[9], start + length, ends, headers)
}

pub(crate) fn ipv6(frame: &[u8], start: usize, headers: &mut Vec<Header>) -> Option<()> {
    let header = frame.get(start..start + 40)?;
    let at = |place: usize| <[u8; 16]>::try_from(&header[place..place + 16]).ok();
    let (from, to) = (IpAddr::from(at(8)?), IpAddr::from(at(24)?));
    let (length, hops) = (usize::from(word(header, 4)), header[7]);
    let class = header[0] << 4 | header[1] >> 4;
    headers.push(Header {
        name: "IPv6",
        start,
        fields: vec![
            ("version, class and flow label", 4),
            ("payload length", 2),
            ("next header", 1),
            ("hop limit", 1),
            ("source address", 16),
            ("destination address", 16),
        ],
        text: format!("IPv6 {from} > {to} hops {hops} class {class:#04x} payload {length}"),
        fits: None,
    });
    let end = start + 40 + length;
    let mut ends = Ends {
        from,
        to,
        end: (end <= frame.len()).then_some(end),
    };
    let (mut next, mut place) = (header[6], start + 40);
    while matches!(next, 0 | 43 | 44 | 60) {
        let extension = frame.get(place..place + 8)?;
        let offset = word(extension, 2);
        let (length, text) = match next {
            44 => {
                ends.end = None;
                let more = if offset & 1 != 0 { "+" } else { "" };
                (8, format!("piece at {}{more}", offset & 0xfff8))
            }
            _ => {
                let length = (usize::from(extension[1]) + 1) * 8;
                (length, format!("extension {next}"))
            }
        };
        headers.push(Header {
            name: if next == 44 { "fragment" } else { "extension" },
            start: place,
            fields: match next {
                44 => vec![
                    ("next header", 1),
                    ("reserved byte", 1),
                    ("offset and flag", 2),
                    ("identification", 4),
                ],
                _ => vec![("next header", 1), ("length", 1), ("options", length - 2)],
            },
            text,
            fits: None,
        });
        if next == 44 && offset & 0xfff8 != 0 {
            return None;
        }
        (next, place) = (extension[0], place + length);
    }
    inside(frame, next, place, ends, headers)
}

/// The state of a checksum, in words.
pub(crate) const fn told(fits: Option<bool>) -> &'static str {
    match fits {
        Some(true) => " checksum fits",
        Some(false) => " BAD CHECKSUM",
        None => "",
    }
}
