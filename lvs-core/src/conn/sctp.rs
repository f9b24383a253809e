//! What a director believes of an SCTP association (RFC 9260), from the chunks
//! it sees pass.
//!
//! As with TCP, three tables move the state: by what the client sends, by what
//! the real server sends, and by what the client sends where the real server is
//! never seen. A packet counts by its first chunk, but that an ABORT behind a
//! COOKIE-ECHO or COOKIE-ACK counts before these. A masqueraded association:
//!
//! ```text
//! client: INIT           COOKIE-ECHO             SHUTDOWN
//! server:      INIT-ACK               COOKIE-ACK           SHUTDOWN-ACK
//! state:  INIT1 .. C-SENT .. C-REPLIED .. ESTABLISHED .. S-RECEIVED .. S-ACK-SENT
//! ```
//!
//! *Source:* the behaviour of `ip_vs_proto_sctp.c`, Linux 6.12; the numbers of
//! the chunks are RFC 9260's, section 3.2. *Cost:* two loads.

use core::time::Duration;

use super::tcp::View;

/// The state of an SCTP association, numbered as in the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SctpState {
    /// Nothing seen yet.
    #[default]
    None = 0,
    /// The client sent its first INIT.
    Init1 = 1,
    /// The client sent another.
    Init = 2,
    /// The real server sent its cookie.
    CookieSent = 3,
    /// The client sent the cookie back.
    CookieReplied = 4,
    /// The real server asked for an association.
    CookieWait = 5,
    /// The client answered that with a cookie.
    Cookie = 6,
    /// The real server sent that cookie back.
    CookieEchoed = 7,
    /// Data may flow.
    Established = 8,
    /// The real server wants to end.
    ShutdownSent = 9,
    /// The client wants to end.
    ShutdownReceived = 10,
    /// The real server agreed to the end.
    ShutdownAckSent = 11,
    /// The association was refused.
    Rejected = 12,
    /// It has ended.
    Closed = 13,
}

impl SctpState {
    /// Every state, by number.
    pub const ALL: [Self; 14] = [
        Self::None,
        Self::Init1,
        Self::Init,
        Self::CookieSent,
        Self::CookieReplied,
        Self::CookieWait,
        Self::Cookie,
        Self::CookieEchoed,
        Self::Established,
        Self::ShutdownSent,
        Self::ShutdownReceived,
        Self::ShutdownAckSent,
        Self::Rejected,
        Self::Closed,
    ];

    /// The state kept in the low four bits of `bits`; numbers that are no
    /// state's read as [`SctpState::None`].
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        BY_NUMBER[(bits & 15) as usize]
    }

    /// Its number, 0 to 13.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self as u8
    }

    /// Its name in listings of connections.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Init1 => "INIT1",
            Self::Init => "INIT",
            Self::CookieSent => "C-SENT",
            Self::CookieReplied => "C-REPLIED",
            Self::CookieWait => "C-WAIT",
            Self::Cookie => "COOKIE",
            Self::CookieEchoed => "C-ECHOED",
            Self::Established => "ESTABLISHED",
            Self::ShutdownSent => "S-SENT",
            Self::ShutdownReceived => "S-RECEIVED",
            Self::ShutdownAckSent => "S-ACK-SENT",
            Self::Rejected => "REJECTED",
            Self::Closed => "CLOSED",
        }
    }

    /// Whether the association counts as active with its real server.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Established)
    }
}

/// What a packet does to the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Event {
    /// DATA, SACK, heartbeats, and every chunk without an event of its own.
    Data = 0,
    /// INIT.
    Init = 1,
    /// INIT-ACK.
    InitAck = 2,
    /// COOKIE-ECHO.
    CookieEcho = 3,
    /// COOKIE-ACK.
    CookieAck = 4,
    /// SHUTDOWN.
    Shutdown = 5,
    /// SHUTDOWN-ACK.
    ShutdownAck = 6,
    /// SHUTDOWN-COMPLETE.
    ShutdownComplete = 7,
    /// ERROR.
    Error = 8,
    /// ABORT.
    Abort = 9,
}

impl Event {
    /// The event of a packet that counts by a chunk of this type.
    #[must_use]
    pub const fn of(chunk: u8) -> Self {
        match chunk {
            1 => Self::Init,
            2 => Self::InitAck,
            6 => Self::Abort,
            7 => Self::Shutdown,
            8 => Self::ShutdownAck,
            9 => Self::Error,
            10 => Self::CookieEcho,
            11 => Self::CookieAck,
            14 => Self::ShutdownComplete,
            _ => Self::Data,
        }
    }
}

