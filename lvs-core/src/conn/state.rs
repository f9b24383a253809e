//! The state of a connection of any protocol, as it is listed.

use super::sctp::SctpState;
use super::tcp::TcpState;
use super::udp;
use crate::packet::transport::{SCTP, TCP};

/// What a director believes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Of TCP.
    Tcp(TcpState),
    /// Of UDP, which has one state.
    Udp,
    /// Of SCTP.
    Sctp(SctpState),
}

impl State {
    /// The state of a connection of `protocol` that is kept as `bits`.
    pub(crate) const fn of(protocol: u8, bits: u8) -> Self {
        match protocol {
            TCP => Self::Tcp(TcpState::from_bits(bits)),
            SCTP => Self::Sctp(SctpState::from_bits(bits)),
            _ => Self::Udp,
        }
    }

    /// Its name in listings of connections.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp(state) => state.name(),
            Self::Udp => udp::NAME,
            Self::Sctp(state) => state.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protocol_says_what_a_number_means() {
        assert_eq!(State::of(TCP, 1).name(), "ESTABLISHED");
        assert_eq!(State::of(SCTP, 1).name(), "INIT1");
        assert_eq!(State::of(17, 1).name(), "UDP");
    }
}
