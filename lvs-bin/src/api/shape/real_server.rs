//! Real servers.

use std::net::{IpAddr, SocketAddr};

use lvs_core::config::GueChecksum;
use lvs_core::{ForwardingMethod, Thresholds, Tunnel};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::Traffic;
use crate::ipvsadm;

/// A real server of a service. The fields after the thresholds are only told:
/// where a real server is given, they are not looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RealServer {
    /// Where it is. The port may be left out, and is the service's then.
    #[serde(deserialize_with = "end")]
    #[schemars(with = "String")]
    pub address: SocketAddr,
    /// How packets reach it.
    pub forwarding: Forwarding,
    /// What a tunnel wraps packets in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<TunnelKind>,
    /// The UDP port of a `gue` tunnel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tunnel_port: Option<u16>,
    /// Checksums of a `gue` or `gre` tunnel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tunnel_checksum: Option<Checksum>,
    /// Its share.
    #[serde(default = "one")]
    pub weight: u32,
    /// How many connections it takes; 0 for no limit.
    #[serde(default)]
    pub upper_threshold: u32,
    /// With fewer it takes some again.
    #[serde(default)]
    pub lower_threshold: u32,
    /// Connections that are active.
    #[serde(default)]
    pub active: u32,
    /// Connections that are not.
    #[serde(default)]
    pub inactive: u32,
    /// Clients remembered.
    #[serde(default)]
    pub persistent: u32,
    /// What passed since the counters were zeroed.
    #[serde(default)]
    pub traffic: Traffic,
    /// What passes in a second.
    #[serde(default)]
    pub rates: Traffic,
}

/// How packets reach a real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Forwarding {
    /// Their destination is rewritten.
    Masquerade,
    /// By their link address.
    DirectRoute,
    /// In a tunnel.
    Tunnel,
}

impl Forwarding {
    /// As operators call it: `nat`, `dr` or `tun`.
    #[must_use]
    pub const fn short(self) -> &'static str {
        match self {
            Self::Masquerade => "nat",
            Self::DirectRoute => "dr",
            Self::Tunnel => "tun",
        }
    }
}

/// What a tunnel wraps packets in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TunnelKind {
    /// An IP header.
    #[default]
    Ipip,
    /// Generic UDP Encapsulation.
    Gue,
    /// Generic Routing Encapsulation.
    Gre,
}

/// What a checksum of a tunnel covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Checksum {
    /// There is none.
    #[default]
    None,
    /// Everything.
    Full,
    /// `gue`: inner checksums are left to the far end.
    Remote,
}

const fn one() -> u32 {
    1
}

/// Reads an address with a port, or without.
fn end<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(from)?;
    end_of(&text).ok_or_else(|| de::Error::custom(no_end(&text)))
}

/// The end of a text: an address with a port, or without.
pub(in crate::api) fn end_of(text: &str) -> Option<SocketAddr> {
    let without = || Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, 0));
    text.parse().ok().or_else(without)
}

/// That a text is no address.
pub(in crate::api) fn no_end(text: &str) -> String {
    format!(
        "{text:?} is no address: write it as in 10.0.0.11, 10.0.0.11:8080 or [2001:db8::11]:8080"
    )
}

impl From<ipvsadm::RealServer> for RealServer {
    fn from(of: ipvsadm::RealServer) -> Self {
        let mut shape = Self::of(of.address, of.forwarding, of.weight, of.thresholds);
        shape.active = of.active;
        shape.inactive = of.inactive;
        shape.persistent = of.persistent;
        shape.traffic = of.traffic.into();
        shape.rates = of.rates.into();
        shape
    }
}

impl From<lvs_core::RealServer> for RealServer {
    fn from(of: lvs_core::RealServer) -> Self {
        let address = SocketAddr::new(of.address, of.port);
        Self::of(address, of.forwarding, of.share().get(), of.thresholds)
    }
}

impl RealServer {
    fn of(
        address: SocketAddr,
        forwarding: ForwardingMethod,
        weight: u32,
        thresholds: Thresholds,
    ) -> Self {
        let mut shape = Self {
            address,
            forwarding: Forwarding::Tunnel,
            tunnel: None,
            tunnel_port: None,
            tunnel_checksum: None,
            weight,
            upper_threshold: thresholds.upper,
            lower_threshold: thresholds.lower,
            active: 0,
            inactive: 0,
            persistent: 0,
            traffic: Traffic::default(),
            rates: Traffic::default(),
        };
        match forwarding {
            ForwardingMethod::Masquerade => shape.forwarding = Forwarding::Masquerade,
            ForwardingMethod::DirectRoute => shape.forwarding = Forwarding::DirectRoute,
            ForwardingMethod::Tunnel(Tunnel::Ipip) => shape.tunnel = Some(TunnelKind::Ipip),
            ForwardingMethod::Tunnel(Tunnel::Gre { checksum }) => {
                shape.tunnel = Some(TunnelKind::Gre);
                shape.tunnel_checksum = checksum.then_some(Checksum::Full);
            }
            ForwardingMethod::Tunnel(Tunnel::Gue { port, checksum }) => {
                shape.tunnel = Some(TunnelKind::Gue);
                shape.tunnel_port = Some(port);
                shape.tunnel_checksum = match checksum {
                    GueChecksum::None => None,
                    GueChecksum::Full => Some(Checksum::Full),
                    GueChecksum::Remote => Some(Checksum::Remote),
                };
            }
        }
        shape
    }

