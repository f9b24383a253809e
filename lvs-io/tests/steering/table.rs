//! The table of packets: what each must count as, by XDP and by tc alike.

use lvs_io::program::{End, Steer, Steering, SteeringStats, XdpMode};

use crate::bed::in_namespace;
use crate::frames::*;

/// What is steered in every table.
fn rules() -> Vec<Steer> {
    use End::{Destination, Source};
    let rule = |protocol, address: &str, port, end| Steer {
        protocol,
        address: address.parse().unwrap(),
        port,
        end,
    };
    vec![
        rule(TCP, "192.0.2.1", Some(80), Destination),
        rule(UDP, "192.0.2.1", Some(53), Destination),
        rule(UDP, "192.0.2.5", Some(500), Destination),
        rule(SCTP, "192.0.2.1", Some(2905), Destination),
        rule(TCP, "2001:db8::1", Some(80), Destination),
        rule(UDP, "2001:db8::1", Some(443), Destination),
        rule(TCP, "192.0.2.9", None, Destination),
        rule(UDP, "2001:db8::9", None, Destination),
        rule(TCP, "10.0.0.11", Some(8080), Source),
        rule(TCP, "fd00::11", Some(8080), Source),
        rule(UDP, "10.0.0.12", None, Source),
        rule(UDP, "10.0.0.14", Some(6080), Source),
    ]
}

/// The field of the counters that a frame of the table must count in.
pub(crate) type Counter = fn(&SteeringStats) -> u64;

pub(crate) const SERVICE: Counter = |stats| stats.service;
pub(crate) const REAL_SERVER: Counter = |stats| stats.real_server;
pub(crate) const FRAGMENTS: Counter = |stats| stats.fragment;
pub(crate) const ICMP_ERROR: Counter = |stats| stats.icmp_error;
pub(crate) const NOT_IP: Counter = |stats| stats.not_ip;
pub(crate) const MALFORMED: Counter = |stats| stats.malformed;
pub(crate) const OTHER_PROTOCOL: Counter = |stats| stats.other_protocol;
pub(crate) const NO_RULE: Counter = |stats| stats.no_rule;

pub(crate) type Line = (&'static str, Vec<u8>, Counter);

/// Judges each line by both programs and by their counters.
pub(crate) fn judge(lines: fn() -> Vec<Line>) {
    judge_in(&[XdpMode::Generic, XdpMode::Tc], lines);
}

pub(crate) fn judge_in(modes: &[XdpMode], lines: fn() -> Vec<Line>) {
    for &mode in modes {
        in_namespace(move |bed| {
            if mode == XdpMode::Tc && !bed.can(mode) {
                return;
            }
            let (steering, _wire) = bed.steer(mode, &rules());
            let wrong: Vec<String> = lines()
                .iter()
                .filter_map(|line| fault(&steering, line))
                .collect();
            assert!(wrong.is_empty(), "{mode:?}:\n{}", wrong.join("\n"));
        });
    }
}

fn fault(steering: &Steering, (name, frame, counter): &Line) -> Option<String> {
    let before = steering.stats().unwrap();
    let trial = match steering.trial(0, frame, 1) {
        Ok(trial) => trial,
        Err(error) => return Some(format!("{name}: {error}")),
    };
    let after = steering.stats().unwrap();
    let steered = after.steered() - before.steered() == 1;
    assert_eq!(trial.taken, steered, "{name}: action and counter differ");
    let counted = counter(&after) - counter(&before) == 1;
    (!counted).then(|| format!("{name}: from {before:?} to {after:?}"))
}
