//! Numbers, read as the C library reads them.

/// The number that is the whole of `text`, if it lies within.
pub(super) fn within(text: &str, least: i64, most: i64) -> Option<u32> {
    let (number, rest) = split(text)?;
    if rest.is_empty() && (least..=most).contains(&number) {
        u32::try_from(number).ok()
    } else {
        None
    }
}

/// The number `text` begins with; 0 if it begins with none.
pub(super) fn leading(text: &str) -> i64 {
    split(text).map_or(0, |(number, _)| number)
}

/// The number `text` begins with, after blanks and a sign, and what follows.
/// A number too long counts as the greatest.
fn split(text: &str) -> Option<(i64, &str)> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = digits.split_at(length);
    if digits.is_empty() {
        return None;
    }
    let number = digits.parse::<i64>().unwrap_or(i64::MAX);
    Some((if negative { -number } else { number }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_to_their_end() {
        assert_eq!(within("10", 0, 10), Some(10));
        assert_eq!(within(" +7", 0, 10), Some(7));
        for wrong in ["", "x", "1x", "0x1", "11", "-1", "99999999999999999999"] {
            assert_eq!(within(wrong, 0, 10), None, "{wrong}");
        }
        assert_eq!(leading("64/x"), 64);
        assert_eq!(leading("x"), 0);
    }
}
