//! What a real server's tunnel wraps packets in: `tunnel`, `tunnel_port` and
//! `tunnel_checksum`.

use std::ops::RangeInclusive;

use lvs_core::config::{GueChecksum, Tunnel};

use super::fields::{Fields, Reading};

/// The fields of a tunnel.
pub(super) const FIELDS: [&str; 3] = ["tunnel", "tunnel_port", "tunnel_checksum"];

/// The tunnel of a real server that is reached by one; IP in IP if the file says
/// nothing more.
pub(super) fn tunnel(fields: &Fields<'_>, reading: &mut Reading<'_>) -> Option<Tunnel> {
    let kind = if fields.given("tunnel").is_some() {
        fields.choice("tunnel", &KINDS, reading)?
    } else {
        Kind::Ipip
    };
    let checksum = if fields.given("tunnel_checksum").is_some() {
        fields.choice("tunnel_checksum", &CHECKSUMS, reading)
    } else {
        Some(GueChecksum::None)
    };
    if kind == Kind::Gue {
        let help = "say at which UDP port the real server takes packets, as in tunnel_port = 6080";
        fields.require("tunnel_port", help, reading);
        let port = fields.number("tunnel_port", PORTS, help, reading)?;
        return Some(Tunnel::Gue {
            port: port.value as u16,
            checksum: checksum?,
        });
    }
    refuse(
        "tunnel_port",
        "only a gue tunnel has a port",
        fields,
        reading,
    );
    if kind == Kind::Ipip {
        refuse(
            "tunnel_checksum",
            "an ipip tunnel has no checksum",
            fields,
            reading,
        );
        return Some(Tunnel::Ipip);
    }
    if checksum? == GueChecksum::Remote
        && let Some(span) = fields.given("tunnel_checksum")
    {
        let what =
            "tunnel_checksum is \"remote\", but only a gue tunnel can leave it to the far end";
        let help = "write \"none\" or \"full\", or tunnel = \"gue\"";
        reading.fault(span, fields.place("tunnel_checksum"), what, help);
        return None;
    }
    Some(Tunnel::Gre {
        checksum: checksum? == GueChecksum::Full,
    })
}

/// Refuses the fields of a tunnel at a real server that is reached without one.
pub(super) fn refuse_all(fields: &Fields<'_>, reading: &mut Reading<'_>) {
    for name in FIELDS {
        refuse(
            name,
            "the real server is not reached by a tunnel",
            fields,
            reading,
        );
    }
}

fn refuse(name: &str, why: &str, fields: &Fields<'_>, reading: &mut Reading<'_>) {
    if let Some(span) = fields.given(name) {
        let help = match name {
            "tunnel" => "remove it, or write forwarding = \"tunnel\"".to_owned(),
            _ => "remove it, or write another tunnel".to_owned(),
        };
        let what = format!("{name} is given, but {why}");
        reading.fault(span, fields.place(name), what, help);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ipip,
    Gue,
    Gre,
}

/// The words are those of ipvsadm's `--tun-type`.
const KINDS: [(&str, Kind); 3] = [("ipip", Kind::Ipip), ("gue", Kind::Gue), ("gre", Kind::Gre)];
const CHECKSUMS: [(&str, GueChecksum); 3] = [
    ("none", GueChecksum::None),
    ("full", GueChecksum::Full),
    ("remote", GueChecksum::Remote),
];
const PORTS: RangeInclusive<u64> = 1..=u16::MAX as u64;

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;
    use lvs_core::{ForwardingMethod, RealServer};

    /// What a real server with these fields is read as, or what is said.
    fn read(fields: &str) -> Result<RealServer, Vec<String>> {
        let text = format!(
            "director.interfaces = ['e']\n\
             [[service]]\n\
             address = \"192.0.2.10:80\"\n\
             protocol = \"tcp\"\n\
             [[service.real_server]]\n\
             address = \"2001:db8::11\"\n\
             {fields}\n"
        );
        match Settings::parse("f", &text) {
            Ok(settings) => Ok(settings.config.services()[0].real_servers[0].clone()),
            Err(faults) => Err(faults
                .faults()
                .iter()
                .map(|fault| format!("{}: {}", fault.line, fault.what))
                .collect()),
        }
    }

    #[test]
    fn every_kind_has_its_words_and_leads_to_either_family() {
        let gue = |checksum| Tunnel::Gue {
            port: 6080,
            checksum,
        };
        let rows = [
            ("", Tunnel::Ipip),
            ("tunnel = 'ipip'", Tunnel::Ipip),
            ("tunnel = 'gue'\ntunnel_port = 6080", gue(GueChecksum::None)),
            (
                "tunnel = 'gue'\ntunnel_port = 6080\ntunnel_checksum = 'full'",
                gue(GueChecksum::Full),
            ),
            (
                "tunnel = 'gue'\ntunnel_port = 6080\ntunnel_checksum = 'remote'",
                gue(GueChecksum::Remote),
            ),
            ("tunnel = 'gre'", Tunnel::Gre { checksum: false }),
            (
                "tunnel = 'gre'\ntunnel_checksum = 'full'",
                Tunnel::Gre { checksum: true },
            ),
        ];
        for (fields, tunnel) in rows {
            let real_server = read(&format!("forwarding = 'tunnel'\n{fields}")).unwrap();
            assert_eq!(real_server.forwarding, ForwardingMethod::Tunnel(tunnel));
        }
    }

    #[test]
    fn what_does_not_go_together_is_told() {
        let rows: [(&str, &[&str]); 7] = [
            (
                "forwarding = 'tunnel'\ntunnel = 'vxlan'",
                &["8: tunnel is \"vxlan\", but must be one of ipip, gue, gre"],
            ),
            (
                "forwarding = 'tunnel'\ntunnel = 'gue'",
                &["5: tunnel_port is missing"],
            ),
            (
                "forwarding = 'tunnel'\ntunnel = 'gue'\ntunnel_port = 65536",
                &["9: tunnel_port is 65536, but must be a whole number from 1 to 65535"],
            ),
            (
                "forwarding = 'tunnel'\ntunnel = 'gre'\ntunnel_port = 6080",
                &["9: tunnel_port is given, but only a gue tunnel has a port"],
            ),
            (
                "forwarding = 'tunnel'\ntunnel_checksum = 'full'",
                &["8: tunnel_checksum is given, but an ipip tunnel has no checksum"],
            ),
            (
                "forwarding = 'tunnel'\ntunnel = 'gre'\ntunnel_checksum = 'remote'",
                &[
                    "9: tunnel_checksum is \"remote\", but only a gue tunnel can leave it to the far end",
                ],
            ),
            (
                "forwarding = 'direct-route'\ntunnel = 'gue'\ntunnel_port = 6080",
                &[
                    "6: service TCP 192.0.2.10:80: real server 2001:db8::11 must be of the \
                     service's address family: only a tunnel leads to the other",
                    "8: tunnel is given, but the real server is not reached by a tunnel",
                    "9: tunnel_port is given, but the real server is not reached by a tunnel",
                ],
            ),
        ];
        for (fields, said) in rows {
            assert_eq!(read(fields).unwrap_err(), said, "{fields}");
        }
    }
}
