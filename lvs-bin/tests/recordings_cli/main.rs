//! Runs every command of the recordings of Linux IPVS (kernel 6.12.117,
//! ipvsadm 1.31) by this crate's `ipvsadm`: exit status and standard error
//! output must be as recorded, in the groups `cli` and `stats` also all that
//! was printed, to the byte.
//!
//! Not compared: the order of services where the kernel's hashing makes it, and
//! that of connections. Connections and their counts are the recording's own;
//! here it is how they are listed that is tested. The other tests of recordings
//! compare what there is.

mod desk;
mod scenario;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

use desk::{Desk, PHASES};
use lvs::ipvsadm::{self, Connection, Control, NameFiles, Output, proc};
use lvs_core::{Line, Protocol, Scheduler, Setting, Shard};
use scenario::{Act, Scenario};

/// Groups in which all that was printed is compared.
const WHOLE: [&str; 2] = ["cli", "stats"];

#[test]
fn every_command_ends_as_recorded() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let folder = env::var_os("LVS_RECORDINGS").map_or(own, PathBuf::from);
    let (mut played, mut wrong) = (0, Vec::new());
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|kind| kind != "xz") {
            continue;
        }
        for scenario in scenario::read(&fs::read(&path).unwrap()) {
            if waits_for_a_scheduler(&scenario) {
                continue;
            }
            played += 1;
            if let Err(why) = play(&scenario) {
                wrong.push(why);
            }
        }
    }
    assert!(played > 0, "no recordings");
    assert!(
        wrong.is_empty(),
        "{} of {played}:\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
}

/// Whether a scheduler is added that the core does not have.
fn waits_for_a_scheduler(scenario: &Scenario) -> bool {
    let run = scenario.steps.iter().filter_map(|step| match &step.act {
        Act::Run { command, .. } => Some(command),
        _ => None,
    });
    let mut lines = scenario.setup.iter().chain(run);
    lines.any(|line| {
        let name = line
            .split_once(" -s ")
            .and_then(|(_, rest)| rest.split(' ').next());
        name.is_some_and(|name| KERNEL.contains(&name) && Scheduler::named(name).is_none())
    })
}

/// The kernel's schedulers.
const KERNEL: [&str; 14] = [
    "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos",
];

/// Plays a scenario.
fn play(scenario: &Scenario) -> Result<(), String> {
    let mut memory: Vec<Line> = vec![[0; 8]; Shard::memory_for(65536)];
    let mut desk = Desk::new(&mut memory);
    let name = &scenario.name;
    let whole = WHOLE.contains(&name.split('/').next().unwrap());
    for (setting, value) in scenario.sysctls.iter().filter(|_| whole) {
        let setting = Setting::named(setting.rsplit('.').next().unwrap()).unwrap();
        let value = value.parse().unwrap();
        desk.table.draft_mut().settings.set(setting, value).unwrap();
    }
    for line in scenario
        .setup
        .iter()
        .filter_map(|line| line.strip_prefix("ipvsadm"))
    {
        let output = run(&mut desk, line, "");
        if output != Output::default() {
            return Err(format!("{name}: {line}: {output:?}"));
        }
    }
    desk.connections = recorded_connections(scenario);
    let mut phases: BTreeSet<usize> = (0..PHASES).collect();
    for step in &scenario.steps {
        if whole {
            desk.tick_until(step.at);
        }
        let told = match &step.act {
            Act::Send { frame, side, times } if whole => {
                for _ in 0..*times {
                    desk.receive(step.at, *side, frame);
                }
                Ok(())
            }
            Act::Run { .. } => run_step(&mut desk, &step.act, whole, &mut phases),
            Act::Read { path, text } if whole => read(&mut desk, path, text, &mut phases),
            _ => Ok(()),
        };
        told.map_err(|why| format!("{name} at {} s: {why}", step.at))?;
    }
    Ok(())
}

