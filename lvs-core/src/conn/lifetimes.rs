//! The timeouts of all states, in ticks, so that a packet only looks one up.

use super::tcp::{self, TcpState};
use super::udp;
use crate::config::Timeouts;
use crate::time::ticks;

/// How long a connection is kept after a packet, by its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetimes {
    tcp: [u32; 16],
    udp: u32,
}

impl Lifetimes {
    pub(crate) fn new(timeouts: &Timeouts) -> Self {
        let mut by_state = [0; 16];
        for (bits, lifetime) in by_state.iter_mut().enumerate() {
            *lifetime = ticks(tcp::timeout(TcpState::from_bits(bits as u8), timeouts));
        }
        Self {
            tcp: by_state,
            udp: ticks(udp::timeout(timeouts)),
        }
    }

    /// In ticks.
    pub(crate) const fn tcp(&self, state: TcpState) -> u32 {
        self.tcp[(state.bits() & 15) as usize]
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
        assert_eq!(
            lifetimes.tcp(TcpState::Established),
            ticks(Duration::from_secs(17))
        );
        assert_eq!(lifetimes.udp(), ticks(Duration::from_secs(300)));
    }
}
