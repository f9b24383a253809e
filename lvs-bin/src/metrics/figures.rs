//! Every number there is of a director, a service, a real server and a worker:
//! its name, what it says, and where it is found.

use lvs_core::Stats;

use super::exposition::Kind::{self, Counter, Gauge};
use crate::director::{RealServerStats, WorkerCounters};

/// A number that each `T` has.
pub(super) struct Figure<T> {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
    pub(super) of: fn(&T) -> u64,
}

/// What a service has at the moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ServiceFigures {
    pub(super) real_servers: u64,
    pub(super) available: u64,
    pub(super) active: u64,
    pub(super) inactive: u64,
    pub(super) persistent: u64,
}

impl ServiceFigures {
    pub(super) fn add(&mut self, real_server: &RealServerStats) {
        self.real_servers += 1;
        self.available += u64::from(real_server.weight > 0);
        self.active += u64::from(real_server.active);
        self.inactive += u64::from(real_server.inactive);
        self.persistent += u64::from(real_server.persistent);
    }
}

const fn figure<T>(
    name: &'static str,
    kind: Kind,
    help: &'static str,
    of: fn(&T) -> u64,
) -> Figure<T> {
    Figure {
        name,
        kind,
        help,
        of,
    }
}

/// Of the director as a whole.
pub(super) const DIRECTOR: &[Figure<Stats>] = &[
    figure(
        "lvs_answers_total",
        Counter,
        "ICMP answers sent in place of a packet; transmitted packets too.",
        |stats| stats.answers,
    ),
    figure(
        "lvs_cut_packets_total",
        Counter,
        "Packets sent in pieces as they were too long for the MTU ahead.",
        |stats| stats.cut,
    ),
    figure(
        "lvs_fragments_held_total",
        Counter,
        "Fragments kept until the rest of their datagram came.",
        |stats| stats.held,
    ),
    figure(
        "lvs_fragments_joined_total",
        Counter,
        "Fragments of datagrams that came whole.",
        |stats| stats.joined,
    ),
    figure(
        "lvs_fragments_given_up_total",
        Counter,
        "Fragments of datagrams that were given up.",
        |stats| stats.given_up,
    ),
    figure(
        "lvs_connections_opened_total",
        Counter,
        "Connections begun.",
        |stats| stats.opened,
    ),
    figure(
        "lvs_connections_closed_total",
        Counter,
        "Connections ended.",
        |stats| stats.closed,
    ),
];

/// Of each service.
pub(super) const SERVICE: &[Figure<ServiceFigures>] = &[
    figure(
        "lvs_service_real_servers",
        Gauge,
        "Real servers of the service.",
        |service| service.real_servers,
    ),
    figure(
        "lvs_service_available_real_servers",
        Gauge,
        "Real servers of the service that take new connections, as their weight is not 0.",
        |service| service.available,
    ),
    figure(
        "lvs_service_active_connections",
        Gauge,
        "Connections of the service in an active state.",
        |service| service.active,
    ),
    figure(
        "lvs_service_inactive_connections",
        Gauge,
        "Other connections of the service.",
        |service| service.inactive,
    ),
    figure(
        "lvs_service_persistent_clients",
        Gauge,
        "Clients whose real server the service remembers.",
        |service| service.persistent,
    ),
];

