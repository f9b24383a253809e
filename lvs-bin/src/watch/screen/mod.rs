//! The screen of `lvs top`.
//!
//! ```text
//!  lvs 0.1.0   directing for 3 h 12 min   2 services            header
//!  conn/s      412          ▂▃▃▅▇▆                              totals
//!  ...
//!  ┌ services ──────────────────────────────────────────┐       table
//!  └────────────────────────────────────────────────────┘
//!  ┌ workers ───────────────┐┌ dropped ─────────────────┐       corners
//!  └────────────────────────┘└──────────────────────────┘
//!  q quit  enter real servers  s sort ...                       keys
//! ```

mod corners;
mod header;
mod table;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Stylize;
use ratatui::text::Line;
use ratatui::widgets::{Block, Clear, Paragraph};

use super::history::History;
use super::state::State;

/// Draws what there is to see; `trouble` says why nothing new is.
pub(super) fn draw(frame: &mut Frame<'_>, history: &History, state: &State, trouble: Option<&str>) {
    let workers = history.status().workers.len();
    let corners = corners::height(history, frame.area().height);
    let [top, totals, table, below, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(header::TOTALS),
        Constraint::Min(3),
        Constraint::Length(corners),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    header::draw(frame, top, history, state, trouble);
    header::draw_totals(frame, totals, history);
    table::draw(frame, table, history, state);
    if corners > 0 {
        let wide = corners::workers_width(workers);
        let [left, right] =
            Layout::horizontal([Constraint::Length(wide), Constraint::Min(20)]).areas(below);
        corners::draw_workers(frame, left, history);
        corners::draw_drops(frame, right, history);
    }
    frame.render_widget(Line::from(KEYS).dim(), keys);
    if state.help {
        draw_help(frame);
    }
}

fn draw_help(frame: &mut Frame<'_>) {
    let area = frame.area();
    let (width, height) = (62.min(area.width), (HELP.len() as u16 + 2).min(area.height));
    let area = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    let lines: Vec<Line<'_>> = HELP.iter().map(|line| Line::from(*line)).collect();
    let block = Block::bordered().title(" keys ");
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

const KEYS: &str =
    " q quit   ? help   enter real servers   esc back   s sort   r reverse   p pause";

const HELP: [&str; 13] = [
    " up down k j         mark another row",
    " page up, page down  ten rows further",
    " home end g G        the first, the last row",
    " enter               the real servers of the marked service",
    " esc, backspace      back to all services",
    " s, right            sort by the next column",
    " S, left             sort by the column before",
    " r                   the other way about",
    " p, space            stop, and go on",
    " q, ctrl c           quit",
    "",
    " Rates are of the last second, the latest at the right.",
    " load: the part of its time that a worker had work.",
];
