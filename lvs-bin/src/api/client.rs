//! The other end: a running director as an [`ipvsadm::Control`], by its API.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, io};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use lvs_core::{RealServer, ServiceKey, Timeouts};
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::shape::{self, ConnectionPage, Cursor, Outcome, Refusal};
use crate::ipvsadm::{
    Connection, Control, Daemon, DaemonRole, KernelError, Operation, Service, ServiceRequest,
};

/// A director at the other end of a socket. It waits for each answer.
///
/// Listings cannot fail by themselves: where the connection does, they are empty
/// and [`failure`](Self::failure) says why.
pub struct Client<'a> {
    exchange: RefCell<Box<Exchange<'a>>>,
    failure: RefCell<Option<ClientError>>,
}

/// Sends a request and gives back the response.
type Exchange<'a> = dyn FnMut(Request<Full<Bytes>>) -> Result<Response<Bytes>, ClientError> + 'a;

/// Why a director did not do as it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientError {
    /// Nobody listens at the socket.
    NoDirector {
        /// The socket.
        socket: PathBuf,
        /// The machine's words.
        why: String,
    },
    /// The connection broke, or no sense can be made of what came by it.
    Broken(String),
    /// The director refused.
    Refused(Refusal),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDirector { socket, why } => write!(
                f,
                "no director listens at {} ({why}): start it with lvs run, or name its socket \
                 with --socket or LVS_SOCKET",
                socket.display()
            ),
            Self::Broken(why) => write!(f, "the director does not answer: {why}"),
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}

impl std::error::Error for ClientError {}

impl Client<'static> {
    /// Connects to the director that listens at `socket`.
    ///
    /// # Errors
    ///
    /// There is none, or it may not be talked to.
    pub fn connect(socket: &Path) -> Result<Self, ClientError> {
        let no_director = |error: io::Error| ClientError::NoDirector {
            socket: socket.to_owned(),
            why: error.to_string(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| ClientError::Broken(error.to_string()))?;
        let stream = runtime
            .block_on(UnixStream::connect(socket))
            .map_err(no_director)?;
        let shaken = runtime.block_on(http1::handshake(TokioIo::new(stream)));
        let (mut sender, connection) = shaken.map_err(|error| broken(&error))?;
        runtime.spawn(connection);
        Ok(Self::over(move |request| {
            let answer = async {
                let response = sender.send_request(request).await?;
                let (parts, body) = response.into_parts();
                let body = body.collect().await?.to_bytes();
                Ok::<_, hyper::Error>(Response::from_parts(parts, body))
            };
            match runtime.block_on(async { timeout(PATIENCE, answer).await }) {
                Ok(answer) => answer.map_err(|error| broken(&error)),
                Err(_) => {
                    let seconds = PATIENCE.as_secs();
                    Err(ClientError::Broken(format!("not within {seconds} seconds")))
                }
            }
        }))
    }
}

impl<'a> Client<'a> {
    /// A director that `exchange` sends requests to.
    pub fn over(
        exchange: impl FnMut(Request<Full<Bytes>>) -> Result<Response<Bytes>, ClientError> + 'a,
    ) -> Self {
        Self {
            exchange: RefCell::new(Box::new(exchange)),
            failure: RefCell::new(None),
        }
    }

    /// Why the director could not be asked, the first time it could not.
    pub fn failure(&self) -> Option<ClientError> {
        self.failure.borrow().clone()
    }

    /// Sends a request; the body of what is answered.
    ///
    /// # Errors
    ///
    /// The director refuses, or cannot be asked.
    pub fn ask(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: Vec<u8>,
    ) -> Result<Bytes, ClientError> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "lvs")
            .header("content-type", kind)
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| ClientError::Broken(error.to_string()))?;
        let response = (self.exchange.borrow_mut())(request)?;
        let status = response.status();
        let body = response.into_body();
        if status.is_success() {
            return Ok(body);
        }
        Err(refusal(status, &body))
    }

    /// What there is at a path.
    ///
    /// # Errors
    ///
    /// As [`ask`](Self::ask); what is answered has another shape.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        read(&self.ask(Method::GET, path, JSON, Vec::new())?)
    }

    /// What there is after a body was put at a path.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn put<T: DeserializeOwned>(
        &mut self,
        path: &str,
        kind: &str,
        body: Vec<u8>,
    ) -> Result<T, ClientError> {
        read(&self.ask(Method::PUT, path, kind, body)?)
    }

    /// What is answered when something is to be done.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn post<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, ClientError> {
        read(&self.ask(Method::POST, path, JSON, Vec::new())?)
    }

    /// Has many operations carried out; what became of each.
    fn send(
        &self,
        operations: Vec<Operation>,
    ) -> Result<Vec<Result<(), KernelError>>, ClientError> {
        let count = operations.len();
        let shapes: Vec<_> = operations.into_iter().map(shape::Operation::from).collect();
        let body =
            serde_json::to_vec(&shapes).map_err(|error| ClientError::Broken(error.to_string()))?;
        let outcomes: Vec<Outcome> =
            read(&self.ask(Method::POST, "/v1/operations", JSON, body)?)?;
        let done: Option<Vec<_>> = outcomes.iter().map(Outcome::done).collect();
        done.filter(|done| done.len() == count)
            .ok_or_else(|| ClientError::Broken("it answers what was not asked".to_owned()))
    }

    /// A listing; where it cannot be had, an empty one.
    fn listed<T: Default>(&self, got: Result<T, ClientError>) -> T {
        got.unwrap_or_else(|error| {
            self.failure.borrow_mut().get_or_insert(error);
            T::default()
        })
    }

    /// A list of shapes, as the plain data they stand for.
    fn list<S: DeserializeOwned, T>(
        &self,
        path: &str,
        plain: impl Fn(S) -> Result<T, String>,
    ) -> Vec<T> {
        let shapes = self.get::<Vec<S>>(path);
        let list = shapes.and_then(|shapes| {
            let list = shapes.into_iter().map(plain);
            list.collect::<Result<_, _>>().map_err(ClientError::Broken)
        });
        self.listed(list)
    }

    fn one(&mut self, operation: Operation) -> Result<(), KernelError> {
        self.operate(vec![operation]).pop().unwrap_or(Ok(()))
    }
}