/// Of each real server.
pub(super) const REAL_SERVER: &[Figure<RealServerStats>] = &[
    figure(
        "lvs_real_server_weight",
        Gauge,
        "Weight of the real server; with 0 it takes no new connections.",
        |server| server.weight as u64,
    ),
    figure(
        "lvs_real_server_active_connections",
        Gauge,
        "Connections of the real server in an active state.",
        |server| server.active as u64,
    ),
    figure(
        "lvs_real_server_inactive_connections",
        Gauge,
        "Other connections of the real server.",
        |server| server.inactive as u64,
    ),
    figure(
        "lvs_real_server_persistent_clients",
        Gauge,
        "Clients remembered as the real server's.",
        |server| server.persistent as u64,
    ),
    figure(
        "lvs_real_server_connections_total",
        Counter,
        "Connections begun with the real server.",
        |server| server.traffic.connections,
    ),
    figure(
        "lvs_real_server_incoming_packets_total",
        Counter,
        "Packets from clients to the real server.",
        |server| server.traffic.packets_in,
    ),
    figure(
        "lvs_real_server_incoming_bytes_total",
        Counter,
        "Bytes from clients to the real server, IP headers included.",
        |server| server.traffic.bytes_in,
    ),
    figure(
        "lvs_real_server_outgoing_packets_total",
        Counter,
        "Packets from the real server to clients that crossed the director.",
        |server| server.traffic.packets_out,
    ),
    figure(
        "lvs_real_server_outgoing_bytes_total",
        Counter,
        "Bytes from the real server to clients that crossed the director, IP headers included.",
        |server| server.traffic.bytes_out,
    ),
];

/// Of each worker, but for what it lost.
pub(super) const WORKER: &[Figure<WorkerCounters>] = &[
    figure(
        "lvs_worker_packets_total",
        Counter,
        "Packets the worker had a verdict on.",
        |worker| worker.packets,
    ),
    figure(
        "lvs_worker_turns_total",
        Counter,
        "Turns of the worker's main loop, those without work among them.",
        |worker| worker.turns,
    ),
    figure(
        "lvs_worker_sleeps_total",
        Counter,
        "Times the worker slept because nothing was to do.",
        |worker| worker.sleeps,
    ),
    figure(
        "lvs_worker_given_back_packets_total",
        Counter,
        "Packets for the host that the worker gave back to it.",
        |worker| worker.given_back,
    ),
    figure(
        "lvs_worker_host_copies_total",
        Counter,
        "Packets for the host that it has a copy of already.",
        |worker| worker.host_has_copy,
    ),
    figure(
        "lvs_worker_heard_packets_total",
        Counter,
        "Packets that the host itself sent and the worker had a look at.",
        |worker| worker.heard,
    ),
    figure(
        "lvs_worker_sent_on_packets_total",
        Counter,
        "Packets that the host itself sent, sent on as the host would have.",
        |worker| worker.sent_on,
    ),
    figure(
        "lvs_worker_handed_off_packets_total",
        Counter,
        "Packets handed to other workers.",
        |worker| worker.handed_off,
    ),
    figure(
        "lvs_worker_taken_over_packets_total",
        Counter,
        "Packets that came from other workers.",
        |worker| worker.taken_over,
    ),
    figure(
        "lvs_worker_pieces_total",
        Counter,
        "Frames sent that are pieces of packets that were cut, or of datagrams that came in fragments.",
        |worker| worker.pieces,
    ),
    figure(
        "lvs_worker_kicks_total",
        Counter,
        "System calls the worker made to move frames.",
        |worker| worker.kicks,
    ),
    figure(
        "lvs_worker_kicks_busy_total",
        Counter,
        "System calls to move frames that the kernel answered with being busy.",
        |worker| worker.kicks_busy,
    ),
    figure(
        "lvs_worker_kicks_link_down_total",
        Counter,
        "System calls to move frames that the kernel answered with the link being down.",
        |worker| worker.kicks_link_down,
    ),
    figure(
        "lvs_worker_kicks_failed_total",
        Counter,
        "System calls to move frames that the kernel answered with another error.",
        |worker| worker.kicks_failed,
    ),
    figure(
        "lvs_connection_table_entries",
        Gauge,
        "Connections in the worker's table, remembered clients among them.",
        |worker| worker.connections,
    ),
    figure(
        "lvs_connection_table_capacity",
        Gauge,
        "Connections the worker's table can hold.",
        |worker| worker.capacity,
    ),
    figure(
        "lvs_connection_table_free",
        Gauge,
        "Connections the worker's table has room for.",
        |worker| worker.capacity.saturating_sub(worker.connections),
    ),
];
