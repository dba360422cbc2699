//! Features that an outside service answers: asked while a decision waits, kept as pushed rows are, and read by training,
//! replays and everything else without a call.

mod batch;
mod failing;
mod kept;
mod service;

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value as Json, json as value};
use tempfile::TempDir;

use crate::small;
use crate::support::{Ran, Server, command, run_command};
use service::{Service, TOKEN, score};

const SOURCE: &str = "kind: Source
name: bureau
lookup:
  url: ${BUREAU_URL}/v1/score/{client_id}
  headers: {authorization: \"Bearer ${BUREAU_TOKEN}\"}
  timeout: 2 seconds
  retries: 2
  fresh_for: 1 day
  breaker: {failures: 1000, pause: 1 second}
  on_failure: {default: {score: null}}
push: true
columns:
  client_id: int
  score: float
  band: {type: text, from: rating.band}
  queried_at: timestamp
prepare:
  tenth: score / 10
event_time: queried_at
contract:
  - {check: range, column: score, min: 0, max: 100000, action: quarantine}
";

const VIEW: &str = "kind: FeatureView
name: rated
entity: client
source: bureau
features:
  bureau_score: {last: score}
  bureau_band: {last: band}
  bureau_tenth: {last: tenth}
  bureau_answers: {count: rows, where: lookup_failure is null}
";

/// The small project with a bureau, and a version that decides on what it says. `changes` are made in the source's file.
struct Project {
    folder: TempDir,
    service: Service,
}

impl Project {
    fn new(changes: &[(&str, &str)]) -> Project {
        let project = Project { folder: small::project(), service: Service::start() };
        let folder = project.path();
        let source = changes.iter().fold(SOURCE.to_owned(), |source, (old, new)| {
            assert_eq!(source.matches(old).count(), 1, "{old}");
            source.replace(old, new)
        });
        small::put(folder, "sources/bureau.yaml", &source);
        small::put(folder, "features/rated.yaml", VIEW);
        small::edit(
            folder,
            "models/default_risk.yaml",
            "features: [history, person]",
            "features: [history, person, rated]",
        );
        small::put(
            folder,
            "endpoints/decide.yaml",
            "kind: Endpoint\nname: decide\nmodel: default_risk\nlimits: {deadline: 20 seconds}\n",
        );
        project
    }

    /// Trained on answers of before, and approved.
    fn trained(changes: &[(&str, &str)]) -> Project {
        let project = Project::new(changes);
        let past: String = (1..=small::CLIENTS as i64)
            .map(|client| {
                let row = value!({"client_id": client, "score": score(client) + 1.0, "rating": {"band": "old"},
                    "queried_at": "2020-02-10T12:00:00Z"});
                format!("{row}\n")
            })
            .collect();
        small::put(project.path(), "past.jsonl", &past);
        project.karat(&["features", "push", "bureau", "past.jsonl"]).ok();
        project.karat(&["train", "default_risk"]).ok();
        project.karat(&["models", "approve", "default_risk", "--as", "champion", "--why", "reviewed"]).ok();
        assert_eq!(project.service.calls(), 0, "training calls nobody");
        project
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(self.path(), arguments);
        command.env("BUREAU_URL", &self.service.url).env("BUREAU_TOKEN", TOKEN);
        command
    }

    fn karat(&self, arguments: &[&str]) -> Ran {
        run_command(&mut self.command(arguments))
    }

    fn json(&self, arguments: &[&str]) -> Json {
        self.karat(&[arguments, &["--format", "json"]].concat()).ok().json()
    }

    /// Its log, with all there is to tell, goes to a file.
    fn serve(&self) -> Server {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path().join("server.log")).unwrap();
        let mut command = self.command(&["serve", "--port", "0"]);
        Server::of(command.env("KARAT_LOG", "debug").stderr(Stdio::from(log)))
    }

    /// What `query` says of the bureau's rows of a client, oldest first.
    fn rows_of(&self, client: i64) -> Vec<Json> {
        let query = format!("SELECT * FROM bureau WHERE client_id = {client} ORDER BY queried_at");
        self.json(&["query", &query])["rows"].as_array().unwrap().clone()
    }

    /// Both verdicts on a decision, and that nobody was asked for them.
    #[track_caller]
    fn replays(&self, answer: &Json) {
        let calls = self.service.calls();
        let replayed = self.json(&["replay", answer["prediction_id"].as_str().unwrap()]);
        for verdict in ["arithmetic", "history"] {
            assert_eq!(replayed[verdict]["verdict"], "same", "{}", replayed[verdict]);
        }
        assert_eq!(self.service.calls(), calls, "a replay calls nobody");
    }
}

fn decide(server: &Server, client: i64) -> (u16, Json) {
    server.request("POST", "/v1/endpoints/decide/predict", &value!({"key": client}).to_string())
}

#[track_caller]
fn decided(server: &Server, client: i64) -> Json {
    let (status, answer) = decide(server, client);
    assert_eq!(status, 200, "{answer}");
    answer
}

/// What is told of a decision's look-up; `None` where it was answered.
fn failure(answer: &Json) -> Option<String> {
    let mut failures = answer["qa_failures"].as_array().unwrap().iter();
    let told = failures.find(|failure| failure["feature"] == "bureau_score");
    told.map(|failure| failure["check"].as_str().unwrap().to_owned())
}

fn metric(server: &Server, line: &str) -> Option<f64> {
    let page = server.text("/metrics");
    page.lines().find_map(|found| found.strip_prefix(line)).map(|rest| rest.trim().parse().unwrap())
}
