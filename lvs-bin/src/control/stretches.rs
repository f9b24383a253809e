//! Which of an operator's operations can be put in force together.

use std::collections::HashSet;
use std::net::SocketAddr;

use lvs_core::ServiceKey;

use crate::ipvsadm::Operation;

/// Operations in stretches in which nothing is added that was removed before:
/// put in force together it would be the same thing still, with the turns its
/// scheduler took and the connections it had.
pub(super) fn stretches(operations: Vec<Operation>) -> Vec<Vec<Operation>> {
    let mut stretches = vec![Vec::new()];
    let mut removed = Removed::default();
    for operation in operations {
        if removed.is_undone_by(&operation) {
            removed = Removed::default();
            stretches.push(Vec::new());
        }
        removed.note(&operation);
        if let Some(last) = stretches.last_mut() {
            last.push(operation);
        }
    }
    stretches
}

/// What a stretch of operations removes.
#[derive(Default)]
struct Removed {
    everything: bool,
    services: HashSet<ServiceKey>,
    real_servers: HashSet<(ServiceKey, SocketAddr)>,
}

impl Removed {
    fn note(&mut self, operation: &Operation) {
        match operation {
            Operation::Flush => self.everything = true,
            Operation::DeleteService(key) => {
                self.services.insert(*key);
            }
            Operation::DeleteServer(key, at) => {
                self.real_servers.insert((*key, *at));
            }
            _ => {}
        }
    }

    fn is_undone_by(&self, operation: &Operation) -> bool {
        match operation {
            Operation::AddService(service) => {
                self.everything || self.services.contains(&service.key)
            }
            Operation::AddServer(key, real_server) => {
                let at = SocketAddr::new(real_server.address, real_server.port);
                self.real_servers.contains(&(*key, at))
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use lvs_core::{RealServer, Scheduler, Service};

    use super::*;
    use crate::ipvsadm::ServiceRequest;

    #[test]
    fn what_is_made_anew_begins_a_stretch() {
        let key = |port: u16| {
            let address = SocketAddr::new([192, 0, 2, 10].into(), port);
            Service::tcp(address, Scheduler::RoundRobin).key
        };
        let add = |port| {
            Operation::AddService(ServiceRequest {
                key: key(port),
                scheduler: "rr".into(),
                flags: Default::default(),
                one_packet: false,
                persistence: None,
                engine: None,
            })
        };
        let at: SocketAddr = "10.0.0.1:80".parse().unwrap();
        let add_server = || Operation::AddServer(key(80), RealServer::masquerade(at));
        let delete_server = || Operation::DeleteServer(key(80), at);
        let lengths = |operations: Vec<Operation>| -> Vec<usize> {
            stretches(operations).iter().map(Vec::len).collect()
        };
        assert_eq!(lengths(vec![add(80), add_server(), add(81)]), [3]);
        assert_eq!(
            lengths(vec![Operation::DeleteService(key(80)), add(81), add(80)]),
            [2, 1]
        );
        assert_eq!(
            lengths(vec![Operation::Flush, add(80), add(81), add_server()]),
            [1, 3]
        );
        assert_eq!(
            lengths(vec![delete_server(), add_server(), delete_server()]),
            [1, 2]
        );
    }
}
