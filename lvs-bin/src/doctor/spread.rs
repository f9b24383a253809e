//! Does receive-side scaling bring every worker its share?

use std::collections::BTreeSet;

use lvs_core::{Family, Protocol};

use super::arm::Arm;
use super::case::Case;
use super::report::Check;

pub(super) fn check(case: &Case<'_>) -> Check {
    let mut check = Check::new("rss");
    // With one there is nothing to spread, and packet sockets spread by
    // themselves.
    if case.workers().is_none_or(|workers| workers < 2) || case.is_packet() {
        return check;
    }
    for arm in &case.arms {
        check_arm(case, arm, &mut check);
    }
    check
}

fn check_arm(case: &Case<'_>, arm: &Arm, check: &mut Check) {
    let (name, queues) = (arm.name(), arm.nic.queues);
    let Some(spread) = &arm.setup.spread else {
        return check.remark(format!(
            "{name}: its driver does not say how it spreads packets."
        ));
    };
    let idle: Vec<String> = (0..queues)
        .filter(|queue| !spread.queues.contains(queue))
        .map(|queue| queue.to_string())
        .collect();
    if !idle.is_empty() {
        let what = format!(
            "{name} gives nothing to its queues {}, so their workers are idle while others have \
             too much.",
            idle.join(", ")
        );
        check.warn(what, [format!("ethtool -X {name} equal {queues}")]);
    }
    let asked = kinds(case);
    for kind in &spread.without_ports {
        if asked.contains(kind) {
            let what = format!(
                "{name} does not look at the ports of {kind} packets, so all of a client, or of \
                 a real server, come to one queue."
            );
            check.warn(
                what,
                [format!("ethtool -N {name} rx-flow-hash {kind} sdfn")],
            );
        }
    }
}

/// The kinds of packets that services are asked by, as ethtool names them.
fn kinds(case: &Case<'_>) -> BTreeSet<&'static str> {
    let services = case.settings.config.services().iter();
    let kind = |protocol, family| match (protocol, family) {
        (Protocol::Tcp, Family::V4) => Some("tcp4"),
        (Protocol::Tcp, Family::V6) => Some("tcp6"),
        (Protocol::Udp, Family::V4) => Some("udp4"),
        (Protocol::Udp, Family::V6) => Some("udp6"),
        _ => None,
    };
    services
        .flat_map(|service| {
            let protocols = match service.key.protocol() {
                Some(protocol) => vec![protocol],
                // Marked packets are of any.
                None => vec![Protocol::Tcp, Protocol::Udp],
            };
            let family = service.key.family();
            protocols.into_iter().filter_map(move |it| kind(it, family))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use lvs_io::Spread;

    use super::*;
    use crate::doctor::example::{settings, whole};

    /// What is to be typed where these queues get something, and of these kinds
    /// of packets no port is looked at.
    fn said(queues: &[u32], without_ports: &[&'static str]) -> Vec<String> {
        let settings = settings("workers = 4");
        let mut case = whole(&settings);
        case.arms[0].setup.spread = Some(Spread {
            queues: queues.iter().copied().collect(),
            without_ports: without_ports.to_vec(),
        });
        let found = check(&case).findings.into_iter();
        found.flat_map(|finding| finding.mend).collect()
    }

    #[test]
    fn an_even_spread_is_well() {
        assert_eq!(said(&[0, 1, 2, 3], &[]), [""; 0]);
        assert_eq!(
            said(&[0, 1, 2, 3], &["tcp4", "udp6"]),
            [""; 0],
            "nobody asks"
        );
    }

    #[test]
    fn idle_queues_are_told() {
        assert_eq!(said(&[0, 1], &[]), ["ethtool -X eth0 equal 4"]);
    }

    #[test]
    fn ports_that_are_not_looked_at_are_told() {
        let mend = "ethtool -N eth0 rx-flow-hash udp4 sdfn";
        assert_eq!(said(&[0, 1, 2, 3], &["udp4", "tcp4"]), [mend]);
    }
}
