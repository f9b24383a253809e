//! What in a listing need not be as it was recorded: the order that the kernel's
//! hashing makes, and a little of the time that connections have left.
//!
//! The kernel's timers are coarse when far away: a connection may be listed,
//! with 00:00 left, up to an eighth of its timeout after its end. The director's
//! may end two of its ticks late.
//!
//! Both functions give the director's listing back with what may differ as it
//! was recorded: where it is still another text, it is another listing.

use std::ops::Range;

/// Which of the times left that a listing may show it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeLeft {
    /// The longest.
    Most,
    /// The shortest; without connections that may have ended.
    Least,
}

/// How a listing of connections is written, by its first line.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    /// `ipvsadm -L -c`: minutes and seconds in the second column.
    Tool,
    /// A file of the kernel's: seconds in the column of this number.
    File(usize),
}

impl Form {
    /// The form of a listing, if it is one of connections.
    pub(crate) fn of(text: &str) -> Option<Self> {
        match text.lines().next()? {
            "IPVS connection entries" => Some(Self::Tool),
            titles if titles.starts_with("Pro FromIP ") => {
                let by_origin = titles.contains(" Origin ");
                Some(Self::File(8 + usize::from(by_origin)))
            }
            _ => None,
        }
    }

    /// Lines of titles.
    const fn titles(self) -> usize {
        match self {
            Self::Tool => 2,
            Self::File(_) => 1,
        }
    }

    /// A line, taken apart.
    fn read(self, line: &str) -> Option<Entry<'_>> {
        let (column, seconds) = match self {
            Self::Tool => {
                let word = word(line, 1)?;
                let (minutes, seconds) = line[word.clone()].split_once(':')?;
                let seconds = minutes.parse::<u64>().ok()? * 60 + seconds.parse::<u64>().ok()?;
                (word.start..word.end.max(word.start + 6), seconds)
            }
            Self::File(number) => {
                let word = word(line, number)?;
                let seconds = line[word.clone()].parse().ok()?;
                (word.start.min(word.end - 7)..word.end, seconds)
            }
        };
        Some(Entry {
            line,
            rest: (line.get(..column.start)?, line.get(column.end..)?),
            left: seconds,
        })
    }
}

/// A line of a listing of connections.
#[derive(Clone, Copy)]
struct Entry<'t> {
    line: &'t str,
    /// What is before and behind the column of the time left.
    rest: (&'t str, &'t str),
    /// Seconds.
    left: u64,
}

/// Where the word of a number is in a line.
fn word(line: &str, number: usize) -> Option<Range<usize>> {
    let mut word = 0..0;
    for _ in 0..=number {
        let from = word.end + line[word.end..].find(|it| it != ' ')?;
        let length = line[from..].find(' ');
        word = from..length.map_or(line.len(), |length| from + length);
    }
    Some(word)
}

/// A listing of connections; `most` and `least` are the director's with the most
/// and the least time that may be left.
pub(crate) fn connections(recorded: &str, form: Form, most: &str, least: &str) -> String {
    let entries = |text| -> Vec<Entry<'_>> {
        let lines = str::lines(text).skip(form.titles());
        lines.filter_map(|line| form.read(line)).collect()
    };
    let (mut mine, mut certain) = (entries(most), entries(least));
    let mut text: Vec<&str> = most.lines().take(form.titles()).collect();
    for wanted in entries(recorded) {
        let same = |it: &Entry<'_>| it.rest == wanted.rest;
        let latest = mine
            .iter()
            .position(|it| same(it) && it.left >= wanted.left);
        let earliest = certain.iter().position(same);
        let fits = earliest.is_none_or(|place| certain[place].left <= wanted.left);
        match latest {
            Some(place) if fits => {
                mine.swap_remove(place);
                if let Some(place) = earliest {
                    certain.swap_remove(place);
                }
                text.push(wanted.line);
            }
            None if wanted.left == 0 => text.push(wanted.line),
            _ => {}
        }
    }
    // Those that must be there and were not recorded.
    text.extend(certain.iter().map(|it| it.line));
    finish(&text)
}

/// A listing of services in the order of the kernel's hashing; each is a block
/// of lines with its real servers.
pub(crate) fn services(recorded: &str, mine: &str) -> String {
    let mut mine = blocks(mine);
    let mut text = Vec::new();
    for block in blocks(recorded) {
        if let Some(place) = mine.iter().position(|it| *it == block) {
            text.extend(mine.remove(place));
        }
    }
    text.extend(mine.into_iter().flatten());
    finish(&text)
}

/// Lines in blocks that begin with any but a real server's.
fn blocks(text: &str) -> Vec<Vec<&str>> {
    let mut blocks: Vec<Vec<&str>> = Vec::new();
    for line in text.lines() {
        match blocks.last_mut() {
            Some(block) if line.starts_with("  ->") => block.push(line),
            _ => blocks.push(vec![line]),
        }
    }
    blocks
}

/// Lines as a text.
fn finish(lines: &[&str]) -> String {
    lines.iter().flat_map(|line| [*line, "\n"]).collect()
}
