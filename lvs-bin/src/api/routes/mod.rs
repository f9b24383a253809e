//! Every method and path, and what is done there; one file for what belongs
//! together.

mod config;
mod openapi;
mod operations;
mod real_servers;
mod services;
mod status;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Response, StatusCode};
use percent_encoding::percent_decode_str;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;

use super::answer::{Answer, Refused, Site};
use super::shape::Refusal;

/// A method and a path, and what is done there.
struct Route {
    method: Method,
    /// With the names of its parts that vary: `/v1/services/{service}`.
    path: &'static str,
    /// What is done there, for people.
    about: &'static str,
    act: fn(&mut Call<'_>) -> Result<Answer, Refused>,
    /// What the query may say, each name with what it is for.
    query: &'static [(&'static str, &'static str)],
    /// What the body must be.
    takes: Option<Content>,
    /// What is answered when all is well; nothing if that is all.
    gives: Option<(StatusCode, Content)>,
}

/// What a body is.
enum Content {
    /// JSON of a shape.
    Json(fn(&mut SchemaGenerator) -> Schema),
    /// A configuration file.
    Toml,
}

impl Content {
    const fn json<T: JsonSchema>() -> Self {
        Self::Json(SchemaGenerator::subschema_for::<T>)
    }
}

impl Route {
    const fn new(
        method: Method,
        path: &'static str,
        about: &'static str,
        act: fn(&mut Call<'_>) -> Result<Answer, Refused>,
    ) -> Self {
        Self {
            method,
            path,
            about,
            act,
            query: &[],
            takes: None,
            gives: None,
        }
    }

    fn asking(self, query: &'static [(&'static str, &'static str)]) -> Self {
        Self { query, ..self }
    }

    fn taking<T: JsonSchema>(self) -> Self {
        let takes = Some(Content::json::<T>());
        Self { takes, ..self }
    }

    fn taking_toml(self) -> Self {
        let takes = Some(Content::Toml);
        Self { takes, ..self }
    }

    fn giving<T: JsonSchema>(self) -> Self {
        let gives = Some((StatusCode::OK, Content::json::<T>()));
        Self { gives, ..self }
    }

    /// The same, which is new.
    fn creating<T: JsonSchema>(self) -> Self {
        let gives = Some((StatusCode::CREATED, Content::json::<T>()));
        Self { gives, ..self }
    }

    fn giving_toml(self) -> Self {
        let gives = Some((StatusCode::OK, Content::Toml));
        Self { gives, ..self }
    }
}

/// A request on its way.
struct Call<'a> {
    site: &'a mut dyn Site,
    /// The parts of the path that vary, in order.
    parts: Vec<String>,
    query: &'a str,
    body: &'a [u8],
}

/// The routes.
fn routes() -> Vec<Route> {
    services::routes()
        .into_iter()
        .chain(real_servers::routes())
        .chain(operations::routes())
        .chain(config::routes())
        .chain(status::routes())
        .chain(openapi::routes())
        .collect()
}

/// Does what a request asks for.
pub(super) fn answer(
    site: &mut dyn Site,
    method: &Method,
    path: &str,
    query: &str,
    body: &[u8],
) -> Response<Full<Bytes>> {
    let all = routes();
    let mut fitting = all
        .iter()
        .filter_map(|route| Some((route, parts(route.path, path)?)))
        .collect::<Vec<_>>();
    let Some(place) = fitting.iter().position(|(route, _)| route.method == method) else {
        return no_route(method, path, &fitting);
    };
    let (route, parts) = fitting.swap_remove(place);
    let mut call = Call {
        site,
        parts,
        query,
        body,
    };
    match (route.act)(&mut call) {
        Ok(answer) => answer.response(),
        Err(refused) => refused.response(),
    }
}

fn no_route(
    method: &Method,
    path: &str,
    fitting: &[(&Route, Vec<String>)],
) -> Response<Full<Bytes>> {
    if fitting.is_empty() {
        let what = format!("there is no {path}");
        let help = "GET /v1/openapi.json says what there is";
        return Refused::not_found(what, "the path", help).response();
    }
    let methods: Vec<&str> = fitting
        .iter()
        .map(|(route, _)| route.method.as_str())
        .collect();
    let methods = methods.join(", ");
    Refused {
        status: StatusCode::METHOD_NOT_ALLOWED,
        refusal: Refusal::new(
            format!("{path} knows no {method}"),
            "the method",
            format!("use one of {methods}"),
        ),
    }
    .response_allowing(&methods)
}

/// The varying parts of a path, if it is one of this form.
fn parts(form: &str, path: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut given = path.split('/');
    for wanted in form.split('/') {
        let given = given.next()?;
        if wanted.starts_with('{') {
            let decoded = percent_decode_str(given).decode_utf8().ok()?;
            parts.push(decoded.into_owned());
        } else if wanted != given {
            return None;
        }
    }
    given.next().is_none().then_some(parts)
}

impl Call<'_> {
    /// The body as a shape.
    ///
    /// *Errors:* what is wrong with it, and where.
    fn shape<T: DeserializeOwned>(&self) -> Result<T, Refused> {
        serde_json::from_slice(self.body).map_err(|error| {
            let place = format!("the body, line {}, column {}", error.line(), error.column());
            let help = "GET /v1/openapi.json says what it must be";
            Refused::bad(error.to_string(), place, help)
        })
    }

    /// What the query says of a name.
    fn asked(&self, name: &str) -> Option<String> {
        let mut pairs = self
            .query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let (_, value) = pairs.find(|(of, _)| *of == name)?;
        Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
    }

    /// The number that the query says of a name, 0 if none.
    ///
    /// *Errors:* it is none.
    fn number(&self, name: &str) -> Result<usize, Refused> {
        let Some(text) = self.asked(name) else {
            return Ok(0);
        };
        text.parse().map_err(|_| {
            let what = format!("{text:?} is no number");
            Refused::bad(what, format!("the query, {name}"), "write one from 0 on")
        })
    }

    /// Whether the query asks for something: `name`, `name=1` or `name=true`.
    fn is_asked(&self, name: &str) -> bool {
        let asked = self.asked(name);
        asked.is_some_and(|value| ["", "1", "true"].contains(&value.as_str()))
    }

    /// One of the varying parts of the path.
    fn part(&self, place: usize) -> &str {
        self.parts.get(place).map_or("", String::as_str)
    }
}

/// What does not go together in a body.
fn unfit(what: String) -> Refused {
    let help = "GET /v1/openapi.json says what it must be";
    Refused::bad(what, "the body", help)
}
