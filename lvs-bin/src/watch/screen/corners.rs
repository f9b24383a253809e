//! The corners below: workers, and what was dropped.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::Stylize;
use ratatui::text::Text;
use ratatui::widgets::{Block, Cell, Paragraph, Row, Table};

use super::super::amount;
use super::super::history::History;
use crate::api::shape::Worker;

/// Lines the corners take of a screen so high; none where it is too low.
pub(super) fn height(history: &History, screen: u16) -> u16 {
    let status = history.status();
    let wanted = status.workers.len().max(status.drops.len()).max(1) as u16 + 3;
    match screen {
        ..16 => 0,
        _ => wanted.min((screen - 8) / 2),
    }
}

/// Columns for workers.
pub(super) const fn workers_width(workers: usize) -> u16 {
    match workers {
        0..10 => 48,
        _ => 50,
    }
}

pub(super) fn draw_workers(frame: &mut Frame<'_>, area: Rect, history: &History) {
    let right = |text: String| Cell::from(Text::from(text).right_aligned());
    let workers = history.status().workers.iter().enumerate();
    let rows = workers.map(|(number, worker)| {
        Row::new([
            right(number.to_string()),
            match worker.load > BUSY {
                true => right(amount::percent(worker.load)).red(),
                false => right(amount::percent(worker.load)),
            },
            right(amount::short(history.worker(number))),
            headroom(worker),
            right(amount::time(worker.turn.p99)),
            right(amount::time(worker.connection_setup.p99)),
        ])
    });
    let titles = ["", "load", "pkts/s", "table", "turn", "setup p99"];
    let titles = titles.map(|title| Cell::from(Text::from(title).right_aligned()).dim());
    let widths = [2, 5, 7, 6, 8, 9].map(Constraint::Length);
    let table = Table::new(rows, widths).header(Row::new(titles));
    let title = match history.status().workers.len() {
        1 => " 1 worker ".to_owned(),
        many => format!(" {many} workers "),
    };
    frame.render_widget(table.block(Block::bordered().title(title)), area);
}

/// How full a worker's part of the connection table is.
fn headroom(worker: &Worker) -> Cell<'static> {
    let text = amount::percent_of(worker.connections, worker.capacity);
    Cell::from(Text::from(text).right_aligned())
}

pub(super) fn draw_drops(frame: &mut Frame<'_>, area: Rect, history: &History) {
    let drops = &history.status().drops;
    let block = Block::bordered().title(" dropped ");
    if drops.is_empty() {
        let words = match history.has_looked() {
            true => " nothing so far",
            false => "",
        };
        return frame.render_widget(Paragraph::new(words).block(block), area);
    }
    // What drops now comes first, then what has dropped most.
    let mut drops: Vec<(&String, u64, u64)> = drops
        .iter()
        .map(|(reason, count)| (reason, history.dropped(reason), *count))
        .collect();
    drops.sort_by_key(|(_, now, count)| std::cmp::Reverse((*now, *count)));
    let right = |text: String| Cell::from(Text::from(text).right_aligned());
    let rows = drops.into_iter().map(|(reason, now, count)| {
        let now = match now {
            0 => right("0".to_owned()).dim(),
            some => right(amount::short(some)).red(),
        };
        Row::new([Cell::from(reason.clone()), now, right(amount::short(count))])
    });
    let titles = [
        Cell::from("reason").dim(),
        right("/s".to_owned()).dim(),
        right("in all".to_owned()).dim(),
    ];
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(6),
        Constraint::Length(7),
    ];
    let table = Table::new(rows, widths).header(Row::new(titles));
    frame.render_widget(table.block(block), area);
}

/// The load of a worker from which on it is told in red.
const BUSY: f64 = 0.9;
