//! `-L --timeout` and `-L --daemon`.

use std::fmt::Write;

use lvs_core::Timeouts;

use super::super::daemon::{Daemon, DaemonRole};

/// The timeouts, in seconds.
pub(super) fn timeouts(timeouts: &Timeouts) -> String {
    let [tcp, fin, udp] = [timeouts.tcp, timeouts.tcp_fin, timeouts.udp].map(|it| it.as_secs());
    format!("Timeout (tcp tcpfin udp): {tcp} {fin} {udp}\n")
}

/// The daemons, a master first.
pub(super) fn daemons(daemons: &[Daemon]) -> String {
    let mut text = String::new();
    for role in [DaemonRole::Master, DaemonRole::Backup] {
        let name = match role {
            DaemonRole::Master => "master",
            DaemonRole::Backup => "backup",
        };
        for daemon in daemons.iter().filter(|daemon| daemon.role == role) {
            // Writing to a text cannot fail.
            let _ = writeln!(
                text,
                "{name} sync daemon (mcast={}, syncid={}, maxlen={}, group={}, port={}, ttl={})",
                daemon.interface,
                daemon.sync_id,
                daemon.max_length,
                daemon.group,
                daemon.port,
                daemon.ttl
            );
        }
    }
    text
}