    /// How packets reach it.
    ///
    /// *Errors:* in words, what of a tunnel does not go together.
    fn method(&self) -> Result<ForwardingMethod, String> {
        let (kind, port, checksum) = (self.tunnel, self.tunnel_port, self.tunnel_checksum);
        let bare = match self.forwarding {
            Forwarding::Masquerade => Some(ForwardingMethod::Masquerade),
            Forwarding::DirectRoute => Some(ForwardingMethod::DirectRoute),
            Forwarding::Tunnel => None,
        };
        if let Some(method) = bare {
            let is_bare = kind.is_none() && port.is_none() && checksum.is_none();
            let why = "tunnel fields are given, but forwarding is not \"tunnel\"";
            return is_bare.then_some(method).ok_or_else(|| why.to_owned());
        }
        let checksum = checksum.unwrap_or_default();
        let tunnel = match (kind.unwrap_or_default(), port, checksum) {
            (TunnelKind::Ipip, None, Checksum::None) => Tunnel::Ipip,
            (TunnelKind::Gre, None, Checksum::None | Checksum::Full) => Tunnel::Gre {
                checksum: checksum == Checksum::Full,
            },
            (TunnelKind::Gue, Some(port @ 1..), checksum) => Tunnel::Gue {
                port,
                checksum: match checksum {
                    Checksum::None => GueChecksum::None,
                    Checksum::Full => GueChecksum::Full,
                    Checksum::Remote => GueChecksum::Remote,
                },
            },
            (TunnelKind::Ipip, ..) => return Err("an ipip tunnel has no port, no checksum".into()),
            (TunnelKind::Gre, ..) => {
                return Err("a gre tunnel has no port, and no checksum but \"full\"".into());
            }
            (TunnelKind::Gue, ..) => {
                return Err("a gue tunnel needs tunnel_port, 1 to 65535".into());
            }
        };
        Ok(ForwardingMethod::Tunnel(tunnel))
    }

    /// The real server to be added or edited.
    ///
    /// *Errors:* in words, what of a tunnel does not go together.
    pub(in crate::api) fn wanted(&self) -> Result<lvs_core::RealServer, String> {
        let thresholds = Thresholds {
            upper: self.upper_threshold,
            lower: self.lower_threshold,
        };
        Ok(lvs_core::RealServer::new(self.address, self.method()?)
            .weight(self.weight)
            .thresholds(thresholds))
    }

    /// The real server as it is listed.
    ///
    /// *Errors:* as of [`wanted`](Self::wanted).
    pub(in crate::api) fn listed(&self) -> Result<ipvsadm::RealServer, String> {
        let wanted = self.wanted()?;
        Ok(ipvsadm::RealServer {
            address: self.address,
            forwarding: wanted.forwarding,
            weight: self.weight,
            thresholds: wanted.thresholds,
            active: self.active,
            inactive: self.inactive,
            persistent: self.persistent,
            traffic: self.traffic.into(),
            rates: self.rates.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_read_back() {
        let gue = |checksum| Tunnel::Gue {
            port: 6080,
            checksum,
        };
        for method in [
            ForwardingMethod::Masquerade,
            ForwardingMethod::DirectRoute,
            ForwardingMethod::Tunnel(Tunnel::Ipip),
            ForwardingMethod::Tunnel(gue(GueChecksum::None)),
            ForwardingMethod::Tunnel(gue(GueChecksum::Full)),
            ForwardingMethod::Tunnel(gue(GueChecksum::Remote)),
            ForwardingMethod::Tunnel(Tunnel::Gre { checksum: false }),
            ForwardingMethod::Tunnel(Tunnel::Gre { checksum: true }),
        ] {
            let thresholds = Thresholds {
                upper: 20,
                lower: 10,
            };
            let real_server = lvs_core::RealServer::new("10.0.0.1:80".parse().unwrap(), method)
                .weight(7)
                .thresholds(thresholds);
            let json = serde_json::to_string(&RealServer::from(real_server.clone())).unwrap();
            let shape: RealServer = serde_json::from_str(&json).unwrap();
            assert_eq!(shape.wanted(), Ok(real_server), "{json}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_told() {
        for (fields, said) in [
            (r#""forwarding":"masquerade","tunnel":"gue""#, "is not"),
            (r#""forwarding":"tunnel","tunnel":"gue""#, "tunnel_port"),
            (r#""forwarding":"tunnel","tunnel_port":1"#, "ipip"),
            (
                r#""forwarding":"tunnel","tunnel":"gre","tunnel_checksum":"remote""#,
                "gre",
            ),
        ] {
            let json = format!(r#"{{"address":"10.0.0.1",{fields}}}"#);
            let shape: RealServer = serde_json::from_str(&json).unwrap();
            let why = shape.wanted().unwrap_err();
            assert!(why.contains(said), "{json}: {why}");
        }
    }
}
