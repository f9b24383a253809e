//! The connections of a shard, as they are listed.

use core::net::IpAddr;
use core::time::Duration;

use super::Shard;
use crate::config::RealServerId;
use crate::conn::{ACTIVE, ASSURED, Entry, Method, State, TEMPLATE};
use crate::packet::FlowKey;
use crate::time::{Instant, span};

impl Shard<'_> {
    /// Every connection, in no order.
    pub fn list(&self, now: Instant) -> impl Iterator<Item = Connection> {
        self.list_from(now, 0, usize::MAX).0
    }

    /// The connections at `most` places of the table from the place `from` on,
    /// and the place to go on with; `None` after the last. A place holds a
    /// connection or none.
    ///
    /// For a listing in parts, the first from place 0, between which packets are
    /// processed. A connection keeps its place as long as it lives: one that
    /// lives all the while is listed once, and one that begins or ends meanwhile
    /// at most once.
    ///
    /// *Cost:* a place two cache lines, one after the other; nothing is allocated.
    pub fn list_from(
        &self,
        now: Instant,
        from: usize,
        most: usize,
    ) -> (impl Iterator<Item = Connection>, Option<usize>) {
        let until = from.saturating_add(most);
        let connections = self.table.among(from..until);
        let connections = connections.map(move |entry| Connection::of(entry, now));
        (connections, (until < self.table.touched()).then_some(until))
    }
}

/// A connection as it is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// From the client to the service.
    pub flow: FlowKey,
    /// The real server's number, address and port.
    pub real_server: RealServerId,
    /// Its address.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// How packets reach it.
    pub method: Method,
    /// Whether it is no connection but a template, which keeps a client to the
    /// real server. Its flow is from the part of the client's address that
    /// counts, port 0; that of a service on a mark has protocol 0 and the mark in
    /// the first four bytes of the virtual address.
    pub template: bool,
    /// Of a template: whether one of its connections was established.
    pub assured: bool,
    /// What is believed of it; of no meaning for a template.
    pub state: State,
    /// Whether it counts as active.
    pub active: bool,
    /// Packets from the client so far.
    pub packets: u32,
    /// Until it ends if nothing more comes.
    pub remaining: Duration,
}

impl Connection {
    fn of(entry: Entry<'_>, now: Instant) -> Self {
        let flow = entry.flow();
        let ticks = now.tick().until(entry.deadline()).max(0) as u64;
        Self {
            flow,
            real_server: entry.real_server(),
            address: entry.real_server_address(),
            port: entry.real_server_port(),
            method: entry.method(),
            template: entry.has(TEMPLATE),
            assured: entry.has(TEMPLATE) && entry.has(ASSURED),
            state: State::of(entry.protocol(), entry.state_bits()),
            active: entry.has(ACTIVE),
            packets: entry.packets(),
            remaining: span(ticks),
        }
    }
}
