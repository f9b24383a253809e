//! Typed reading of a table's fields; every fault is noted, none ends the reading.

use std::fmt::Display;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::fault::Fault;

/// A file being read, and the faults found so far.
pub(super) struct Reading<'t> {
    text: &'t str,
    faults: Vec<Fault>,
}

/// A value and where in the file it is.
#[derive(Clone, Debug)]
pub(super) struct Given<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// The fields of one table.
pub(super) struct Fields<'t> {
    table: &'t DeTable<'t>,
    /// How people call the table: `service 2`.
    place: String,
    /// Its header.
    span: Range<usize>,
}

impl<'t> Reading<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            faults: Vec::new(),
        }
    }

    /// Notes a fault.
    pub(super) fn fault(
        &mut self,
        span: Range<usize>,
        place: impl Into<String>,
        what: impl Into<String>,
        help: impl Into<String>,
    ) {
        let fault = Fault::new(self.text, span, place.into(), what.into(), help.into());
        self.faults.push(fault);
    }

    pub(super) fn into_faults(self) -> Vec<Fault> {
        self.faults
    }

    /// What is written at `span`, for a message.
    pub(super) fn written(&self, span: &Range<usize>) -> &'t str {
        self.text[span.clone()].lines().next().unwrap_or("")
    }

    /// The line `span` is in, from 1.
    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        self.text[..span.start].matches('\n').count() + 1
    }
}

impl<'t> Fields<'t> {
    /// The fields of the whole file.
    pub(super) fn of_file(
        table: &'t DeTable<'t>,
        known: &[&str],
        reading: &mut Reading<'_>,
    ) -> Self {
        let fields = Self {
            table,
            place: String::new(),
            span: 0..0,
        };
        fields.refuse_unknown(known, reading);
        fields
    }

    /// The fields of the table `value`; a fault if it is none.
    fn of(
        value: &'t Spanned<DeValue<'t>>,
        place: String,
        known: &[&str],
        reading: &mut Reading<'_>,
    ) -> Option<Self> {
        let Some(table) = value.get_ref().as_table() else {
            mistyped(value, &place, "a table", reading);
            return None;
        };
        let fields = Self {
            table,
            place,
            span: value.span(),
        };
        fields.refuse_unknown(known, reading);
        Some(fields)
    }

    /// How people call the field `name` of this table.
    pub(super) fn place(&self, name: &str) -> String {
        match (self.place.as_str(), name) {
            ("", name) => name.to_owned(),
            (place, "") => place.to_owned(),
            (place, name) => format!("{place}, {name}"),
        }
    }

    /// The table's header.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Notes a fault if the field `name` is not given.
    pub(super) fn require(&self, name: &str, help: &str, reading: &mut Reading<'_>) {
        if self.get(name).is_none() {
            reading.fault(
                self.span(),
                self.place(""),
                format!("{name} is missing"),
                help,
            );
        }
    }

    /// Where the value of the field `name` is, if it is given.
    pub(super) fn given(&self, name: &str) -> Option<Range<usize>> {
        self.get(name).map(Spanned::span)
    }

