//! A director that is another's backup and directs nothing while it is
//! (`backup_only`), so that two directors that are each other's real servers do
//! not send packets in circles.
//!
//! *Source:* the behaviour of `ip_vs_in_hook` and `ip_vs_out_hook`, Linux 6.12:
//! requests are left to the host, replies are masqueraded still.

use super::decide::Step;
use crate::conn::Direction;
use crate::packet::icmp::Quote;
use crate::packet::{Kind, Packet, PacketBuf};
use crate::verdict::Verdict;

impl Step<'_, '_> {
    /// A packet where no service of its family is in force: the host's, but for
    /// what real servers send through a backup.
    #[cold]
    pub(super) fn without_services(
        &mut self,
        buf: &mut PacketBuf<'_>,
        packet: &Packet,
        hash: u64,
        guess: Option<u32>,
    ) -> Verdict {
        if !self.snapshot.stands_by {
            return Verdict::Host;
        }
        let outcome = match packet.kind {
            Kind::Tcp { .. }
            | Kind::Udp
            | Kind::Sctp { .. }
            | Kind::Ipsec
            | Kind::Cut { has_ports: true } => match self.table.find(&packet.flow, hash, guess) {
                Some((_, Direction::Reply)) if matches!(packet.kind, Kind::Cut { .. }) => {
                    self.cut(buf, packet, hash, guess)
                }
                Some((at, Direction::Reply)) => self.established(buf, packet, at, Direction::Reply),
                Some((_, Direction::Request)) => Ok(Verdict::Host),
                None => self.outside_services(buf, packet),
            },
            Kind::IcmpError if self.is_about_request(buf, packet) => self.icmp_error(buf, packet),
            Kind::Cut { .. } | Kind::IcmpError | Kind::Fragment => Ok(Verdict::Host),
        };
        outcome.unwrap_or_else(|stopped| self.stop(buf, packet, stopped))
    }

    /// Whether an ICMP error comes from a real server's side: it quotes what a
    /// client of this shard was sent on with.
    fn is_about_request(&self, buf: &PacketBuf<'_>, packet: &Packet) -> bool {
        Quote::parse(buf, packet).is_some_and(|quote| {
            let flow = quote.flow.reversed();
            let found = self.table.find(&flow, self.table.hash(&flow), None);
            matches!(found, Some((_, Direction::Reply)))
        })
    }
}
