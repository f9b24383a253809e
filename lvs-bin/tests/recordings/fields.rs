//! A frame as people read it: its headers in words, and the names of its
//! fields.

use std::ops::Range;

use crate::headers::headers;

/// A frame in words: a header after the other.
pub(crate) fn described(frame: &[u8]) -> String {
    let headers = headers(frame);
    let texts: Vec<&str> = headers.iter().map(|header| header.text.as_str()).collect();
    format!("{} ({} bytes)", texts.join(", "), frame.len())
}

/// The name of the field a byte is in, and the bytes of that field.
pub(crate) fn field(frame: &[u8], at: usize) -> (String, Range<usize>) {
    let headers = headers(frame);
    let Some(header) = headers.iter().rev().find(|header| header.start <= at) else {
        return ("no header".to_string(), at..at + 1);
    };
    let mut start = header.start;
    for (name, length) in &header.fields {
        if (start..start + length).contains(&at) {
            return (format!("{} {name}", header.name), start..start + length);
        }
        start += length;
    }
    (
        format!("what follows the {} header", header.name),
        at..at + 1,
    )
}

/// Whether every checksum fits whose bytes are all in the frame.
pub(crate) fn checksums_fit(frame: &[u8]) -> bool {
    headers(frame)
        .iter()
        .all(|header| header.fits != Some(false))
}
