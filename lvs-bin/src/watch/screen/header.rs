//! The first lines: what runs there, and what passes in all.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Stylize;
use ratatui::text::{Line, Span};
use ratatui::widgets::{RenderDirection, Sparkline};

use super::super::amount;
use super::super::history::{History, Of};
use super::super::state::State;
use crate::api::shape::Traffic;

/// Lines of the totals.
pub(super) const TOTALS: u16 = 4;

/// One line: the program, for how long, and what is amiss.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    history: &History,
    state: &State,
    trouble: Option<&str>,
) {
    let status = history.status();
    let mut spans = vec![Span::from(" lvs").bold()];
    if history.has_looked() {
        let uptime = amount::long(Duration::from_secs(status.uptime));
        let version = &status.version;
        spans.push(format!(" {version}   directing for {uptime}").into());
    }
    if let Some(trouble) = trouble {
        spans.push(format!("   {trouble}").red().bold());
    } else if let Some(sentence) = status.unreachable.first() {
        let others = match status.unreachable.len() {
            1 => String::new(),
            many => format!(" and {} more", many - 1),
        };
        spans.push(format!("   unreachable {sentence}{others}").red());
    } else if let [nic, rest @ ..] = status.nics.as_slice() {
        // The way of each NIC in brief; lvs status has the reasons.
        let brief = |nic: &str| nic.split(" (").next().unwrap_or(nic).to_owned();
        let others = rest.iter().map(|nic| format!(", {}", brief(nic)));
        spans.push(format!("   {}{}", brief(nic), others.collect::<String>()).dim());
    }
    if state.paused {
        spans.push("   paused".yellow().bold());
    }
    frame.render_widget(Line::from(spans), area);
}

/// Three rates with their past, and how full the table is.
pub(super) fn draw_totals(frame: &mut Frame<'_>, area: Rect, history: &History) {
    let lines: [Rect; TOTALS as usize] =
        Layout::vertical([Constraint::Length(1); TOTALS as usize]).areas(area);
    let now = history.now(&Of::All);
    let [first, second, third, last] = lines;
    let number = amount::short(now.connections);
    draw_rate(
        frame,
        first,
        "conn/s",
        number,
        past(history, |it| it.connections),
    );
    let number = with_bits(now.packets_in, now.bytes_in);
    draw_rate(
        frame,
        second,
        "in/s",
        number,
        past(history, |it| it.packets_in),
    );
    let number = with_bits(now.packets_out, now.bytes_out);
    draw_rate(
        frame,
        third,
        "out/s",
        number,
        past(history, |it| it.packets_out),
    );
    frame.render_widget(connections(history), last);
}

/// What all services had in a second, the latest first.
fn past(history: &History, of: impl Fn(Traffic) -> u64) -> impl Iterator<Item = u64> {
    history.series(&Of::All).map(of)
}

fn draw_rate(
    frame: &mut Frame<'_>,
    line: Rect,
    name: &str,
    number: String,
    past: impl Iterator<Item = u64>,
) {
    let [words, spark] =
        Layout::horizontal([Constraint::Length(WORDS), Constraint::Min(0)]).areas(line);
    let text = vec![Span::from(format!(" {name:12}")).dim(), number.into()];
    frame.render_widget(Line::from(text), words);
    let past = Sparkline::default()
        .data(past)
        .direction(RenderDirection::RightToLeft);
    frame.render_widget(past.cyan(), spark);
}

fn with_bits(packets: u64, bytes: u64) -> String {
    format!("{:7} {}", amount::short(packets), amount::bits(bytes))
}

fn connections(history: &History) -> Line<'static> {
    let status = history.status();
    let connections = &status.connections;
    let part = connections.held as f64 / connections.capacity.max(1) as f64;
    let text = format!(
        "{} of {}, {}",
        amount::short(connections.held),
        amount::short(connections.capacity),
        amount::percent(part),
    );
    let text = match part > NEARLY_FULL {
        true => text.red().bold(),
        false => text.into(),
    };
    let dropped: u64 = status
        .drops
        .keys()
        .map(|reason| history.dropped(reason))
        .sum();
    let dropped = match dropped {
        0 => "nothing dropped".dim(),
        some => format!("{} dropped in a second", amount::short(some)).red(),
    };
    Line::from(vec![" connections ".dim(), text, "   ".into(), dropped])
}

/// Columns for words before the line of the past.
const WORDS: u16 = 35;
/// The part of the connection table from which on it is told in red.
const NEARLY_FULL: f64 = 0.9;
