//! `/v1/openapi.json`: what this API takes and gives, for programs that make
//! clients of such a description.
//!
//! It is made of the routes and of the shapes themselves, so that it cannot say
//! what is not so.
//!
//! *Source:* OpenAPI 3.1.0, whose schemas are those of JSON Schema 2020-12.

use hyper::{Method, StatusCode};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::super::answer::{Answer, Refused};
use super::super::shape::Refusal;
use super::{Call, Content, Route};

pub(super) fn routes() -> [Route; 1] {
    let about = "This description.";
    [Route::new(Method::GET, "/v1/openapi.json", about, openapi).giving::<Map<String, Value>>()]
}

fn openapi(_: &mut Call<'_>) -> Result<Answer, Refused> {
    Answer::of(&document())
}

/// The description of all routes.
fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    let mut generator = settings.into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for route in super::routes() {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        let method = route.method.as_str().to_lowercase();
        path[method] = operation(&route, &mut generator);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "lvs",
            "summary": "The control API of a running Linux Virtual Server director.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
        },
        "servers": [{
            "url": "http://lvs",
            "description": "At the Unix socket: curl --unix-socket /run/lvs.sock",
        }],
        "paths": paths,
        "components": { "schemas": generator.take_definitions(true) },
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let mut operation = json!({
        "summary": route.about,
        "parameters": parameters(route),
        "responses": {
            "default": {
                "description": "It was refused, and nothing has changed.",
                "content": content(&Content::json::<Refusal>(), generator),
            },
        },
    });
    if let Some(takes) = &route.takes {
        operation["requestBody"] = json!({
            "required": true,
            "content": content(takes, generator),
        });
    }
    let (status, response) = match &route.gives {
        None => (StatusCode::NO_CONTENT, json!({ "description": "Done." })),
        Some((status, gives)) => {
            let description = match *status {
                StatusCode::CREATED => "As it is now.",
                _ => "What was asked for.",
            };
            let content = content(gives, generator);
            let response = json!({ "description": description, "content": content });
            (*status, response)
        }
    };
    operation["responses"][status.as_str()] = response;
    operation
}

fn content(of: &Content, generator: &mut SchemaGenerator) -> Value {
    match of {
        Content::Json(schema) => json!({ "application/json": { "schema": schema(generator) } }),
        Content::Toml => json!({ "application/toml": { "schema": { "type": "string" } } }),
    }
}

/// The parts of the path that vary, and what the query may say.
fn parameters(route: &Route) -> Vec<Value> {
    let parts = route.path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        Some(json!({
            "name": name,
            "in": "path",
            "required": true,
            "description": part_of_path(name),
            "schema": { "type": "string" },
        }))
    });
    let query = route.query.iter().map(|(name, about)| {
        json!({
            "name": name,
            "in": "query",
            "description": about,
            "schema": { "type": "string" },
        })
    });
    parts.chain(query).collect()
}

fn part_of_path(name: &str) -> &'static str {
    match name {
        "service" => "tcp:192.0.2.10:80, udp:[2001:db8::10]:53 or mark:ipv4:1.",
        "real_server" => "10.0.0.11:8080; without a port, at that of its service.",
        _ => "master or backup.",
    }
}
