//! The HTTP that real servers speak.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::{RESPITE, pattern, wrong};

/// The header that carries the name of the server that answered.
pub(super) const REAL_SERVER: &str = "x-real-server";

/// Serves every connection of `listener` as `name`.
pub(super) async fn serve(listener: TcpListener, name: String) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(RESPITE).await;
            continue;
        };
        // Without it the last segment of an answer waits for an ACK.
        let _ = stream.set_nodelay(true);
        let name = name.clone();
        tokio::spawn(http1::Builder::new().serve_connection(
            TokioIo::new(stream),
            service_fn(move |request| answer(name.clone(), request)),
        ));
    }
}

async fn answer(
    name: String,
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, hyper::http::Error> {
    let path = request.uri().path().to_owned();
    let (status, body) = match (request.method(), path.as_str()) {
        (&Method::GET, "/name") => (StatusCode::OK, text(name.clone())),
        (&Method::POST, "/bytes") => match take(request.into_body()).await {
            Ok(length) => (StatusCode::OK, text(length.to_string())),
            Err(error) => (StatusCode::BAD_REQUEST, text(error.to_string())),
        },
        (&Method::GET, path) => match path.strip_prefix("/bytes/").map(str::parse) {
            Some(Ok(length)) => (StatusCode::OK, Stretch::of(length).boxed()),
            _ => (StatusCode::NOT_FOUND, text(format!("no {path} here"))),
        },
        _ => (StatusCode::METHOD_NOT_ALLOWED, text(String::new())),
    };
    Response::builder()
        .status(status)
        .header(REAL_SERVER, name)
        .body(body)
}

/// Reads a body to its end, checks it against the pattern, and counts it.
pub(super) async fn take(mut body: Incoming) -> io::Result<u64> {
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(io::Error::other)?.into_data() else {
            continue;
        };
        pattern::check(length, &data)
            .map_err(|offset| wrong(format!("the body differs at byte {offset}")))?;
        length += data.len() as u64;
    }
    Ok(length)
}

fn text(text: String) -> BoxBody<Bytes, Infallible> {
    Full::new(Bytes::from(text)).boxed()
}

/// The pattern's first bytes as a body, made as it is sent.
pub(super) struct Stretch {
    sent: u64,
    length: u64,
}

impl Stretch {
    /// The first `length` bytes.
    pub(super) fn of(length: u64) -> Self {
        Self { sent: 0, length }
    }
}

impl Body for Stretch {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let length = (self.length - self.sent).min(PIECE);
        if length == 0 {
            return Poll::Ready(None);
        }
        let piece = pattern::bytes(self.sent, length as usize);
        self.sent += length;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.sent == self.length
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length - self.sent)
    }
}

/// Bytes of a body made at a time.
const PIECE: u64 = 64 * 1024;
