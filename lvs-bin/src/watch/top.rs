//! `lvs top`: a running director on a terminal, until a key ends it.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TryRecvError};
use std::time::{Duration, Instant};
use std::{fmt, thread};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use signal_hook::consts::SIGTERM;

use super::history::History;
use super::screen;
use super::state::State;
use super::status::look;
use crate::api::shape::Status;
use crate::api::{Client, ClientError};

/// Why nothing can be shown.
#[derive(Debug)]
pub enum TopError {
    /// There is no terminal to show it on.
    NoTerminal,
    /// The terminal fails.
    Terminal(io::Error),
    /// The director cannot be asked.
    Client(ClientError),
}

impl fmt::Display for TopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTerminal => f.write_str(
                "lvs top draws on a terminal, and there is none: use lvs status, or lvs top --json",
            ),
            Self::Terminal(error) => write!(f, "the terminal: {error}"),
            Self::Client(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for TopError {}

impl From<io::Error> for TopError {
    fn from(error: io::Error) -> Self {
        Self::Terminal(error)
    }
}

/// Shows the director at `socket`, a look each `interval`, until a key or a signal
/// ends it. When the director goes away it says so, and waits for the next.
///
/// # Errors
///
/// There is no director at first, or no terminal.
pub fn top(socket: &Path, interval: Duration) -> Result<(), TopError> {
    if !io::stdout().is_terminal() {
        return Err(TopError::NoTerminal);
    }
    // Whoever mistypes the socket is told at once.
    Client::connect(socket).map_err(TopError::Client)?;
    let ended = Arc::new(AtomicBool::new(false));
    // When the terminal itself goes away, SIGHUP ends the program at once.
    signal_hook::flag::register(SIGTERM, ended.clone())?;
    let looks = looks(socket.to_owned(), interval);
    let mut terminal = ratatui::try_init()?;
    let shown = show(&mut terminal, &looks, &ended);
    ratatui::try_restore()?;
    Ok(shown?)
}

/// Prints a look each `interval` as a line of JSON: so many, or without end.
///
/// # Errors
///
/// The director cannot be asked, or nobody reads on.
pub fn top_json(
    socket: &Path,
    interval: Duration,
    count: Option<u64>,
    out: &mut impl io::Write,
) -> Result<(), TopError> {
    let client = Client::connect(socket).map_err(TopError::Client)?;
    for number in 0..count.unwrap_or(u64::MAX) {
        if number > 0 {
            thread::sleep(interval);
        }
        let status = look(&client).map_err(TopError::Client)?;
        let line = serde_json::to_string(&status).unwrap_or_default();
        writeln!(out, "{line}").and_then(|()| out.flush())?;
    }
    Ok(())
}

/// Looks at a director on a thread of its own, so that keys wait for none.
fn looks(socket: PathBuf, interval: Duration) -> Receiver<Result<Status, ClientError>> {
    let (say, looks) = mpsc::sync_channel(1);
    thread::spawn(move || while look_on(&socket, interval, &say).is_some() {});
    looks
}

/// Looks until the director goes away or nobody listens; `None` for the latter.
fn look_on(
    socket: &Path,
    interval: Duration,
    say: &SyncSender<Result<Status, ClientError>>,
) -> Option<()> {
    let outcome = Client::connect(socket).and_then(|client| {
        loop {
            if say.send(Ok(look(&client)?)).is_err() {
                return Ok(());
            }
            thread::sleep(interval);
        }
    });
    say.send(Err(outcome.err()?)).ok()?;
    thread::sleep(interval);
    Some(())
}

fn show(
    terminal: &mut DefaultTerminal,
    looks: &Receiver<Result<Status, ClientError>>,
    ended: &AtomicBool,
) -> io::Result<()> {
    let (mut history, mut state, mut trouble) = (History::default(), State::default(), None);
    while !state.done && !ended.load(Ordering::Relaxed) {
        match looks.try_recv() {
            // The last look stays to be read.
            Ok(_) if state.paused => {}
            Ok(Ok(status)) => {
                history.take(Instant::now(), status);
                trouble = None;
            }
            Ok(Err(_)) => trouble = Some("no director: trying again"),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
        }
        terminal.draw(|frame| screen::draw(frame, &history, &state, trouble))?;
        if event::poll(TURN)?
            && let Event::Key(key) = event::read()?
            && key.kind == KeyEventKind::Press
        {
            state.press(key, &history);
        }
    }
    Ok(())
}

/// How long keys are waited for before the screen is drawn anew.
const TURN: Duration = Duration::from_millis(100);
