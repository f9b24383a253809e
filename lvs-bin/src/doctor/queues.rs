//! Do the interfaces have a queue for every worker?

use super::case::Case;
use super::report::Check;

pub(super) fn check(case: &Case<'_>) -> Check {
    let mut check = Check::new("queues");
    let Some(fewest) = case.arms.iter().min_by_key(|arm| arm.nic.queues) else {
        return check;
    };
    let (name, queues) = (fewest.name(), fewest.nic.queues as usize);
    let Some(workers) = case.workers() else {
        let wanted = case.settings.director.workers.unwrap_or(0);
        let what = format!(
            "workers = {wanted}, but {name} has {queues} and each worker needs one of its own, \
             so that lvs does not start."
        );
        let mend = format!("ethtool -L {name} combined {wanted}   # or rx {wanted} tx {wanted}");
        check.fault(what, [mend]);
        return check;
    };
    let processors = case.machine.processors.len();
    let most = fewest.setup.most_queues.unwrap_or(0) as usize;
    let could_be = most.min(processors);
    if case.settings.director.workers.is_none() && !case.is_packet() && could_be > queues {
        let what = format!(
            "{name} uses {queues} of {most} queues, so there will be {workers} of {could_be} \
             possible workers."
        );
        let mend =
            format!("ethtool -L {name} combined {could_be}   # or rx {could_be} tx {could_be}");
        check.warn(what, [mend]);
    }
    for arm in &case.arms {
        let has = arm.nic.queues as usize;
        if !case.is_packet() && has > workers && !has.is_multiple_of(workers) {
            let what = format!(
                "{}'s {has} queues do not divide evenly among {workers} workers, so some get \
                 more of the packets than others.",
                arm.name()
            );
            let mend = format!(
                "ethtool -L {} combined {workers}   # or rx {workers} tx {workers}",
                arm.name()
            );
            check.warn(what, [mend]);
        }
    }
    check.remark(format!(
        "{workers} {}, on {processors} {}.",
        plural(workers, "worker"),
        plural(processors, "processor")
    ));
    check
}

fn plural(count: usize, what: &str) -> String {
    match count {
        1 => what.to_owned(),
        _ => format!("{what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::example::{settings, whole};

    /// What is said with so many queues in use of 8, for these workers.
    fn said(queues: u32, workers: &str) -> Vec<String> {
        let settings = settings(workers);
        let mut case = whole(&settings);
        case.arms[0].nic.queues = queues;
        let found = check(&case).findings.into_iter();
        found.map(|finding| finding.mend.join("\n")).collect()
    }

    #[test]
    fn as_many_queues_as_workers_are_well() {
        assert_eq!(said(2, "workers = 2"), [""; 0]);
        assert_eq!(said(4, "workers = 2"), [""; 0], "two each");
    }

    #[test]
    fn too_few_queues_and_uneven_ones_are_told() {
        let more = "ethtool -L eth0 combined 3   # or rx 3 tx 3";
        assert_eq!(said(2, "workers = 3"), [more]);
        assert_eq!(said(5, "workers = 3"), [more]);
    }

    #[test]
    fn queues_that_could_be_are_told_where_workers_are_not_counted() {
        let settings = settings("");
        let mut case = whole(&settings);
        case.arms[0].nic.queues = 1;
        assert!(check(&case).findings[0].what.contains("uses 1 of 8"));
        case.arms[0].setup.most_queues = Some(1);
        assert_eq!(check(&case).findings, []);
    }
}
