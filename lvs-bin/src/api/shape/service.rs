//! Services.

use std::net::Ipv4Addr;
use std::time::Duration;

use lvs_core::config::{ClientMask, SchedulerFlags};
use lvs_core::{Persistence, ServiceKey};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RealServer, Traffic, key};
use crate::ipvsadm::{self, ServiceRequest};

/// A service. What passed and the real servers are only told: where a service is
/// given, its traffic is not looked at and real servers are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// What identifies it: `tcp:192.0.2.10:80`, `mark:ipv4:1`.
    #[serde(with = "key::text")]
    #[schemars(with = "String")]
    pub service: ServiceKey,
    /// The scheduler's name.
    #[serde(default = "scheduler")]
    pub scheduler: String,
    /// The scheduler's switches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<Flag>,
    /// Whether each datagram is scheduled by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub one_packet: bool,
    /// For how long a client is remembered, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent: Option<u64>,
    /// How much of a client's address counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<Mask>,
    /// The name of its persistence engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// What passed since the counters were zeroed.
    #[serde(default)]
    pub traffic: Traffic,
    /// What passes in a second.
    #[serde(default)]
    pub rates: Traffic,
    /// Newest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub real_servers: Option<Vec<RealServer>>,
}

/// A switch of a scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Flag {
    /// `sh` and `mh` look further when the real server they hash to takes none.
    #[serde(rename = "fallback")]
    Fallback,
    /// `sh` and `mh` hash the client's port too.
    #[serde(rename = "port")]
    Port,
    /// No scheduler knows it.
    #[serde(rename = "flag-3")]
    Third,
}

/// How much of a client's address counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Mask {
    /// The bits set.
    V4(Ipv4Addr),
    /// So many leading bits.
    V6(u8),
}

fn scheduler() -> String {
    "wlc".to_owned()
}

fn flags(of: SchedulerFlags) -> Vec<Flag> {
    let all = [
        (of.fallback, Flag::Fallback),
        (of.port, Flag::Port),
        (of.third, Flag::Third),
    ];
    let on = all.into_iter().filter(|(is_on, _)| *is_on);
    on.map(|(_, flag)| flag).collect()
}

impl From<ipvsadm::Service> for Service {
    fn from(of: ipvsadm::Service) -> Self {
        let real_servers = of.real_servers.into_iter().map(RealServer::from);
        Self {
            traffic: of.traffic.into(),
            rates: of.rates.into(),
            real_servers: Some(real_servers.collect()),
            ..Self::from(ServiceRequest {
                key: of.key,
                scheduler: of.scheduler,
                flags: of.flags,
                one_packet: of.one_packet,
                persistence: of.persistence,
                engine: of.engine,
            })
        }
    }
}

impl From<ServiceRequest> for Service {
    fn from(of: ServiceRequest) -> Self {
        let mask = of.persistence.and_then(|persistence| persistence.mask);
        Self {
            service: of.key,
            scheduler: of.scheduler,
            flags: flags(of.flags),
            one_packet: of.one_packet,
            persistent: of.persistence.map(|it| it.timeout.as_secs()),
            mask: mask.map(|mask| match mask {
                ClientMask::V4(mask) => Mask::V4(mask),
                ClientMask::V6(length) => Mask::V6(length),
            }),
            engine: of.engine,
            traffic: Traffic::default(),
            rates: Traffic::default(),
            real_servers: None,
        }
    }
}

impl Service {
    /// The service to be added or edited.
    ///
    /// *Errors:* in words, what does not go together.
    pub(in crate::api) fn wanted(&self) -> Result<ServiceRequest, String> {
        if self.mask.is_some() && self.persistent.is_none() {
            return Err("mask is given, but the service is not persistent".into());
        }
        let mask = self.mask.map(|mask| match mask {
            Mask::V4(mask) => ClientMask::V4(mask),
            Mask::V6(length) => ClientMask::V6(length),
        });
        let has = |flag| self.flags.contains(&flag);
        Ok(ServiceRequest {
            key: self.service,
            scheduler: self.scheduler.clone(),
            flags: SchedulerFlags {
                fallback: has(Flag::Fallback),
                port: has(Flag::Port),
                third: has(Flag::Third),
            },
            one_packet: self.one_packet,
            persistence: self.persistent.map(|seconds| Persistence {
                timeout: Duration::from_secs(seconds),
                mask,
            }),
            engine: self.engine.clone(),
        })
    }

    /// The service as it is listed.
    ///
    /// *Errors:* in words, what does not go together.
    pub(in crate::api) fn listed(&self) -> Result<ipvsadm::Service, String> {
        let wanted = self.wanted()?;
        let real_servers = self.real_servers.iter().flatten().map(RealServer::listed);
        Ok(ipvsadm::Service {
            key: wanted.key,
            scheduler: wanted.scheduler,
            flags: wanted.flags,
            one_packet: wanted.one_packet,
            persistence: wanted.persistence,
            engine: wanted.engine,
            traffic: self.traffic.into(),
            rates: self.rates.into(),
            real_servers: real_servers.collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_told_and_read_back() {
        let json = r#"{
            "service": "udp:[2001:db8::10]:53",
            "scheduler": "mh",
            "flags": ["fallback", "flag-3"],
            "one_packet": true,
            "persistent": 600,
            "mask": 64
        }"#;
        let shape: Service = serde_json::from_str(json).unwrap();
        let wanted = shape.wanted().unwrap();
        assert!(wanted.flags.fallback && wanted.flags.third && !wanted.flags.port);
        let persistence = wanted.persistence.unwrap();
        assert_eq!(persistence.mask, Some(ClientMask::V6(64)));
        assert_eq!(Service::from(wanted), shape);
    }

    #[test]
    fn what_is_not_given_is_as_with_ipvsadm() {
        let shape: Service = serde_json::from_str(r#"{"service":"tcp:192.0.2.10:80"}"#).unwrap();
        let wanted = shape.wanted().unwrap();
        assert_eq!(wanted.scheduler, "wlc");
        assert_eq!(wanted.persistence, None);
    }

    #[test]
    fn a_misspelt_field_is_refused() {
        let json = r#"{"service":"tcp:192.0.2.10:80","sheduler":"rr"}"#;
        let why = serde_json::from_str::<Service>(json).unwrap_err();
        assert!(why.to_string().contains("sheduler"), "{why}");
    }

    #[test]
    fn a_mask_needs_persistence() {
        let json = r#"{"service":"tcp:192.0.2.10:80","mask":"255.255.255.0"}"#;
        let shape: Service = serde_json::from_str(json).unwrap();
        assert!(shape.wanted().is_err());
    }
}
