//! Does every worker have a processor of its own, near its NICs?

use super::case::Case;
use super::report::{Check, Severity};

pub(super) fn check(case: &Case<'_>) -> Check {
    let mut check = Check::new("processors");
    let Some(workers) = case.workers() else {
        return check;
    };
    let processors = &case.machine.processors;
    if processors.len() < workers {
        let what = format!(
            "{workers} workers share the {} that this process may use; each then waits for \
             another's turn.",
            match processors.len() {
                1 => "one processor".to_owned(),
                count => format!("{count} processors"),
            }
        );
        let write = format!("workers = {}", processors.len().max(1));
        check.reconfigure(Severity::Warning, what, write);
    }
    let used: Vec<usize> = processors.iter().copied().take(workers).collect();
    for arm in case.arms.iter().filter(|_| case.machine.nodes.len() > 1) {
        let Some(near) = arm.node.and_then(|node| case.machine.nodes.get(&node)) else {
            continue;
        };
        let far: Vec<String> = used
            .iter()
            .filter(|processor| case.machine.node_of(**processor) != arm.node)
            .map(usize::to_string)
            .collect();
        if !far.is_empty() {
            let list: Vec<String> = near.iter().map(usize::to_string).collect();
            let what = format!(
                "{} is plugged into NUMA node {}, but workers will run on processors {} of \
                 another: each packet crosses the machine.",
                arm.name(),
                arm.node.unwrap_or(0),
                far.join(", ")
            );
            check.warn(what, [format!("taskset -c {} lvs run", list.join(","))]);
        }
    }
    check
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::example::{settings, whole};

    #[test]
    fn workers_that_share_a_processor_are_told() {
        let settings = settings("workers = 4");
        let mut case = whole(&settings);
        assert_eq!(check(&case).findings, []);
        case.machine.processors = vec![2];
        let found = check(&case).findings;
        assert!(found[0].what.contains("4 workers share the one processor"));
        assert_eq!(found[0].configure.as_deref(), Some("workers = 1"));
    }

    #[test]
    fn workers_far_from_their_nic_are_told() {
        let settings = settings("workers = 2");
        let mut case = whole(&settings);
        case.machine.nodes = [(0, vec![0, 1]), (1, vec![2, 3])].into();
        case.arms[0].node = Some(0);
        assert_eq!(check(&case).findings, []);
        case.arms[0].node = Some(1);
        let found = check(&case).findings;
        assert_eq!(found[0].mend, ["taskset -c 2,3 lvs run"]);
        assert!(found[0].what.contains("processors 0, 1 of another"));
    }
}
