//! Clients: one exchange or many at once, checked to the last byte.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::http::{REAL_SERVER, Stretch, take};
use super::{block_on, pattern, step, wrong};

/// What to ask of a server by HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Only who answers.
    Name,
    /// A body of so many bytes from the server, which is checked.
    Download(u64),
    /// A body of so many bytes to the server, which checks it.
    Upload(u64),
}

/// Makes one request over a connection of its own, and returns the name of the
/// server that answered.
///
/// Errors: the step that failed; `TimedOut` after `deadline`; `InvalidData`
/// when an answer came and is wrong.
pub fn http(service: SocketAddr, request: Request, deadline: Duration) -> io::Result<String> {
    block_on(within(deadline, async {
        exchange(connect(service).await?, service, request).await
    }))?
}

/// Opens `count` connections, and only when all are open makes a request over
/// each: all of them are there at once. One result for each connection; the
/// deadline is for opening them, and again for asking.
pub fn http_many(
    service: SocketAddr,
    request: Request,
    count: usize,
    deadline: Duration,
) -> Vec<io::Result<String>> {
    many(async {
        let opening = (0..count).map(|_| connect(service)).collect();
        let asking = all(opening, deadline)
            .await
            .into_iter()
            .map(|stream| async move { exchange(stream?, service, request).await });
        all(asking.collect(), deadline).await
    })
}

/// Sends a datagram of `length` bytes from a port of its own, and returns the
/// name of the server that echoed it.
///
/// Errors: as for [`http`]; a lost datagram is a `TimedOut`.
pub fn udp(service: SocketAddr, length: usize, deadline: Duration) -> io::Result<String> {
    block_on(within(deadline, echo(service, length)))?
}

/// Sends `count` datagrams, each from a port of its own, all at once.
pub fn udp_many(
    service: SocketAddr,
    length: usize,
    count: usize,
    deadline: Duration,
) -> Vec<io::Result<String>> {
    many(async {
        all(
            (0..count).map(|_| echo(service, length)).collect(),
            deadline,
        )
        .await
    })
}

async fn connect(service: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(service)
        .await
        .map_err(step(format_args!("connecting to {service}")))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn exchange(stream: TcpStream, service: SocketAddr, request: Request) -> io::Result<String> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(connection);
    let message = hyper::Request::builder().header("host", service.to_string());
    let message = match request {
        Request::Name => message.uri("/name").body(nothing()),
        Request::Download(length) => message.uri(format!("/bytes/{length}")).body(nothing()),
        Request::Upload(length) => message
            .method(Method::POST)
            .uri("/bytes")
            .body(Stretch::of(length).boxed()),
    }
    .map_err(io::Error::other)?;
    let response = sender
        .send_request(message)
        .await
        .map_err(|error| step(format_args!("asking {service}"))(io::Error::other(error)))?;
    verify(response, request).await
}

async fn verify(response: Response<Incoming>, request: Request) -> io::Result<String> {
    let name = response
        .headers()
        .get(REAL_SERVER)
        .and_then(|name| name.to_str().ok())
        .ok_or_else(|| wrong("the answer does not name its real server"))?
        .to_owned();
    if response.status() != StatusCode::OK {
        return Err(wrong(format!("{name} answered {}", response.status())));
    }
    match request {
        Request::Download(length) => {
            let arrived = take(response.into_body()).await?;
            expect(&name, "bytes sent", arrived, length)?;
        }
        Request::Upload(length) => {
            let arrived = text(response).await?;
            expect(&name, "bytes received", arrived, length.to_string())?;
        }
        Request::Name => expect(&name, "name", text(response).await?, name.clone())?,
    }
    Ok(name)
}

fn expect<T: PartialEq + std::fmt::Display>(
    server: &str,
    what: &str,
    got: T,
    expected: T,
) -> io::Result<()> {
    if got == expected {
        return Ok(());
    }
    Err(wrong(format!("{server}: {what}: {got}, not {expected}")))
}

async fn text(response: Response<Incoming>) -> io::Result<String> {
    let body = response.into_body().collect().await;
    let bytes = body.map_err(io::Error::other)?.to_bytes();
    String::from_utf8(bytes.into()).map_err(|error| wrong(error.to_string()))
}

