//! What a director believes of a TCP connection, from the flags it sees pass.
//!
//! The director is no party to the connection: it keeps no sequence numbers
//! and checks no order. Each segment moves the state by one of three tables,
//! and the state says how long the connection is kept and whether it counts as
//! active. A segment is classed by the first of these it carries:
//!
//! ```text
//! RST, SYN (so SYN+ACK is a SYN), FIN, ACK, none of them
//! ```
//!
//! A direct-routed connection, where only the client is seen:
//!
//! ```text
//! client: SYN -> SYN_RECV, ACK -> ESTABLISHED, FIN -> FIN_WAIT, ACK -> FIN_WAIT
//! ```
//!
//! and a masqueraded one, which the client closes:
//!
//! ```text
//! client: SYN         ACK          FIN                ACK
//! server:     SYN+ACK                   ACK FIN
//! state:  SYN_RECV .. ESTABLISHED  CLOSE_WAIT .. TIME_WAIT
//! ```
//!
//! *Source:* the behaviour of `ip_vs_proto_tcp.c`, Linux 6.12; the names of the
//! states are RFC 9293's as far as it has them. *Cost:* two loads, from tables
//! of 64 and 16 bytes, and no branch.

use core::time::Duration;

use crate::config::Timeouts;

/// The state of a TCP connection, numbered as in the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TcpState {
    /// Nothing seen yet.
    #[default]
    None = 0,
    /// Data may flow.
    Established = 1,
    /// The real server asked for a connection.
    SynSent = 2,
    /// The client asked for a connection.
    SynReceived = 3,
    /// The real server closed, or the client did and its server is not seen.
    FinWait = 4,
    /// Both closed.
    TimeWait = 5,
    /// Reset, or broken.
    Close = 6,
    /// The client closed, the real server did not yet.
    CloseWait = 7,
    /// Waiting for the last acknowledgement.
    LastAck = 8,
    /// Waiting for a request.
    Listen = 9,
    /// A request not yet confirmed by the real server; only while defending
    /// against a flood of requests.
    SynAck = 10,
}

impl TcpState {
    /// Every state, by number.
    pub const ALL: [Self; 11] = [
        Self::None,
        Self::Established,
        Self::SynSent,
        Self::SynReceived,
        Self::FinWait,
        Self::TimeWait,
        Self::Close,
        Self::CloseWait,
        Self::LastAck,
        Self::Listen,
        Self::SynAck,
    ];

    /// The state kept in the low four bits of `bits`; numbers that are no
    /// state's read as [`TcpState::None`].
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        BY_NUMBER[(bits & 15) as usize]
    }

    /// Its number, 0 to 10.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self as u8
    }

    /// Its name in listings of connections.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Established => "ESTABLISHED",
            Self::SynSent => "SYN_SENT",
            Self::SynReceived => "SYN_RECV",
            Self::FinWait => "FIN_WAIT",
            Self::TimeWait => "TIME_WAIT",
            Self::Close => "CLOSE",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::Listen => "LISTEN",
            Self::SynAck => "SYNACK",
        }
    }

    /// Whether the connection counts as active with its real server.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(
            self,
            Self::Established | Self::SynSent | Self::SynReceived | Self::SynAck
        )
    }
}

/// What a segment does to the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Event {
    /// SYN, with or without ACK.
    Syn = 0,
    /// FIN, with or without ACK.
    Fin = 1,
    /// ACK alone, with or without data.
    Ack = 2,
    /// RST, whatever else there is.
    Reset = 3,
    /// None of the four, which no honest TCP sends.
    Bare = 4,
}

impl Event {
    /// The event of a segment with this flags byte (the low eight of RFC 9293
    /// section 3.1: CWR to FIN).
    #[must_use]
    pub const fn of(flags: u8) -> Self {
        if flags & RST != 0 {
            Self::Reset
        } else if flags & SYN != 0 {
            Self::Syn
        } else if flags & FIN != 0 {
            Self::Fin
        } else if flags & ACK != 0 {
            Self::Ack
        } else {
            Self::Bare
        }
    }
}

/// From where a segment came, and so which table moves the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum View {
    /// From the client; the real server's segments are seen as well.
    Input = 0,
    /// From the real server.
    Output = 1,
    /// From the client, and no segment of the real server was ever seen:
    /// direct routing and tunnelling.
    InputOnly = 2,
}

/// The state after `event` in `view`.
#[must_use]
pub const fn next(state: TcpState, event: Event, view: View) -> TcpState {
    // Both masks are wider than the numbers they cover: they spare the bounds
    // checks, and could only ever reach an unused row.
    let row = PACKED[view as usize & 3][state as usize & 15];
    TcpState::from_bits((row >> (4 * event as u32)) as u8)
}

