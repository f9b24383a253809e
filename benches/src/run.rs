//! A director and its traffic, ready to be timed.

use std::time::Duration;

use crate::class::{Class, REAL_SERVERS, Transport, Way};
use crate::clock::cpu_time;
use crate::director::Director;
use crate::traffic::{BATCH, HEADROOM, Order, Part, Traffic};

/// A director and its traffic.
#[derive(Debug)]
pub struct Run<D> {
    director: D,
    traffic: Traffic,
    /// Batches until the director holds all flows and must be emptied; none
    /// where the flows are those it holds.
    round: Option<u64>,
    left: u64,
}

impl<D: Director> Run<D> {
    /// Packets of `flows` established connections.
    pub fn established(class: Class, flows: u32, mut director: D) -> Self {
        let served_by = establish(class, flows, &mut director);
        let traffic = Traffic::new(class, flows, Part::Carries, Order::Scattered, &served_by);
        Self {
            director,
            traffic,
            round: None,
            left: 0,
        }
    }

    /// First packets of connections, of which the director will hold `flows`;
    /// then all are ended, outside the time taken, and begin again.
    pub fn beginning(class: Class, flows: u32, director: D) -> Self {
        let round = u64::from(flows) / BATCH as u64;
        Self {
            director,
            traffic: Traffic::new(class, flows, Part::Opens, Order::Scattered, &[0]),
            round: Some(round),
            left: round,
        }
    }

    /// Frames with no connections behind them, for the floors.
    pub fn frames_only(class: Class, director: D) -> Self {
        let flows = 1 << 20;
        Self {
            director,
            traffic: Traffic::new(class, flows, Part::Carries, Order::Scattered, &[0]),
            round: None,
            left: 0,
        }
    }

    /// The processor time of `packets` packets.
    ///
    /// Whole batches are run, and their time is scaled to `packets`.
    ///
    /// # Panics
    ///
    /// If a packet was not sent on.
    pub fn time(&mut self, packets: u64) -> Duration {
        let batches = packets.div_ceil(BATCH as u64);
        let (mut spent, mut due) = (Duration::ZERO, batches);
        while due > 0 {
            let stretch = due.min(self.stretch());
            let start = cpu_time();
            for _ in 0..stretch {
                self.director.process(&mut self.traffic.next_batch());
            }
            spent += cpu_time() - start;
            due -= stretch;
            self.left = self.left.saturating_sub(stretch);
        }
        assert!(self.director.sent_all(), "a packet was not sent on");
        spent.mul_f64(packets as f64 / (batches * BATCH as u64) as f64)
    }

    /// The processor time of ending at least `connections` connections, scaled
    /// to that many. Only for a run of beginnings.
    pub fn time_endings(&mut self, connections: u64) -> Duration {
        let held = self.round.map_or(0, |round| round * BATCH as u64);
        let (mut spent, mut ended) = (Duration::ZERO, 0);
        while ended < connections {
            for _ in 0..self.left {
                self.director.process(&mut self.traffic.next_batch());
            }
            let start = cpu_time();
            self.director.forget_all();
            spent += cpu_time() - start;
            self.left = self.round.unwrap_or(0);
            ended += held;
        }
        spent.mul_f64(connections as f64 / ended as f64)
    }

    /// Batches that may follow now without a pause.
    fn stretch(&mut self) -> u64 {
        let Some(round) = self.round else {
            return u64::MAX;
        };
        if self.left == 0 {
            self.director.forget_all();
            self.left = round;
        }
        self.left
    }
}

/// Brings all flows to where packets with data pass, and says which real
/// server each of the first has.
fn establish<D: Director>(class: Class, flows: u32, director: &mut D) -> Vec<usize> {
    let request = match class.way {
        Way::MasqueradeReply => Way::MasqueradeRequest,
        way => way,
    };
    let request = class.going(request);
    let mut served_by = Vec::new();
    let mut pass = |class: Class, part: Part, served_by: &mut Vec<usize>| {
        let mut traffic = Traffic::new(class, flows, part, Order::Straight, served_by);
        for _ in 0..flows as usize / BATCH {
            let mut frames = traffic.next_batch();
            director.process(&mut frames);
            if served_by.is_empty() {
                let end = match class.vip().is_ipv4() {
                    true => 14 + 20,
                    false => 14 + 40,
                };
                // Only a masqueraded packet says so; others do not ask.
                let last = |chunk: &[u8; 2048]| usize::from(chunk[HEADROOM + end - 1]);
                let servers = frames
                    .chunks
                    .iter()
                    .map(|chunk| last(chunk).wrapping_sub(11));
                served_by.extend(servers.take(REAL_SERVERS));
            }
        }
    };
    pass(request, Part::Opens, &mut served_by);
    if class.transport == Transport::Tcp {
        if matches!(class.way, Way::MasqueradeRequest | Way::MasqueradeReply) {
            pass(
                class.going(Way::MasqueradeReply),
                Part::Opens,
                &mut served_by,
            );
        }
        pass(request, Part::Carries, &mut served_by);
    }
    assert!(director.sent_all(), "every flow could be established");
    served_by
}
