//! The connections of a running director, as whoever embeds it reads them.

use std::fmt;
use std::sync::PoisonError;
use std::time::Duration;

use lvs_core::Connection;

use super::Director;

/// A part of a worker's connections: see [`Director::connections`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionPage {
    /// Connections and templates, at most 1,024, in no order; there may be none.
    pub connections: Vec<Connection>,
    /// Where the worker's next page begins; `None` after its last.
    pub next: Option<usize>,
}

/// Why there is no page of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListError {
    /// There are only so many workers, numbered from 0.
    NoSuchWorker {
        /// The one asked for.
        worker: usize,
        /// How many there are.
        workers: usize,
    },
    /// The worker has not answered within a second.
    NoAnswer(usize),
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchWorker { worker, workers } => {
                write!(
                    f,
                    "there is no worker {worker}: ask for one below {workers}"
                )
            }
            Self::NoAnswer(worker) => write!(
                f,
                "worker {worker} does not list its connections: ask again, and if it stays so, stop \
                 the director and start anew"
            ),
        }
    }
}

impl std::error::Error for ListError {}

impl Director {
    /// Some of the connections of a worker, numbered from 0: those at 1,024 places
    /// of its table from the place `from` on, which is 0 or the
    /// [`next`](ConnectionPage::next) of the page before.
    ///
    /// The worker directs meanwhile. A connection is as it was at one moment, and
    /// other connections as they were at other moments. One that lives while all
    /// pages are read is on one of them, once; one that begins or ends meanwhile
    /// may be on one.
    ///
    /// # Errors
    ///
    /// There is no such worker, or it does not answer within a second.
    ///
    /// *Cost:* some hundred microseconds, or milliseconds under full load; of the
    /// worker's time 64 places a turn, about a microsecond. Who asks for a page of
    /// the same worker meanwhile waits.
    pub fn connections(&self, worker: usize, from: usize) -> Result<ConnectionPage, ListError> {
        let reader = self.readers.get(worker).ok_or(ListError::NoSuchWorker {
            worker,
            workers: self.readers.len(),
        })?;
        // Whoever panicked with it in hand has left no more than a page to throw away.
        let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
        let page = reader.read(from, PATIENCE);
        page.ok_or(ListError::NoAnswer(worker))
    }

    /// Every page of every worker, as [`connections`](Self::connections) gives
    /// them. Of a worker that does not answer there are no more pages after its
    /// error.
    ///
    /// ```no_run
    /// # fn list(director: &lvs::Director) -> Result<(), lvs::ListError> {
    /// for page in director.connection_pages() {
    ///     for connection in page?.connections {
    ///         println!("{:?} -> {}", connection.flow, connection.address);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn connection_pages(&self) -> impl Iterator<Item = Result<ConnectionPage, ListError>> {
        (0..self.readers.len()).flat_map(move |worker| {
            let mut next = Some(0);
            std::iter::from_fn(move || {
                let page = self.connections(worker, next?);
                next = page.as_ref().ok().and_then(|page| page.next);
                Some(page)
            })
        })
    }
}

/// How long a worker may take for a page: it does in sixteen turns.
const PATIENCE: Duration = Duration::from_secs(1);