/// Whether a segment with this flags byte leaves a connection in `state`, for
/// certain and whoever sent it: data or an acknowledgement of one that is
/// established.
#[must_use]
pub const fn stays(state: TcpState, flags: u8) -> bool {
    matches!(state, TcpState::Established) && flags & (FIN | SYN | RST | ACK) == ACK
}

/// How long a connection in `state` is kept after its last packet.
#[must_use]
pub const fn timeout(state: TcpState, timeouts: &Timeouts) -> Duration {
    Duration::from_secs(match state {
        TcpState::Established => return timeouts.tcp,
        TcpState::FinWait => return timeouts.tcp_fin,
        TcpState::None => 2,
        TcpState::Close => 10,
        TcpState::LastAck => 30,
        TcpState::SynReceived | TcpState::CloseWait => 60,
        TcpState::SynSent | TcpState::TimeWait | TcpState::Listen | TcpState::SynAck => 120,
    })
}

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// A table by state; the columns are SYN, FIN, ACK, RST.
pub(super) type Table = [[TcpState; 4]; 11];

/// The states under names short enough for a table.
pub(super) mod short {
    use super::TcpState::{self, *};
    pub(in super::super) const NO: TcpState = None;
    pub(in super::super) const ES: TcpState = Established;
    pub(in super::super) const SS: TcpState = SynSent;
    pub(in super::super) const SR: TcpState = SynReceived;
    pub(in super::super) const FW: TcpState = FinWait;
    pub(in super::super) const TW: TcpState = TimeWait;
    pub(in super::super) const CL: TcpState = Close;
    pub(in super::super) const CW: TcpState = CloseWait;
    pub(in super::super) const LA: TcpState = LastAck;
    pub(in super::super) const LI: TcpState = Listen;
    pub(in super::super) const SA: TcpState = SynAck;
}
use short::{CL, CW, ES, FW, LA, LI, NO, SR, SS, TW};

const INPUT: Table = [
    // SYN FIN ACK RST
    [SR, CL, ES, CL], // NONE
    [ES, CW, ES, CL], // ESTABLISHED
    [ES, SS, SS, CL], // SYN_SENT
    [SR, TW, ES, SR], // SYN_RECV: a client's reset changes nothing
    [SR, TW, FW, CL], // FIN_WAIT
    [SR, TW, TW, CL], // TIME_WAIT
    [SR, CL, CL, CL], // CLOSE
    [SR, CW, CW, CL], // CLOSE_WAIT
    [SR, LA, CL, LA], // LAST_ACK
    [SR, LI, LI, LI], // LISTEN
    [SR, TW, ES, SR], // SYNACK
];

const OUTPUT: Table = [
    // SYN FIN ACK RST
    [SS, TW, ES, CL], // NONE
    [ES, FW, ES, CL], // ESTABLISHED
    [SS, SS, SS, SS], // SYN_SENT
    [SR, TW, ES, CL], // SYN_RECV
    [SS, FW, FW, CL], // FIN_WAIT
    [SS, TW, TW, TW], // TIME_WAIT
    [SS, CL, CL, CL], // CLOSE
    [SS, TW, CW, CL], // CLOSE_WAIT
    [SS, LA, LA, CL], // LAST_ACK
    [LI, LI, ES, CL], // LISTEN
    [SR, TW, ES, CL], // SYNACK
];

/// As `INPUT`, but a client's FIN is all that will ever be seen of the end.
const INPUT_ONLY: Table = {
    let mut table = INPUT;
    table[TcpState::Established as usize][Event::Fin as usize] = FW;
    table[TcpState::FinWait as usize][Event::Fin as usize] = FW;
    table[TcpState::SynAck as usize][Event::Reset as usize] = CL;
    table
};

/// The three tables by [`View`]; a row has a nibble for each [`Event`]. The
/// fourth is never reached.
static PACKED: [[u32; 16]; 4] = [
    packed(&INPUT),
    packed(&OUTPUT),
    packed(&INPUT_ONLY),
    packed(&[[NO; 4]; 11]),
];

/// The rows of a table, a nibble for each [`Event`].
pub(super) const fn packed(table: &Table) -> [u32; 16] {
    let mut rows = [0; 16];
    let mut state = 0;
    while state < table.len() {
        rows[state] = (CL as u32) << (4 * Event::Bare as u32);
        let mut event = 0;
        while event < 4 {
            rows[state] |= (table[state][event] as u32) << (4 * event);
            event += 1;
        }
        state += 1;
    }
    rows
}

