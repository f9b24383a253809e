//! The states of TCP while clients are distrusted (`secure_tcp`).
//!
//! Who floods a service with forged requests can forge the segment after, too.
//! So a client's ACK makes no connection of a request: the real server's does,
//! where it is seen. Where it is not, a request is at least told from one that
//! an ACK confirmed. A connection that is made moves as ever.
//!
//! *Source:* the behaviour of `ip_vs_proto_tcp.c`, Linux 6.12.

use super::tcp::short::{CL, CW, ES, FW, LA, LI, NO, SA, SR, SS, TW};
use super::tcp::{Event, Table, TcpState, View, packed};

/// The state after `event` in `view`.
#[must_use]
pub const fn next(state: TcpState, event: Event, view: View) -> TcpState {
    // The masks spare the bounds checks, as in `tcp::next`.
    let row = PACKED[view as usize & 3][state as usize & 15];
    TcpState::from_bits((row >> (4 * event as u32)) as u8)
}

const INPUT: Table = [
    // SYN FIN ACK RST
    [SR, CL, ES, CL], // NONE
    [ES, CW, ES, CL], // ESTABLISHED
    [ES, SS, SS, CL], // SYN_SENT
    [SR, TW, SR, SR], // SYN_RECV
    [SR, TW, FW, CL], // FIN_WAIT
    [SR, TW, TW, CL], // TIME_WAIT
    [SR, CL, CL, CL], // CLOSE
    [SR, CW, CW, CL], // CLOSE_WAIT
    [SR, LA, CL, LA], // LAST_ACK
    [SR, LI, LI, LI], // LISTEN
    [SA, SA, SA, CL], // SYNACK
];

const OUTPUT: Table = [
    // SYN FIN ACK RST
    [SS, TW, ES, CL], // NONE
    [ES, FW, ES, CL], // ESTABLISHED
    [SS, SS, SS, SS], // SYN_SENT
    [SA, TW, ES, CL], // SYN_RECV
    [SS, FW, FW, CL], // FIN_WAIT
    [SS, TW, TW, TW], // TIME_WAIT
    [SS, CL, CL, CL], // CLOSE
    [SS, TW, CW, CL], // CLOSE_WAIT
    [SS, LA, LA, CL], // LAST_ACK
    [LI, LI, ES, CL], // LISTEN
    [SA, TW, ES, CL], // SYNACK
];

const INPUT_ONLY: Table = [
    // SYN FIN ACK RST
    [SA, CL, ES, CL], // NONE
    [ES, FW, ES, CL], // ESTABLISHED
    [ES, SS, SS, CL], // SYN_SENT
    [SR, TW, ES, SR], // SYN_RECV
    [SA, FW, FW, CL], // FIN_WAIT
    [SA, TW, TW, CL], // TIME_WAIT
    [SA, CL, CL, CL], // CLOSE
    [SA, CW, CW, CL], // CLOSE_WAIT
    [SA, LA, CL, LA], // LAST_ACK
    [SA, LI, LI, LI], // LISTEN
    [SA, TW, ES, CL], // SYNACK
];

/// The three tables by [`View`]; the fourth is never reached.
static PACKED: [[u32; 16]; 4] = [
    packed(&INPUT),
    packed(&OUTPUT),
    packed(&INPUT_ONLY),
    packed(&[[NO; 4]; 11]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conn::tcp;

    fn after(segments: &[(View, Event)]) -> TcpState {
        let begin = TcpState::None;
        segments
            .iter()
            .fold(begin, |state, (view, event)| next(state, *event, *view))
    }

    #[test]
    fn only_the_real_server_makes_a_connection_where_it_is_seen() {
        use View::{Input, Output};
        let mut segments = alloc::vec![(Input, Event::Syn), (Input, Event::Ack)];
        assert_eq!(after(&segments), TcpState::SynReceived);
        segments.extend([(Output, Event::Syn), (Input, Event::Ack)]);
        assert_eq!(after(&segments), TcpState::SynAck);
        segments.push((Output, Event::Ack));
        assert_eq!(after(&segments), TcpState::Established);
    }

    #[test]
    fn where_it_is_not_seen_the_client_makes_it_in_two_steps() {
        let (syn, ack) = ((View::InputOnly, Event::Syn), (View::InputOnly, Event::Ack));
        assert_eq!(after(&[syn]), TcpState::SynAck);
        assert_eq!(after(&[syn, ack]), TcpState::Established);
    }

    #[test]
    fn a_connection_that_is_made_moves_as_ever() {
        for view in [View::Input, View::Output, View::InputOnly] {
            for event in [
                Event::Syn,
                Event::Fin,
                Event::Ack,
                Event::Reset,
                Event::Bare,
            ] {
                let state = TcpState::Established;
                let moved = next(state, event, view);
                assert_eq!(moved, tcp::next(state, event, view), "{view:?} {event:?}");
            }
        }
    }
}
