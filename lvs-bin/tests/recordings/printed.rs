//! Runs the tool and reads the kernel's files, and compares what is printed.

use lvs::ipvsadm::{self, Control, NameFiles, Output, proc};

use crate::differences;
use crate::director::Director;
use crate::listing::{self, Form, TimeLeft};
use crate::program;
use crate::scenario::Printed;

/// Runs a command line of `ipvsadm` and compares exit status, standard output
/// and standard error output with what was recorded.
///
/// *Errors:* what differs.
pub(crate) fn run(
    director: &mut Director<'_>,
    line: &str,
    stdin: &str,
    recorded: &Printed,
) -> Result<(), String> {
    if counts(line) {
        look(director, |director| once(director, line, stdin, recorded))?;
    } else {
        once(director, line, stdin, recorded)?;
    }
    if !lists(line) {
        return Ok(());
    }
    // The program was not asked as often as the library.
    let by_library = by_library(director, line, stdin);
    match program::output(director, &words(line), stdin) {
        Some(by_program) if by_program != by_library => Err(format!(
            "the library's {by_library:?}, but the program's {by_program:?}"
        )),
        _ => Ok(()),
    }
}

/// Saves the services, restores them, and saves again.
///
/// *Errors:* what is not as before.
pub(crate) fn restore_what_is_saved(director: &mut Director<'_>) -> Result<(), String> {
    let mut ran = |line: &str, stdin: &str| {
        let output = output(director, line, stdin);
        match (output.status, output.stderr.as_str()) {
            (0, "") => Ok(output.stdout),
            (status, said) => Err(format!("{line} ends with {status}, says {said:?}")),
        }
    };
    let saved = ran("ipvsadm -S -n", "")?;
    if saved.contains(" -f -") {
        // Of marks above 2147483647 the tool cannot read what it writes.
        return Ok(());
    }
    ran("ipvsadm -C", "")?;
    ran("ipvsadm -R", &saved)?;
    let again = ran("ipvsadm -S -n", "")?;
    // Real servers of both families have no order among them.
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    if sorted(&saved) == sorted(&again) {
        return Ok(());
    }
    let differs = differences::lines(&saved, &again);
    Err(format!("restored from what was saved:\n{differs}"))
}

/// Reads one of the kernel's files and compares it. That of applications is not
/// compared, as there are none.
///
/// *Errors:* what differs.
pub(crate) fn read(director: &mut Director<'_>, path: &str, recorded: &str) -> Result<(), String> {
    let text = |director: &Director<'_>| match path.strip_prefix(FILES) {
        Some("ip_vs") => proc::services(&director.services(), director.table_size(), TICKS),
        Some("ip_vs_conn") => proc::connections(&director.connections()),
        Some("ip_vs_conn_sync") => proc::connections_by_origin(&director.connections()),
        Some("ip_vs_stats") => {
            let (traffic, rates) = director.total();
            proc::stats(&traffic, &rates)
        }
        Some("ip_vs_stats_percpu") => {
            let (traffic, rates) = director.total();
            proc::stats_by_processor(&[director.counted()], &traffic, &rates)
        }
        Some("ip_vs_app") => recorded.to_string(),
        _ => format!("the file {path}\n"),
    };
    look(director, |director| {
        let unsorted = path.ends_with("ip_vs");
        let text = agreed(director, recorded, unsorted, |director| text(director));
        if text == recorded {
            return Ok(());
        }
        Err(differences::lines(recorded, &text))
    })
}

