//! A connection as it lies in the table: two cache lines, the first one hot.
//!
//! ```text
//!  hot   0  client address | virtual address                 (IPv4)
//!        1  client port 16 | virtual port 16 | protocol 8 | flags 24
//!        2  real server address 32 (if IPv4) | its port 16 | state 8 | -
//!        3  real server number 32 | deadline 32
//!        4  next in timer slot 32 | previous 32
//!        5  packets from the client 32 | tick it is filed under 32
//!        6  client's next hop: link address 48 | generation 16
//!        7  client's next hop: vlan 16 | port 8 | flags 8 | mtu 16 | generation 16
//!  far   0-1 client address   2-3 virtual address   (IPv6)
//!        4-5 real server address                    (if IPv6)
//!        6-7 of templates and what they control: see `control`
//! ```
//!
//! An IPv4 packet of an established connection touches the hot line alone. The
//! words are plain numbers, so the memory may come from anywhere and a zeroed
//! entry is a free one.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::begin::NewConnection;
use super::sctp::SctpState;
use super::tcp::TcpState;
use crate::config::{ForwardingMethod, RealServerId};
use crate::packet::{Addresses, FlowKey};
use crate::time::Tick;

/// A cache line of the memory a table is given.
pub type Line = [u64; 8];

/// Lines of one connection.
pub(crate) const LINES: usize = 2;

/// The two lines of one connection.
pub(crate) type Lines = [Line; LINES];

/// Which way a packet of a connection goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the service.
    Request,
    /// From the real server to the client.
    Reply,
}

/// How a connection's packets travel: as its real server was reached when it
/// began, whatever has been edited since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Rewritten, both ways.
    Masquerade,
    /// Only the Ethernet destination changes.
    DirectRoute,
    /// Wrapped.
    Tunnel,
    /// On to where they were sent, without a real server.
    Bypass,
}

impl From<ForwardingMethod> for Method {
    fn from(forwarding: ForwardingMethod) -> Self {
        match forwarding {
            ForwardingMethod::Masquerade => Self::Masquerade,
            ForwardingMethod::DirectRoute => Self::DirectRoute,
            ForwardingMethod::Tunnel(_) => Self::Tunnel,
        }
    }
}

/// Reading a connection's lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'t>(pub(crate) &'t Lines);

