//! Connections that others depend on: templates, which keep a client's
//! connections together, and whatever else begins connections in its wake.
//!
//! A template is an entry that no packet matches: from the part of a client's
//! address that counts, port 0, to the service. It lives as long as its own
//! timeout says, and on as long as it controls any connection.
//!
//! ```text
//!  far   6  connections it controls 32 | its controller, from one 32
//!        7  - 32 | ticks a template is kept 32
//! ```
//!
//! *Source:* the behaviour of `ip_vs_conn.c`, Linux 6.12.

use core::time::Duration;

use super::begin::NewConnection;
use super::entry::{ASSURED, CONTROLLED, CONTROLS, Entry, EntryMut, INVALID, TEMPLATE};
use super::table::ConnTable;
use crate::packet::FlowKey;
use crate::time::{Tick, ticks};
use crate::verdict::DropReason;

impl Entry<'_> {
    /// Whether this is the template that `key` stands for.
    fn is_template(self, key: &FlowKey) -> bool {
        self.is_used() && self.has(TEMPLATE) && self.flow() == *key
    }

    /// The entry this one depends on.
    pub(crate) const fn controller(self) -> Option<u32> {
        if !self.has(CONTROLLED) {
            return None;
        }
        (self.0[1][CONTROL] as u32).checked_sub(1)
    }

    /// How many depend on this one.
    pub(crate) const fn controlled(self) -> u32 {
        if self.has(CONTROLS) {
            (self.0[1][CONTROL] >> 32) as u32
        } else {
            0
        }
    }

    /// Ticks a template is kept after each connection that begins by it.
    pub(crate) const fn lifetime(self) -> u32 {
        self.0[1][LIFETIME] as u32
    }
}

impl EntryMut<'_> {
    /// The far line is written by those alone who use it, so what lies there
    /// may be of an earlier entry.
    fn set_controller(&mut self, controller: u32) {
        let controlled = u64::from(self.entry().controlled());
        self.0[1][CONTROL] = controlled << 32 | (u64::from(controller) + 1);
        self.set(CONTROLLED, true);
    }

    fn set_controlled(&mut self, controlled: u32) {
        let controller = self.entry().controller().map_or(0, |at| u64::from(at) + 1);
        self.0[1][CONTROL] = u64::from(controlled) << 32 | controller;
        self.set(CONTROLS, controlled > 0);
    }

    fn set_lifetime(&mut self, ticks: u32) {
        self.0[1][LIFETIME] = u64::from(ticks);
    }
}

impl ConnTable<'_> {
    /// The template for a client and service.
    pub(crate) fn find_template(&self, key: &FlowKey) -> Option<u32> {
        let is_it = |at: &u32| self.entry(*at).is_some_and(|entry| entry.is_template(key));
        self.candidates(self.hash(key)).find(is_it)
    }

    /// Keeps a template of what counts of a client's address, port 0, for
    /// `lifetime` ticks after each connection that begins by it.
    ///
    /// *Errors:* as with a connection.
    pub(crate) fn insert_template(
        &mut self,
        new: &NewConnection,
        lifetime: u32,
        now: Tick,
    ) -> Result<u32, DropReason> {
        let at = self.place(new, TEMPLATE, now.after(lifetime), now)?;
        if let Some(mut entry) = self.entry_mut(at) {
            entry.set_lifetime(lifetime);
        }
        Ok(at)
    }

    /// Makes `at` depend on `controller`, and keeps the latter for its whole
    /// lifetime again.
    pub(crate) fn control(&mut self, at: u32, controller: u32) {
        if let Some(mut entry) = self.entry_mut(controller) {
            let controlled = entry.entry().controlled();
            entry.set_controlled(controlled + 1);
            if let Some(mut entry) = self.entry_mut(at) {
                entry.set_controller(controller);
            }
        }
    }

    /// Keeps a template for its whole lifetime again.
    pub(crate) fn renew(&mut self, template: u32, now: Tick) {
        if let Some(entry) = self.entry(template) {
            self.extend(template, now.after(entry.lifetime()), now);
        }
    }

    /// Takes `at` away from what it depends on, if that is anything.
    pub(super) fn release(&mut self, at: u32) {
        let Some(controller) = self.entry(at).and_then(Entry::controller) else {
            return;
        };
        if let Some(mut entry) = self.entry_mut(controller) {
            let controlled = entry.entry().controlled();
            entry.set_controlled(controlled.saturating_sub(1));
        }
        if let Some(mut entry) = self.entry_mut(at) {
            entry.set(CONTROLLED, false);
        }
    }

    /// Takes a template out of use: it is never found again, and listed until
    /// its time has come with a port that says so.
    pub(crate) fn invalidate(&mut self, template: u32) {
        let Some(entry) = self.entry(template).filter(|entry| !entry.has(INVALID)) else {
            return;
        };
        let hash = self.hash(&entry.flow());
        self.unplace(hash, template);
        if let Some(mut entry) = self.entry_mut(template) {
            entry.set_ports_invalid();
            entry.set(INVALID, true);
        }
    }

    /// Notes that the connection at `at` is one that both ends know of, which
    /// makes its template worth keeping.
    pub(crate) fn assure(&mut self, at: u32) {
        let Some(mut entry) = self.entry_mut(at) else {
            return;
        };
        entry.set(ASSURED, true);
        let controller = entry.entry().controller();
        if let Some(mut entry) = controller.and_then(|at| self.entry_mut(at))
            && entry.entry().has(TEMPLATE)
        {
            entry.set(ASSURED, true);
        }
    }

    /// Gives an entry that others depend on more time; whether there are such.
    pub(super) fn outlives(&mut self, at: u32, now: Tick) -> bool {
        if !self.entry(at).is_some_and(|entry| entry.has(CONTROLS)) {
            return false;
        }
        if let Some(mut entry) = self.entry_mut(at)
            && entry.entry().has(TEMPLATE)
        {
            entry.set_lifetime(ticks(EXTENSION));
        }
        self.extend(at, now.after(ticks(EXTENSION)), now);
        true
    }
}

