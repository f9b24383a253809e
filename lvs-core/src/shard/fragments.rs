//! Fragments: whose datagram each is a part of.
//!
//! Steering tells fragments by their addresses alone, so those of the host's
//! own datagrams come here too. The first fragment has the ports; what it was
//! is remembered for those behind it.

use alloc::vec::Vec;
use core::time::Duration;

use super::claims::asks_for;
use super::decide::Step;
use crate::packet::fragment::{DatagramKey, Fragment};
use crate::packet::{Packet, PacketBuf, Seed};
use crate::time::{Instant, Tick, ticks};
use crate::verdict::{DropReason, Verdict};

impl Step<'_, '_> {
    /// A fragment: to be held if it may be a service's.
    pub(super) fn fragment(&self, packet: &Packet) -> Verdict {
        if self.snapshot.may_be_of_a_service(&packet.flow) {
            Verdict::Fragment
        } else {
            Verdict::Host
        }
    }
}

/// Whose a datagram is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Hosts,
    Services,
}

/// Datagrams whose first fragment came lately, and whose they are.
///
/// A table of fixed size, [`SETS`] sets of [`WAYS`] places. In a full set the
/// oldest gives way: what a flood of fragments can do is to make later ones
/// unknown.
#[derive(Debug)]
pub(super) struct Fragments {
    sets: Vec<[Option<Known>; WAYS]>,
    seed: Seed,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    datagram: DatagramKey,
    whose: Whose,
    until: Tick,
}

impl Fragments {
    /// An empty table: 1024 datagrams, 48 bytes each.
    pub(super) fn new(seed: Seed) -> Self {
        Self {
            sets: alloc::vec![[None; WAYS]; SETS],
            seed,
        }
    }

    /// Remembers whose a datagram is, for as long as a host waits for its parts.
    fn remember(&mut self, now: Instant, datagram: DatagramKey, whose: Whose) {
        let now = now.tick();
        let set = self.set(&datagram);
        // The same again, or a place that is free, or the oldest.
        let remaining = |place: &Option<Known>| match place {
            Some(known) if known.datagram == datagram => i32::MIN,
            Some(known) => now.until(known.until).max(0),
            None => -1,
        };
        let known = Known {
            datagram,
            whose,
            until: now.after(ticks(WAIT)),
        };
        if let Some(place) = set.iter_mut().min_by_key(|place| remaining(place)) {
            *place = Some(known);
        }
    }

    /// Whose a datagram is: the host's if that is not known.
    fn recall(&mut self, now: Instant, datagram: &DatagramKey) -> Whose {
        let now = now.tick();
        let mut known = self.set(datagram).iter().flatten();
        known
            .find(|known| known.datagram == *datagram && now.until(known.until) > 0)
            .map_or(Whose::Hosts, |known| known.whose)
    }

    fn set(&mut self, datagram: &DatagramKey) -> &mut [Option<Known>] {
        let set = datagram.hash(self.seed) as usize % SETS;
        self.sets.get_mut(set).map_or(&mut [], |set| set)
    }
}

const SETS: usize = 256;
const WAYS: usize = 4;
/// How long a host waits for the rest of a datagram (Linux's
/// `ipfrag_time`; RFC 1122 3.3.2 asks for 60 to 120 s, RFC 8200 4.5 for 60 s).
const WAIT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Addresses;

    fn datagram(identification: u32) -> DatagramKey {
        DatagramKey {
            addresses: Addresses::V4 {
                source: [198, 51, 100, 7].into(),
                destination: [192, 0, 2, 10].into(),
            },
            protocol: 17,
            identification,
        }
    }

    fn seconds(seconds: u64) -> Instant {
        Instant::from_nanoseconds(seconds * 1_000_000_000)
    }

    #[test]
    fn what_is_known_is_known_for_thirty_seconds() {
        let mut table = Fragments::new(Seed::new(1));
        table.remember(seconds(1), datagram(1), Whose::Services);
        assert_eq!(table.recall(seconds(31), &datagram(1)), Whose::Services);
        assert_eq!(table.recall(seconds(32), &datagram(1)), Whose::Hosts);
        assert_eq!(table.recall(seconds(1), &datagram(2)), Whose::Hosts);
        let other = DatagramKey {
            protocol: 6,
            ..datagram(1)
        };
        assert_eq!(table.recall(seconds(1), &other), Whose::Hosts);
    }

    #[test]
    fn a_number_used_again_is_another_datagram() {
        let mut table = Fragments::new(Seed::new(1));
        table.remember(seconds(1), datagram(1), Whose::Services);
        table.remember(seconds(2), datagram(1), Whose::Hosts);
        assert_eq!(table.recall(seconds(2), &datagram(1)), Whose::Hosts);
    }

    #[test]
    fn the_oldest_of_a_full_set_gives_way() {
        let mut table = Fragments::new(Seed::new(1));
        let set = |table: &Fragments, n: u32| datagram(n).hash(table.seed) as usize % SETS;
        let home = set(&table, 0);
        let alike: Vec<u32> = (0..).filter(|n| set(&table, *n) == home).take(5).collect();
        for (at, number) in (1..).zip(&alike) {
            table.remember(seconds(at), datagram(*number), Whose::Services);
        }
        let known = |number: &&u32| {
            let mut copy = Fragments {
                sets: table.sets.clone(),
                seed: table.seed,
            };
            copy.recall(seconds(5), &datagram(**number)) == Whose::Services
        };
        assert_eq!(alike.iter().filter(known).count(), WAYS);
        assert!(!known(&&alike[0]), "the oldest is gone");
    }

    #[test]
    fn it_is_as_large_as_it_says() {
        assert_eq!(size_of::<Option<Known>>(), 48);
    }
}
