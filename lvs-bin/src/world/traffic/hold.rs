//! [`Held`]: connections that stay open and keep talking until told to stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::{block_on, step, wrong};
use crate::world::Namespace;

/// TCP connections to an [echo](super::Offer::TcpEcho), each of which sends a
/// numbered line, waits for it to come back, and pauses, over and over.
///
/// The first failure of a connection ends that connection alone and is kept.
/// Dropping it closes all of them.
#[derive(Debug)]
pub struct Held {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<Vec<HeldConnection>>>,
    progress: Arc<[Progress]>,
}

/// What became of one held connection.
#[derive(Debug)]
pub struct HeldConnection {
    /// The real server that answered the first line; every line since.
    pub server: String,
    /// Lines that came back.
    pub exchanges: u64,
    /// What ended it before it was told to stop.
    pub error: Option<io::Error>,
}

/// Lines back so far; `OVER` once the connection has failed.
#[derive(Debug, Default)]
struct Progress(AtomicU64);

impl Held {
    /// Opens `count` connections from `namespace` to `service`, and returns
    /// when each has made its first exchange.
    ///
    /// Errors: the first connection that could not be opened or made no
    /// exchange within `deadline`. A line that is not back within `deadline`
    /// later on is that connection's error.
    pub fn open(
        namespace: &Namespace,
        service: SocketAddr,
        count: usize,
        pause: Duration,
        deadline: Duration,
    ) -> io::Result<Self> {
        let streams = namespace.run(|| connect(service, count, deadline))?;
        Self::hold(streams, pause, deadline)
    }

    fn hold(
        streams: Vec<std::net::TcpStream>,
        pause: Duration,
        deadline: Duration,
    ) -> io::Result<Self> {
        let progress: Arc<[Progress]> = streams.iter().map(|_| Progress::default()).collect();
        let (stop, stopped) = watch::channel(false);
        let seen = Arc::clone(&progress);
        let thread = thread::Builder::new().name("held".into()).spawn(move || {
            let talk = async move {
                let talks: Vec<_> = streams
                    .into_iter()
                    .enumerate()
                    .map(|(index, stream)| {
                        let (seen, stopped) = (Arc::clone(&seen), stopped.clone());
                        tokio::spawn(async move {
                            talk(stream, &seen[index], stopped, pause, deadline).await
                        })
                    })
                    .collect();
                let mut ends = Vec::with_capacity(talks.len());
                for talk in talks {
                    ends.push(talk.await.unwrap_or_else(|error| HeldConnection {
                        server: String::new(),
                        exchanges: 0,
                        error: Some(io::Error::other(error)),
                    }));
                }
                ends
            };
            block_on(talk).unwrap_or_default()
        })?;
        let mut held = Self {
            stop,
            thread: Some(thread),
            progress,
        };
        match held.wait_for(|_| 1, deadline) {
            Ok(()) => Ok(held),
            Err(error) => Err(held
                .end()
                .into_iter()
                .find_map(|end| end.error)
                .unwrap_or(error)),
        }
    }

    /// Waits until every connection has sent a line, and had it back, since
    /// this call.
    ///
    /// Errors: a connection has failed, or was not heard of for `deadline`.
    pub fn round(&self, deadline: Duration) -> io::Result<()> {
        // A line under way at the call may have been sent before it, so the
        // second to come back is the one that proves something.
        self.wait_for(|lines| lines + 2, deadline)
    }

    /// Closes the connections between two lines and says what became of each.
    ///
    /// Errors: none of the connections'; those are in the list.
    #[must_use]
    pub fn stop(mut self) -> Vec<HeldConnection> {
        self.end()
    }

