//! Addresses and ports, as they are given and shown.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use lvs_core::Protocol;

use super::names::Names;
use super::number;

/// An address with or without a port, as it was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct End {
    /// `None` before any was given.
    pub(super) address: Option<IpAddr>,
    /// `None` if it was left out.
    pub(super) port: Option<u16>,
}

/// Reads `host[:port]`, where IPv6 addresses with a port stand in brackets and
/// ports may be names of the protocol's.
pub(super) fn end(text: &str, protocol: Protocol, names: &dyn Names) -> Option<End> {
    read(text, Some(protocol), names)
}

/// The same where ports can only be numbers.
pub(super) fn end_without_names(text: &str, names: &dyn Names) -> Option<End> {
    read(text, None, names)
}

fn read(text: &str, protocol: Option<Protocol>, names: &dyn Names) -> Option<End> {
    // A number alone would be an address to the C library.
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (host, bracketed) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, Some(rest.strip_prefix(':')?))
        }
        None => (text, None),
    };
    let (address, port) = if let Ok(v6) = host.parse::<Ipv6Addr>() {
        (IpAddr::V6(v6), bracketed)
    } else {
        // Brackets around another address hide the port behind them.
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (host, None),
        };
        (IpAddr::V4(ipv4(host, names)?), port)
    };
    let port = match port {
        None => None,
        Some(port) => {
            let number = number::within(port, 0, 65535).map(|number| number as u16);
            Some(number.or_else(|| names.port(port, protocol?))?)
        }
    };
    Some(End {
        address: Some(address),
        port,
    })
}

/// An IPv4 address in any form of inet_aton(3), or that of a host.
pub(super) fn ipv4(text: &str, names: &dyn Names) -> Option<Ipv4Addr> {
    aton(text).or_else(|| names.address(text))
}

/// One to four parts, decimal, octal or hexadecimal, the last of which fills
/// what is left.
fn aton(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<&str> = text.split('.').collect();
    let (last, before) = parts.split_last()?;
    if before.len() > 3 {
        return None;
    }
    let mut bits: u32 = 0;
    for (place, part) in before.iter().enumerate() {
        let part = u8::try_from(part_of(part)?).ok()?;
        bits |= u32::from(part) << (24 - 8 * place);
    }
    let last = part_of(last)?;
    let most = u32::MAX >> (8 * before.len());
    (last <= most).then(|| Ipv4Addr::from_bits(bits | last))
}

fn part_of(text: &str) -> Option<u32> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16),
        [b'0', _, ..] => (&text[1..], 8),
        [b'0'..=b'9', ..] => (text, 10),
        _ => return None,
    };
    // A sign would be taken for a part of the number.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    u32::from_str_radix(digits, radix).ok()
}

/// Writes addresses and ports.
#[derive(Clone, Copy)]
pub(super) struct Shown<'a> {
    /// `None` for numbers.
    pub(super) names: Option<&'a dyn Names>,
}

impl Shown<'_> {
    /// An address and port as they are listed. Ports have no names where no
    /// protocol is known.
    pub(super) fn end(&self, end: SocketAddr, protocol: Option<Protocol>) -> String {
        let host = self.names.and_then(|names| names.host(end.ip()));
        let host = host.unwrap_or_else(|| end.ip().to_string());
        let service = protocol.and_then(|protocol| self.names?.service(end.port(), protocol));
        let port = service.unwrap_or_else(|| end.port().to_string());
        let mut text = match end {
            SocketAddr::V4(_) => format!("{host}:{port}"),
            SocketAddr::V6(_) => format!("[{host}]:{port}"),
        };
        cut(&mut text, LONGEST);
        text
    }

    /// The same with an IPv4 one cut to so many characters.
    pub(super) fn end_within(
        &self,
        end: SocketAddr,
        protocol: Option<Protocol>,
        most: usize,
    ) -> String {
        let mut text = self.end(end, protocol);
        if end.is_ipv4() {
            cut(&mut text, most);
        }
        text
    }
}

fn cut(text: &mut String, most: usize) {
    if let Some((place, _)) = text.char_indices().nth(most) {
        text.truncate(place);
    }
}

/// The longest address with its port that the tool writes.
const LONGEST: usize = 59;

#[cfg(test)]
mod tests {
    use super::super::names::NameFiles;
    use super::*;

    fn read(text: &str) -> Option<(String, Option<u16>)> {
        let names = NameFiles::new("127.0.0.1 localhost\n", "http 80/tcp\n");
        let end = end(text, Protocol::Tcp, &names)?;
        Some((end.address?.to_string(), end.port))
    }

    #[test]
    fn addresses_are_read_as_the_c_library_reads_them() {
        let some = |address: &str, port| Some((address.to_owned(), port));
        assert_eq!(read("10.0.0.1"), some("10.0.0.1", None));
        assert_eq!(read("10.2:80"), some("10.0.0.2", Some(80)));
        assert_eq!(read("0xa.0x14.2:80"), some("10.20.0.2", Some(80)));
        assert_eq!(read("012.1.1.1:0"), some("10.1.1.1", Some(0)));
        assert_eq!(read("localhost:http"), some("127.0.0.1", Some(80)));
        assert_eq!(read("2001:db8::1"), some("2001:db8::1", None));
        assert_eq!(read("[2001:db8::1]:80"), some("2001:db8::1", Some(80)));
        assert_eq!(read("2001:db8::80:80"), some("2001:db8::80:80", None));
        assert_eq!(read("[10.0.0.1]:80"), some("10.0.0.1", None));
        for wrong in [
            "",
            "80",
            ":80",
            "10.0.0.1:",
            "10.0.0.1:65536",
            "10.0.0.1:-1",
            "10.0.0.300:80",
            "10.0.0.1:nosuch",
            "nosuch:80",
            "[2001:db8::1]",
            "[2001:db8::1",
            "1.2.3.4.5",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn names_are_shown_where_there_are_any() {
        let names = NameFiles::new("127.0.0.1 localhost\n", "http 80/tcp\n");
        let named = Shown {
            names: Some(&names),
        };
        let end = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert_eq!(
            named.end(end("127.0.0.1:80"), Some(Protocol::Tcp)),
            "localhost:http"
        );
        assert_eq!(named.end(end("127.0.0.1:80"), None), "localhost:80");
        assert_eq!(
            named.end(end("[2001:db8::1]:80"), Some(Protocol::Tcp)),
            "[2001:db8::1]:http"
        );
        let plain = Shown { names: None };
        assert_eq!(plain.end_within(end("127.0.0.1:80"), None, 9), "127.0.0.1");
    }
}