/// Runs a command and compares what became of it.
fn run_step(
    desk: &mut Desk<'_>,
    act: &Act,
    whole: bool,
    phases: &mut BTreeSet<usize>,
) -> Result<(), String> {
    let Act::Run {
        command,
        stdin,
        stdout,
        stderr,
        status,
    } = act
    else {
        return Ok(());
    };
    let Some(line) = command.strip_prefix("ipvsadm") else {
        return Ok(());
    };
    // The script is the tool by another name.
    let line = line.replace("-save", " -S");
    let first = line.split_whitespace().next().unwrap_or("-L");
    let saves = first.starts_with("-S");
    let lists = saves || first.starts_with("-L") || first == "-l";
    let recorded = Output {
        stdout: stdout.clone(),
        stderr: stderr.clone(),
        status: *status as u8,
    };
    if lists && (whole || saves) {
        let unordered = line.contains("--nosort") || first.contains('c');
        return look(desk, phases, &recorded.stdout, |desk| {
            let output = run(desk, &line, stdin);
            let same = (output.status, &output.stderr) == (recorded.status, &recorded.stderr);
            if unordered {
                (
                    same && blocks(&output.stdout) == blocks(stdout),
                    output.stdout,
                )
            } else {
                (same && output.stdout == *stdout, output.stdout)
            }
        })
        .map_err(|why| format!("{command}: {why}"));
    }
    let mut output = run(desk, &line, stdin);
    if !whole {
        output.stdout.clone_from(stdout);
    }
    if output == recorded {
        return Ok(());
    }
    Err(format!("{command}: recorded {recorded:?}, got {output:?}"))
}

/// Reads one of the kernel's files and compares it.
fn read(
    desk: &mut Desk<'_>,
    path: &str,
    text: &str,
    phases: &mut BTreeSet<usize>,
) -> Result<(), String> {
    let printed = |desk: &mut Desk<'_>| match path {
        "/proc/net/ip_vs" => Some(proc::services(&desk.services(), desk.table_size(), 100)),
        "/proc/net/ip_vs_conn" => Some(proc::connections(&desk.connections())),
        "/proc/net/ip_vs_conn_sync" => Some(proc::connections_by_origin(&desk.connections())),
        "/proc/net/ip_vs_stats" => {
            let (traffic, rates) = desk.total();
            Some(proc::stats(&traffic, &rates))
        }
        _ => None,
    };
    if printed(desk).is_none() {
        return Ok(());
    }
    look(desk, phases, text, |desk| {
        let printed = printed(desk).unwrap_or_default();
        (blocks(&printed) == blocks(text), printed)
    })
    .map_err(|why| format!("{path}: {why}"))
}

/// Looks at every moment at which the kernel may have counted, and keeps those
/// that explain what was recorded.
fn look(
    desk: &mut Desk<'_>,
    phases: &mut BTreeSet<usize>,
    recorded: &str,
    mut look: impl FnMut(&mut Desk<'_>) -> (bool, String),
) -> Result<(), String> {
    let mut last = String::new();
    phases.retain(|phase| {
        desk.phase = *phase;
        let (same, printed) = look(desk);
        last = printed;
        same
    });
    if phases.is_empty() {
        return Err(format!("recorded\n{recorded}\nbut got\n{last}"));
    }
    Ok(())
}

fn run(desk: &mut Desk<'_>, line: &str, stdin: &str) -> Output {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let names = NameFiles::new(
        "127.0.0.1 localhost\n",
        "http 80/tcp\nhttps 443/tcp\ndomain 53/udp\nsip 5060/udp\n",
    );
    ipvsadm::main_with(&words, &mut stdin.as_bytes(), desk, &names)
}

/// Lines in blocks of a service and its real servers, in no order.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks: Vec<String> = Vec::new();
    for line in text.lines() {
        match blocks.last_mut() {
            Some(block) if line.starts_with("  ->") => {
                block.push('\n');
                block.push_str(line);
            }
            _ => blocks.push(line.to_owned()),
        }
    }
    blocks.sort();
    blocks
}

/// The connections the kernel's file had last.
fn recorded_connections(scenario: &Scenario) -> Vec<Connection> {
    let read = scenario
        .steps
        .iter()
        .rev()
        .find_map(|step| match &step.act {
            Act::Read { path, text } if path == "/proc/net/ip_vs_conn" => Some(text),
            _ => None,
        });
    let lines = read.map_or("", String::as_str).lines().skip(1);
    lines.map(connection).collect()
}

fn connection(line: &str) -> Connection {
    let words: Vec<&str> = line.split_whitespace().collect();
    let end = |at: usize| {
        let port = u16::from_str_radix(words[at + 1], 16).unwrap();
        let v4 = || u32::from_str_radix(words[at], 16).unwrap().into();
        let address = words[at]
            .parse()
            .unwrap_or_else(|_| std::net::IpAddr::V4(v4()));
        std::net::SocketAddr::new(address, port)
    };
    let states = ["SYN_RECV", "ESTABLISHED", "INIT1", "NONE"];
    Connection {
        protocol: [Protocol::Tcp, Protocol::Udp, Protocol::Sctp]
            .into_iter()
            .find(|protocol| protocol.to_string() == words[0]),
        client: end(1),
        service: end(3),
        destination: end(5),
        state: states
            .into_iter()
            .find(|state| *state == words[7])
            .unwrap_or(""),
        expires: words[8].parse().unwrap(),
        engine: None,
        synced: false,
    }
}
