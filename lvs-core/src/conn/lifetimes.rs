//! The timeouts of all states, in ticks, so that a packet only looks one up.

use super::sctp::{self, SctpState};
use super::state::State;
use super::tcp::{self, TcpState};
use super::udp;
use crate::config::Timeouts;
use crate::time::ticks;

/// How long a connection is kept after a packet, by its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetimes {
    tcp: [u32; 16],
    sctp: [u32; 16],
    udp: u32,
}

impl Lifetimes {
    pub(crate) fn new(timeouts: &Timeouts) -> Self {
        let (mut of_tcp, mut of_sctp) = ([0; 16], [0; 16]);
        for (bits, lifetime) in (0u8..).zip(&mut of_tcp) {
            *lifetime = ticks(tcp::timeout(TcpState::from_bits(bits), timeouts));
        }
        for (bits, lifetime) in (0u8..).zip(&mut of_sctp) {
            *lifetime = ticks(sctp::timeout(SctpState::from_bits(bits)));
        }
        Self {
            tcp: of_tcp,
            sctp: of_sctp,
            udp: ticks(udp::timeout(timeouts)),
        }
    }

    /// In ticks, in a state of any protocol.
    pub(crate) const fn of(&self, state: State) -> u32 {
        match state {
            State::Tcp(state) => self.tcp(state),
            State::Sctp(state) => self.sctp(state),
            State::Udp => self.udp,
        }
    }

    /// In ticks.
    pub(crate) const fn tcp(&self, state: TcpState) -> u32 {
        self.tcp[(state.bits() & 15) as usize]
    }

    /// In ticks.
    pub(crate) const fn sctp(&self, state: SctpState) -> u32 {
        self.sctp[(state.bits() & 15) as usize]
    }

    /// In ticks.
    pub(crate) const fn udp(&self) -> u32 {
        self.udp
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    #[test]
    fn every_state_has_its_timeout() {
        let timeouts = Timeouts {
            tcp: Duration::from_secs(17),
            ..Timeouts::default()
        };
        let lifetimes = Lifetimes::new(&timeouts);
        for state in TcpState::ALL {
            assert_eq!(lifetimes.tcp(state), ticks(tcp::timeout(state, &timeouts)));
        }
        for state in SctpState::ALL {
            assert_eq!(lifetimes.sctp(state), ticks(sctp::timeout(state)));
        }
        assert_eq!(
            lifetimes.tcp(TcpState::Established),
            ticks(Duration::from_secs(17))
        );
        assert_eq!(lifetimes.udp(), ticks(Duration::from_secs(300)));
    }
}
