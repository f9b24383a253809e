//! The alerts and the dashboard below `monitoring/`: that they ask for what is
//! served, and that alerts are raised by what should raise them.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use super::{page, promtool};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/monitoring/");
const ALERTS: &str = include_str!("../../../monitoring/alerts.yml");
const ALERT_TESTS: &str = include_str!("../../../monitoring/alerts.test.yml");
const DASHBOARD: &str = include_str!("../../../monitoring/dashboard.json");

/// What the dashboard asks for: panels and variables.
fn queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let list = |of: &Value, name: &str| of[name].as_array().cloned().unwrap_or_default();
    let targets = list(&dashboard, "panels").into_iter();
    let targets = targets.flat_map(|panel| list(&panel, "targets"));
    let panels = targets.map(|target| target["expr"].as_str().unwrap().to_owned());
    panels.collect()
}

/// What the choices at its head are taken from.
fn choices() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let all = dashboard["templating"]["list"].as_array().unwrap().clone();
    let definitions = all.iter().filter_map(|one| one["definition"].as_str());
    definitions.map(str::to_owned).collect()
}

/// The metrics that `text` names, and what each is narrowed to in braces.
fn named(text: &str) -> Vec<(&str, &str)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts = text.match_indices("lvs_").map(|(at, _)| at);
    let starts = starts.filter(|at| !text[..*at].ends_with(is_name));
    starts
        .map(|at| {
            let rest = &text[at..];
            let name = &rest[..rest.find(|c| !is_name(c)).unwrap_or(rest.len())];
            let braces = rest[name.len()..].strip_prefix('{');
            let inside = braces.and_then(|braces| braces.split_once('}'));
            (name, inside.map_or("", |(inside, _)| inside))
        })
        .collect()
}

/// Whether the page has the metric, and each label and value it is narrowed to.
fn check(name: &str, narrowed: &str, page: &str) {
    let begin = [format!("{name}{{"), format!("{name} ")];
    let is_it = |line: &&str| begin.iter().any(|begin| line.starts_with(begin));
    let series: Vec<_> = page.lines().filter(is_it).collect();
    assert!(!series.is_empty(), "{name} is not served");
    for matcher in narrowed.split(',').filter(|matcher| !matcher.is_empty()) {
        let (label, value) = matcher.split_once('=').unwrap();
        let (label, value) = (label.trim_end_matches('!'), value.trim_start_matches('~'));
        // Given by Prometheus to all it scrapes.
        if matches!(label, "job" | "instance") {
            continue;
        }
        let has = |part: &str| series.iter().any(|line| line.contains(part));
        assert!(has(&format!("{label}=\"")), "{name} has no {label}");
        for value in value.trim_matches('"').split('|') {
            let part = format!("{label}=\"{value}\"");
            assert!(value.starts_with('$') || has(&part), "{name} has no {part}");
        }
    }
}

#[test]
fn what_they_ask_for_is_served() {
    let page = page();
    let (queries, choices) = (queries(), choices());
    assert!(queries.len() > 40 && choices.len() == 3);
    for text in queries
        .iter()
        .chain(&choices)
        .map(String::as_str)
        .chain([ALERTS])
    {
        for (name, narrowed) in named(text) {
            check(name, narrowed, &page);
        }
    }
}

#[test]
fn every_alert_has_a_test() {
    let alerts = ALERTS
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let tested = ALERT_TESTS.split("alertname: ").skip(1);
    let tested = tested.map(|rest| rest.split([',', '\n']).next().unwrap());
    let raised = ALERT_TESTS.split("alertname: ").skip(1);
    let raised = raised.filter(|rest| rest.contains("- exp_labels:")).count();
    let (alerts, tested): (BTreeSet<_>, BTreeSet<_>) = (alerts.collect(), tested.collect());
    assert!(alerts.len() > 5);
    assert_eq!(alerts, tested);
    assert!(raised >= alerts.len(), "{raised}");
}

#[test]
fn alerts_are_raised_by_what_should_raise_them() {
    for words in [
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts.test.yml"],
    ] {
        let file = format!("{FOLDER}{}", words[2]);
        let Some((is_well, said)) = promtool(&[words[0], words[1], &file], "") else {
            return;
        };
        assert!(is_well && said.contains("SUCCESS"), "{words:?}: {said}");
    }
}

/// Prometheus reads what the dashboard asks for, once its variables are filled in.
#[test]
fn the_dashboards_queries_can_be_read() {
    let rules: Vec<_> = queries()
        .iter()
        .enumerate()
        .map(|(number, query)| {
            let query = query.replace("$__rate_interval", "5m");
            json!({ "record": format!("query:{number}"), "expr": query })
        })
        .collect();
    let count = rules.len();
    let file = std::env::temp_dir().join(format!("lvs-dashboard-{}.yml", std::process::id()));
    // JSON is YAML.
    let text = json!({ "groups": [{ "name": "dashboard", "rules": rules }] });
    fs::write(&file, text.to_string()).unwrap();
    let checked = promtool(&["check", "rules", file.to_str().unwrap()], "");
    fs::remove_file(&file).unwrap();
    let Some((is_well, said)) = checked else {
        return;
    };
    assert!(
        is_well && said.contains(&format!("{count} rules found")),
        "{said}"
    );
}