/// Runs a command line and compares, by the moment that counters are looked at.
fn once(
    director: &mut Director<'_>,
    line: &str,
    stdin: &str,
    recorded: &Printed,
) -> Result<(), String> {
    let mut output = output(director, line, stdin);
    let is_listing = Form::of(&output.stdout).is_some();
    if is_listing || line.contains("--nosort") {
        // The output again, with another time left.
        let unsorted = !is_listing;
        output.stdout = agreed(director, &recorded.stdout, unsorted, |director| {
            self::output(director, line, stdin).stdout
        });
    }
    let mut text = String::new();
    let varies = |name: &str| recorded.varies.iter().any(|it| it == name);
    if recorded.status != i64::from(output.status) && !varies("rc") {
        text += &format!(
            "exit status {} recorded, {} got\n",
            recorded.status, output.status
        );
    }
    if recorded.stdout != output.stdout && !varies("stdout") {
        text += &differences::lines(&recorded.stdout, &output.stdout);
    }
    match &recorded.stderr {
        Some(stderr) if *stderr != output.stderr && !varies("stderr") => {
            text += "standard error output:\n";
            text += &differences::lines(stderr, &output.stderr);
        }
        _ => {}
    }
    if text.is_empty() { Ok(()) } else { Err(text) }
}

/// What a command line prints. What lists has changed nothing, and is asked
/// often.
fn output(director: &mut Director<'_>, line: &str, stdin: &str) -> Output {
    if lists(line) {
        return by_library(director, line, stdin);
    }
    program::output(director, &words(line), stdin)
        .unwrap_or_else(|| by_library(director, line, stdin))
}

/// What the library prints.
fn by_library(director: &mut Director<'_>, line: &str, stdin: &str) -> Output {
    let names = NameFiles::new(HOSTS, SERVICES);
    ipvsadm::main_with(&words(line), &mut stdin.as_bytes(), director, &names)
}

/// The words after the program's name.
fn words(line: &str) -> Vec<String> {
    // The script is the tool by another name.
    let line = line.replace("ipvsadm-save", "ipvsadm -S");
    line.split_whitespace().skip(1).map(str::to_owned).collect()
}

/// Whether a command line only lists.
fn lists(line: &str) -> bool {
    let first = words(line).into_iter().next().unwrap_or_default();
    let lists = ["-L", "-l", "--list", "-S", "--save"];
    first.is_empty() || lists.iter().any(|list| first.starts_with(list))
}

/// A listing with what may differ as it was recorded.
fn agreed(
    director: &mut Director<'_>,
    recorded: &str,
    unsorted: bool,
    mut text: impl FnMut(&mut Director<'_>) -> String,
) -> String {
    let most = text(director);
    match Form::of(recorded) {
        Some(form) if Form::of(&most).is_some() => {
            director.shown = TimeLeft::Least;
            let least = text(director);
            director.shown = TimeLeft::Most;
            listing::connections(recorded, form, &most, &least)
        }
        _ if unsorted => listing::services(recorded, &most),
        _ => most,
    }
}

/// Compares by every moment at which the counters may have been looked at, and
/// leaves those that explain what was recorded.
///
/// *Errors:* none does; what differs by the one that comes nearest.
fn look(
    director: &mut Director<'_>,
    mut compare: impl FnMut(&mut Director<'_>) -> Result<(), String>,
) -> Result<(), String> {
    let (mut fitting, mut differences) = (Vec::new(), Vec::new());
    for moment in director.counters.moments() {
        director.counters.go_by(moment);
        match compare(director) {
            Ok(()) => fitting.push(moment),
            Err(why) => differences.push(why),
        }
    }
    if fitting.is_empty() {
        return Err(differences.into_iter().min_by_key(String::len).unwrap());
    }
    director.counters.leave(&fitting);
    Ok(())
}

/// Whether a command line lists counters.
fn counts(line: &str) -> bool {
    line.contains("--stats") || line.contains("--rate")
}

/// Where the kernel's files are.
const FILES: &str = "/proc/net/";
/// The kernel's ticks in a second.
const TICKS: u64 = 100;
/// The names the recorded machine knew.
pub(crate) const HOSTS: &str = "127.0.0.1 localhost\n";
pub(crate) const SERVICES: &str = "domain 53/tcp\ndomain 53/udp\nhttp 80/tcp\nhttps 443/tcp\nhttps 443/udp\n\
    sip 5060/tcp\nsip 5060/udp\nhttp-alt 8080/tcp\n";