static BY_NUMBER: [TcpState; 16] = {
    let mut states = [TcpState::None; 16];
    let mut number = 0;
    while number < TcpState::ALL.len() {
        states[number] = TcpState::ALL[number];
        number += 1;
    }
    states
};

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const EVENTS: [Event; 5] = [
        Event::Syn,
        Event::Fin,
        Event::Ack,
        Event::Reset,
        Event::Bare,
    ];
    const VIEWS: [View; 3] = [View::Input, View::Output, View::InputOnly];

    /// The states a run of segments leads through, `c` from the client and
    /// `r` from the real server.
    fn walk(client: View, segments: &str) -> Vec<&'static str> {
        let mut state = TcpState::None;
        let step = |segment: &str| {
            let view = match segment.as_bytes()[0] {
                b'c' => client,
                _ => View::Output,
            };
            let event = match &segment[1..] {
                "SYN" => Event::Syn,
                "FIN" => Event::Fin,
                "ACK" => Event::Ack,
                "RST" => Event::Reset,
                _ => Event::Bare,
            };
            state = next(state, event, view);
            state.name()
        };
        segments.split(' ').map(step).collect()
    }

    #[test]
    fn the_first_flag_in_order_decides() {
        assert_eq!(Event::of(0xff), Event::Reset);
        assert_eq!(Event::of(SYN | ACK | FIN), Event::Syn);
        assert_eq!(Event::of(FIN | ACK), Event::Fin);
        assert_eq!(Event::of(0x08 | ACK), Event::Ack);
        assert_eq!(Event::of(0xe8), Event::Bare);
    }

    #[test]
    fn a_number_is_its_state_and_any_other_is_none() {
        for (number, state) in TcpState::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(state.bits()), number);
            assert_eq!(TcpState::from_bits(state.bits()), state);
            assert_eq!(TcpState::from_bits(state.bits() | 0xf0), state);
        }
        assert_eq!(TcpState::from_bits(11), TcpState::None);
        assert_eq!(TcpState::from_bits(15), TcpState::None);
    }

    #[test]
    fn packing_loses_nothing() {
        for (view, table) in VIEWS.into_iter().zip([INPUT, OUTPUT, INPUT_ONLY]) {
            for (state, row) in TcpState::ALL.into_iter().zip(table) {
                for (event, expected) in EVENTS.into_iter().zip(row) {
                    assert_eq!(next(state, event, view), expected, "{state:?} {event:?}");
                }
            }
        }
    }

    #[test]
    fn a_segment_with_no_flag_closes_in_every_state() {
        for (view, state) in VIEWS
            .iter()
            .flat_map(|v| TcpState::ALL.map(move |s| (*v, s)))
        {
            assert_eq!(next(state, Event::Bare, view), TcpState::Close);
        }
    }

    #[test]
    fn a_direct_routed_connection() {
        assert_eq!(
            walk(View::InputOnly, "cSYN cACK cFIN cACK cSYN"),
            [
                "SYN_RECV",
                "ESTABLISHED",
                "FIN_WAIT",
                "FIN_WAIT",
                "SYN_RECV"
            ]
        );
    }

    #[test]
    fn a_masqueraded_connection_closed_by_the_client() {
        assert_eq!(
            walk(View::Input, "cSYN rSYN cACK cFIN rACK rFIN cACK"),
            [
                "SYN_RECV",
                "SYN_RECV",
                "ESTABLISHED",
                "CLOSE_WAIT",
                "CLOSE_WAIT",
                "TIME_WAIT",
                "TIME_WAIT"
            ]
        );
    }

    #[test]
    fn a_reset_counts_only_after_the_handshake() {
        assert_eq!(walk(View::Input, "cSYN cRST"), ["SYN_RECV", "SYN_RECV"]);
        assert_eq!(walk(View::Input, "cSYN rRST"), ["SYN_RECV", "CLOSE"]);
        assert_eq!(
            walk(View::Input, "cSYN cACK cRST"),
            ["SYN_RECV", "ESTABLISHED", "CLOSE"]
        );
    }

    #[test]
    fn timeouts_are_the_kernels_but_for_the_two_that_can_be_set() {
        let timeouts = Timeouts {
            tcp: Duration::from_secs(17),
            tcp_fin: Duration::from_secs(18),
            ..Timeouts::default()
        };
        let seconds = TcpState::ALL.map(|state| timeout(state, &timeouts).as_secs());
        assert_eq!(seconds, [2, 17, 120, 60, 18, 120, 10, 60, 30, 120, 120]);
    }

    #[test]
    fn the_four_that_are_active() {
        let active: Vec<&str> = TcpState::ALL
            .into_iter()
            .filter(|state| state.is_active())
            .map(TcpState::name)
            .collect();
        assert_eq!(active, ["ESTABLISHED", "SYN_SENT", "SYN_RECV", "SYNACK"]);
    }
}