async fn echo(service: SocketAddr, length: usize) -> io::Result<String> {
    let any: SocketAddr = match service {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    // Connected: only the service's own address may answer.
    socket
        .connect(service)
        .await
        .map_err(step(format_args!("reaching {service}")))?;
    socket
        .send(&pattern::bytes(0, length))
        .await
        .map_err(step(format_args!("sending to {service}")))?;
    let mut answer = vec![0; length + LONGEST_NAME + 1];
    let arrived = socket.recv(&mut answer).await?;
    answer.truncate(arrived);
    let space = answer
        .iter()
        .position(|&byte| byte == b' ')
        .ok_or_else(|| wrong("the echo does not name its real server"))?;
    let echoed = &answer[space + 1..];
    let name = String::from_utf8_lossy(&answer[..space]).into_owned();
    expect(&name, "bytes echoed", echoed.len(), length)?;
    pattern::check(0, echoed)
        .map_err(|offset| wrong(format!("{name}: the echo differs at byte {offset}")))?;
    Ok(name)
}

fn nothing() -> BoxBody<Bytes, Infallible> {
    Empty::new().boxed()
}

/// Runs all at once; each one that is not done at the deadline is a `TimedOut`.
async fn all<T: Send + 'static>(
    work: Vec<impl Future<Output = io::Result<T>> + Send + 'static>,
    deadline: Duration,
) -> Vec<io::Result<T>> {
    let tasks: Vec<_> = work
        .into_iter()
        .map(|one| tokio::spawn(within(deadline, one)))
        .collect();
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.push(
            task.await
                .unwrap_or_else(|error| Err(io::Error::other(error))),
        );
    }
    results
}

fn many<T>(work: impl Future<Output = Vec<io::Result<T>>>) -> Vec<io::Result<T>> {
    block_on(work).unwrap_or_else(|error| vec![Err(error)])
}

async fn within<T>(deadline: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(deadline, work).await.unwrap_or_else(|_| {
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("not done within {deadline:?}"),
        ))
    })
}

/// Longest name of a server that an echo is expected to carry, in bytes.
const LONGEST_NAME: usize = 64;

#[cfg(test)]
mod tests {
    use std::thread;

    use super::super::{Offer, Server};
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    fn server() -> Server {
        let any = "127.0.0.1:0".parse().unwrap();
        Server::here("one", &[Offer::Http(any), Offer::UdpEcho(any)])
    }

    #[test]
    fn a_server_says_who_it_is() {
        let server = server();
        let asked = |request| http(server.addresses()[0], request, DEADLINE).unwrap();
        assert_eq!(asked(Request::Name), "one");
        assert_eq!(asked(Request::Download(0)), "one");
        assert_eq!(asked(Request::Download(1_000_001)), "one");
        assert_eq!(asked(Request::Upload(1_000_001)), "one");
        assert_eq!(udp(server.addresses()[1], 1200, DEADLINE).unwrap(), "one");
    }

    #[test]
    fn many_connections_are_open_at_once() {
        let server = server();
        let names = http_many(server.addresses()[0], Request::Name, 50, DEADLINE);
        assert_eq!(names.len(), 50);
        let names = names
            .into_iter()
            .chain(udp_many(server.addresses()[1], 100, 50, DEADLINE));
        assert!(names.into_iter().all(|name| name.unwrap() == "one"));
    }

    #[test]
    fn silence_ends_at_the_deadline() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap();
        let error = http(address, Request::Name, Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_damaged_echo_is_found() {
        let liar = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = liar.local_addr().unwrap();
        let lying = thread::spawn(move || {
            let mut datagram = [0; 100];
            let (length, client) = liar.recv_from(&mut datagram).unwrap();
            datagram[10] ^= 1;
            let answer = [b"liar ", &datagram[..length]].concat();
            liar.send_to(&answer, client).unwrap();
        });
        let error = udp(address, 20, DEADLINE).unwrap_err();
        lying.join().unwrap();
        assert_eq!(error.to_string(), "liar: the echo differs at byte 10");
    }
}