impl Entry<'_> {
    /// Whether it is in use.
    pub(crate) const fn is_used(self) -> bool {
        self.has(USED)
    }

    /// Whether there is anything in the far line, as with any client over IPv6.
    pub(crate) const fn has_far_line(self) -> bool {
        self.0[1][0] | self.0[1][1] != 0
    }

    pub(crate) const fn has(self, flag: u64) -> bool {
        self.0[0][1] & flag != 0
    }

    /// Which way a packet of this flow goes in this connection, if it is of it.
    pub(crate) fn direction(self, key: &FlowKey) -> Option<Direction> {
        let hot = &self.0[0];
        let ports = hot[1] >> 24;
        match key.addresses {
            Addresses::V4 {
                source,
                destination,
            } => {
                let addresses =
                    u64::from(source.to_bits()) << 32 | u64::from(destination.to_bits());
                if hot[0] == addresses
                    && ports == key.ports()
                    && hot[1] & (USED | V6 | TEMPLATE) == USED
                {
                    return Some(Direction::Request);
                }
                let from_real_server = hot[2] >> 16
                    == u64::from(source.to_bits()) << 16 | u64::from(key.source_port)
                    && hot[0] >> 32 == u64::from(destination.to_bits());
                self.reply(from_real_server && hot[1] & V6 == 0, key)
            }
            Addresses::V6 {
                source,
                destination,
            } => {
                let (s, d) = (source.to_bits(), destination.to_bits());
                if hot[1] & (USED | V6 | TEMPLATE) != USED | V6 {
                    return None;
                }
                if ports == key.ports() && self.wide(0) == s && self.wide(2) == d {
                    return Some(Direction::Request);
                }
                let from_real_server = self.real_server_port() == key.source_port
                    && self.wide(0) == d
                    && self.wide(4) == s;
                self.reply(from_real_server, key)
            }
        }
    }

    /// The rest of a reply's match: client port, protocol, method.
    fn reply(self, addresses_match: bool, key: &FlowKey) -> Option<Direction> {
        let word = self.0[0][1];
        let same = word >> 48 == u64::from(key.destination_port)
            && (word >> 24) & 0xff == u64::from(key.protocol)
            && word & (USED | MASQUERADE | TUNNEL | TEMPLATE) == USED | MASQUERADE;
        (addresses_match && same).then_some(Direction::Reply)
    }

    /// The flow from the client to the service.
    pub(crate) fn flow(self) -> FlowKey {
        let word = self.0[0][1];
        let addresses = if self.has(V6) {
            Addresses::V6 {
                source: Ipv6Addr::from_bits(self.wide(0)),
                destination: Ipv6Addr::from_bits(self.wide(2)),
            }
        } else {
            Addresses::V4 {
                source: Ipv4Addr::from_bits((self.0[0][0] >> 32) as u32),
                destination: Ipv4Addr::from_bits(self.0[0][0] as u32),
            }
        };
        FlowKey {
            addresses,
            source_port: (word >> 48) as u16,
            destination_port: (word >> 32) as u16,
            protocol: (word >> 24) as u8,
        }
    }

    /// The real server's address.
    pub(crate) fn real_server_address(self) -> IpAddr {
        if self.has(V6) != self.has(OTHER_FAMILY) {
            Ipv6Addr::from_bits(self.wide(4)).into()
        } else {
            Ipv4Addr::from_bits((self.0[0][2] >> 32) as u32).into()
        }
    }

    pub(crate) const fn real_server_port(self) -> u16 {
        (self.0[0][2] >> 16) as u16
    }

    /// How packets reach the real server.
    pub(crate) const fn method(self) -> Method {
        match self.0[0][1] & (MASQUERADE | TUNNEL) {
            MASQUERADE => Method::Masquerade,
            TUNNEL => Method::Tunnel,
            0 => Method::DirectRoute,
            _ => Method::Bypass,
        }
    }

    /// The flow of replies that carry the real server's own address.
    pub(crate) fn reply_flow(self) -> Option<FlowKey> {
        if self.has(TEMPLATE) {
            return None;
        }
        NewConnection {
            flow: self.flow(),
            real_server: self.real_server(),
            address: self.real_server_address(),
            port: self.real_server_port(),
            method: self.method(),
        }
        .reply_flow()
    }

    pub(crate) const fn real_server(self) -> RealServerId {
        RealServerId((self.0[0][3] >> 32) as u32)
    }

    pub(crate) const fn protocol(self) -> u8 {
        (self.0[0][1] >> 24) as u8
    }

    /// The number of its state; the protocol says which that is.
    pub(crate) const fn state_bits(self) -> u8 {
        (self.0[0][2] >> 8) as u8
    }

    /// The state of a connection that is of TCP.
    pub(crate) const fn tcp_state(self) -> TcpState {
        TcpState::from_bits(self.state_bits())
    }

    /// The state of a connection that is of SCTP.
    pub(crate) const fn sctp_state(self) -> SctpState {
        SctpState::from_bits(self.state_bits())
    }

    pub(crate) const fn deadline(self) -> Tick {
        Tick(self.0[0][3] as u32)
    }

    pub(crate) const fn filed(self) -> Tick {
        Tick(self.0[0][5] as u32)
    }

    pub(crate) const fn next(self) -> u32 {
        (self.0[0][4] >> 32) as u32
    }

    pub(crate) const fn previous(self) -> u32 {
        self.0[0][4] as u32
    }

    /// Packets from the client so far, wrapping.
    pub(crate) const fn packets(self) -> u32 {
        (self.0[0][5] >> 32) as u32
    }

    const fn wide(self, at: usize) -> u128 {
        (self.0[1][at] as u128) << 64 | self.0[1][at + 1] as u128
    }
}

/// Writing a connection's lines.
#[derive(Debug)]
pub(crate) struct EntryMut<'t>(pub(crate) &'t mut Lines);

impl EntryMut<'_> {
    /// The same for reading.
    pub(crate) const fn entry(&self) -> Entry<'_> {
        Entry(self.0)
    }

    /// Marks it free.
    pub(crate) fn end(&mut self) {
        self.0[0][1] = 0;
    }

    pub(crate) fn set(&mut self, flag: u64, on: bool) {
        if on {
            self.0[0][1] |= flag;
        } else {
            self.0[0][1] &= !flag;
        }
    }

    /// Gives it the ports of a template out of use, at both ends.
    pub(super) fn set_ports_invalid(&mut self) {
        self.0[0][1] |= 0xffff << 32;
        self.0[0][2] |= 0xffff << 16;
    }

    pub(crate) fn set_state_bits(&mut self, bits: u8) {
        self.0[0][2] = self.0[0][2] & !0xff00 | u64::from(bits) << 8;
    }

    pub(crate) fn set_deadline(&mut self, deadline: Tick) {
        self.0[0][3] = self.0[0][3] & !LOW | u64::from(deadline.0);
    }

    pub(crate) fn set_filed(&mut self, filed: Tick) {
        self.0[0][5] = self.0[0][5] & !LOW | u64::from(filed.0);
    }

    pub(crate) fn set_next(&mut self, next: u32) {
        self.0[0][4] = self.0[0][4] & LOW | u64::from(next) << 32;
    }

    pub(crate) fn set_previous(&mut self, previous: u32) {
        self.0[0][4] = self.0[0][4] & !LOW | u64::from(previous);
    }

    /// Counts one packet from the client.
    pub(crate) fn count_packet(&mut self) {
        self.0[0][5] = self.0[0][5].wrapping_add(1 << 32);
    }
}

