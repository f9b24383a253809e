//! The client's side of a conversation: it asks, waits, asks again, and checks
//! what it is told.

use std::net::SocketAddr;

use lvs_core::Protocol;

use crate::common::packet::{Packet, tcp, udp};
use crate::common::read::{SeenBody, SeenPacket};

/// One connection from the client's end.
#[derive(Clone, Debug)]
pub(crate) struct Conversation {
    pub(crate) client: SocketAddr,
    service: SocketAddr,
    protocol: Protocol,
    pub(crate) step: Step,
    /// Counts what was sent, so that a reminder knows whether it is still due.
    pub(crate) attempt: u32,
    /// Who answered first; nobody else may answer after.
    pub(crate) server: Option<u8>,
}

/// How far a conversation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Waits for SYN and ACK.
    Opening,
    /// Waits for the answer to question number so.
    Asking(u8),
    /// Has asked all there was to ask, and stays.
    Holding,
    /// Waits for the real server's FIN.
    Closing,
    /// All is said.
    Done,
    /// Nobody serves.
    Refused,
}

/// Questions asked in a conversation.
const QUESTIONS: u8 = 3;

impl Conversation {
    /// One that is about to begin.
    pub(crate) fn new(protocol: Protocol, client: SocketAddr, service: SocketAddr) -> Self {
        Self {
            client,
            service,
            protocol,
            step: match protocol {
                Protocol::Tcp => Step::Opening,
                _ => Step::Asking(1),
            },
            attempt: 0,
            server: None,
        }
    }

    /// What it says at this step, and says again until it is answered.
    pub(crate) fn say(&self) -> Option<Packet> {
        match self.step {
            Step::Opening => Some(self.segment().syn()),
            Step::Asking(number) => {
                let question = format!("{} {number}", self.client.port());
                Some(self.data(question.as_bytes()))
            }
            Step::Closing => Some(self.segment().fin()),
            Step::Holding | Step::Done | Step::Refused => None,
        }
    }

    /// Begins to close; UDP just stops.
    pub(crate) fn close(&mut self) {
        assert_eq!(self.step, Step::Holding);
        self.step = match self.protocol {
            Protocol::Tcp => Step::Closing,
            _ => Step::Done,
        };
    }

    /// Hears a packet, and may have something to say to it at once.
    pub(crate) fn hear(&mut self, packet: &SeenPacket) -> Option<Packet> {
        let (flags, data) = match &packet.body {
            SeenBody::Tcp { flags, data, .. } => (*flags, data),
            SeenBody::Udp { data, .. } => (0x10, data),
            SeenBody::Icmp { kind, code, .. } => {
                assert!(matches!((kind, code), (3, 3) | (1, 4)), "{packet}");
                self.step = Step::Refused;
                return None;
            }
            other => panic!("nothing a client expects: {other:?}"),
        };
        assert_eq!(packet.ends(), (self.service, self.client));
        assert_eq!(flags & 0x04, 0, "a reset: {packet}");
        let step = self.step;
        match step {
            Step::Opening if flags == 0x12 => {
                self.step = Step::Asking(1);
                Some(self.segment().ack())
            }
            Step::Asking(number) if self.answers(data, number) => {
                self.step = match number {
                    QUESTIONS => Step::Holding,
                    _ => Step::Asking(number + 1),
                };
                None
            }
            Step::Closing if flags == 0x11 => {
                self.step = Step::Done;
                Some(self.segment().ack())
            }
            // Its acknowledgement was lost.
            Step::Done if flags == 0x11 => Some(self.segment().ack()),
            _ => None,
        }
    }

    /// Whether this answers question `number`, by the one who always answered.
    fn answers(&mut self, data: &[u8], number: u8) -> bool {
        let text = std::str::from_utf8(data).expect("text");
        let Some((server, question)) = text.split_once(": ") else {
            return false;
        };
        let server = server.parse().expect("a number");
        assert_eq!(
            *self.server.get_or_insert(server),
            server,
            "the conversation moved"
        );
        question == format!("{} {number}", self.client.port())
    }

    fn segment(&self) -> Packet {
        tcp(self.client, self.service)
    }

    fn data(&self, data: &[u8]) -> Packet {
        match self.protocol {
            Protocol::Tcp => self.segment().ack().data(data),
            _ => udp(self.client, self.service).data(data),
        }
    }
}
