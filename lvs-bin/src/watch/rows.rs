//! What the table of `lvs top` says: services, or the real servers of one.

use std::cmp::{Ordering, Reverse};

use super::history::{History, Of};
use super::state::State;
use crate::api::shape::{RealServer, Service, Traffic, key_text};

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) of: Of,
    /// The service's name, or the real server's address.
    pub(super) name: String,
    /// The scheduler, or the forwarding method and the weight.
    pub(super) rule: String,
    pub(super) active: u64,
    pub(super) inactive: u64,
    /// What passes in a second.
    pub(super) now: Traffic,
}

impl Row {
    /// What passes both ways in a second.
    pub(super) const fn bytes(&self) -> u64 {
        self.now.bytes_in.saturating_add(self.now.bytes_out)
    }
}

/// What rows are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Column {
    /// The order of the director.
    #[default]
    Order,
    Name,
    Active,
    Inactive,
    Connections,
    PacketsIn,
    PacketsOut,
    Bits,
}

impl Column {
    const ALL: [Self; 8] = [
        Self::Order,
        Self::Name,
        Self::Active,
        Self::Inactive,
        Self::Connections,
        Self::PacketsIn,
        Self::PacketsOut,
        Self::Bits,
    ];

    pub(super) fn next(self) -> Self {
        self.after(1)
    }

    pub(super) fn previous(self) -> Self {
        self.after(Self::ALL.len() - 1)
    }

    fn after(self, steps: usize) -> Self {
        let mut all = Self::ALL.into_iter().cycle();
        let place = all.position(|column| column == self);
        all.nth(place.map_or(0, |_| steps - 1)).unwrap_or_default()
    }

    /// For people.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Order => "order of the director",
            Self::Name => "name",
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Connections => "conn/s",
            Self::PacketsIn => "in/s",
            Self::PacketsOut => "out/s",
            Self::Bits => "bit/s",
        }
    }

    /// Numbers are sorted from the largest, names from the first.
    fn compare(self, a: &Row, b: &Row) -> Ordering {
        let by = |of: fn(&Row) -> u64| Reverse(of(a)).cmp(&Reverse(of(b)));
        match self {
            Self::Order => Ordering::Equal,
            Self::Name => a.name.cmp(&b.name),
            Self::Active => by(|row| row.active),
            Self::Inactive => by(|row| row.inactive),
            Self::Connections => by(|row| row.now.connections),
            Self::PacketsIn => by(|row| row.now.packets_in),
            Self::PacketsOut => by(|row| row.now.packets_out),
            Self::Bits => by(Row::bytes),
        }
    }
}

/// The rows as a person wants them: the services, or a service's real servers.
pub(super) fn rows(history: &History, state: &State) -> Vec<Row> {
    let services = &history.status().services;
    let mut rows: Vec<Row> = match &state.service {
        None => services.iter().map(|it| of_service(history, it)).collect(),
        Some(name) => {
            let mut services = services.iter();
            let service = services.find(|it| key_text(&it.service) == *name);
            let real_servers = service.into_iter().flat_map(|service| {
                let real_servers = service.real_servers.iter().flatten();
                real_servers.map(|it| of_real_server(history, service, it))
            });
            real_servers.collect()
        }
    };
    rows.sort_by(|a, b| state.column.compare(a, b));
    if state.reversed {
        rows.reverse();
    }
    rows
}

fn of_service(history: &History, service: &Service) -> Row {
    let of = Of::service(&service.service);
    let sum = |of: fn(&RealServer) -> u32| {
        let real_servers = service.real_servers.iter().flatten();
        real_servers.map(|it| u64::from(of(it))).sum()
    };
    Row {
        name: key_text(&service.service),
        rule: service.scheduler.clone(),
        active: sum(|it| it.active),
        inactive: sum(|it| it.inactive),
        now: history.now(&of),
        of,
    }
}

fn of_real_server(history: &History, service: &Service, real_server: &RealServer) -> Row {
    let of = Of::real_server(&service.service, real_server.address);
    let method = real_server.forwarding.short();
    Row {
        name: real_server.address.to_string(),
        rule: format!("{method} {}", real_server.weight),
        active: real_server.active.into(),
        inactive: real_server.inactive.into(),
        now: history.now(&of),
        of,
    }
}
