//! How will frames travel: native XDP with or without copying, generic XDP, or
//! AF_PACKET?

use lvs_io::{Owner, WantedMode};

use super::arm::Arm;
use super::case::Case;
use super::report::{Check, Severity};

pub(super) fn check(case: &Case<'_>) -> Check {
    let mut check = Check::new("driver");
    if case.is_packet() {
        check.remark("AF_PACKET, as the configuration says: the slowest way of all.".to_owned());
        return check;
    }
    for arm in &case.arms {
        who_has_it(arm, case.machine.is_root, &mut check);
        match case.settings.director.mode {
            WantedMode::Generic => check.remark(format!(
                "{}: generic XDP, as the configuration says: several times slower than native.",
                arm.name()
            )),
            mode => native(arm, mode, &mut check),
        }
    }
    check
}

/// Two programs on one interface would direct the same packets.
fn who_has_it(arm: &Arm, is_root: bool, check: &mut Check) {
    let name = arm.name();
    let Some(owner) = &arm.owner else { return };
    if arm.is_ours() {
        return check.remark(format!("{name}: {owner} directs on it."));
    }
    if !is_root && *owner == Owner::Unknown {
        return check.remark(format!(
            "{name}: a program has its XDP; only root sees whether it is lvs."
        ));
    }
    let mend = match owner {
        Owner::Process { number, .. } => format!("kill {number}"),
        Owner::Unknown => format!("ip link set dev {name} xdp off"),
    };
    let what = format!("{owner} has an XDP program on {name}; beside it lvs does not start.");
    check.fault(what, [mend]);
}

fn native(arm: &Arm, mode: WantedMode, check: &mut Check) {
    let name = arm.name();
    let driver = match arm.nic.driver.as_str() {
        "" => "its driver",
        driver => driver,
    };
    let Some(xdp) = arm.setup.xdp else {
        return check.remark(format!(
            "{name}: the kernel does not say what {driver} can do; the log of lvs run does."
        ));
    };
    if !xdp.native {
        let (severity, so) = match mode {
            WantedMode::Native => (
                Severity::Fault,
                "and mode = \"native\" allows nothing else, so that lvs does not start",
            ),
            _ => (
                Severity::Warning,
                "so frames go by generic XDP, which is several times slower",
            ),
        };
        let what = format!("{name}: {driver} does not run XDP itself as it is now, {so}.");
        return check.find(severity, what, [how_to_run_xdp(arm)]);
    }
    if !xdp.multi_buffer && arm.nic.mtu > ONE_PAGE {
        let what = format!(
            "{name} has an MTU of {}, and {driver} runs XDP only on frames that fit a page, so \
             it may refuse.",
            arm.nic.mtu
        );
        check.warn(what, [format!("ip link set dev {name} mtu 1500")]);
    }
    check.remark(match xdp.zero_copy {
        true => format!("{name}: native XDP, without copying if it has the memory ({driver})."),
        false => format!(
            "{name}: native XDP; {driver} cannot do without copying, which only another NIC mends."
        ),
    });
}

/// veth needs as many receive queues as the other end has transmit queues; of
/// others only a newer kernel or another NIC can.
fn how_to_run_xdp(arm: &Arm) -> String {
    match arm.nic.driver.as_str() {
        "veth" => format!(
            "ethtool -L OTHER_END tx {}   # where {}'s other end is",
            arm.nic.queues,
            arm.name()
        ),
        _ => format!("ethtool -i {}   # a newer kernel may have it", arm.name()),
    }
}

/// A page less the room drivers leave before and behind a frame.
const ONE_PAGE: u32 = 3498;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::example::{settings, whole};

    #[test]
    fn whoever_else_has_the_interface_is_named_and_lvs_is_no_fault() {
        let settings = settings("");
        let mut case = whole(&settings);
        assert_eq!(super::check(&case).severity(), Severity::Ok);
        let process = |name: &str| Owner::Process {
            number: 77,
            name: name.to_owned(),
        };
        case.arms[0].owner = Some(process("xdp-filter"));
        let found = super::check(&case).findings;
        assert_eq!(found[0].mend, ["kill 77"]);
        assert!(found[0].what.contains("process 77 (xdp-filter)"));
        case.arms[0].owner = Some(Owner::Unknown);
        assert_eq!(
            super::check(&case).findings[0].mend,
            ["ip link set dev eth0 xdp off"]
        );
        case.machine.is_root = false;
        assert_eq!(super::check(&case).severity(), Severity::Ok, "who knows");
        case.arms[0].owner = Some(process("lvs"));
        assert_eq!(super::check(&case).severity(), Severity::Ok);
    }

    #[test]
    fn long_frames_need_a_driver_that_takes_them_in_pieces() {
        let settings = settings("");
        let mut case = whole(&settings);
        case.arms[0].nic.mtu = 9000;
        assert_eq!(super::check(&case).severity(), Severity::Warning);
        case.arms[0].setup.xdp.as_mut().unwrap().multi_buffer = true;
        assert_eq!(super::check(&case).severity(), Severity::Ok);
    }
}