/// In use.
pub(super) const USED: u64 = 1;
/// Of IPv6.
pub(crate) const V6: u64 = 1 << 1;
/// The real server's address is of the other family than client and service;
/// only tunnels lead to such a one.
pub(super) const OTHER_FAMILY: u64 = 1 << 23;
/// Forwarded by masquerading; together with [`TUNNEL`] bypassing.
pub(crate) const MASQUERADE: u64 = 1 << 2;
/// Forwarded through a tunnel.
pub(crate) const TUNNEL: u64 = 1 << 3;
/// Counted as active at its real server; as inactive without.
pub(crate) const ACTIVE: u64 = 1 << 4;
/// A reply has passed the director.
pub(crate) const OUTPUT_SEEN: u64 = 1 << 5;

/// No connection but a template, which no packet matches.
pub(crate) const TEMPLATE: u64 = 1 << 6;
/// Depends on another entry.
pub(crate) const CONTROLLED: u64 = 1 << 7;
/// Other entries depend on it.
pub(super) const CONTROLS: u64 = 1 << 8;
/// Of a template: one of its connections was established. Of a connection: its
/// template knows.
pub(crate) const ASSURED: u64 = 1 << 9;
/// A template out of use, which the index knows no more.
pub(super) const INVALID: u64 = 1 << 10;

/// The lower half of a word.
const LOW: u64 = 0xffff_ffff;

#[cfg(test)]
mod tests {
    use super::super::begin::tests::{new_v4, new_v6};
    use super::*;

    /// The flow with each of its fields changed alone.
    fn one_field_changed(flow: &FlowKey) -> [FlowKey; 5] {
        let addresses = |source: bool| match flow.addresses {
            Addresses::V4 {
                source: s,
                destination: d,
            } => Addresses::V4 {
                source: Ipv4Addr::from_bits(s.to_bits() ^ u32::from(source)),
                destination: Ipv4Addr::from_bits(d.to_bits() ^ u32::from(!source)),
            },
            Addresses::V6 {
                source: s,
                destination: d,
            } => Addresses::V6 {
                source: Ipv6Addr::from_bits(s.to_bits() ^ u128::from(source)),
                destination: Ipv6Addr::from_bits(d.to_bits() ^ u128::from(!source)),
            },
        };
        let mut all = [*flow; 5];
        all[0].addresses = addresses(true);
        all[1].addresses = addresses(false);
        all[2].source_port ^= 1;
        all[3].destination_port ^= 1;
        all[4].protocol ^= 17 ^ 6;
        all
    }

    #[test]
    fn a_flow_matches_in_its_direction_only() {
        let masquerade = Method::Masquerade;
        for new in [new_v4(masquerade), new_v6(masquerade)] {
            let mut lines = [[0; 8]; 2];
            EntryMut(&mut lines).begin(&new);
            let entry = Entry(&lines);
            let reply = new.reply_flow().unwrap();
            assert_eq!(entry.direction(&new.flow), Some(Direction::Request));
            assert_eq!(entry.direction(&reply), Some(Direction::Reply));
            assert_eq!(entry.direction(&new.flow.reversed()), None);
            assert_eq!(entry.direction(&reply.reversed()), None);
            for key in [new.flow, reply].iter().flat_map(one_field_changed) {
                assert_eq!(entry.direction(&key), None, "{key:?}");
            }
            EntryMut(&mut lines).end();
            assert_eq!(Entry(&lines).direction(&new.flow), None);
        }
    }

    #[test]
    fn fields_do_not_touch_each_other() {
        let mut lines = [[0; 8]; 2];
        let new = new_v4(Method::DirectRoute);
        let mut entry = EntryMut(&mut lines);
        entry.begin(&new);
        entry.set_deadline(Tick(u32::MAX));
        entry.set_filed(Tick(u32::MAX));
        entry.set_next(u32::MAX);
        entry.set_previous(5);
        entry.set_state_bits(TcpState::TimeWait.bits());
        entry.set(ACTIVE, true);
        for _ in 0..3 {
            entry.count_packet();
        }
        entry.set_deadline(Tick(1));
        entry.set_filed(Tick(2));
        entry.set_next(3);
        let read = entry.entry();
        assert_eq!((read.deadline(), read.filed()), (Tick(1), Tick(2)));
        assert_eq!((read.next(), read.previous(), read.packets()), (3, 5, 3));
        assert_eq!(
            (read.tcp_state(), read.has(ACTIVE)),
            (TcpState::TimeWait, true)
        );
        assert_eq!(
            (read.flow(), read.real_server()),
            (new.flow, new.real_server)
        );
    }
}
