//! What the program counted: [`SteeringStats`].

/// Frames seen by the steering program since it was attached, by what became
/// of each and why. Every frame is counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SteeringStats {
    /// Steered: to a service.
    pub service: u64,
    /// Steered: from a real server behind masquerading.
    pub real_server: u64,
    /// Steered: a fragment, to or from an address with rules.
    pub fragment: u64,
    /// Steered: an ICMP error about a packet of a service.
    pub icmp_error: u64,
    /// Passed though a rule claimed it: no socket serves its receive queue.
    pub no_socket: u64,
    /// Passed: neither IPv4 nor IPv6, or behind more than one tag.
    pub not_ip: u64,
    /// Passed: cut short, or with a header that contradicts itself.
    pub malformed: u64,
    /// Passed: a protocol without ports, pings and neighbour discovery included.
    pub other_protocol: u64,
    /// Passed: TCP, UDP or SCTP of the host's own.
    pub no_rule: u64,
    /// Passed: to another MAC than the NIC's, as of a macvlan on it.
    pub other_mac: u64,
}

impl SteeringStats {
    /// Frames taken from the kernel's stack.
    pub fn steered(&self) -> u64 {
        self.service + self.real_server + self.fragment + self.icmp_error
    }

    /// Frames left to the kernel's stack.
    pub fn passed(&self) -> u64 {
        self.no_socket
            + self.not_ip
            + self.malformed
            + self.other_protocol
            + self.no_rule
            + self.other_mac
    }

    /// The counter of each `enum reason` of the program, in its order.
    pub(crate) fn by_reason(&mut self) -> [&mut u64; 10] {
        [
            &mut self.service,
            &mut self.real_server,
            &mut self.fragment,
            &mut self.icmp_error,
            &mut self.no_socket,
            &mut self.not_ip,
            &mut self.malformed,
            &mut self.other_protocol,
            &mut self.no_rule,
            &mut self.other_mac,
        ]
    }
}
