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
    for (number, step) in (1..).zip(&scenario.steps) {
        play_step(step, &mut director)
            .map_err(|why| format!("step {number} ({}), at {} s: {why}", step.act, step.at))?;
    }
    Ok(())
}

fn play_step(step: &Step, director: &mut Director<'_>) -> Result<(), String> {
    let now = instant(START + step.at);
    for round in 1.. {
        let moment = START + f64::from(round) * ROUND;
        if moment > START + step.at {
            break;
        }
        director.shard.expire(instant(moment), u32::MAX);
    }
    director.shard.expire(now, u32::MAX);
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
        } => run(command, printed, director, now),
        Act::Run { command, .. } => Err(format!("{command}, which fails")),
        Act::Wait | Act::Read => compare(&step.out, &[]),
        Act::Set(settings) => settings
            .iter()
            .try_for_each(|(name, value)| director.set(name, value)),
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
        Verdict::Host => Ok(host::receive(&director.network, port, &bytes)),
    }
}

/// Runs a command and compares what it prints.
fn run(line: &str, printed: &str, director: &mut Director<'_>, now: Instant) -> Result<(), String> {
    match command::parse(line)? {
        Command::ListConnections => listing::connections(printed, director, now),
        Command::ListServices => listing::services(printed, director),
        Command::ListTemplates => listing::templates(printed, director),
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

/// Seconds between the moments at which the kernel looks at timers that were set
/// to about a minute.
const ROUND: f64 = 5.12;
/// Seconds on the clock at the first step.
const START: f64 = 1000.0;
