//! What is between two configurations: [`Plan`].

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;

use lvs_core::{Draft, RealServer, Service, ServiceKey};

use crate::config::written::{self, Written};

/// The changes that make one configuration of another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Removed, changed and added; in the order of the services.
    pub changes: Vec<Change>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What becomes of it.
    pub kind: ChangeKind,
    /// What is changed.
    pub of: Changed,
    /// The fields that are not the same.
    pub fields: Vec<FieldChange>,
    /// Connections that it has now, those of clients remembered included.
    pub connections: u64,
}

/// What becomes of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was not there before.
    Added,
    /// It is there with other fields.
    Changed,
    /// It is not there any more.
    Removed,
}

/// What is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// `[timeouts]`.
    Timeouts,
    /// `[settings]`.
    Settings,
    /// The rules `[[mark]]`.
    Marks,
    /// A service.
    Service(ServiceKey),
    /// A real server of a service.
    RealServer(ServiceKey, SocketAddr),
}

/// A field before and after, as the configuration file writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// Its name.
    pub name: String,
    /// Its value before, if it had one.
    pub before: Option<String>,
    /// Its value after, if it has one.
    pub after: Option<String>,
}

impl Plan {
    /// What is between two configurations; `connections` counts those of a real
    /// server.
    #[must_use]
    pub fn between(
        before: &Draft,
        after: &Draft,
        connections: impl Fn(ServiceKey, SocketAddr) -> u64,
    ) -> Self {
        let mut planning = Planning {
            changes: Vec::new(),
            connections: &connections,
        };
        planning.director(before, after);
        let old = by_key(&before.services);
        let new = by_key(&after.services);
        for service in &before.services {
            match new.get(&service.key) {
                None => planning.removed(service),
                Some(after) => planning.service(service, after),
            }
        }
        let added = after.services.iter();
        for service in added.filter(|service| !old.contains_key(&service.key)) {
            planning.added(service);
        }
        Self {
            changes: planning.changes,
        }
    }

    /// Whether nothing changes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

fn by_key(services: &[Service]) -> HashMap<ServiceKey, &Service> {
    services.iter().map(|it| (it.key, it)).collect()
}

/// A plan in the making.
struct Planning<'a> {
    changes: Vec<Change>,
    connections: &'a dyn Fn(ServiceKey, SocketAddr) -> u64,
}

impl Planning<'_> {
    fn director(&mut self, before: &Draft, after: &Draft) {
        let timeouts = |draft: &Draft| written::timeouts(&draft.timeouts);
        self.change(Changed::Timeouts, &timeouts(before), &timeouts(after), 0);
        let (old, new) = (settings(before), settings(after));
        self.change(Changed::Settings, &old, &new, 0);
        if before.classifier != after.classifier {
            self.push(ChangeKind::Changed, Changed::Marks, Vec::new(), 0);
        }
    }

    fn removed(&mut self, service: &Service) {
        let key = service.key;
        let each = service.real_servers.iter();
        let connections = each.map(|it| (self.connections)(key, end(&key, it))).sum();
        let of = Changed::Service(key);
        self.push(ChangeKind::Removed, of, Vec::new(), connections);
    }

    fn added(&mut self, service: &Service) {
        let key = service.key;
        let fields = differing(&Written::new(), &written::service(service));
        self.push(ChangeKind::Added, Changed::Service(key), fields, 0);
        for real_server in &service.real_servers {
            self.added_server(key, real_server);
        }
    }

    fn service(&mut self, before: &Service, after: &Service) {
        if before == after {
            return;
        }
        let key = after.key;
        let (old, new) = (written::service(before), written::service(after));
        self.change(Changed::Service(key), &old, &new, 0);
        let of = |service: &Service| -> HashMap<SocketAddr, RealServer> {
            let each = service.real_servers.iter();
            each.map(|it| (end(&key, it), it.clone())).collect()
        };
        let (old, new) = (of(before), of(after));
        for real_server in &before.real_servers {
            let at = end(&key, real_server);
            if new.get(&at) == Some(real_server) {
                continue;
            }
            let connections = (self.connections)(key, at);
            let of = Changed::RealServer(key, at);
            let Some(after) = new.get(&at) else {
                self.push(ChangeKind::Removed, of, Vec::new(), connections);
                continue;
            };
            let fields = |it| written::real_server(&key, it);
            self.change(of, &fields(real_server), &fields(after), connections);
        }
        let added = after.real_servers.iter();
        for real_server in added.filter(|it| !old.contains_key(&end(&key, it))) {
            self.added_server(key, real_server);
        }
    }

    fn added_server(&mut self, key: ServiceKey, real_server: &RealServer) {
        let fields = written::real_server(&key, real_server);
        let fields = differing(&Written::new(), &fields);
        let of = Changed::RealServer(key, end(&key, real_server));
        self.push(ChangeKind::Added, of, fields, 0);
    }

    /// Notes a change if there is one.
    fn change(&mut self, of: Changed, before: &Written, after: &Written, connections: u64) {
        let fields = differing(before, after);
        if !fields.is_empty() {
            self.push(ChangeKind::Changed, of, fields, connections);
        }
    }

    fn push(&mut self, kind: ChangeKind, of: Changed, fields: Vec<FieldChange>, connections: u64) {
        self.changes.push(Change {
            kind,
            of,
            fields,
            connections,
        });
    }
}