    /// The table `name`, which knows the fields `known`.
    pub(super) fn table(
        &self,
        name: &str,
        known: &[&str],
        reading: &mut Reading<'_>,
    ) -> Option<Fields<'t>> {
        Fields::of(self.get(name)?, self.place(name), known, reading)
    }

    /// The tables of the array `name`, each of which knows the fields `known`.
    pub(super) fn tables(
        &self,
        name: &str,
        known: &[&str],
        reading: &mut Reading<'_>,
    ) -> Vec<Fields<'t>> {
        let Some(value) = self.get(name) else {
            return Vec::new();
        };
        let Some(array) = value.get_ref().as_array() else {
            let place = self.place(name);
            let help = format!("write [[{}]], with two brackets", self.header(name));
            reading.fault(
                value.span(),
                place,
                format!("{name} must be a list of tables"),
                help,
            );
            return Vec::new();
        };
        array
            .iter()
            .enumerate()
            .filter_map(|(index, value)| {
                let place = self.place(&format!("{name} {}", index + 1));
                Fields::of(value, place, known, reading)
            })
            .collect()
    }

    /// The text in the field `name`.
    pub(super) fn string(&self, name: &str, reading: &mut Reading<'_>) -> Option<Given<&'t str>> {
        text(self.get(name)?, &self.place(name), reading)
    }

    /// The texts in the array `name`.
    pub(super) fn strings(
        &self,
        name: &str,
        reading: &mut Reading<'_>,
    ) -> Option<Given<Vec<Given<&'t str>>>> {
        let value = self.get(name)?;
        let place = self.place(name);
        let array: &'t DeArray<'t> = match value.get_ref().as_array() {
            Some(array) => array,
            None => {
                mistyped(value, &place, "a list of texts", reading);
                return None;
            }
        };
        Some(Given {
            value: array
                .iter()
                .filter_map(|one| text(one, &place, reading))
                .collect(),
            span: value.span(),
        })
    }

    /// The whole number in the field `name`.
    pub(super) fn number(
        &self,
        name: &str,
        range: RangeInclusive<u64>,
        help: &str,
        reading: &mut Reading<'_>,
    ) -> Option<Given<u64>> {
        self.whole(name, range, help, reading)
    }

    /// The whole number in the field `name`, which may be negative.
    pub(super) fn signed(
        &self,
        name: &str,
        range: RangeInclusive<i32>,
        help: &str,
        reading: &mut Reading<'_>,
    ) -> Option<Given<i32>> {
        self.whole(name, range, help, reading)
    }

    fn whole<N: TryFrom<i128> + PartialOrd + Display>(
        &self,
        name: &str,
        range: RangeInclusive<N>,
        help: &str,
        reading: &mut Reading<'_>,
    ) -> Option<Given<N>> {
        let value = self.get(name)?;
        let number = value
            .get_ref()
            .as_integer()
            .and_then(|digits| i128::from_str_radix(digits.as_str(), digits.radix()).ok())
            .and_then(|number| N::try_from(number).ok())
            .filter(|number| range.contains(number));
        if number.is_none() {
            let what = format!(
                "{name} is {}, but must be a whole number from {} to {}",
                reading.written(&value.span()),
                range.start(),
                range.end()
            );
            reading.fault(value.span(), self.place(name), what, help);
        }
        number.map(|number| Given {
            value: number,
            span: value.span(),
        })
    }

    /// Whether the switch in the field `name` is on.
    pub(super) fn switch(&self, name: &str, reading: &mut Reading<'_>) -> Option<bool> {
        let value = self.get(name)?;
        let on = value.get_ref().as_bool();
        if on.is_none() {
            let what = format!(
                "{name} is {}, but must be true or false",
                reading.written(&value.span())
            );
            let help = format!("write {name} = true, without quotes");
            reading.fault(value.span(), self.place(name), what, help);
        }
        on
    }

    /// Whether the field `name` is given.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether the field `name` is given, and a text.
    pub(super) fn is_text(&self, name: &str) -> bool {
        let value = self.get(name);
        value.is_some_and(|value| value.get_ref().as_str().is_some())
    }

    /// The choice that the field `name` makes among `choices`.
    pub(super) fn choice<T: Copy>(
        &self,
        name: &str,
        choices: &[(&str, T)],
        reading: &mut Reading<'_>,
    ) -> Option<T> {
        let given = self.string(name, reading)?;
        if let Some((_, choice)) = choices.iter().find(|(word, _)| *word == given.value) {
            return Some(*choice);
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let what = format!(
            "{name} is {:?}, but must be one of {}",
            given.value,
            words.join(", ")
        );
        let help = match nearest(given.value, &words) {
            Some(word) => format!("did you mean {word:?}?"),
            None => format!("write one of them, as in {name} = {:?}", words[0]),
        };
        reading.fault(given.span, self.place(name), what, help);
        None
    }

    fn get(&self, name: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        let mut fields = self.table.iter();
        fields
            .find(|(key, _)| key.get_ref() == name)
            .map(|(_, value)| value)
    }

    fn refuse_unknown(&self, known: &[&str], reading: &mut Reading<'_>) {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let help = match nearest(name, known) {
                Some(word) => format!("did you mean {word}?"),
                None => format!("remove it; known here: {}", known.join(", ")),
            };
            let what = format!("{name} is not a known field");
            reading.fault(key.span(), self.place(name), what, help);
        }
    }

    /// The header of the tables in `name`, as the file writes it.
    fn header(&self, name: &str) -> String {
        match self.place.split(' ').next() {
            None | Some("") => name.to_owned(),
            Some(outer) => format!("{outer}.{name}"),
        }
    }
}

fn text<'t>(
    value: &'t Spanned<DeValue<'t>>,
    place: &str,
    reading: &mut Reading<'_>,
) -> Option<Given<&'t str>> {
    let Some(text) = value.get_ref().as_str() else {
        mistyped(value, place, "a text", reading);
        return None;
    };
    Some(Given {
        value: text,
        span: value.span(),
    })
}

fn mistyped(value: &Spanned<DeValue<'_>>, place: &str, expected: &str, reading: &mut Reading<'_>) {
    let name = place.rsplit(", ").next().unwrap_or(place);
    let written = reading.written(&value.span());
    let kind = value.get_ref().type_str();
    let what = format!("{name} is {written} ({kind}), but must be {expected}");
    let help = match expected {
        "a text" => format!("put it in quotes, as in \"{}\"", written.trim_matches('"')),
        "a list of texts" => format!("put it in brackets, as in [{written}]"),
        _ => {
            let parts = place.split(", ").filter_map(|part| part.split(' ').next());
            let header: Vec<_> = parts.collect();
            format!("begin it with a line [{}]", header.join("."))
        }
    };
    reading.fault(value.span(), place, what, help);
}

/// The word most like `name`, if one is like it.
fn nearest<'w>(name: &str, words: &[&'w str]) -> Option<&'w str> {
    words
        .iter()
        .map(|word| (strsim::normalized_damerau_levenshtein(name, word), *word))
        .filter(|(likeness, _)| *likeness > 0.5)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_must_be_near() {
        let words = ["interfaces", "mode", "workers"];
        assert_eq!(nearest("interface", &words), Some("interfaces"));
        assert_eq!(nearest("wrokers", &words), Some("workers"));
        assert_eq!(nearest("colour", &words), None);
    }
}
