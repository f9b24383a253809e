//! The control API of a running director, asked by curl and judged by its own
//! description.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use lvs::world::{Family, Method, Plan};
use serde_json::{Value, json};

use crate::running::Running;

/// A request: method, path as the description has it, path as it is asked, body.
struct Asked {
    method: &'static str,
    form: &'static str,
    path: String,
    body: String,
}

fn asked(method: &'static str, form: &'static str, path: String, body: String) -> Asked {
    Asked {
        method,
        form,
        path,
        body,
    }
}

/// The same without a body, where nothing of the path varies.
fn plain(method: &'static str, form: &'static str) -> Asked {
    asked(method, form, form.to_owned(), String::new())
}

/// Every request the description has, in an order in which all of them make sense.
fn requests(plan: &Plan) -> Vec<Asked> {
    const SERVICES: &str = "/v1/services";
    const SERVICE: &str = "/v1/services/{service}";
    const SERVERS: &str = "/v1/services/{service}/real_servers";
    const SERVER: &str = "/v1/services/{service}/real_servers/{real_server}";
    let vip = Plan::vip(Family::V4);
    let service = format!("udp:{vip}:99");
    let of = format!("/v1/services/{service}");
    let server = format!("{}:99", plan.rip(0, Family::V4));
    let at = format!("{of}/real_servers/{server}");
    let say = |scheduler| json!({ "service": service, "scheduler": scheduler }).to_string();
    let real = |weight| {
        json!({ "address": server, "forwarding": "masquerade", "weight": weight }).to_string()
    };
    let daemon = json!({ "role": "master", "interface": plan.director_links()[0] }).to_string();
    let many = json!([
        { "operation": "zero", "service": format!("tcp:{}", Plan::web(Family::V4)) },
        { "operation": "delete_service", "service": "tcp:192.0.2.1:1" },
    ]);
    let file = "[director]\ninterfaces = [\"lo\"]\n".to_owned();
    vec![
        plain("GET", "/v1/openapi.json"),
        plain("GET", "/v1/status"),
        plain("GET", "/v1/connections"),
        asked(
            "GET",
            "/v1/connections/page",
            "/v1/connections/page?worker=0&place=0".to_owned(),
            String::new(),
        ),
        plain("GET", "/v1/table_size"),
        asked("POST", SERVICES, SERVICES.to_owned(), say("rr")),
        plain("GET", SERVICES),
        asked("PUT", SERVICE, of.clone(), say("wlc")),
        asked("GET", SERVICE, of.clone(), String::new()),
        asked("POST", SERVERS, format!("{of}/real_servers"), real(1)),
        asked("GET", SERVERS, format!("{of}/real_servers"), String::new()),
        asked("PUT", SERVER, at.clone(), real(7)),
        asked("GET", SERVER, at.clone(), String::new()),
        asked("DELETE", SERVER, at, String::new()),
        asked(
            "POST",
            "/v1/services/{service}/zero",
            format!("{of}/zero"),
            String::new(),
        ),
        asked("DELETE", SERVICE, of, String::new()),
        plain("GET", "/v1/timeouts"),
        asked(
            "PATCH",
            "/v1/timeouts",
            "/v1/timeouts".to_owned(),
            json!({ "tcp": 800 }).to_string(),
        ),
        asked("POST", "/v1/daemons", "/v1/daemons".to_owned(), daemon),
        plain("GET", "/v1/daemons"),
        asked(
            "DELETE",
            "/v1/daemons/{role}",
            "/v1/daemons/master".to_owned(),
            String::new(),
        ),
        plain("POST", "/v1/zero"),
        asked(
            "POST",
            "/v1/operations",
            "/v1/operations".to_owned(),
            many.to_string(),
        ),
        plain("GET", "/v1/config"),
        plain("GET", "/v1/config/unsaved"),
        plain("POST", "/v1/config/save"),
        asked(
            "PUT",
            "/v1/config",
            "/v1/config?dry_run&file=empty".to_owned(),
            file,
        ),
        plain("DELETE", SERVICES),
    ]
}

#[test]
fn every_request_is_answered_as_described() {
    let plan = Plan::new(Method::Masquerade);
    let Some(running) = Running::start(plan, "packet") else {
        return;
    };
    assert!(running.served().is_some());
    let description = running.curl("GET", "/v1/openapi.json", "").1;
    let spec = oas3::from_json(&description).unwrap();
    assert_eq!(spec.openapi, "3.1.0");
    let described: BTreeSet<(String, String)> = spec
        .operations()
        .map(|(path, method, _)| (method.to_string(), path))
        .collect();
    let requests = requests(&plan);
    let ours = requests
        .iter()
        .map(|it| (it.method.to_owned(), it.form.to_owned()));
    assert_eq!(ours.collect::<BTreeSet<_>>(), described);

    let description: Value = serde_json::from_str(&description).unwrap();
    for request in &requests {
        let Asked {
            method,
            form,
            path,
            body,
        } = request;
        let (status, answer) = running.curl(method, path, body);
        let responses = &description["paths"][form][method.to_lowercase()]["responses"];
        assert!(status < 300, "{method} {path}: {status} {answer}");
        let response = &responses[status.to_string()];
        assert!(
            response.is_object(),
            "{method} {path}: {status} is not described"
        );
        match &response["content"]["application/json"]["schema"] {
            Value::Null => assert_eq!(status == 204, answer.is_empty(), "{path}: {answer}"),
            schema => fits(&description, schema, &answer),
        }
    }

    // What is refused is described as well, and the description says where to look.
    let refusal = json!({ "$ref": "#/components/schemas/Refusal" });
    for (method, path, body, status) in [
        ("GET", "/v1/nothing", "", 404),
        ("PATCH", "/v1/services", "", 405),
        ("POST", "/v1/services", "{}", 400),
        ("GET", "/v1/services/tcp:192.0.2.1:1", "", 404),
        ("PUT", "/v1/config?dry_run", "nonsense", 422),
    ] {
        let (got, answer) = running.curl(method, path, body);
        assert_eq!(got, status, "{method} {path}: {answer}");
        fits(&description, &refusal, &answer);
    }
    let (_, lost) = running.curl("GET", "/v1/nothing", "");
    assert!(lost.contains("/v1/openapi.json"), "{lost}");
}

/// Fails where an answer is not as a schema of the description says.
fn fits(description: &Value, schema: &Value, answer: &str) {
    let mut schema = schema.clone();
    schema["components"] = description["components"].clone();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let answer: Value = serde_json::from_str(answer).unwrap();
    let faults: Vec<String> = validator
        .iter_errors(&answer)
        .map(|it| it.to_string())
        .collect();
    assert!(faults.is_empty(), "{answer}: {faults:?}");
}

impl Running {
    /// Status and body of what curl is answered at the socket.
    fn curl(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut curl = Command::new("curl")
            .args(["-s", "-g", "-X", method, "--data-binary", "@-"])
            .args(["-w", "\n%{http_code}", "--unix-socket"])
            .arg(self.socket())
            .arg(format!("http://lvs{path}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        curl.stdin
            .take()
            .unwrap()
            .write_all(body.as_bytes())
            .unwrap();
        let output = curl.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (answer, status) = text.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), answer.to_owned())
    }
}