    /// Waits until every connection has as many lines back as `wanted` says of
    /// those it has now.
    fn wait_for(&self, wanted: impl Fn(u64) -> u64, deadline: Duration) -> io::Result<()> {
        let until = Instant::now() + deadline;
        let wanted: Vec<u64> = self
            .progress
            .iter()
            .map(|progress| wanted(progress.lines()))
            .collect();
        for (index, (progress, wanted)) in self.progress.iter().zip(wanted).enumerate() {
            while progress.lines() < wanted {
                if progress.over() {
                    return Err(io::Error::other(format!("connection {index} has failed")));
                }
                if Instant::now() > until {
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        format!("connection {index} is silent for {deadline:?}"),
                    ));
                }
                thread::sleep(GLANCE);
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Vec<HeldConnection> {
        let _ = self.stop.send(true);
        self.thread
            .take()
            .and_then(|thread| thread.join().ok())
            .unwrap_or_default()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.end();
    }
}

impl Progress {
    fn lines(&self) -> u64 {
        self.0.load(Ordering::Relaxed) & !OVER
    }

    fn over(&self) -> bool {
        self.0.load(Ordering::Relaxed) & OVER != 0
    }
}

fn connect(
    service: SocketAddr,
    count: usize,
    deadline: Duration,
) -> io::Result<Vec<std::net::TcpStream>> {
    (0..count)
        .map(|_| {
            let stream = std::net::TcpStream::connect_timeout(&service, deadline)
                .map_err(step(format_args!("connecting to {service}")))?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            Ok(stream)
        })
        .collect()
}

async fn talk(
    stream: std::net::TcpStream,
    progress: &Progress,
    mut stopped: watch::Receiver<bool>,
    pause: Duration,
    deadline: Duration,
) -> HeldConnection {
    let mut end = HeldConnection {
        server: String::new(),
        exchanges: 0,
        error: None,
    };
    let result = async {
        let mut stream = BufReader::new(TcpStream::from_std(stream)?);
        while !*stopped.borrow() {
            let server = timeout(deadline, line(&mut stream, end.exchanges))
                .await
                .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "a line is not back"))??;
            if end.exchanges == 0 {
                end.server = server;
            } else if server != end.server {
                return Err(wrong(format!("{server} answered for {}", end.server)));
            }
            end.exchanges += 1;
            progress.0.store(end.exchanges, Ordering::Relaxed);
            tokio::select! {
                () = sleep(pause) => {}
                _ = stopped.changed() => {}
            }
        }
        Ok(())
    }
    .await;
    if let Err(error) = result {
        progress.0.fetch_or(OVER, Ordering::Relaxed);
        end.error = Some(error);
    }
    end
}

/// Sends one line, and returns who sent it back.
async fn line(stream: &mut BufReader<TcpStream>, number: u64) -> io::Result<String> {
    let sent = format!("{number}\n");
    stream.get_mut().write_all(sent.as_bytes()).await?;
    let mut back = String::new();
    if stream.read_line(&mut back).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    match back.split_once(' ') {
        Some((server, text)) if text == sent => Ok(server.to_owned()),
        _ => Err(wrong(format!("{back:?} came back for {sent:?}"))),
    }
}

const OVER: u64 = 1 << 63;
/// How often a waiting thread looks for progress.
const GLANCE: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use super::super::{Offer, Server};
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    fn held(server: &Server, count: usize) -> Held {
        let streams = connect(server.addresses()[0], count, DEADLINE).unwrap();
        Held::hold(streams, Duration::from_millis(1), DEADLINE).unwrap()
    }

    fn server() -> Server {
        Server::here("one", &[Offer::TcpEcho("127.0.0.1:0".parse().unwrap())])
    }

    #[test]
    fn held_connections_talk_until_told_to_stop() {
        let server = server();
        let held = held(&server, 5);
        held.round(DEADLINE).unwrap();
        let ends = held.stop();
        assert_eq!(ends.len(), 5);
        for end in ends {
            assert!(end.error.is_none(), "{end:?}");
            assert_eq!(end.server, "one");
            assert!(end.exchanges >= 3, "{end:?}");
        }
    }

    #[test]
    fn a_cut_connection_is_reported() {
        let server = server();
        let held = held(&server, 2);
        drop(server);
        held.round(DEADLINE).unwrap_err();
        for end in held.stop() {
            assert!(end.error.is_some(), "{end:?}");
        }
    }
}
