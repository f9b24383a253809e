//! `[[mark]]`: which packets carry which firewall mark.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::str::FromStr;

use lvs_core::Port;
use lvs_core::config::{Classifier, MacMatch, MarkRule, Prefix};

use super::fields::{Fields, Given, Reading};

/// Reads every `[[mark]]`; `interfaces` are those the director serves.
pub(super) fn classifier<'t>(
    file: &Fields<'t>,
    interfaces: &[String],
    reading: &mut Reading<'t>,
) -> Classifier {
    let tables = file.tables("mark", &FIELDS, reading);
    let rules = tables
        .iter()
        .map(|fields| rule(fields, interfaces, reading));
    Classifier {
        rules: rules.collect(),
    }
}

fn rule<'t>(fields: &Fields<'t>, interfaces: &[String], reading: &mut Reading<'t>) -> MarkRule {
    let help = "the mark a packet gets, as in set = 1; 0 leaves it without one";
    fields.require("set", help, reading);
    let mark = fields.number("set", 0..=u64::from(u32::MAX), help, reading);
    let protocol = fields.choice("protocol", &PROTOCOLS, reading);
    let source = prefix(fields, "source", reading);
    let destination = prefix(fields, "destination", reading);
    if let (Some(source), Some(destination)) = (&source, &destination)
        && source.value.address.is_ipv4() != destination.value.address.is_ipv4()
    {
        let what = "source and destination are of two address families: nothing fits both";
        let help = "write both as IPv4, or both as IPv6";
        reading.fault(
            destination.span.clone(),
            fields.place("destination"),
            what,
            help,
        );
    }
    MarkRule {
        mark: mark.and_then(|given| NonZeroU32::new(given.value as u32)),
        interface: interface(fields, interfaces, reading),
        source_mac: source_mac(fields, reading),
        source: source.map(|given| given.value),
        destination: destination.map(|given| given.value),
        protocol,
        source_ports: ports(fields, "source_ports", reading),
        destination_ports: ports(fields, "destination_ports", reading),
    }
}

fn interface(
    fields: &Fields<'_>,
    interfaces: &[String],
    reading: &mut Reading<'_>,
) -> Option<Port> {
    let given = fields.string("interface", reading)?;
    let place = interfaces.iter().position(|name| name == given.value);
    if place.is_none() {
        let what = format!(
            "interface is {:?}, but must be one the director serves",
            given.value
        );
        let help = format!("write one of {}", interfaces.join(", "));
        reading.fault(given.span, fields.place("interface"), what, help);
    }
    Some(Port(u8::try_from(place?).ok()?))
}

fn source_mac(fields: &Fields<'_>, reading: &mut Reading<'_>) -> Option<MacMatch> {
    let given = fields.string("source_mac", reading)?;
    let (text, not) = match given.value.strip_prefix("not ") {
        Some(text) => (text.trim(), true),
        None => (given.value, false),
    };
    let bytes: Option<Vec<u8>> = text
        .split(':')
        .map(|byte| {
            let digits = byte.len() == 2 && byte.bytes().all(|it| it.is_ascii_hexdigit());
            u8::from_str_radix(byte, 16).ok().filter(|_| digits)
        })
        .collect();
    let mac = bytes.and_then(|bytes| bytes.try_into().ok());
    if mac.is_none() {
        let what = format!(
            "source_mac is {:?}, but must be a link address, or \"not\" and one",
            given.value
        );
        let help = "write it as in \"02:00:00:00:00:01\" or \"not 02:00:00:00:00:01\"";
        reading.fault(given.span, fields.place("source_mac"), what, help);
    }
    Some(MacMatch { mac: mac?, not })
}

fn prefix<'t>(fields: &Fields<'t>, name: &str, reading: &mut Reading<'t>) -> Option<Given<Prefix>> {
    let given = fields.string(name, reading)?;
    let value = parse_prefix(given.value);
    if value.is_none() {
        let what = format!(
            "{name} is {:?}, but must be an IP address, or one with a prefix length",
            given.value
        );
        let help = "write it as in \"192.0.2.10\", \"192.0.2.0/24\" or \"2001:db8::/32\"";
        reading.fault(given.span.clone(), fields.place(name), what, help);
    }
    Some(Given {
        value: value?,
        span: given.span,
    })
}

fn parse_prefix(text: &str) -> Option<Prefix> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(digits::<u8>(length)?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let length = length.unwrap_or(longest);
    (length <= longest).then_some(Prefix { address, length })
}

fn ports(fields: &Fields<'_>, name: &str, reading: &mut Reading<'_>) -> Vec<RangeInclusive<u16>> {
    let mut ranges = Vec::new();
    for Given { value, span } in fields.strings(name, reading).map_or(vec![], |it| it.value) {
        let (first, last) = value.split_once('-').unwrap_or((value, value));
        match (digits::<u16>(first.trim()), digits(last.trim())) {
            (Some(first), Some(last)) if first <= last => ranges.push(first..=last),
            _ => {
                let what = format!("{name} has {value:?}, but must hold ports and ranges of them");
                let help = "write them as in [\"80\", \"8000-8999\"]";
                reading.fault(span, fields.place(name), what, help);
            }
        }
    }
    ranges
}

/// A number of digits alone; Rust would take a sign too.
fn digits<N: FromStr>(text: &str) -> Option<N> {
    let is_number = text.bytes().all(|it| it.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

const PROTOCOLS: [(&str, u8); 3] = [("tcp", 6), ("udp", 17), ("sctp", 132)];
const FIELDS: [&str; 8] = [
    "set",
    "interface",
    "source_mac",
    "source",
    "destination",
    "protocol",
    "source_ports",
    "destination_ports",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_have_a_length_of_their_family() {
        let length = |text| parse_prefix(text).map(|prefix| prefix.length);
        assert_eq!(length("192.0.2.10"), Some(32));
        assert_eq!(length("192.0.2.0/24"), Some(24));
        assert_eq!(length("2001:db8::/0"), Some(0));
        assert_eq!(length("2001:db8::1"), Some(128));
        for wrong in [
            "192.0.2.0/33",
            "2001:db8::/129",
            "192.0.2/24",
            "web",
            "1.2.3.4/",
            "1.2.3.4/+8",
        ] {
            assert_eq!(length(wrong), None, "{wrong}");
        }
    }
}
