//! Goes through a scenario step by step and compares.

use lvs_core::{Instant, Line, Port, Shard, Verdict};

use crate::command::{self, Command};
use crate::director::Director;
use crate::frame;
use crate::host;
use crate::listing;
use crate::scenario::{Act, Scenario, Sent, Step};

/// What came of a scenario.
pub(crate) enum Outcome {
    Passed,
    /// Something was not as recorded.
    Failed(String),
    /// It needs this feature.
    NotYet(String),
}

/// Plays a scenario.
pub(crate) fn play(scenario: &Scenario) -> Outcome {
    if let Some(feature) = missing(scenario) {
        return Outcome::NotYet(feature);
    }
    let mut memory: Vec<Line> = vec![[0; 8]; Shard::memory_for(4096)];
    let mut director = Director::new(&mut memory);
    for line in &scenario.setup {
        let done = command::parse(line).and_then(|command| director.carry_out(command));
        if let Err(feature) = done {
            return Outcome::NotYet(feature);
        }
    }
    for step in &scenario.steps {
        match play_step(step, &mut director) {
            Outcome::Passed => {}
            Outcome::Failed(why) => return Outcome::Failed(format!("at {} s: {why}", step.at)),
            not_yet @ Outcome::NotYet(_) => return not_yet,
        }
    }
    Outcome::Passed
}

/// A feature a scenario needs that is not built yet.
fn missing(scenario: &Scenario) -> Option<String> {
    let setting = |(name, value): (&String, &String)| {
        let name = name.rsplit('.').next().unwrap();
        let default = DEFAULTS.contains(&(name, value.as_str()));
        (!default).then(|| format!("{name}={value}"))
    };
    let commands = scenario.steps.iter().filter_map(|step| match &step.act {
        Act::Run { command, .. } => Some(command),
        _ => None,
    });
    let frames = scenario.steps.iter().flat_map(|step| {
        let sent = match &step.act {
            Act::Send { frame, .. } => Some(frame),
            _ => None,
        };
        sent.into_iter()
            .chain(step.out.iter().map(|sent| &sent.frame))
    });
    let unbuilt = |frame: &Vec<u8>| match frame::protocol(frame) {
        _ if frame::is_fragment(frame) => Some("fragments".to_string()),
        Some(frame::ESP | frame::AH) => Some("ESP and AH".to_string()),
        _ => None,
    };
    let mut setup = scenario.setup.iter().chain(commands);
    setup
        .find_map(|line| command::parse(line).err())
        .or_else(|| scenario.sysctls.iter().find_map(setting))
        .or_else(|| { frames }.find_map(unbuilt))
}

fn play_step(step: &Step, director: &mut Director<'_>) -> Outcome {
    let now = Instant::from_nanoseconds(((START + step.at) * 1e9) as u64);
    director.shard.expire(now, u32::MAX);
    let compared = match &step.act {
        Act::Send {
            port,
            frame,
            times,
            quiet,
        } => {
            let mut out = Vec::new();
            for _ in 0..*times {
                match send(director, now, *port, frame) {
                    Ok(sent) => out.extend(sent),
                    Err(why) => return Outcome::Failed(why),
                }
            }
            if *quiet {
                Ok(())
            } else {
                compare(&step.out, &out)
            }
        }
        Act::Run {
            command,
            printed,
            status,
        } => {
            assert_eq!(*status, 0, "{command}");
            match run(command, printed, director, now) {
                Ok(compared) => compared,
                Err(feature) => return Outcome::NotYet(feature),
            }
        }
        Act::Wait | Act::Read => compare(&step.out, &[]),
        Act::Other(op) => return Outcome::NotYet(format!("the step {op}")),
    };
    compared.map_or_else(Outcome::Failed, |()| Outcome::Passed)
}

/// Sends a frame through the director, and its host where it leaves it to that.
fn send(
    director: &mut Director<'_>,
    now: Instant,
    port: Port,
    frame: &[u8],
) -> Result<Vec<(Port, Vec<u8>)>, String> {
    let (verdict, bytes) = director.receive(now, port, frame);
    match verdict {
        Verdict::Transmit(port) => Ok(vec![(port, bytes)]),
        Verdict::Drop(_) => Ok(vec![]),
        Verdict::Handoff(to) => Err(format!("handed to {to:?}, though there is one shard")),
        Verdict::Host if !frame.starts_with(&bytes) => {
            Err(format!("left to the host changed: {}", hexadecimal(&bytes)))
        }
        Verdict::Host => Ok(host::receive(&director.network, port, &bytes)),
    }
}

/// Runs a command and compares what it prints.
fn run(
    line: &str,
    printed: &str,
    director: &mut Director<'_>,
    now: Instant,
) -> Result<Result<(), String>, String> {
    Ok(match command::parse(line)? {
        Command::ListConnections => listing::connections(printed, director, now),
        Command::ListServices => listing::services(printed, director),
        Command::ListTimeouts => listing::timeouts(printed, director),
        Command::ListTraffic => listing::traffic(printed, director),
        command => Ok(director.carry_out(command)?),
    })
}

/// Compares frames that came out, but for the bytes that vary.
fn compare(recorded: &[Sent], out: &[(Port, Vec<u8>)]) -> Result<(), String> {
    let texts: Vec<&str> = recorded.iter().map(|sent| sent.text.as_str()).collect();
    if recorded.len() != out.len() {
        let out: Vec<String> = out.iter().map(|(_, frame)| hexadecimal(frame)).collect();
        return Err(format!("recorded {texts:#?}, but got {out:#?}"));
    }
    for (sent, (port, frame)) in recorded.iter().zip(out) {
        let varies = |place: usize| sent.vary.iter().any(|range| range.contains(&place));
        let same = sent.port == *port
            && sent.frame.len() == frame.len()
            && (0..frame.len()).all(|place| sent.frame[place] == frame[place] || varies(place));
        if !same || !frame::ip_checksum_fits(frame) {
            let differ: Vec<usize> = (0..frame.len().min(sent.frame.len()))
                .filter(|place| sent.frame[*place] != frame[*place] && !varies(*place))
                .collect();
            return Err(format!(
                "recorded {} by {:?}\n{}\nbut got by {port:?}\n{}\ndiffering at {differ:?}",
                sent.text,
                sent.port,
                hexadecimal(&sent.frame),
                hexadecimal(frame),
            ));
        }
    }
    Ok(())
}

fn hexadecimal(frame: &[u8]) -> String {
    frame.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Seconds on the clock at the first step.
const START: f64 = 1000.0;

/// Settings of the kernel's that a director has built in.
const DEFAULTS: [(&str, &str); 13] = [
    ("backup_only", "0"),
    ("cache_bypass", "0"),
    ("conn_reuse_mode", "1"),
    ("expire_nodest_conn", "0"),
    ("ignore_tunneled", "0"),
    ("ip_forward", "1"),
    ("nat_icmp_send", "0"),
    ("pmtu_disc", "1"),
    ("run_estimation", "1"),
    ("schedule_icmp", "0"),
    ("secure_tcp", "0"),
    ("sloppy_tcp", "0"),
    ("snat_reroute", "1"),
];
