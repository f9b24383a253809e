//! Do offloads hand over frames that are not as they came by the wire: merged,
//! with half-made checksums, without their VLAN tag?

use lvs_core::Protocol;
use lvs_io::Checksum;

use super::arm::Arm;
use super::case::Case;
use super::report::{Check, Severity};

pub(super) fn check(case: &Case<'_>) -> Check {
    let mut check = Check::new("offloads");
    let late = case.comes_late();
    for arm in &case.arms {
        merged_by_hardware(arm, &mut check);
        merged_by_the_host(arm, late, has_udp(case), &mut check);
        let name = arm.name();
        if arm.hides_vlans && !case.is_packet() {
            let what = format!(
                "{name} takes the VLAN tag off frames before XDP sees them, so answers into the \
                 VLANs that are on it would go out without."
            );
            check.fault(what, [format!("ethtool -K {name} rxvlan off")]);
        }
        if arm.nic.checksum == Checksum::MaybePartial {
            check.remark(format!(
                "{name}: senders on this machine may leave checksums half made; lvs finishes them."
            ));
        }
    }
    check
}

/// What the NIC itself merges.
fn merged_by_hardware(arm: &Arm, check: &mut Check) {
    let name = arm.name();
    for (offload, word) in [("rx-lro", "lro"), ("rx-gro-hw", "rx-gro-hw")] {
        if arm.setup.offloads.contains(offload) {
            let what = format!(
                "{name} merges packets itself ({offload}); what is forwarded is then longer than \
                 the next link takes, and XDP may be refused."
            );
            check.fault(what, [format!("ethtool -K {name} {word} off")]);
        }
    }
}

/// What the host's stack merges, which generic XDP and packet sockets are
/// behind.
fn merged_by_the_host(arm: &Arm, late: bool, has_udp: bool, check: &mut Check) {
    let name = arm.name();
    for offload in ["rx-udp-gro-forwarding", "rx-gro-list"] {
        if has_udp && arm.setup.offloads.contains(offload) {
            let (severity, when) = match late {
                true => (Severity::Fault, "They are dropped (invalid)"),
                false => (
                    Severity::Warning,
                    "Were lvs to fall back to generic XDP or AF_PACKET, they would be dropped \
                     (invalid)",
                ),
            };
            let what = format!(
                "{name} merges UDP datagrams ({offload}), of which nothing says where each ends. \
                 {when}."
            );
            check.find(severity, what, [format!("ethtool -K {name} {offload} off")]);
        }
    }
    if late && arm.setup.offloads.contains("rx-gro") {
        let what = format!(
            "{name} merges TCP packets (generic receive offload) before lvs gets them, which cuts \
             them again: work for nothing."
        );
        check.warn(what, [format!("ethtool -K {name} gro off")]);
    }
}

fn has_udp(case: &Case<'_>) -> bool {
    let mut services = case.settings.config.services().iter();
    services.any(|service| service.key.protocol().is_none_or(|it| it == Protocol::Udp))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::example::{settings, whole};

    fn said(mode: &str, offload: &str) -> Check {
        let settings = settings(mode);
        let mut case = whole(&settings);
        case.arms[0].setup.offloads.insert(offload.to_owned());
        check(&case)
    }

    #[test]
    fn what_the_nic_merges_is_a_fault() {
        let found = said("", "rx-lro").findings;
        assert_eq!(found[0].mend, ["ethtool -K eth0 lro off"]);
        assert_eq!(said("", "rx-gro-hw").severity(), Severity::Fault);
    }

    #[test]
    fn what_the_host_merges_harms_those_that_are_behind_it() {
        assert_eq!(said("", "rx-gro").severity(), Severity::Ok);
        assert_eq!(said("", "rx-gro-list").severity(), Severity::Warning);
        let generic = "mode = \"generic\"";
        assert_eq!(said(generic, "rx-gro").severity(), Severity::Warning);
        assert_eq!(said(generic, "rx-gro-list").severity(), Severity::Fault);
    }

    #[test]
    fn tags_that_are_taken_off_are_a_fault() {
        let settings = settings("");
        let mut case = whole(&settings);
        case.arms[0].hides_vlans = true;
        assert_eq!(
            check(&case).findings[0].mend,
            ["ethtool -K eth0 rxvlan off"]
        );
    }
}