/// The state after `event` in `view`.
#[must_use]
pub const fn next(state: SctpState, event: Event, view: View) -> SctpState {
    let table = match view {
        View::Input => &INPUT,
        View::Output => &OUTPUT,
        View::InputOnly => &INPUT_ONLY,
    };
    table[state as usize][event as usize]
}

/// How long an association in `state` is kept after its last packet.
#[must_use]
pub const fn timeout(state: SctpState) -> Duration {
    Duration::from_secs(match state {
        SctpState::None => 2,
        SctpState::Init1 | SctpState::Rejected => 4,
        SctpState::Established => 900,
        _ => 61,
    })
}

/// A table by state; the columns are by [`Event`].
type Table = [[SctpState; 10]; 14];

/// The states under names short enough for a table.
mod short {
    use super::SctpState::{self, *};
    pub(super) const I1: SctpState = Init1;
    pub(super) const IN: SctpState = Init;
    pub(super) const CS: SctpState = CookieSent;
    pub(super) const CR: SctpState = CookieReplied;
    pub(super) const CW: SctpState = CookieWait;
    pub(super) const CO: SctpState = Cookie;
    pub(super) const CE: SctpState = CookieEchoed;
    pub(super) const ES: SctpState = Established;
    pub(super) const SS: SctpState = ShutdownSent;
    pub(super) const SR: SctpState = ShutdownReceived;
    pub(super) const SA: SctpState = ShutdownAckSent;
    pub(super) const RJ: SctpState = Rejected;
    pub(super) const CL: SctpState = Closed;
}
use short::{CE, CL, CO, CR, CS, CW, ES, I1, IN, RJ, SA, SR, SS};

const INPUT: Table = [
    // DATA INIT I-ACK C-ECHO C-ACK SHUT S-ACK S-DONE ERR ABORT
    [ES, I1, CW, CR, ES, SR, CL, CL, CL, CL], // NONE
    [I1, IN, CW, IN, I1, I1, IN, CL, I1, CL], // INIT1
    [IN, IN, CW, IN, IN, IN, IN, CL, IN, CL], // INIT
    [CS, CS, CS, CR, CS, CS, CS, CS, CS, CL], // C-SENT
    [CR, CR, CR, CR, CR, CR, CR, CR, CR, CL], // C-REPLIED
    [CW, CW, CO, CW, CW, CW, CW, CW, CW, RJ], // C-WAIT
    [CO, CO, CO, CO, CO, CO, CO, CO, CO, CL], // COOKIE
    [CE, CE, CE, CE, ES, CE, CE, CE, CL, CL], // C-ECHOED
    [ES, ES, ES, ES, ES, SR, ES, ES, ES, CL], // ESTABLISHED
    [SS, SS, SS, SS, SS, SS, CL, SS, SS, CL], // S-SENT
    [SR, SR, SR, SR, SR, SR, SR, SR, SR, CL], // S-RECEIVED
    [SA, SA, SA, SA, SA, SA, CL, CL, SA, CL], // S-ACK-SENT
    [RJ, IN, RJ, RJ, RJ, RJ, RJ, RJ, RJ, CL], // REJECTED
    [CL, IN, CL, CL, CL, CL, CL, CL, CL, CL], // CLOSED
];

const OUTPUT: Table = [
    // DATA INIT I-ACK C-ECHO C-ACK SHUT S-ACK S-DONE ERR ABORT
    [ES, CW, CS, CE, ES, SS, SA, CL, CL, CL], // NONE
    [I1, CW, CS, CE, ES, SS, SA, I1, CL, RJ], // INIT1
    [IN, CW, CS, CE, ES, SS, SA, IN, CL, CL], // INIT
    [CS, CW, CS, CE, ES, SS, SA, CS, CL, CL], // C-SENT
    [CR, CW, CR, CE, ES, SS, SA, CR, CL, CL], // C-REPLIED
    [CW, CW, CW, CE, ES, SS, CW, CW, CW, CL], // C-WAIT
    [CO, CW, CO, CE, ES, SS, CO, CO, CO, CL], // COOKIE
    [CE, CW, CE, CE, ES, SS, CE, CE, CE, CL], // C-ECHOED
    [ES, ES, ES, ES, ES, SS, ES, ES, ES, CL], // ESTABLISHED
    [SS, CW, SS, SS, SS, SS, SA, SS, SS, CL], // S-SENT
    [SR, CW, SR, SR, SR, SR, SA, SR, SR, CL], // S-RECEIVED
    [SA, CW, SA, SA, SA, SA, SA, SA, SA, CL], // S-ACK-SENT
    [RJ, CW, RJ, RJ, RJ, RJ, RJ, RJ, RJ, CL], // REJECTED
    [CL, CW, CL, CL, CL, CL, CL, CL, CL, CL], // CLOSED
];

