//! Is there memory to lock, and in huge pages?

use lvs_core::{Line, Shard};

use super::arm::Arm;
use super::case::Case;
use super::report::Check;

pub(super) fn check(case: &Case<'_>) -> Check {
    let mut check = Check::new("memory");
    let Some(workers) = case.workers() else {
        return check;
    };
    let options = case.settings.director.options();
    let packets = match case.is_packet() {
        true => 0,
        false => options.packet_memory(&case.nics()).unwrap_or(0),
    };
    may_lock(case, packets, &mut check);
    let each = case.settings.director.connections.div_ceil(workers);
    let table = (Shard::memory_for(each) * size_of::<Line>() * workers) as u64;
    in_huge_pages(case, packets, table, &mut check);
    check
}

fn may_lock(case: &Case<'_>, packets: u64, check: &mut Check) {
    let Some(limit) = case.machine.may_lock.filter(|limit| *limit < packets) else {
        return;
    };
    let what = format!(
        "This process may lock {} of memory, and packets need {}: AF_XDP will be refused. (Of \
         what service files or other users may, this says nothing.)",
        bytes(limit),
        bytes(packets)
    );
    let mends = [
        "ulimit -l unlimited   # in a unit of systemd: LimitMEMLOCK=infinity".to_owned(),
        "setcap cap_net_admin,cap_net_raw,cap_bpf,cap_ipc_lock+ep $(command -v lvs)".to_owned(),
    ];
    check.fault(what, mends);
}

fn in_huge_pages(case: &Case<'_>, packets: u64, table: u64, check: &mut Check) {
    let pages = case.machine.huge_pages;
    if pages.size == 0 {
        return check.remark("This kernel has no huge pages.".to_owned());
    }
    let needed = (packets + table).div_ceil(pages.size);
    // Those of the director that is running are not free any more.
    let (has, all) = match case.arms.iter().any(Arm::is_ours) {
        true => (pages.total, needed),
        false => (pages.free, pages.total + needed.saturating_sub(pages.free)),
    };
    if has < needed {
        let what = format!(
            "Packets ({}) and connections ({}) would lie in {needed} huge pages, of which {has} \
             are there. lvs works without; each packet then costs more looks at page tables.",
            bytes(packets),
            bytes(table)
        );
        check.warn(what, [format!("sysctl -w vm.nr_hugepages={all}")]);
    }
}

fn bytes(count: u64) -> String {
    match count.div_ceil(1 << 20) {
        0 => "0 MB".to_owned(),
        megabytes => format!("{megabytes} MB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::example::{settings, whole};
    use crate::doctor::report::Severity;

    #[test]
    fn too_little_to_lock_is_a_fault() {
        let settings = settings("");
        let mut case = whole(&settings);
        assert_eq!(check(&case).findings, []);
        case.machine.may_lock = Some(8 << 20);
        let found = check(&case);
        assert_eq!(found.severity(), Severity::Fault);
        assert!(
            found.findings[0].what.contains("may lock 8 MB"),
            "{found:?}"
        );
        case.machine.may_lock = Some(1 << 40);
        assert_eq!(check(&case).findings, []);
    }

    #[test]
    fn packet_sockets_lock_nothing() {
        let settings = settings("mode = \"packet\"");
        let mut case = whole(&settings);
        case.machine.may_lock = Some(8 << 20);
        assert_eq!(check(&case).findings, []);
    }

    #[test]
    fn as_many_huge_pages_are_asked_for_as_are_needed() {
        let settings = settings("workers = 1\nconnections = 1000");
        let mut case = whole(&settings);
        case.machine.huge_pages.free = 2;
        case.machine.huge_pages.total = 100;
        // Four queues of one worker are 68 MB, its connections less than one.
        assert_eq!(
            check(&case).findings[0].mend,
            ["sysctl -w vm.nr_hugepages=133"]
        );
        case.arms[0].owner = Some(lvs_io::Owner::Process {
            number: 1,
            name: "lvs".to_owned(),
        });
        assert_eq!(check(&case).findings, [], "its own are in use");
    }
}
