//! Operations, many of which go in one request.

use std::net::SocketAddr;

use lvs_core::ServiceKey;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Daemon, RealServer, Role, Service, Timeouts, key};
use crate::ipvsadm::{self, KernelError};

/// One change, by the name of the operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "operation", rename_all = "snake_case", deny_unknown_fields)]
pub enum Operation {
    /// Adds a service without real servers.
    AddService {
        /// The service.
        service: Service,
    },
    /// Gives a service other settings.
    EditService {
        /// The service.
        service: Service,
    },
    /// Removes a service with its real servers.
    DeleteService {
        /// Which.
        #[serde(with = "key::text")]
        #[schemars(with = "String")]
        service: ServiceKey,
    },
    /// Removes every service.
    Flush,
    /// Has counters begin at zero.
    Zero {
        /// Of which service; of everything if not given.
        #[serde(default, with = "key::optional_text")]
        #[schemars(with = "Option<String>")]
        service: Option<ServiceKey>,
    },
    /// Adds a real server.
    AddServer {
        /// To which service.
        #[serde(with = "key::text")]
        #[schemars(with = "String")]
        service: ServiceKey,
        /// The real server.
        real_server: RealServer,
    },
    /// Gives a real server other settings.
    EditServer {
        /// Of which service.
        #[serde(with = "key::text")]
        #[schemars(with = "String")]
        service: ServiceKey,
        /// The real server.
        real_server: RealServer,
    },
    /// Removes a real server.
    DeleteServer {
        /// Of which service.
        #[serde(with = "key::text")]
        #[schemars(with = "String")]
        service: ServiceKey,
        /// Where the real server is.
        address: SocketAddr,
    },
    /// Sets timeouts.
    SetTimeouts {
        /// Those to set.
        timeouts: Timeouts,
    },
    /// Starts a daemon.
    StartDaemon {
        /// The daemon.
        daemon: Daemon,
    },
    /// Stops a daemon.
    StopDaemon {
        /// Which.
        role: Role,
    },
}

impl From<ipvsadm::Operation> for Operation {
    fn from(of: ipvsadm::Operation) -> Self {
        use ipvsadm::Operation as O;
        match of {
            O::AddService(service) => Self::AddService {
                service: service.into(),
            },
            O::EditService(service) => Self::EditService {
                service: service.into(),
            },
            O::DeleteService(service) => Self::DeleteService { service },
            O::Flush => Self::Flush,
            O::Zero(service) => Self::Zero { service },
            O::AddServer(service, real_server) => Self::AddServer {
                service,
                real_server: real_server.into(),
            },
            O::EditServer(service, real_server) => Self::EditServer {
                service,
                real_server: real_server.into(),
            },
            O::DeleteServer(service, address) => Self::DeleteServer { service, address },
            O::SetTimeouts([tcp, tcp_fin, udp]) => Self::SetTimeouts {
                timeouts: Timeouts {
                    tcp: Some(tcp),
                    tcp_fin: Some(tcp_fin),
                    udp: Some(udp),
                },
            },
            O::StartDaemon(daemon) => Self::StartDaemon {
                daemon: daemon.into(),
            },
            O::StopDaemon(role) => Self::StopDaemon { role: role.into() },
        }
    }
}

impl Operation {
    /// The operation itself.
    ///
    /// *Errors:* in words, what does not go together.
    pub(in crate::api) fn wanted(self) -> Result<ipvsadm::Operation, String> {
        use ipvsadm::Operation as O;
        Ok(match self {
            Self::AddService { service } => O::AddService(bare(&service)?),
            Self::EditService { service } => O::EditService(bare(&service)?),
            Self::DeleteService { service } => O::DeleteService(service),
            Self::Flush => O::Flush,
            Self::Zero { service } => O::Zero(service),
            Self::AddServer {
                service,
                real_server,
            } => O::AddServer(service, real_server.wanted()?),
            Self::EditServer {
                service,
                real_server,
            } => O::EditServer(service, real_server.wanted()?),
            Self::DeleteServer { service, address } => O::DeleteServer(service, address),
            Self::SetTimeouts { timeouts } => O::SetTimeouts(timeouts.seconds()?),
            Self::StartDaemon { daemon } => O::StartDaemon(daemon.into()),
            Self::StopDaemon { role } => O::StopDaemon(role.into()),
        })
    }
}

/// A service's settings.
///
/// *Errors:* real servers are given, which have operations of their own.
pub(in crate::api) fn bare(service: &Service) -> Result<ipvsadm::ServiceRequest, String> {
    if service.real_servers.is_some() {
        return Err("real_servers are given: add, edit and delete each by itself".into());
    }
    service.wanted()
}

/// What became of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// The number of the kernel's error, if it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
    /// What is wrong, if it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
}

impl Outcome {
    /// What became of `operation`.
    #[must_use]
    pub fn new(operation: &ipvsadm::Operation, done: Result<(), KernelError>) -> Self {
        let error = done.err();
        Self {
            errno: error.map(KernelError::number),
            what: error.map(|error| operation.refusal(error).to_owned()),
        }
    }

    /// Whether it was done, or the kernel's error; `None` where its number is none
    /// that the kernel has.
    #[must_use]
    pub fn done(&self) -> Option<Result<(), KernelError>> {
        match self.errno {
            None => Some(Ok(())),
            Some(number) => KernelError::numbered(number).map(Err),
        }
    }
}

#[cfg(test)]
mod tests {
    use lvs_core::{RealServer as Plain, Scheduler, Service as PlainService};

    use super::*;
    use crate::ipvsadm::{DaemonRole, Operation as O, ServiceRequest};

    #[test]
    fn every_operation_is_read_back() {
        let key = PlainService::tcp("192.0.2.10:80".parse().unwrap(), Scheduler::RoundRobin).key;
        let service = ServiceRequest {
            key,
            scheduler: "rr".into(),
            flags: Default::default(),
            one_packet: false,
            persistence: None,
            engine: Some("sip".into()),
        };
        let at = "10.0.0.1:0".parse().unwrap();
        let real_server = Plain::masquerade(at).weight(0);
        let daemon = ipvsadm::Daemon {
            role: DaemonRole::Backup,
            interface: "eth0".into(),
            sync_id: 7,
            max_length: 1400,
            group: "ff02::5".parse().unwrap(),
            port: 9000,
            ttl: 3,
        };
        for operation in [
            O::AddService(service.clone()),
            O::EditService(service),
            O::DeleteService(key),
            O::Flush,
            O::Zero(None),
            O::Zero(Some(key)),
            O::AddServer(key, real_server.clone()),
            O::EditServer(key, real_server),
            O::DeleteServer(key, at),
            O::SetTimeouts([900, 0, 300]),
            O::StartDaemon(daemon),
            O::StopDaemon(DaemonRole::Master),
        ] {
            let json = serde_json::to_string(&Operation::from(operation.clone())).unwrap();
            let shape: Operation = serde_json::from_str(&json).unwrap();
            assert_eq!(shape.wanted(), Ok(operation), "{json}");
        }
    }

    #[test]
    fn every_error_is_read_back() {
        for error in KernelError::ALL {
            let outcome = Outcome::new(&O::Flush, Err(error));
            assert_eq!(outcome.done(), Some(Err(error)));
        }
        assert_eq!(Outcome::new(&O::Flush, Ok(())).done(), Some(Ok(())));
    }
}