/// Word of the far line: how many it controls, and its controller.
const CONTROL: usize = 6;
/// Word of the far line: a template's lifetime.
const LIFETIME: usize = 7;

/// How much longer an entry is kept whose time has come while others depend on it.
const EXTENSION: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::super::begin::tests::{new_v4, new_v6};
    use super::super::table::lines_for;
    use super::super::{Direction, Line, Method};
    use super::*;
    use crate::packet::Seed;
    use alloc::vec;
    use alloc::vec::Vec;

    fn memory() -> Vec<Line> {
        vec![[0; 8]; lines_for(50)]
    }

    fn template_of(connection: &NewConnection) -> NewConnection {
        let mut template = *connection;
        template.flow.source_port = 0;
        template
    }

    #[test]
    fn packets_never_match_a_template() {
        let mut memory = memory();
        let mut table = ConnTable::new(&mut memory, Seed::new(1)).unwrap();
        for new in [new_v4(Method::Masquerade), new_v6(Method::Masquerade)] {
            let template = template_of(&new);
            let at = table.insert_template(&template, 500, Tick(0)).unwrap();
            assert_eq!(table.find_template(&template.flow), Some(at));
            assert_eq!(table.find_template(&new.flow), None);
            for key in [template.flow, template.reply_flow().unwrap()] {
                assert_eq!(table.find(&key, table.hash(&key), Some(at)), None);
            }
            // Not even a packet from port 0, which is another entry.
            let zero = table.insert(&template, Tick(100), Tick(0)).unwrap();
            let hash = table.hash(&template.flow);
            let found = table.find(&template.flow, hash, None);
            assert_eq!(found, Some((zero, Direction::Request)));
            assert_eq!(table.find_template(&template.flow), Some(at));
            table.remove(at);
            assert_eq!(table.find_template(&template.flow), None);
            assert_eq!(table.find(&template.flow, hash, None), found);
        }
    }

    #[test]
    fn a_template_outlives_its_connections() {
        let mut memory = memory();
        // What lies in the far line is of another time.
        memory
            .iter_mut()
            .rev()
            .take(100)
            .for_each(|line| line[6..].fill(0));
        let mut table = ConnTable::new(&mut memory, Seed::new(1)).unwrap();
        let new = new_v4(Method::DirectRoute);
        let template = table
            .insert_template(&template_of(&new), 100, Tick(0))
            .unwrap();
        let at = table.insert(&new, Tick(5000), Tick(0)).unwrap();
        table.control(at, template);
        assert_eq!(table.entry(template).unwrap().controlled(), 1);
        assert_eq!(table.entry(at).unwrap().controller(), Some(template));
        table.expire(Tick(200), 1000, |_| panic!("it is held"));
        let entry = table.entry(template).unwrap();
        assert_eq!(entry.deadline(), Tick(200 + ticks(EXTENSION)));
        assert_eq!(entry.lifetime(), ticks(EXTENSION), "from now on");
        table.remove(at);
        assert_eq!(table.entry(template).unwrap().controlled(), 0);
        let mut ended = 0;
        table.expire(Tick(300 + ticks(EXTENSION)), 10_000, |entry| {
            assert!(entry.has(TEMPLATE));
            ended += 1;
        });
        assert_eq!((ended, table.len()), (1, 0));
    }

    #[test]
    fn an_invalid_template_is_listed_only() {
        let mut memory = memory();
        let mut table = ConnTable::new(&mut memory, Seed::new(1)).unwrap();
        let new = template_of(&new_v4(Method::Tunnel));
        let at = table.insert_template(&new, 100, Tick(0)).unwrap();
        table.invalidate(at);
        table.invalidate(at);
        assert_eq!(table.find_template(&new.flow), None);
        let entry = table.entry(at).unwrap();
        assert_eq!(entry.flow().destination_port, u16::MAX);
        assert_eq!(entry.real_server_port(), u16::MAX);
        assert_eq!(entry.real_server_address(), new.address);
        let again = table.insert_template(&new, 100, Tick(0)).unwrap();
        table.remove(at);
        assert_eq!(table.find_template(&new.flow), Some(again));
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn a_connection_assures_its_template() {
        let mut memory = memory();
        let mut table = ConnTable::new(&mut memory, Seed::new(1)).unwrap();
        let new = new_v4(Method::DirectRoute);
        let template = template_of(&new);
        let template = table.insert_template(&template, 100, Tick(0)).unwrap();
        let at = table.insert(&new, Tick(100), Tick(0)).unwrap();
        table.assure(at);
        assert!(!table.entry(template).unwrap().has(ASSURED));
        table.control(at, template);
        table.assure(at);
        assert!(table.entry(template).unwrap().has(ASSURED));
    }
}
