//! Goes through a scenario step by step and compares.

use lvs_core::{Instant, Line, Port, Shard, Verdict};

use crate::command::{self, Command};
use crate::director::Director;
use crate::frame;
use crate::host;
use crate::listing;
use crate::scenario::{Act, Scenario, Sent, Step};

/// Plays a scenario.
///
/// *Errors:* what was not as recorded, or not understood.
pub(crate) fn play(scenario: &Scenario) -> Result<(), String> {
    let mut memory: Vec<Line> = vec![[0; 8]; Shard::memory_for(4096)];
    let mut director = Director::new(&mut memory);
    for (name, value) in &scenario.sysctls {
        director.set(name, value)?;
    }
    for line in &scenario.setup {
        command::parse(line).and_then(|command| director.carry_out(command))?;
    }
    let mut before = 0.0;
    for (number, step) in (1..).zip(&scenario.steps) {
        expire(&mut director, before, step.at);
        before = step.at;
        play_step(step, &mut director, scenario.slack)
            .map_err(|why| format!("step {number} ({}), at {} s: {why}", step.act, step.at))?;
    }
    Ok(())
}

/// Ends what ends between two moments and at the later one.
fn expire(director: &mut Director<'_>, before: f64, at: f64) {
    let rounds = (before / ROUND) as u32 + 1..=(at / ROUND) as u32;
    for round in rounds {
        let moment = instant(START + f64::from(round) * ROUND);
        director.shard.expire(moment, u32::MAX);
    }
    director.shard.expire(instant(START + at), u32::MAX);
}

fn play_step(step: &Step, director: &mut Director<'_>, slack: f64) -> Result<(), String> {
    let now = instant(START + step.at);
    match &step.act {
        Act::Send {
            port,
            frame,
            times,
            quiet,
            ..
        } => {
            let mut out = Vec::new();
            for _ in 0..*times {
                out.extend(send(director, now, *port, frame)?);
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
            status: 0,
            varies,
        } => run(command, printed, *varies, director, (now, slack)),
        Act::Run { command, .. } => Err(format!("{command}, which fails")),
        Act::Wait => compare(&step.out, &[]),
        Act::Read { varies: true, .. } => Ok(()),
        Act::Read { path, read, .. } => match path.strip_prefix(SETTINGS) {
            Some(name) => setting(read.as_deref(), director.get(name)),
            None => Ok(()),
        },
        Act::Set { settings, refused } => settings.iter().try_for_each(|(name, value)| {
            let set = director.set(name, value);
            match (refused.get(name), set) {
                (None, Ok(())) => Ok(()),
                (Some(why), Err(mine)) if *why == mine => Ok(()),
                (why, mine) => Err(format!("{name} = {value}: recorded {why:?}, got {mine:?}")),
            }
        }),
        Act::Other(op) => Err(format!("the step {op}")),
    }
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
        Verdict::Host => match host::unwrap(&director.tunnel_ends, &bytes) {
            Some(inner) => send(director, now, port, &inner),
            None => Ok(host::receive(&director.network, port, &bytes)),
        },
    }
}

/// Compares the value of a setting.
fn setting(recorded: Option<&str>, mine: Option<String>) -> Result<(), String> {
    let recorded = recorded.map(|line| line.trim_end_matches('\n'));
    if recorded == mine.as_deref() {
        return Ok(());
    }
    Err(format!("recorded {recorded:?}, but got {mine:?}"))
}

/// Runs a command and compares what it prints, unless that varies.
fn run(
    line: &str,
    printed: &str,
    varies: bool,
    director: &mut Director<'_>,
    (now, slack): (Instant, f64),
) -> Result<(), String> {
    let command = command::parse(line)?;
    if varies && command.lists() {
        return Ok(());
    }
    match command {
        Command::ListConnections => listing::connections(printed, director, now, slack),
        Command::ListServices => listing::services(printed, director),
        Command::ListTemplates => listing::templates(printed, director),
        Command::ListThresholds => listing::thresholds(printed, director),
        Command::ListTunnels => listing::tunnels(printed, director),
        Command::ListTimeouts => listing::timeouts(printed, director),
        Command::ListTraffic => listing::traffic(printed, director),
        command => director.carry_out(command),
    }
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

fn instant(seconds: f64) -> Instant {
    Instant::from_nanoseconds((seconds * 1e9) as u64)
}

/// Where the kernel keeps the values of settings.
const SETTINGS: &str = "/proc/sys/net/ipv4/vs/";
/// Seconds between the moments at which the kernel looks at timers that were set
/// to about a minute.
const ROUND: f64 = 5.12;
/// Seconds on the clock at the first step.
const START: f64 = 1000.0;
