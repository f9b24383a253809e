//! What a worker counts besides its shard.

use lvs_io::QueueCounters;

/// Declares the counters a worker keeps besides its shard's.
macro_rules! worker_counters {
    ($($(#[doc = $doc:literal])+ $field:ident,)+) => {
        /// What a worker did besides directing; counted since it began.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct WorkerCounters {
            $($(#[doc = $doc])+ pub $field: u64,)+
        }

        impl WorkerCounters {
            pub(super) const COUNT: usize = [$(stringify!($field)),+].len();

            /// Each counter with its name.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($field), self.$field)),+].into_iter()
            }

            pub(super) fn numbers(&self) -> [u64; Self::COUNT] {
                [$(self.$field),+]
            }

            pub(super) fn from_numbers(numbers: [u64; Self::COUNT]) -> Self {
                let [$($field),+] = numbers;
                Self { $($field),+ }
            }

            /// Adds another worker's counters to these.
            pub fn add(&mut self, other: &Self) {
                $(self.$field += other.$field;)+
            }
        }
    };
}

worker_counters! {
    /// Packets it had a verdict on, those that others handed over among them.
    packets,
    /// Turns of the main loop.
    turns,
    /// Times it slept because nothing was to do.
    sleeps,
    /// Packets for the host that were given back to it.
    given_back,
    /// Packets for the host that it refused to take back, and are lost.
    give_back_refused,
    /// Packets for the host that it has a copy of already.
    host_has_copy,
    /// Packets that the host itself sent and the director had a look at.
    heard,
    /// Of those, sent on as the host would have.
    sent_on,
    /// Packets handed to other workers.
    handed_off,
    /// Packets that came from other workers.
    taken_over,
    /// Packets lost because the worker that owns them was too far behind.
    handoff_full,
    /// Packets lost because no chunk was free to take them over.
    no_chunk,
    /// Frames sent that the shard wrote: pieces of packets that were cut, and of
    /// datagrams that came in fragments.
    pieces,
    /// Pieces lost because no chunk was free for them.
    no_chunk_for_piece,
    /// Packets lost because they could not be cut.
    not_cut,
    /// Packets lost because the port they leave by was too far behind.
    transmit_full,
    /// Packets lost because they leave by a port the worker does not have.
    no_such_port,
    /// Frames the kernel dropped because the worker did not take them in time.
    receive_ring_full,
    /// Frames the kernel dropped because the worker had no memory for them.
    fill_ring_empty,
    /// Frames the kernel or a queue refused as malformed or too long.
    invalid,
    /// System calls made to move frames.
    kicks,
    /// Of those, answered that the kernel is busy.
    kicks_busy,
    /// Of those, answered that the link is down.
    kicks_link_down,
    /// Of those, answered with another error.
    kicks_failed,
    /// Connections held at the moment.
    connections,
    /// Connections that can be held.
    capacity,
}

impl WorkerCounters {
    /// Packets lost on their way in, out and between workers, by reason; those
    /// that never happened among them.
    pub fn drops(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("give_back_refused", self.give_back_refused),
            ("handoff_full", self.handoff_full),
            ("no_chunk", self.no_chunk),
            ("no_chunk_for_piece", self.no_chunk_for_piece),
            ("not_cut", self.not_cut),
            ("transmit_full", self.transmit_full),
            ("no_such_port", self.no_such_port),
            ("receive_ring_full", self.receive_ring_full),
            ("fill_ring_empty", self.fill_ring_empty),
            ("invalid", self.invalid),
        ]
        .into_iter()
    }

    /// Takes over what the worker's queues have counted themselves.
    pub(super) fn observe(&mut self, queues: impl Iterator<Item = QueueCounters>) {
        let mut sum = QueueCounters::default();
        for queue in queues {
            sum.receive_ring_full += queue.receive_ring_full;
            sum.fill_ring_empty += queue.fill_ring_empty;
            sum.invalid += queue.invalid;
            sum.kicks += queue.kicks;
            sum.kicks_busy += queue.kicks_busy;
            sum.kicks_link_down += queue.kicks_link_down;
            sum.kicks_failed += queue.kicks_failed;
        }
        self.receive_ring_full = sum.receive_ring_full;
        self.fill_ring_empty = sum.fill_ring_empty;
        self.invalid = sum.invalid;
        self.kicks = sum.kicks;
        self.kicks_busy = sum.kicks_busy;
        self.kicks_link_down = sum.kicks_link_down;
        self.kicks_failed = sum.kicks_failed;
    }
}
