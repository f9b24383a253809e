//! The thread that metrics are served by: HTTP, `/metrics` and nothing else.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fmt, io};

use http_body_util::{Either, Full};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};

use super::Page;
use crate::director::Director;

/// Metrics being served; dropping it ends that.
pub struct Server {
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
    stop: Option<oneshot::Sender<()>>,
}

/// Why metrics cannot be served.
#[derive(Debug)]
pub struct ServeError {
    address: SocketAddr,
    error: io::Error,
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, error } = self;
        write!(
            f,
            "metrics: {address}: {error}: end what is there, or write another address below \
             [metrics]"
        )
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl Server {
    /// Serves the metrics of a director at `address`, on a thread of its own,
    /// to whoever can reach it. Port 0 is one that is free.
    ///
    /// # Errors
    ///
    /// It cannot be listened on.
    pub fn start(address: SocketAddr, director: Arc<Director>) -> Result<Self, ServeError> {
        let failed = |error| ServeError { address, error };
        let listener = std::net::TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("lvs-metrics".to_owned())
            .spawn(move || {
                if let Err(error) = runtime.block_on(serve(listener, director, stopped)) {
                    tracing::error!("metrics are not served any more: {error}");
                }
            })
            .map_err(failed)?;
        Ok(Self {
            address: bound,
            thread: Some(thread),
            stop: Some(stop),
        })
    }

    /// Where it is served.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
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
    listener: std::net::TcpListener,
    director: Arc<Director>,
    stopped: oneshot::Receiver<()>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let accepting = async {
        loop {
            // First the room: who must wait does so in the kernel's queue.
            let Ok(permit) = room.clone().acquire_owned().await else {
                return;
            };
            let Ok((stream, _)) = listener.accept().await else {
                // Out of files, for example: it may be better in a while.
                sleep(RESPITE).await;
                continue;
            };
            let director = director.clone();
            tokio::spawn(async move {
                // Who does not take its page in time gets no more of it.
                let _ = timeout(PATIENCE, converse(stream, &director)).await;
                drop(permit);
            });
        }
    };
    tokio::select! {
        () = accepting => {}
        _ = stopped => {}
    }
    Ok(())
}

/// Answers one request.
async fn converse(stream: TcpStream, director: &Director) {
    let service =
        service_fn(|request| async move { Ok::<_, Infallible>(answer(&request, director)) });
    // A client that breaks off is no matter.
    let _ = http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(ASKING)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

type Answer = Response<Either<Full<Bytes>, PageBody>>;

fn answer(request: &Request<Incoming>, director: &Director) -> Answer {
    let is_asked = matches!(*request.method(), Method::GET | Method::HEAD);
    match request.uri().path() {
        "/metrics" if is_asked => {
            let page = PageBody(Page::of(director));
            let mut answer = Response::new(Either::Right(page));
            let kind = HeaderValue::from_static(super::CONTENT_TYPE);
            answer.headers_mut().insert(CONTENT_TYPE, kind);
            answer
        }
        "/metrics" => {
            let mut answer = refusal(StatusCode::METHOD_NOT_ALLOWED, "metrics are only read\n");
            let methods = HeaderValue::from_static("GET, HEAD");
            answer.headers_mut().insert(ALLOW, methods);
            answer
        }
        _ => refusal(StatusCode::NOT_FOUND, "metrics are at /metrics\n"),
    }
}

fn refusal(status: StatusCode, why: &'static str) -> Answer {
    let mut answer = Response::new(Either::Left(Full::new(Bytes::from_static(why.as_bytes()))));
    *answer.status_mut() = status;
    answer
}

/// A page that is written as it is sent.
struct PageBody(Page);

impl Body for PageBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let part = self.0.next();
        Poll::Ready(part.map(|part| Ok(Frame::data(part.into()))))
    }
}

/// Conversations at a time; others wait. A monitoring system is a few scrapers.
const CONNECTIONS: usize = 8;
/// How long one may take to ask.
const ASKING: Duration = Duration::from_secs(5);
/// How long one may take in all: longer than any scraper waits.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long nothing is accepted after that failed.
const RESPITE: Duration = Duration::from_millis(100);