const INPUT_ONLY: Table = [
    // DATA INIT I-ACK C-ECHO C-ACK SHUT S-ACK S-DONE ERR ABORT
    [ES, I1, CE, ES, ES, SR, CL, CL, CL, CL], // NONE
    [I1, IN, CE, ES, I1, I1, IN, CL, I1, CL], // INIT1
    [IN, IN, CE, ES, IN, IN, IN, CL, IN, CL], // INIT
    [CS, IN, CE, ES, ES, CS, CS, CL, CS, CL], // C-SENT
    [CR, IN, CE, ES, ES, CR, CR, CL, CR, CL], // C-REPLIED
    [ES, IN, CE, ES, CW, CW, CW, CW, CW, RJ], // C-WAIT
    [CO, CO, CO, CO, ES, CO, CO, CO, CO, CL], // COOKIE
    [CE, CE, CE, CE, ES, CE, CE, CE, CE, CL], // C-ECHOED
    [ES, ES, ES, ES, ES, SR, CL, ES, ES, CL], // ESTABLISHED
    [SS, SS, SS, SS, SS, SS, CL, SS, SS, CL], // S-SENT
    [SR, SR, SR, SR, SR, SR, SR, CL, SR, CL], // S-RECEIVED
    [SA, SA, SA, SA, SA, SA, CL, CL, SA, CL], // S-ACK-SENT
    [RJ, IN, RJ, RJ, RJ, RJ, RJ, RJ, RJ, CL], // REJECTED
    [CL, IN, CL, CL, CL, CL, CL, CL, CL, CL], // CLOSED
];

static BY_NUMBER: [SctpState; 16] = {
    let mut states = [SctpState::None; 16];
    let mut number = 0;
    while number < SctpState::ALL.len() {
        states[number] = SctpState::ALL[number];
        number += 1;
    }
    states
};

#[cfg(test)]
mod tests {
    use super::*;

    /// Where these chunks lead, the first letter of each saying who sends it.
    fn after(chunks: &[(View, Event)]) -> SctpState {
        let begin = SctpState::None;
        chunks
            .iter()
            .fold(begin, |state, (view, event)| next(state, *event, *view))
    }

    #[test]
    fn an_association_seen_from_both_sides() {
        use View::{Input, Output};
        let mut chunks = alloc::vec![(Input, Event::Init)];
        assert_eq!(after(&chunks), SctpState::Init1);
        let rest = [
            (Output, Event::InitAck, SctpState::CookieSent),
            (Input, Event::CookieEcho, SctpState::CookieReplied),
            (Output, Event::CookieAck, SctpState::Established),
            (Input, Event::Data, SctpState::Established),
            (Input, Event::Shutdown, SctpState::ShutdownReceived),
            (Output, Event::ShutdownAck, SctpState::ShutdownAckSent),
            (Input, Event::ShutdownComplete, SctpState::Closed),
            (Input, Event::Init, SctpState::Init),
        ];
        for (view, event, state) in rest {
            chunks.push((view, event));
            assert_eq!(after(&chunks), state, "{event:?}");
        }
    }

    #[test]
    fn an_association_seen_from_the_client_alone() {
        let chunks = [Event::Init, Event::CookieEcho].map(|event| (View::InputOnly, event));
        assert_eq!(after(&chunks), SctpState::Established);
    }

    #[test]
    fn an_abort_ends_every_state_but_a_refusal() {
        for state in SctpState::ALL {
            for view in [View::Input, View::Output, View::InputOnly] {
                let ended = next(state, Event::Abort, view);
                assert!(matches!(ended, SctpState::Closed | SctpState::Rejected));
            }
        }
    }

    #[test]
    fn chunks_without_an_event_of_their_own_are_data() {
        for chunk in [0, 3, 4, 5, 12, 13, 15, 64, 130, 192, 255] {
            assert_eq!(Event::of(chunk), Event::Data);
        }
        assert_eq!(Event::of(6), Event::Abort);
    }

    #[test]
    fn numbers_and_states_belong_together() {
        for (bits, state) in (0u8..).zip(SctpState::ALL) {
            assert_eq!((state.bits(), SctpState::from_bits(bits)), (bits, state));
        }
        assert_eq!(SctpState::from_bits(15), SctpState::None);
    }
}
