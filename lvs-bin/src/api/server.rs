//! The thread that serves: connections, their limits, and the time.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fmt, io};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::ORIGIN;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_io_timeout::TimeoutWriter;

use super::answer::{Refused, Site};
use super::routes;
use super::socket::Socket;
use crate::config::ControlSettings;
use crate::control::{Keeper, PERIOD};

/// The API being served; dropping it ends that.
pub struct Server {
    thread: Option<JoinHandle<()>>,
    stop: Option<oneshot::Sender<()>>,
}

/// Why the API cannot be served.
#[derive(Debug)]
pub struct ServeError {
    place: String,
    error: io::Error,
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, error } = self;
        write!(
            f,
            "control API: {place}: {error}: end what is there, or write another place below \
             [control]"
        )
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// What is listened on.
struct Doors {
    unix: Option<(Socket, UnixListener)>,
    tcp: Option<std::net::TcpListener>,
}

impl Doors {
    fn open(settings: &ControlSettings) -> Result<Self, ServeError> {
        let unix = settings.socket.as_deref().map(|path| {
            Socket::listen(path, settings.mode).map_err(|error| ServeError::at(path, error))
        });
        let tcp = settings.tcp.map(|address| {
            listen(address).map_err(|error| ServeError {
                place: address.to_string(),
                error,
            })
        });
        Ok(Self {
            unix: unix.transpose()?,
            tcp: tcp.transpose()?,
        })
    }
}

fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

impl ServeError {
    fn at(path: &Path, error: io::Error) -> Self {
        Self {
            place: path.display().to_string(),
            error,
        }
    }
}

impl Server {
    /// Serves a director and its file as `settings` say, and has its counters
    /// looked at, on a thread of its own.
    ///
    /// # Errors
    ///
    /// What cannot be listened on.
    pub fn start(
        settings: &ControlSettings,
        keeper: Arc<Mutex<Keeper>>,
    ) -> Result<Self, ServeError> {
        let doors = Doors::open(settings)?;
        let failed = |error| ServeError::at(&PathBuf::from("its thread"), error);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("lvs-control".to_owned())
            .spawn(move || {
                if let Err(error) = runtime.block_on(serve(doors, keeper, stopped)) {
                    tracing::error!("the control API is not served any more: {error}");
                }
            })
            .map_err(failed)?;
        Ok(Self {
            thread: Some(thread),
            stop: Some(stop),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Serves until it is stopped.
async fn serve(
    doors: Doors,
    keeper: Arc<Mutex<Keeper>>,
    stopped: oneshot::Receiver<()>,
) -> io::Result<()> {
    // The socket goes away with the last of this.
    let (_socket, unix) = match doors.unix {
        Some((socket, listener)) => {
            let listener = tokio::net::UnixListener::from_std(listener)?;
            (Some(socket), Some(listener))
        }
        None => (None, None),
    };
    let tcp = doors.tcp.map(tokio::net::TcpListener::from_std);
    let tcp = tcp.transpose()?;
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let by_socket = async {
        let Some(listener) = unix else {
            return std::future::pending::<()>().await;
        };
        loop {
            let accepted = listener.accept().await.map(|(stream, _)| stream);
            admit(accepted, &room, &keeper).await;
        }
    };
    let by_tcp = async {
        let Some(listener) = tcp else {
            return std::future::pending::<()>().await;
        };
        loop {
            let accepted = listener.accept().await.map(|(stream, _)| stream);
            admit(accepted, &room, &keeper).await;
        }
    };
    let ticking = async {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            lock(&keeper).operator_mut().tick();
        }
    };
    tokio::select! {
        () = by_socket => {}
        () = by_tcp => {}
        () = ticking => {}
        _ = stopped => {}
    }
    Ok(())
}

/// Has a connection served as soon as there is room for one more.
async fn admit<IO>(accepted: io::Result<IO>, room: &Arc<Semaphore>, keeper: &Arc<Mutex<Keeper>>)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (Ok(stream), Ok(permit)) = (accepted, room.clone().acquire_owned().await) else {
        // Out of files, for example: it may be better in a while.
        return sleep(RESPITE).await;
    };
    let keeper = keeper.clone();
    tokio::spawn(async move {
        converse(stream, &keeper).await;
        drop(permit);
    });
}

/// Answers the requests of one connection until it ends.
pub async fn converse<IO, S>(stream: IO, site: &Mutex<S>)
where
    IO: AsyncRead + AsyncWrite + Unpin,
    S: Site,
{
    let service = service_fn(|request| async { Ok::<_, Infallible>(answer(request, site).await) });
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(PATIENCE));
    let stream = Box::pin(stream);
    // A client that breaks off, says nothing for long, or does not take what is
    // answered, is no matter.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer<S: Site>(request: Request<Incoming>, site: &Mutex<S>) -> Response<Full<Bytes>> {
    // What a web page has a browser ask for is not what its user wants.
    if request.headers().contains_key(ORIGIN) {
        let what = "requests on behalf of web pages are not answered";
        let refused = Refused::with(StatusCode::FORBIDDEN, what, "the header Origin", "");
        return refused.response();
    }
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, LONGEST_BODY).collect();
    let body = match timeout(PATIENCE, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) => return no_body(&*error),
        Err(_) => {
            let what = format!("it did not come within {} seconds", PATIENCE.as_secs());
            let status = StatusCode::REQUEST_TIMEOUT;
            return Refused::with(status, what, "the body", "send it again").response();
        }
    };
    let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or(""));
    routes::answer(&mut *lock(site), &parts.method, path, query, &body)
}

/// That a body could not be read.
fn no_body(error: &(dyn std::error::Error + 'static)) -> Response<Full<Bytes>> {
    if error.is::<http_body_util::LengthLimitError>() {
        let what = format!("it is longer than {LONGEST_BODY} bytes");
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        return Refused::with(status, what, "the body", "send it in parts").response();
    }
    Refused::bad(error.to_string(), "the body", "send it again").response()
}

fn lock<S>(site: &Mutex<S>) -> MutexGuard<'_, S> {
    // Whoever panicked with it in hand has left whole values behind.
    site.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Connections served at a time; others wait.
const CONNECTIONS: usize = 32;
/// Bytes of a body: a file of 100,000 real servers is some 10 MB.
const LONGEST_BODY: usize = 32 << 20;
/// How long a client may take for a request, between two, or for a part of an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long nothing is accepted after that failed.
const RESPITE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::ipvsadm::Control;

    /// A site whose every answer is long.
    struct Wordy;

    impl Site for Wordy {
        fn control(&mut self) -> &mut dyn Control {
            unreachable!("the description of the API is not the director's")
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_does_not_take_the_answer_is_let_go() {
        // The description of the API does not fit.
        let (mut client, server) = tokio::io::duplex(1024);
        let request = b"GET /v1/openapi.json HTTP/1.1\r\nHost: lvs\r\n\r\n";
        client.write_all(request).await.unwrap();
        let began = tokio::time::Instant::now();
        let site = Mutex::new(Wordy);
        let ended = timeout(PATIENCE * 2, converse(server, &site)).await;
        assert!(ended.is_ok(), "it waits for ever");
        assert_eq!(began.elapsed().as_secs(), PATIENCE.as_secs());
        drop(client);
    }
}
