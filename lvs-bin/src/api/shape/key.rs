//! Services by name: `tcp:192.0.2.10:80`, `udp:[2001:db8::10]:53`, and
//! `mark:ipv4:1` for those on firewall marks.

use std::net::SocketAddr;

use lvs_core::{Family, Protocol, ServiceKey};
use serde::{Deserialize, Deserializer, Serializer, de};

/// The name of a service.
#[must_use]
pub fn key_text(key: &ServiceKey) -> String {
    match key {
        ServiceKey::Address { protocol, address } => {
            format!("{}:{address}", protocol_text(*protocol))
        }
        ServiceKey::Mark { family, mark } => {
            let family = match family {
                Family::V4 => "ipv4",
                Family::V6 => "ipv6",
            };
            format!("mark:{family}:{mark}")
        }
    }
}

/// The service of a name, if it is one.
#[must_use]
pub fn key_of(text: &str) -> Option<ServiceKey> {
    let (kind, rest) = text.split_once(':')?;
    let protocol = match kind {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        "mark" => {
            let (family, mark) = rest.split_once(':')?;
            let family = match family {
                "ipv4" => Family::V4,
                "ipv6" => Family::V6,
                _ => return None,
            };
            let mark = mark.parse().ok()?;
            return Some(ServiceKey::Mark { family, mark });
        }
        _ => return None,
    };
    let address: SocketAddr = rest.parse().ok()?;
    Some(ServiceKey::Address { protocol, address })
}

fn protocol_text(protocol: Protocol) -> String {
    protocol.to_string().to_lowercase()
}

/// Names of services as texts.
pub(super) mod text {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(
        key: &ServiceKey,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(&key_text(key))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<ServiceKey, D::Error> {
        let text = String::deserialize(from)?;
        key_of(&text).ok_or_else(|| de::Error::custom(no_service(&text)))
    }
}

/// Names of services as texts, or none.
pub(super) mod optional_text {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(
        key: &Option<ServiceKey>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match key {
            Some(key) => to.serialize_some(&key_text(key)),
            None => to.serialize_none(),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<ServiceKey>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else {
            return Ok(None);
        };
        let key = key_of(&text).ok_or_else(|| de::Error::custom(no_service(&text)))?;
        Ok(Some(key))
    }
}

/// That a text names no service.
pub(in super::super) fn no_service(text: &str) -> String {
    format!(
        "{text:?} names no service: write it as in tcp:192.0.2.10:80, udp:[2001:db8::10]:53 or \
         mark:ipv4:1"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for text in [
            "tcp:192.0.2.10:80",
            "udp:[2001:db8::10]:53",
            "sctp:192.0.2.10:0",
            "mark:ipv4:1",
            "mark:ipv6:4294967295",
        ] {
            let key = key_of(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(key_text(&key), text);
        }
    }

    #[test]
    fn other_texts_name_nothing() {
        for text in [
            "",
            "tcp",
            "tcp:192.0.2.10",
            "icmp:192.0.2.10:80",
            "mark:1",
            "mark:ipv4:0",
            "mark:ipv4:-1",
            "tcp:web:80",
            "TCP:192.0.2.10:80",
        ] {
            assert_eq!(key_of(text), None, "{text}");
        }
    }
}
