//! What differs, told to people.

use std::fmt::Write;

use lvs_core::Port;

use crate::fields;
use crate::scenario::Sent;

/// How two texts differ, line by line: `-` recorded, `+` got.
pub(crate) fn lines(recorded: &str, got: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (recorded.lines().collect(), got.lines().collect());
    if old == new {
        return format!("recorded {recorded:?}\n     got {got:?}\n");
    }
    // How many lines the two have in common from each pair of places on.
    let width = new.len() + 1;
    let mut common = vec![0usize; (old.len() + 1) * width];
    for a in (0..old.len()).rev() {
        for b in (0..new.len()).rev() {
            common[a * width + b] = if old[a] == new[b] {
                common[(a + 1) * width + b + 1] + 1
            } else {
                common[(a + 1) * width + b].max(common[a * width + b + 1])
            };
        }
    }
    let (mut a, mut b) = (0, 0);
    let mut told: Vec<(char, &str)> = Vec::new();
    while a < old.len() || b < new.len() {
        let is_common = a < old.len() && b < new.len() && old[a] == new[b];
        if is_common {
            told.push((' ', old[a]));
            (a, b) = (a + 1, b + 1);
        } else if b == new.len()
            || a < old.len() && common[(a + 1) * width + b] >= common[a * width + b + 1]
        {
            told.push(('-', old[a]));
            a += 1;
        } else {
            told.push(('+', new[b]));
            b += 1;
        }
    }
    shortened(&told)
}

/// Lines that differ, with a few around them.
fn shortened(told: &[(char, &str)]) -> String {
    let mut text = String::new();
    let mut left_out = 0;
    for (place, (sign, line)) in told.iter().enumerate() {
        let around = &told[place.saturating_sub(AROUND)..(place + AROUND + 1).min(told.len())];
        if around.iter().all(|(sign, _)| *sign == ' ') {
            left_out += 1;
            continue;
        }
        if left_out > 0 {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "  ({left_out} lines as recorded)");
            left_out = 0;
        }
        let _ = writeln!(text, "{sign} {line}");
    }
    if left_out > 0 {
        let _ = writeln!(text, "  ({left_out} lines as recorded)");
    }
    text
}

/// How the frames that came out differ from those recorded, but for the bytes
/// that vary; `None` if they do not.
pub(crate) fn frames(recorded: &[Sent], got: &[(Port, Vec<u8>)]) -> Option<String> {
    let mut text = String::new();
    if recorded.len() != got.len() {
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "{} frames recorded, {} got",
            recorded.len(),
            got.len()
        );
        for sent in recorded {
            let _ = writeln!(text, "- {}", told(sent.port, &sent.frame));
        }
        for (port, frame) in got {
            let _ = writeln!(text, "+ {}", told(*port, frame));
        }
        return Some(text);
    }
    for (number, (sent, (port, frame))) in (1..).zip(recorded.iter().zip(got)) {
        let differing = differing(sent, frame);
        let is_sound = fields::checksums_fit(frame) || !fields::checksums_fit(&sent.frame);
        if sent.port == *port && differing.is_empty() && is_sound {
            continue;
        }
        // Writing to a text cannot fail.
        let _ = writeln!(text, "frame {number} of {}", got.len());
        let _ = writeln!(text, "- {}", told(sent.port, &sent.frame));
        let _ = writeln!(text, "+ {}", told(*port, frame));
        if let Some(first) = differing.first() {
            let _ = writeln!(text, "  {}", place(*first, sent, frame));
            let _ = writeln!(text, "  all that differ: {}", ranges(&differing));
        } else if sent.port == *port {
            let _ = writeln!(text, "  a checksum over bytes that vary does not fit");
        }
    }
    (!text.is_empty()).then_some(text)
}

/// Bytes that are not as recorded, though they should be; those that only one
/// of the two frames has among them.
fn differing(sent: &Sent, frame: &[u8]) -> Vec<usize> {
    let varies = |place: &usize| sent.vary.iter().any(|range| range.contains(place));
    (0..frame.len().max(sent.frame.len()))
        .filter(|place| sent.frame.get(*place) != frame.get(*place))
        .filter(|place| !varies(place) || sent.frame.len() != frame.len())
        .collect()
}

/// Where the first difference is, with the whole field of both frames.
fn place(at: usize, sent: &Sent, frame: &[u8]) -> String {
    let longer = if sent.frame.len() > frame.len() {
        &sent.frame
    } else {
        frame
    };
    let (name, field) = fields::field(longer, at);
    let bytes = |of: &[u8]| match of.get(field.start..field.end.min(of.len())) {
        Some(bytes) if !bytes.is_empty() => hexadecimal(&bytes[..bytes.len().min(16)]),
        _ => "none".to_string(),
    };
    format!(
        "first at byte {at}, in {name}: recorded {}, got {}",
        bytes(&sent.frame),
        bytes(frame)
    )
}

/// Places as ranges.
fn ranges(places: &[usize]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for place in places {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *place => *last = *place,
            _ => ranges.push((*place, *place)),
        }
    }
    let ranges = ranges.iter().map(|(first, last)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    });
    ranges.collect::<Vec<_>>().join(", ")
}

/// A frame in words and in bytes.
fn told(port: Port, frame: &[u8]) -> String {
    let side = match port {
        Port(0) => "cli",
        Port(1) => "rs",
        _ => "?",
    };
    format!(
        "{side} {}\n    {}",
        fields::described(frame),
        hexadecimal(frame)
    )
}

/// Bytes, two digits each.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Lines shown before and after one that differs.
const AROUND: usize = 3;
