//! Goes through a scenario step by step and compares.

use lvs_core::{Instant, Line, Port, Shard, Verdict};

use crate::command;
use crate::differences;
use crate::director::{Director, Outcome};
use crate::frame;
use crate::host::{self, Leaving};
use crate::printed;
use crate::scenario::{Act, Printed, Scenario, Sent, Step};

/// Plays a scenario.
///
/// *Errors:* what was not as recorded, or not understood.
pub(crate) fn play(scenario: &Scenario) -> Result<(), String> {
    let mut memory: Vec<Line> = vec![[0; 8]; Shard::memory_for(4096)];
    let mut director = Director::new(&mut memory, scenario.slack);
    for (name, value) in &scenario.sysctls {
        director.set(name, value)?;
    }
    for line in &scenario.setup {
        let done = run(&mut director, line, "", &Printed::default());
        done.map_err(|why| format!("setup, {line}:\n{why}"))?;
    }
    let later = scenario.steps.iter().skip(1).map(|step| step.at);
    let ends = later.chain([f64::INFINITY]);
    for ((number, step), end) in (1..).zip(&scenario.steps).zip(ends) {
        play_step(step, end, &mut director)
            .map_err(|why| format!("step {number}, {}, at {:.3} s:\n{why}", step.act, step.at))?;
    }
    printed::restore_what_is_saved(&mut director)
}

/// Lets time pass until so many seconds after the first step; what leaves meanwhile.
fn wait(director: &mut Director<'_>, until: f64) -> Result<Vec<(Port, Vec<u8>)>, String> {
    let rounds = (1..).map(|round| f64::from(round) * ROUND);
    let moments = rounds.take_while(|moment| *moment <= until);
    let mut out = Vec::new();
    for moment in moments.chain([until]) {
        let now = instant(START + moment);
        director.shard.expire(now, u32::MAX);
        for outcome in director.released(now) {
            out.extend(act(director, now, Port(0), outcome, &[])?);
        }
    }
    Ok(out)
}

fn play_step(step: &Step, end: f64, director: &mut Director<'_>) -> Result<(), String> {
    let now = instant(START + step.at);
    compare(&[], &wait(director, step.at)?)?;
    director.look_until(step.at);
    director.now = now;
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
            stdin,
            printed,
        } => {
            run(director, command, stdin, printed)?;
            compare(&step.out, &[])
        }
        // What the last step would show, nobody recorded.
        Act::Wait if end.is_infinite() => compare(&step.out, &[]),
        Act::Wait => compare(&step.out, &wait(director, end)?),
        Act::Read { varies: true, .. } => Ok(()),
        Act::Read { path, read, .. } => match path.strip_prefix(SETTINGS) {
            Some(name) => setting(read.as_deref(), director.get(name)),
            None => printed::read(director, path, read.as_deref().unwrap_or_default()),
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
    let outcomes = director.receive(now, port, frame);
    let sent: Result<Vec<_>, _> = outcomes
        .into_iter()
        .map(|outcome| act(director, now, port, outcome, frame))
        .collect();
    Ok(sent?.concat())
}

/// What leaves the director and its host because of the outcome of `frame`.
fn act(
    director: &mut Director<'_>,
    now: Instant,
    port: Port,
    (verdict, bytes): Outcome,
    frame: &[u8],
) -> Result<Vec<(Port, Vec<u8>)>, String> {
    match verdict {
        Verdict::Transmit(port) => Ok(vec![(port, bytes)]),
        Verdict::Drop(_) | Verdict::Held => Ok(vec![]),
        Verdict::Host if !frame.starts_with(&bytes) => Err(format!(
            "left to the host changed: {}",
            differences::hexadecimal(&bytes)
        )),
        Verdict::Host => match host::unwrap(&director.host.tunnel_ends, &bytes) {
            Some(inner) => send(director, now, port, &inner),
            None => at_host(director, now, port, &bytes),
        },
        Verdict::Deliver => at_host(director, now, port, &bytes),
        other => Err(format!("{other:?}, though there is one shard")),
    }
}

/// What comes of a frame at the host. What the host sends itself passes the
/// director first, which may leave it to go its way.
fn at_host(
    director: &mut Director<'_>,
    now: Instant,
    port: Port,
    frame: &[u8],
) -> Result<Vec<(Port, Vec<u8>)>, String> {
    let network = director.network.clone();
    let mark = director.marks(frame);
    let leaving = match director.host.receive(&network, port, frame, mark) {
        Some(Leaving::Routed(packet)) => packet,
        Some(Leaving::Own(packet)) => {
            let own = frame::bare(&packet);
            let outcomes = director.receive(now, Port::HOST, &own);
            match &outcomes[..] {
                [(Verdict::Host, left)] if *left == own => packet,
                _ => {
                    let sent = outcomes.into_iter().filter_map(|outcome| match outcome {
                        (Verdict::Transmit(port), sent) => Some(Ok((port, sent))),
                        (Verdict::Drop(_) | Verdict::Held, _) => None,
                        (verdict, _) => Some(Err(format!("{verdict:?} of what the host sends"))),
                    });
                    return sent.collect();
                }
            }
        }
        None => return Ok(vec![]),
    };
    Ok(host::send(&network, &leaving).into_iter().collect())
}

/// Compares the value of a setting.
fn setting(recorded: Option<&str>, mine: Option<String>) -> Result<(), String> {
    let recorded = recorded.map(|line| line.trim_end_matches('\n'));
    if recorded == mine.as_deref() {
        return Ok(());
    }
    Err(format!("recorded {recorded:?}, but got {mine:?}"))
}

/// Compares frames that came out, but for the bytes that vary.
fn compare(recorded: &[Sent], out: &[(Port, Vec<u8>)]) -> Result<(), String> {
    differences::frames(recorded, out).map_or(Ok(()), Err)
}

/// Runs a command, and compares what the tool prints; other programs must only
/// end well.
fn run(
    director: &mut Director<'_>,
    line: &str,
    stdin: &str,
    recorded: &Printed,
) -> Result<(), String> {
    if line.starts_with("ipvsadm") {
        return printed::run(director, line, stdin, recorded);
    }
    if recorded.status != 0 {
        return Err(format!("{line}, which fails"));
    }
    director.carry_out(command::parse(line)?)
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
