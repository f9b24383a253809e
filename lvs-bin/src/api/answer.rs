//! What requests are about, and what they are answered with.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::shape::Refusal;
use crate::control::Keeper;
use crate::ipvsadm::{Control, KernelError, Operation};

/// What a server answers for.
pub trait Site {
    /// What every site has: a director's services.
    fn control(&mut self) -> &mut dyn Control;

    /// The director with its file, where there are such.
    fn keeper(&mut self) -> Option<&mut Keeper> {
        None
    }
}

impl Site for Keeper {
    fn control(&mut self) -> &mut dyn Control {
        self.operator_mut()
    }

    fn keeper(&mut self) -> Option<&mut Keeper> {
        Some(self)
    }
}

/// Any [`Control`], without a director's other sides: those are not found.
pub struct Only<'a>(pub &'a mut dyn Control);

impl Site for Only<'_> {
    fn control(&mut self) -> &mut dyn Control {
        self.0
    }
}

/// A good answer.
pub(super) enum Answer {
    /// Done, and nothing to be said.
    Done,
    /// JSON, new or not.
    Json(StatusCode, Vec<u8>),
    /// A configuration.
    Toml(String),
}

/// A request that was refused.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) refusal: Refusal,
}

impl Answer {
    /// What there is, as JSON.
    pub(super) fn of(shape: &impl Serialize) -> Result<Self, Refused> {
        let json = serde_json::to_vec(shape).map_err(|error| Refused {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            refusal: Refusal::new(error.to_string(), "the answer", ""),
        })?;
        Ok(Self::Json(StatusCode::OK, json))
    }

    /// As the bytes of a response.
    pub(super) fn response(self) -> Response<Full<Bytes>> {
        match self {
            Self::Done => with(StatusCode::NO_CONTENT, None, Vec::new()),
            Self::Json(status, json) => with(status, Some(JSON), json),
            Self::Toml(text) => with(StatusCode::OK, Some(TOML), text.into_bytes()),
        }
    }
}

impl Refused {
    /// A request that makes no sense.
    pub(super) fn bad(what: impl Into<String>, place: impl Into<String>, help: &str) -> Self {
        Self::with(StatusCode::BAD_REQUEST, what, place, help)
    }

    /// What is not there.
    pub(super) fn not_found(what: impl Into<String>, place: impl Into<String>, help: &str) -> Self {
        Self::with(StatusCode::NOT_FOUND, what, place, help)
    }

    pub(super) fn with(
        status: StatusCode,
        what: impl Into<String>,
        place: impl Into<String>,
        help: &str,
    ) -> Self {
        let refusal = Refusal::new(what, place, help);
        Self { status, refusal }
    }

    /// An operation the kernel would refuse, at a place.
    pub(super) fn by_kernel(operation: &Operation, error: KernelError, place: &str) -> Self {
        let what = operation.refusal(error);
        let mut refused = Self::with(status(operation, error), what, place, help(error));
        refused.refusal = refused.refusal.numbered(error);
        refused
    }

    /// As the bytes of a response.
    pub(super) fn response(&self) -> Response<Full<Bytes>> {
        let json = serde_json::to_vec(&self.refusal).unwrap_or_default();
        with(self.status, Some(JSON), json)
    }

    /// The same with the methods there are.
    pub(super) fn response_allowing(&self, methods: &str) -> Response<Full<Bytes>> {
        let mut response = self.response();
        if let Ok(methods) = HeaderValue::from_str(methods) {
            response.headers_mut().insert(ALLOW, methods);
        }
        response
    }
}

fn with(status: StatusCode, kind: Option<&'static str>, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    if let Some(kind) = kind {
        let kind = HeaderValue::from_static(kind);
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    response
}

/// The status for an error of the kernel's, which depends on what was asked.
const fn status(operation: &Operation, error: KernelError) -> StatusCode {
    use KernelError as E;
    match (operation, error) {
        (_, E::Exists) => StatusCode::CONFLICT,
        (_, E::NoSuch) | (Operation::EditServer(..) | Operation::DeleteServer(..), E::NotFound) => {
            StatusCode::NOT_FOUND
        }
        (_, E::NotPermitted) => StatusCode::FORBIDDEN,
        (_, E::NoMemory) => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

/// What to do about an error of the kernel's.
const fn help(error: KernelError) -> &'static str {
    use KernelError as E;
    match error {
        E::Exists => "edit what there is, or delete it first",
        E::NoSuch => "add it first, or look at GET /v1/services for what there is",
        E::NotFound => {
            "write one of the schedulers rr wrr lc wlc lblc lblcr sh dh mh sed nq fo ovf twos none, \
             without a persistence engine; of real servers, see GET /v1/services for those there \
             are"
        }
        E::NotPermitted => "ask as root",
        E::NoMemory => "remove what is not needed; the director's log says what it lacks",
        E::NoDevice => "name an interface of the director's machine",
        E::Invalid => {
            "the addresses must be those of single hosts and of one family (a tunnel may lead to \
             the other), port 0 is for persistent services, one_packet for UDP and marks"
        }
        E::OutOfRange => "weights are 0 to 2147483647; lower_threshold is not above the upper one",
        E::NoProtocol | E::NoFamily => "leave it out: the director does not have it",
    }
}

const JSON: &str = "application/json";
const TOML: &str = "application/toml";
