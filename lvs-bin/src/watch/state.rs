//! Where a person is in `lvs top`, and what keys do there.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::history::{History, Of};
use super::rows::{Column, Row, rows};

/// What is looked at, and in which order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// The service whose real servers are shown; all services if none.
    pub(super) service: Option<String>,
    pub(super) column: Column,
    pub(super) reversed: bool,
    /// What the marked row is about.
    pub(super) marked: Option<Of>,
    pub(super) paused: bool,
    pub(super) help: bool,
    pub(super) done: bool,
}

impl State {
    /// Does what a key is for.
    pub(super) fn press(&mut self, key: KeyEvent, history: &History) {
        let ends = key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c');
        if ends || key.code == KeyCode::Char('q') {
            self.done = true;
            return;
        }
        if self.help {
            self.help = false;
            return;
        }
        match key.code {
            KeyCode::Char('?' | 'h') => self.help = true,
            KeyCode::Char(' ' | 'p') => self.paused = !self.paused,
            KeyCode::Char('s') | KeyCode::Right => self.column = self.column.next(),
            KeyCode::Char('S') | KeyCode::Left => self.column = self.column.previous(),
            KeyCode::Char('r') => self.reversed = !self.reversed,
            KeyCode::Up | KeyCode::Char('k') => self.step(history, |at, _| at.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => self.step(history, |at, last| last.min(at + 1)),
            KeyCode::PageUp => self.step(history, |at, _| at.saturating_sub(PAGE)),
            KeyCode::PageDown => self.step(history, |at, last| last.min(at + PAGE)),
            KeyCode::Home | KeyCode::Char('g') => self.step(history, |_, _| 0),
            KeyCode::End | KeyCode::Char('G') => self.step(history, |_, last| last),
            KeyCode::Enter => self.enter(history),
            KeyCode::Esc | KeyCode::Backspace => self.leave(),
            _ => {}
        }
    }

    /// Which row is marked: where the thing is now that was marked, or else the
    /// first.
    pub(super) fn place(&self, rows: &[Row]) -> usize {
        let is_marked = |row: &Row| Some(&row.of) == self.marked.as_ref();
        rows.iter().position(is_marked).unwrap_or(0)
    }

    fn step(&mut self, history: &History, to: impl Fn(usize, usize) -> usize) {
        let rows = rows(history, self);
        let last = rows.len().saturating_sub(1);
        let row = rows.get(to(self.place(&rows), last));
        self.marked = row.map(|row| row.of.clone());
    }

    /// Goes into the marked service.
    fn enter(&mut self, history: &History) {
        if self.service.is_some() {
            return;
        }
        let rows = rows(history, self);
        if let Some(Of::Service(name)) = rows.get(self.place(&rows)).map(|row| &row.of) {
            self.service = Some(name.clone());
            self.marked = None;
        }
    }

    /// Goes back to all services.
    fn leave(&mut self) {
        if let Some(name) = self.service.take() {
            self.marked = Some(Of::Service(name));
        }
    }
}

/// Rows that a page key steps over.
const PAGE: usize = 10;
