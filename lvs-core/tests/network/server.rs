//! A real server: answers what it is asked, and trusts nobody's checksums.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::common::packet::{Packet, tcp, udp};
use crate::common::place::Family;
use crate::common::read::{SeenBody, SeenPacket};

/// A real server.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    number: u8,
    w: Family,
    /// By client, whether the connection is still open.
    open: BTreeMap<SocketAddr, bool>,
}

/// What a real server says, and which way.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    /// From its own address, so through the director.
    ThroughDirector(Packet),
    /// From the VIP, straight to the client.
    Straight(Packet),
}

impl Server {
    pub(crate) fn new(w: Family, number: u8) -> Self {
        Self {
            number,
            w,
            open: BTreeMap::new(),
        }
    }

    /// How many clients ever opened a connection here, or asked by UDP.
    pub(crate) fn clients(&self) -> usize {
        self.open.len()
    }

    /// Hears a packet that came over the link.
    pub(crate) fn hear(&mut self, packet: &SeenPacket) -> Option<Said> {
        // What comes through a tunnel was sent to the VIP.
        let inner = match &packet.body {
            SeenBody::Inner(inner) => {
                assert_eq!(
                    (packet.from, packet.to),
                    (self.w.inside, self.w.real(self.number))
                );
                inner
            }
            _ => packet,
        };
        assert_eq!(inner.ttl, 63, "one hop: {packet}");
        let (client, me) = inner.ends();
        let said = match &inner.body {
            SeenBody::Tcp { flags, data, .. } => self.segment(client, me, *flags, data)?,
            SeenBody::Udp { data, .. } => {
                self.open.insert(client, true);
                udp(me, client).data(&self.answer(data))
            }
            other => panic!("nothing a real server expects: {other:?}"),
        };
        if me == self.w.web {
            Some(Said::Straight(said))
        } else {
            assert_eq!(me, self.w.real_at(self.number, 8080), "{packet}");
            Some(Said::ThroughDirector(said))
        }
    }

    fn segment(
        &mut self,
        client: SocketAddr,
        me: SocketAddr,
        flags: u8,
        data: &[u8],
    ) -> Option<Packet> {
        if flags == 0x02 {
            self.open.insert(client, true);
            return Some(tcp(me, client).syn().ack());
        }
        let open = self.open.get_mut(&client);
        let open = open.unwrap_or_else(|| panic!("{client} never opened a connection here"));
        match flags {
            0x11 => {
                *open = false;
                Some(tcp(me, client).fin())
            }
            0x10 if !data.is_empty() => {
                assert!(*open, "{client} asks after its FIN");
                Some(tcp(me, client).ack().data(&self.answer(data)))
            }
            0x10 => None,
            other => panic!("flags {other:#x} from {client}"),
        }
    }

    fn answer(&self, question: &[u8]) -> Vec<u8> {
        [format!("{}: ", self.number).as_bytes(), question].concat()
    }
}
