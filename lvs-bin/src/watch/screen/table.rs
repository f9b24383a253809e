//! The table in the middle: services, or the real servers of one.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Modifier, Style, Stylize};
use ratatui::text::Text;
use ratatui::widgets::{Block, Cell, Paragraph, Row as TableRow, Table, TableState};

use super::super::amount;
use super::super::history::{History, Of};
use super::super::rows::{Column, Row, rows};
use super::super::state::State;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, history: &History, state: &State) {
    let rows = rows(history, state);
    let what = match &state.service {
        None => "services".to_owned(),
        Some(name) => format!("real servers of {name}"),
    };
    let order = match state.reversed {
        true => ", reversed",
        false => "",
    };
    let title = format!(" {} {what}, by {}{order} ", rows.len(), state.column.name());
    let block = Block::bordered().title(title);
    if rows.is_empty() {
        let words = match (history.has_looked(), &state.service) {
            (false, _) => "",
            (true, None) => " No services. Add one: lvs adm -A, or lvs apply.",
            (true, Some(_)) => " No real servers. Add one: lvs adm -a; esc goes back.",
        };
        return frame.render_widget(Paragraph::new(words).block(block), area);
    }
    let columns = columns(area.width);
    let rule = match state.service {
        None => "scheduler",
        Some(_) => "weight",
    };
    let widths = widths(area.width, &rows, rule, columns);
    let past = widths.last().copied().unwrap_or(0);
    let table = Table::new(
        rows.iter().map(|row| cells(history, row, columns, past)),
        widths.into_iter().map(Constraint::Length),
    )
    .header(header(rule, columns, state))
    .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
    .block(block);
    let mut marked = TableState::new().with_selected(state.place(&rows));
    frame.render_stateful_widget(table, area, &mut marked);
}

/// The numbers there is room for in so wide a table.
const fn columns(width: u16) -> &'static [Column] {
    use Column as C;
    match width {
        ..100 => &[
            C::Active,
            C::Connections,
            C::PacketsIn,
            C::PacketsOut,
            C::Bits,
        ],
        _ => &[
            C::Active,
            C::Inactive,
            C::Connections,
            C::PacketsIn,
            C::PacketsOut,
            C::Bits,
        ],
    }
}

/// The widths: name, rule, numbers, and for the past what is left.
fn widths(width: u16, rows: &[Row], rule: &str, columns: &[Column]) -> Vec<u16> {
    let longest = |of: fn(&Row) -> &str| {
        let lengths = rows.iter().map(|row| of(row).chars().count());
        lengths.max().unwrap_or(0) as u16
    };
    let rule = longest(|row| &row.rule).clamp(rule.len() as u16, 14);
    let numbers = columns
        .iter()
        .map(|column| NUMBER.max(column.name().len() as u16));
    // The frame, and a space before each column but the first.
    let fixed = 2 + rule + 2 + numbers.clone().map(|number| number + 1).sum::<u16>();
    let room = width.saturating_sub(fixed);
    let name = longest(|row| &row.name).clamp(4, room.saturating_sub(LEAST_PAST).max(4));
    let past = room.saturating_sub(name).min(MOST_PAST);
    [name, rule]
        .into_iter()
        .chain(numbers)
        .chain([past])
        .collect()
}

/// The titles; that of the column rows are sorted by stands out.
fn header(rule: &'static str, columns: &[Column], state: &State) -> TableRow<'static> {
    let title = |column: Option<Column>, text: Text<'static>| match column == Some(state.column) {
        true => Cell::from(text).bold().underlined(),
        false => Cell::from(text).dim(),
    };
    let numbers = columns.iter().map(|column| {
        let text = Text::from(column.name()).right_aligned();
        title(Some(*column), text)
    });
    let first = [
        title(Some(Column::Name), Text::from("name")),
        title(None, Text::from(rule)),
    ];
    let past = title(None, Text::from("past in/s").right_aligned());
    TableRow::new(first.into_iter().chain(numbers).chain([past]))
}

fn cells(history: &History, row: &Row, columns: &[Column], past: u16) -> TableRow<'static> {
    let now = &row.now;
    let numbers = columns.iter().map(|column| {
        let number = match column {
            Column::Order | Column::Name => String::new(),
            Column::Active => amount::short(row.active),
            Column::Inactive => amount::short(row.inactive),
            Column::Connections => amount::short(now.connections),
            Column::PacketsIn => amount::short(now.packets_in),
            Column::PacketsOut => amount::short(now.packets_out),
            Column::Bits => amount::short(row.bytes().saturating_mul(8)),
        };
        Cell::from(Text::from(number).right_aligned())
    });
    let first = [Cell::from(row.name.clone()), Cell::from(row.rule.clone())];
    let past = Text::from(spark(history, &row.of, past)).right_aligned();
    let past = Cell::from(past.cyan());
    TableRow::new(first.into_iter().chain(numbers).chain([past]))
}

/// The packets of the past as bars of eight heights, the latest at the right; each
/// row by its own largest.
fn spark(history: &History, of: &Of, width: u16) -> String {
    let past = || {
        history
            .series(of)
            .take(width.into())
            .map(|it| it.packets_in)
    };
    let most = past().max().unwrap_or(0).max(1);
    let bar = |number: u64| {
        let height = (number * BARS.len() as u64).div_ceil(most);
        match height {
            0 => ' ',
            height => BARS[height as usize - 1],
        }
    };
    let mut bars: Vec<char> = past().map(bar).collect();
    bars.reverse();
    bars.into_iter().collect()
}

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Columns of a number, if its title takes no more.
const NUMBER: u16 = 6;
/// Columns of the past, at least and at most.
const LEAST_PAST: u16 = 9;
const MOST_PAST: u16 = 120;
