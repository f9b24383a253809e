//! How long an idle connection is kept: the three spans an operator may set.

use core::time::Duration;

/// Idle timeouts of connections.
///
/// *Units:* whole spans from the last packet. *Source:* the defaults are the
/// kernel's (`tcp_timeouts` and `udp_timeouts` in ip_vs_proto_tcp.c and
/// ip_vs_proto_udp.c); the three are those of `ipvsadm --set`. The timeouts of
/// the other TCP states are fixed, there as here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP in ESTABLISHED.
    pub tcp: Duration,
    /// TCP in FIN_WAIT.
    pub tcp_fin: Duration,
    /// UDP.
    pub udp: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            tcp: Duration::from_secs(900),
            tcp_fin: Duration::from_secs(120),
            udp: Duration::from_secs(300),
        }
    }
}
