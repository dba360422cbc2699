//! What is attacked, and how: every call with every text of it replaced.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value as Json, json as value};

use super::{API, FILES};
use crate::support::Server;

/// A server with something to lose.
pub struct Victim<'a> {
    pub server: &'a Server,
    pub run: String,
    pub experiment: String,
    pub model_id: String,
}

impl<'a> Victim<'a> {
    pub fn new(server: &'a Server) -> Victim<'a> {
        let post = |path: &str, body: Json| {
            let (status, answer) = server.request("POST", &format!("{API}/{path}"), &body.to_string());
            assert_eq!(status, 200, "{path}: {answer}");
            answer
        };
        let made = post("experiments/create", value!({"name": "victim", "tags": [{"key": "kept", "value": "1"}]}));
        let experiment = made["experiment_id"].as_str().unwrap().to_owned();
        let mut runs = (0..3).map(|number| {
            let made = post("runs/create", value!({"experiment_id": experiment, "run_name": format!("run {number}"), "start_time": number}));
            let run = made["run"]["info"]["run_id"].as_str().unwrap().to_owned();
            post("runs/log-batch", value!({"run_id": run, "metrics": [{"key": "m", "value": number, "timestamp": 1}, {"key": "m", "value": 5, "timestamp": 2, "step": 1}],
                "params": [{"key": "p", "value": "1"}], "tags": [{"key": "t", "value": "1"}]}));
            run
        }).collect::<Vec<_>>();
        // The second one's files lie behind the server.
        let behind = (format!("runs:/{}/model", runs[0]), runs[0].clone());
        let elsewhere = ("s3://lake/x".to_owned(), String::new());
        for (name, (source, run)) in [("victim", &elsewhere), ("victim 2", &behind), ("victim 3", &elsewhere)] {
            post("registered-models/create", value!({"name": name, "tags": [{"key": "t", "value": "1"}]}));
            post("model-versions/create", value!({"name": name, "source": source, "run_id": run}));
        }
        post("registered-models/alias", value!({"name": "victim", "alias": "best", "version": "1"}));
        let logged = post("logged-models", value!({"experiment_id": experiment, "name": "logged"}));
        post("logged-models", value!({"experiment_id": experiment, "name": "other"}));
        post("experiments/create", value!({"name": "another"}));
        let model_id = logged["model"]["info"]["model_id"].as_str().unwrap().to_owned();
        let run = runs.remove(0);
        let victim = Victim { server, run, experiment, model_id };
        let file = format!("{FILES}/{}/{}/artifacts/a.json", victim.experiment, victim.run);
        assert_eq!(server.request("PUT", &file, "{}").0, 200);
        victim
    }

    /// All that clients see of the store.
    pub fn state(&self) -> Json {
        let post = |path: &str, body: Json| self.server.request("POST", &format!("{API}/{path}"), &body.to_string()).1;
        let get = |path: &str| self.server.request("GET", &format!("{API}/{path}"), "").1;
        let experiments = post("experiments/search", value!({"max_results": 1000, "view_type": "ALL"}));
        let ids: Vec<&Json> =
            experiments["experiments"].as_array().unwrap().iter().map(|one| &one["experiment_id"]).collect();
        value!([
            post("runs/search", value!({"experiment_ids": ids, "max_results": 1000, "run_view_type": "ALL"})),
            post("logged-models/search", value!({"experiment_ids": ids})),
            experiments,
            get("registered-models/search?max_results=1000"),
            get("model-versions/search?max_results=1000"),
            get(&format!("metrics/get-history?run_id={}&metric_key=m", self.run)),
            self.server.request("GET", FILES, "").1,
            self.server.request("GET", &format!("{FILES}?path={}/{}/artifacts", self.experiment, self.run), "").1,
        ])
    }

    /// Does what is asked; a refusal is one of MLflow's, and never the server's own failure.
    pub fn send(&self, method: &str, path: &str, body: &[u8]) -> u16 {
        let (status, answer) = raw(&self.server.address, method, path, body);
        let asked = || format!("{method} {} {}", brief(path.as_bytes()), brief(body));
        assert!(status == 200 || (400..500).contains(&status), "{}: {status} {}", asked(), brief(answer.as_bytes()));
        if status != 200 {
            let said: Json = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{}: {status} {answer}", asked()));
            let names: Vec<&String> = said.as_object().unwrap().keys().collect();
            assert_eq!(names, ["error_code", "message"], "{}: {said}", asked());
            let words = [&said["error_code"], &said["message"]];
            assert!(words.iter().all(|word| word.as_str().is_some_and(|word| !word.is_empty())), "{}: {said}", asked());
            for told in ["sqlite", "SQLITE", "postgres", "syntax error", "panicked", "/root/"] {
                assert!(!answer.contains(told), "{}: it tells of itself: {}", asked(), brief(answer.as_bytes()));
            }
        }
        status
    }

    pub fn refused(&self, method: &str, path: &str, body: &[u8]) {
        let status = self.send(method, path, body);
        assert!(status != 200, "{method} {} {}: taken", brief(path.as_bytes()), brief(body));
    }

    /// Each call that takes a body, with one that is right.
    pub fn calls(&self) -> Vec<(&'static str, String, Json)> {
        let (run, experiment, model) = (&self.run, &self.experiment, &self.model_id);
        let metric = value!({"key": "x", "value": 1, "timestamp": 1, "step": 0});
        let pair = value!({"key": "x", "value": "1"});
        let post = |path: &str, body: Json| ("POST", format!("{API}/{path}"), body);
        vec![
            post("experiments/create", value!({"name": "x", "artifact_location": "s3://lake/x", "tags": [pair]})),
            post("experiments/search", value!({"filter": "name = 'x'", "order_by": ["name"], "max_results": 5})),
            post("experiments/update", value!({"experiment_id": experiment, "new_name": "x"})),
            post("experiments/set-experiment-tag", value!({"experiment_id": experiment, "key": "x", "value": "1"})),
            post("experiments/delete-experiment-tag", value!({"experiment_id": experiment, "key": "x"})),
            post(
                "runs/create",
                value!({"experiment_id": experiment, "user_id": "x", "run_name": "x", "start_time": 1, "tags": [pair]}),
            ),
            post(
                "runs/search",
                value!({"experiment_ids": [experiment], "filter": "metrics.m > 1", "order_by": ["metrics.m"],
                "max_results": 5, "run_view_type": "ALL"}),
            ),
            post("runs/update", value!({"run_id": run, "status": "FINISHED", "end_time": 5, "run_name": "x"})),
            post(
                "runs/log-metric",
                value!({"run_id": run, "key": "x", "value": 1, "timestamp": 1, "step": 0, "model_id": model,
                "dataset_name": "x", "dataset_digest": "x"}),
            ),
            post("runs/log-parameter", value!({"run_id": run, "key": "x", "value": "1"})),
            post("runs/log-batch", value!({"run_id": run, "metrics": [metric], "params": [pair], "tags": [pair]})),
            post("runs/set-tag", value!({"run_id": run, "key": "x", "value": "1"})),
            post("runs/delete-tag", value!({"run_id": run, "key": "t"})),
            post(
                "runs/log-inputs",
                value!({"run_id": run, "datasets": [{"tags": [pair], "dataset": {"name": "x", "digest": "x",
                "source_type": "x", "source": "x", "schema": "x", "profile": "x"}}]}),
            ),
            post("runs/outputs", value!({"run_id": run, "models": [{"model_id": model, "step": 0}]})),
            post("runs/log-model", value!({"run_id": run, "model_json": "{}"})),
            post(
                "logged-models",
                value!({"experiment_id": experiment, "name": "x", "model_type": "x", "source_run_id": run,
                "params": [pair], "tags": [pair]}),
            ),
            post(
                "logged-models/search",
                value!({"experiment_ids": [experiment], "filter": "name = 'x'", "max_results": 5,
                "order_by": [{"field_name": "name", "ascending": true}]}),
            ),
            ("PATCH", format!("{API}/logged-models/{model}"), value!({"status": "LOGGED_MODEL_READY"})),
            ("PATCH", format!("{API}/logged-models/{model}/tags"), value!({"tags": [pair]})),
            post(&format!("logged-models/{model}/params"), value!({"params": [pair]})),
            post("registered-models/create", value!({"name": "x", "description": "x", "tags": [pair]})),
            post("registered-models/rename", value!({"name": "victim 3", "new_name": "x"})),
            ("PATCH", format!("{API}/registered-models/update"), value!({"name": "victim", "description": "x"})),
            post("registered-models/set-tag", value!({"name": "victim", "key": "x", "value": "1"})),
            ("DELETE", format!("{API}/registered-models/delete-tag"), value!({"name": "victim", "key": "x"})),
            post("registered-models/alias", value!({"name": "victim", "alias": "x", "version": "1"})),
            ("DELETE", format!("{API}/registered-models/alias"), value!({"name": "victim", "alias": "x"})),
            post("registered-models/get-latest-versions", value!({"name": "victim", "stages": ["None"]})),
            post(
                "model-versions/create",
                value!({"name": "victim", "source": "s3://lake/x", "run_id": run, "description": "x",
                "run_link": "x", "tags": [pair]}),
            ),
            (
                "PATCH",
                format!("{API}/model-versions/update"),
                value!({"name": "victim", "version": "1", "description": "x"}),
            ),
            post(
                "model-versions/transition-stage",
                value!({"name": "victim", "version": "1", "stage": "Staging",
                "archive_existing_versions": false}),
            ),
            post("model-versions/set-tag", value!({"name": "victim", "version": "1", "key": "x", "value": "1"})),
            (
                "DELETE",
                format!("{API}/model-versions/delete-tag"),
                value!({"name": "victim", "version": "1", "key": "x"}),
            ),
        ]
    }
}

/// Status and body of an exchange; what is sent need not be text.
fn raw(address: &str, method: &str, path: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // Who is refused before all was sent may find the line closed.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) =
        answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{method} {}: no answer", brief(path.as_bytes())));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

pub fn brief(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned()
}

/// Where each text of a document is.
fn texts(document: &Json, at: &str, found: &mut Vec<String>) {
    match document {
        Json::String(_) => found.push(at.to_owned()),
        Json::Array(items) => {
            items.iter().enumerate().for_each(|(number, item)| texts(item, &format!("{at}/{number}"), found))
        }
        Json::Object(fields) => fields.iter().for_each(|(name, field)| texts(field, &format!("{at}/{name}"), found)),
        _ => {}
    }
}

/// Sends each call with each text of it replaced by what `attack` makes of the text that stood there.
pub fn in_every_text(victim: &Victim<'_>, attack: &dyn Fn(&str) -> String, taken: &mut dyn FnMut(&str, &str, u16)) {
    for (method, path, body) in victim.calls() {
        let mut places = Vec::new();
        texts(&body, "", &mut places);
        for place in places {
            let mut attacked = body.clone();
            let field = attacked.pointer_mut(&place).unwrap();
            *field = attack(field.as_str().unwrap()).into();
            let status = victim.send(method, &path, attacked.to_string().as_bytes());
            taken(&path, &place, status);
        }
    }
}

/// For a URL.
pub fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