/// What an answer says.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(body)
        .map_err(|error| ClientError::Broken(format!("no sense in what it says: {error}")))
}

/// Why a request was refused.
fn refusal(status: StatusCode, body: &[u8]) -> ClientError {
    match serde_json::from_slice(body) {
        Ok(refusal) => ClientError::Refused(refusal),
        Err(_) => ClientError::Broken(format!("it says only: {status}")),
    }
}

fn broken(error: &hyper::Error) -> ClientError {
    ClientError::Broken(error.to_string())
}

impl Control for Client<'_> {
    fn add_service(&mut self, service: ServiceRequest) -> Result<(), KernelError> {
        self.one(Operation::AddService(service))
    }

    fn edit_service(&mut self, service: ServiceRequest) -> Result<(), KernelError> {
        self.one(Operation::EditService(service))
    }

    fn delete_service(&mut self, key: ServiceKey) -> Result<(), KernelError> {
        self.one(Operation::DeleteService(key))
    }

    fn flush(&mut self) -> Result<(), KernelError> {
        self.one(Operation::Flush)
    }

    fn zero(&mut self, key: Option<ServiceKey>) -> Result<(), KernelError> {
        self.one(Operation::Zero(key))
    }

    fn add_server(&mut self, key: ServiceKey, real_server: RealServer) -> Result<(), KernelError> {
        self.one(Operation::AddServer(key, real_server))
    }

    fn edit_server(&mut self, key: ServiceKey, real_server: RealServer) -> Result<(), KernelError> {
        self.one(Operation::EditServer(key, real_server))
    }

    fn delete_server(&mut self, key: ServiceKey, at: SocketAddr) -> Result<(), KernelError> {
        self.one(Operation::DeleteServer(key, at))
    }

    fn set_timeouts(&mut self, seconds: [u32; 3]) -> Result<(), KernelError> {
        self.one(Operation::SetTimeouts(seconds))
    }

    fn start_daemon(&mut self, daemon: Daemon) -> Result<(), KernelError> {
        self.one(Operation::StartDaemon(daemon))
    }

    fn stop_daemon(&mut self, role: DaemonRole) -> Result<(), KernelError> {
        self.one(Operation::StopDaemon(role))
    }

    /// All of them in one request.
    fn operate(&mut self, operations: Vec<Operation>) -> Vec<Result<(), KernelError>> {
        let count = operations.len();
        if count == 0 {
            return Vec::new();
        }
        self.send(operations).unwrap_or_else(|error| {
            self.failure.borrow_mut().get_or_insert(error);
            vec![Err(KernelError::NoProtocol); count]
        })
    }

    fn services(&self) -> Vec<Service> {
        self.list("/v1/services", |it: shape::Service| it.listed())
    }

    fn connections(&self) -> Vec<Connection> {
        let mut all = Vec::new();
        let mut next = Some(Cursor::default());
        while let Some(Cursor { worker, place }) = next {
            let path = format!("/v1/connections/page?worker={worker}&place={place}");
            let page: ConnectionPage = self.listed(self.get(&path));
            all.extend(page.connections.into_iter().map(Connection::from));
            next = page.next;
        }
        all
    }

    fn timeouts(&self) -> Timeouts {
        let timeouts = self.get("/v1/timeouts").map(shape::Timeouts::into);
        self.listed(timeouts)
    }

    fn daemons(&self) -> Vec<Daemon> {
        self.list("/v1/daemons", |it: shape::Daemon| Ok(it.into()))
    }

    fn table_size(&self) -> u32 {
        self.listed(self.get("/v1/table_size"))
    }
}

const JSON: &str = "application/json";
/// How long an answer is waited for: a change of many services may wait for
/// others.
const PATIENCE: Duration = Duration::from_secs(120);