/// Where a real server of a service is.
fn end(key: &ServiceKey, real_server: &RealServer) -> SocketAddr {
    SocketAddr::new(real_server.address, real_server.port_in(key))
}

/// The director's settings, as a file would say them.
fn settings(draft: &Draft) -> Written {
    let all = lvs_core::Setting::ALL.into_iter();
    all.map(|it| (it.name(), i64::from(draft.settings.get(it)).into()))
        .collect()
}

/// The fields that are not the same.
fn differing(before: &Written, after: &Written) -> Vec<FieldChange> {
    let only_before = before.keys().filter(|name| !after.contains_key(*name));
    let names = only_before.chain(after.keys());
    let text = |value: &toml_edit::Value| value.to_string().trim().to_owned();
    names
        .map(|name| FieldChange {
            name: (*name).to_owned(),
            before: before.get(name).map(text),
            after: after.get(name).map(text),
        })
        .filter(|field| field.before != field.after)
        .collect()
}

/// For people: a line a change.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.changes
            .iter()
            .try_for_each(|change| writeln!(f, "{change}"))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.kind {
            ChangeKind::Added => '+',
            ChangeKind::Changed => '~',
            ChangeKind::Removed => '-',
        };
        write!(f, "{sign} {}", self.of)?;
        let mut separator = ": ";
        for field in &self.fields {
            write!(f, "{separator}{field}")?;
            separator = ", ";
        }
        match self.connections {
            0 => Ok(()),
            1 => write!(f, " (1 connection)"),
            many => write!(f, " ({many} connections)"),
        }
    }
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeouts => f.write_str("timeouts"),
            Self::Settings => f.write_str("settings"),
            Self::Marks => f.write_str("mark rules"),
            Self::Service(key) => write!(f, "service {key}"),
            Self::RealServer(key, at) => write!(f, "real server {at} of service {key}"),
        }
    }
}

impl fmt::Display for FieldChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            before,
            after,
        } = self;
        match (before, after) {
            (None, Some(after)) => write!(f, "{name} = {after}"),
            (Some(before), None) => write!(f, "{name} {before} -> none"),
            (before, after) => {
                let text = |value: &Option<String>| value.clone().unwrap_or_default();
                write!(f, "{name} {} -> {}", text(before), text(after))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use lvs_core::Scheduler;

    use super::*;

    fn web() -> Service {
        let vip = "192.0.2.10:80".parse().unwrap();
        Service::tcp(vip, Scheduler::WeightedLeastConnection)
            .real_server(RealServer::direct_route("10.0.0.11".parse().unwrap()).weight(3))
            .real_server(RealServer::direct_route("10.0.0.12".parse().unwrap()))
    }

    fn draft(services: impl IntoIterator<Item = Service>) -> Draft {
        Draft {
            services: services.into_iter().collect(),
            ..Draft::default()
        }
    }

    /// What the plan says, when every real server has seven connections.
    fn said(before: &Draft, after: &Draft) -> Vec<String> {
        let plan = Plan::between(before, after, |_, _| 7);
        plan.to_string().lines().map(str::to_owned).collect()
    }

    #[test]
    fn nothing_changes_when_real_servers_change_places_or_are_edited_alike() {
        let mut other = web();
        other.real_servers.reverse();
        other.edits = 5;
        assert!(said(&draft([web()]), &draft([other])).is_empty());
    }

    #[test]
    fn what_changes_is_told_with_the_connections_it_touches() {
        let mut changed = web();
        changed.scheduler = Scheduler::RoundRobin;
        changed.real_servers[0] = changed.real_servers[0].clone().weight(0);
        changed.real_servers.pop();
        let at = "10.0.0.13:8080".parse().unwrap();
        changed.real_servers.push(RealServer::masquerade(at));
        let mut after = draft([changed]);
        after.timeouts.udp = std::time::Duration::from_secs(5);
        assert_eq!(
            said(&draft([web()]), &after),
            [
                "~ timeouts: udp 300 -> 5",
                "~ service TCP 192.0.2.10:80: scheduler \"wlc\" -> \"rr\"",
                "~ real server 10.0.0.11:80 of service TCP 192.0.2.10:80: weight 3 -> 0 \
                 (7 connections)",
                "- real server 10.0.0.12:80 of service TCP 192.0.2.10:80 (7 connections)",
                "+ real server 10.0.0.13:8080 of service TCP 192.0.2.10:80: address = \
                 \"10.0.0.13:8080\", forwarding = \"masquerade\", weight = 1",
            ]
        );
    }

    #[test]
    fn services_come_and_go() {
        let vip = "192.0.2.10:53".parse().unwrap();
        let dns = Service::udp(vip, Scheduler::RoundRobin);
        assert_eq!(
            said(&draft([web()]), &draft([dns])),
            [
                "- service TCP 192.0.2.10:80 (14 connections)",
                "+ service UDP 192.0.2.10:53: address = \"192.0.2.10:53\", protocol = \"udp\", \
                 scheduler = \"rr\"",
            ]
        );
    }
}
