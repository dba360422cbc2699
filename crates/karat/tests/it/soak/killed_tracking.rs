//! `kill -9` of a server to which eight of MLflow's clients write: what it answered is there, nothing is there twice, and of what it did
//! not answer any more all is there or nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fastrand::Rng;
use karat_test_support::postgres_server::PostgresServer;
use serde_json::{Value as Json, json};

use super::clients::{CLIENT_THREADS, Clients};
use super::killed_server::killed_while_starting;
use super::server::{Connection, Server};
use super::{rng, rounds};
use crate::mlflow::project;
use crate::small::put;
use crate::support;

const API: &str = "/api/2.0/mlflow";
/// Answered in a round, at least.
const ANSWERS: usize = 300;
/// All clients write there, too.
const SHARED: &str = "shared";

/// What is so, by what it is about.
type Facts = BTreeMap<String, String>;

#[test]
fn what_a_killed_server_answered_mlflows_clients_is_there_once() {
    killed(project().path(), &mut rng("killed_tracking"));
}

#[test]
fn and_so_it_is_on_postgresql() {
    let test = "soak::killed_tracking::and_so_it_is_on_postgresql";
    let Some(postgres) = PostgresServer::start(test) else { return };
    let project = project();
    let config = format!("name: tracking\nstores: {{metadata: \"{}\"}}\n", postgres.database());
    put(project.path(), "karat.yaml", &config);
    killed(project.path(), &mut rng("killed_tracking on PostgreSQL"));
}

fn killed(folder: &Path, rng: &mut Rng) {
    let mut server = Server::start(folder);
    let shared = Shared::make(&server);
    // Of all rounds, since a later kill must not lose what an earlier one left.
    let mut memories: Vec<Memory> = Vec::new();
    for round in 0..rounds() {
        let (address, shared_by_all) = (server.address.clone(), shared.clone());
        let work = move |number: usize, answered: &AtomicUsize, rng: Rng| {
            Client::new(&address, format!("r{round}c{number}"), shared_by_all.clone(), rng).work(answered)
        };
        let clients = Clients::at_work(work, rng);
        clients.wait_for(ANSWERS);
        std::thread::sleep(Duration::from_micros(rng.u64(..200_000)));
        match round % 3 {
            2 => server.terminate_and_kill(Duration::from_micros(rng.u64(..20_000))),
            _ => server.kill(),
        }
        memories.extend(clients.back());
        if round % 4 == 1 {
            killed_while_starting(folder, rng);
        }
        server = Server::start(folder);
        let newest = memories.len() - CLIENT_THREADS;
        memories[newest..].iter().for_each(|memory| memory.holds(&server, &shared));
        shared_versions(&server, &memories);
        assert_eq!(support::json(folder, &["audit", "verify"])["intact"], true);
    }
    memories.iter().for_each(|memory| memory.holds(&server, &shared));
    audited_once(folder, &server);
}

/// A run and a model that all clients write to.
#[derive(Debug)]
struct Shared {
    run: String,
}

impl Shared {
    fn make(server: &Server) -> Arc<Shared> {
        let run = json!({"experiment_id": "0", "run_name": SHARED});
        let (status, made) = server.request("POST", &format!("{API}/runs/create"), &run.to_string());
        assert_eq!(status, 200, "{made}");
        let model = json!({"name": SHARED}).to_string();
        assert_eq!(server.request("POST", &format!("{API}/registered-models/create"), &model).0, 200);
        Arc::new(Shared { run: made["run"]["info"]["run_id"].as_str().unwrap().to_owned() })
    }
}

/// What one client was told, and what it asked for last and was not.
struct Memory {
    name: String,
    told: Facts,
    /// All of these, or none.
    doubtful: Facts,
}

/// A client with an experiment and a model of its own, both of its name.
struct Client {
    connection: Option<Connection>,
    shared: Arc<Shared>,
    rng: Rng,
    memory: Memory,
    experiment: String,
    /// Name and id.
    runs: Vec<(String, String)>,
    versions: Vec<String>,
    /// No two things that it writes are the same.
    next: u64,
}

impl Client {
    fn new(address: &str, name: String, shared: Arc<Shared>, rng: Rng) -> Client {
        let memory = Memory { name, told: Facts::new(), doubtful: Facts::new() };
        let connection = Connection::open(address).ok();
        Client {
            connection,
            shared,
            rng,
            memory,
            experiment: String::new(),
            runs: Vec::new(),
            versions: Vec::new(),
            next: 0,
        }
    }

    fn work(mut self, answered: &AtomicUsize) -> Memory {
        while self.step().is_some() {
            answered.fetch_add(1, Ordering::Relaxed);
        }
        self.memory
    }

    fn step(&mut self) -> Option<()> {
        let name = self.memory.name.clone();
        if self.experiment.is_empty() {
            let made =
                self.post("experiments/create", &json!({"name": name}), &[("experiment".into(), name.clone())])?;
            self.experiment = made["experiment_id"].as_str().unwrap().to_owned();
            return Some(());
        }
        if self.runs.is_empty() || self.rng.u8(..30) == 0 {
            return self.run();
        }
        if !self.memory.told.contains_key("model") {
            return self
                .post("registered-models/create", &json!({"name": name}), &[("model".into(), name.clone())])
                .map(drop);
        }
        self.next += 1;
        let (run, id) = self.runs[self.rng.usize(..self.runs.len())].clone();
        match self.rng.u8(..10) {
            0 | 1 => self.metric(&id, &run),
            2 => {
                let shared = self.shared.run.clone();
                self.metric(&shared, SHARED)
            }
            3 | 4 => self.batch(&id, &run),
            5 => {
                let (key, value) = (format!("p{}", self.next), self.next.to_string());
                let fact = (format!("param {run} {key}"), value.clone());
                self.post("runs/log-parameter", &json!({"run_id": id, "key": key, "value": value}), &[fact]).map(drop)
            }
            6 => {
                let value = self.next.to_string();
                let fact = (format!("tag {run}"), value.clone());
                self.post("runs/set-tag", &json!({"run_id": id, "key": "newest", "value": value}), &[fact]).map(drop)
            }
            7 => self.version(&name),
            8 => self.version(SHARED),
            _ => self.alias(&name),
        }
    }

    fn run(&mut self) -> Option<()> {
        self.next += 1;
        let run = format!("{}-{}", self.memory.name, self.next);
        let body = json!({"experiment_id": self.experiment, "run_name": run, "start_time": self.next});
        let made = self.post("runs/create", &body, &[(format!("run {run}"), String::new())])?;
        self.runs.push((run, made["run"]["info"]["run_id"].as_str().unwrap().to_owned()));
        Some(())
    }

    fn metric(&mut self, id: &str, run: &str) -> Option<()> {
        let (key, step) = (self.memory.name.clone(), self.next);
        let body = json!({"run_id": id, "key": key, "value": step * 2, "timestamp": 1, "step": step});
        self.post("runs/log-metric", &body, &[(format!("point {run} {step}"), (step * 2).to_string())]).map(drop)
    }

    /// Three points, a param and a tag.
    fn batch(&mut self, id: &str, run: &str) -> Option<()> {
        let (key, first) = (self.memory.name.clone(), self.next);
        self.next += 2;
        let steps = first..first + 3;
        let metric = |step: u64| json!({"key": key, "value": step * 2, "timestamp": 1, "step": step});
        let body = json!({"run_id": id, "metrics": steps.clone().map(metric).collect::<Vec<_>>(),
            "params": [{"key": format!("p{first}"), "value": first.to_string()}],
            "tags": [{"key": "newest", "value": first.to_string()}]});
        let mut facts: Vec<_> = steps.map(|step| (format!("point {run} {step}"), (step * 2).to_string())).collect();
        facts.push((format!("param {run} p{first}"), first.to_string()));
        facts.push((format!("tag {run}"), first.to_string()));
        self.post("runs/log-batch", &body, &facts).map(drop)
    }

    fn version(&mut self, model: &str) -> Option<()> {
        let source = format!("s3://lake/{}/{}", self.memory.name, self.next);
        let body = json!({"name": model, "source": source});
        let made =
            self.post("model-versions/create", &body, &[(format!("version {model} {source}"), String::new())])?;
        let number = made["model_version"]["version"].as_str().unwrap().to_owned();
        if model == SHARED {
            self.memory.told.insert(format!("version {SHARED} {source}"), number);
        } else {
            self.versions.push(number);
        }
        Some(())
    }

    fn alias(&mut self, model: &str) -> Option<()> {
        let Some(version) = self.versions.last().cloned() else { return self.version(model) };
        let version = if self.rng.bool() { version } else { self.versions[0].clone() };
        let body = json!({"name": model, "alias": "best", "version": version});
        self.post("registered-models/alias", &body, &[("alias best".into(), version)]).map(drop)
    }

    /// `None` once the server is gone. What is answered is answered well.
    fn post(&mut self, path: &str, body: &Json, facts: &[(String, String)]) -> Option<Json> {
        let exchanged = self
            .connection
            .as_mut()
            .and_then(|it| it.exchange("POST", &format!("{API}/{path}"), &body.to_string()).ok());
        let facts = facts.iter().cloned();
        // A server that was told to end takes no more, and says so.
        let Some((status, answer)) = exchanged.filter(|(status, _)| *status != 503) else {
            self.memory.doubtful.extend(facts);
            return None;
        };
        assert_eq!(status, 200, "{path} {body}: {answer}");
        self.memory.told.extend(facts);
        Some(serde_json::from_str(&answer).expect("a whole answer is JSON"))
    }
}

impl Memory {
    fn holds(&self, server: &Server, shared: &Shared) {
        let there = there(server, &self.name, shared);
        let shared_version = |what: &str| what.starts_with(&format!("version {SHARED} "));
        for (what, value) in self.told.iter().filter(|(what, _)| !shared_version(what)) {
            let found = there.get(what).unwrap_or_else(|| panic!("{}: {what} was answered, and is lost", self.name));
            assert!(
                found == value || self.doubtful.get(what) == Some(found),
                "{}: {what}: {found} for {value}",
                self.name
            );
        }
        for (what, value) in &there {
            let known = [&self.told, &self.doubtful].iter().any(|facts| facts.get(what) == Some(value));
            assert!(known, "{}: nobody said {what} {value}", self.name);
        }
        let new = |(what, value): &(&String, &String)| self.told.get(*what) != Some(*value) && !shared_version(what);
        let doubtful: Vec<_> = self.doubtful.iter().filter(new).collect();
        let came = doubtful.iter().filter(|(what, value)| there.get(*what) == Some(*value)).count();
        assert!(came == 0 || came == doubtful.len(), "{}: {came} of {doubtful:?}", self.name);
    }
}

/// What the server has of a client, each thing once.
fn there(server: &Server, name: &str, shared: &Shared) -> Facts {
    let get = |path: String| server.request("GET", &format!("{API}/{path}"), "");
    let mut facts = Facts::new();
    let mut put = |what: String, value: String| {
        let before = facts.insert(what.clone(), value);
        assert!(before.is_none(), "{name}: {what} is there twice");
    };
    let mut runs = vec![(SHARED.to_owned(), shared.run.clone())];
    let (status, experiment) = get(format!("experiments/get-by-name?experiment_name={name}"));
    if status == 200 {
        put("experiment".to_owned(), name.to_owned());
        let asked = json!({"experiment_ids": [experiment["experiment"]["experiment_id"]], "max_results": 50_000});
        let (_, found) = server.request("POST", &format!("{API}/runs/search"), &asked.to_string());
        for run in found["runs"].as_array().into_iter().flatten() {
            let name = run["info"]["run_name"].as_str().unwrap().to_owned();
            put(format!("run {name}"), String::new());
            for param in run["data"]["params"].as_array().into_iter().flatten() {
                put(format!("param {name} {}", param["key"].as_str().unwrap()), text(&param["value"]));
            }
            for tag in run["data"]["tags"].as_array().into_iter().flatten().filter(|tag| tag["key"] == "newest") {
                put(format!("tag {name}"), text(&tag["value"]));
            }
            runs.push((name, text(&run["info"]["run_id"])));
        }
    }
    for (run, id) in runs {
        let (_, history) = get(format!("metrics/get-history?run_id={id}&metric_key={name}"));
        for point in history["metrics"].as_array().into_iter().flatten() {
            put(format!("point {run} {}", point["step"]), (point["value"].as_f64().unwrap() as u64).to_string());
        }
    }
    let (status, model) = get(format!("registered-models/get?name={name}"));
    if status == 200 {
        put("model".to_owned(), name.to_owned());
        for alias in model["registered_model"]["aliases"].as_array().into_iter().flatten() {
            put(format!("alias {}", alias["alias"].as_str().unwrap()), text(&alias["version"]));
        }
        for (source, _) in versions(server, name) {
            put(format!("version {name} {source}"), String::new());
        }
    }
    facts
}

fn text(value: &Json) -> String {
    value.as_str().unwrap().to_owned()
}

/// Of a model, by source, which nobody gives twice; numbered without gaps.
fn versions(server: &Server, model: &str) -> Vec<(String, String)> {
    let asked = format!("{API}/model-versions/search?filter=name%3D%27{model}%27&max_results=200000");
    let (_, found) = server.request("GET", &asked, "");
    let of = |version: &Json| (text(&version["source"]), text(&version["version"]));
    let versions: Vec<_> = found["model_versions"].as_array().into_iter().flatten().map(of).collect();
    let numbers: BTreeSet<u64> = versions.iter().map(|(_, number)| number.parse().unwrap()).collect();
    assert_eq!(numbers.len(), versions.len(), "{versions:?}");
    assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "{numbers:?}");
    versions
}

/// Eight clients made them at the same time: each has the number that its client was told.
fn shared_versions(server: &Server, memories: &[Memory]) {
    let found: BTreeMap<String, String> = versions(server, SHARED).into_iter().collect();
    let of = |facts: &Facts| -> Vec<(String, String)> {
        let source = |what: &str| what.strip_prefix(&format!("version {SHARED} ")).map(str::to_owned);
        facts.iter().filter_map(|(what, number)| Some((source(what)?, number.clone()))).collect()
    };
    let told: Vec<_> = memories.iter().flat_map(|memory| of(&memory.told)).collect();
    for (source, number) in &told {
        assert_eq!(found.get(source), Some(number), "{source}");
    }
    let doubtful = memories.iter().map(|memory| of(&memory.doubtful).len()).sum::<usize>();
    assert!(found.len() <= told.len() + doubtful, "{} for {} and {doubtful}", found.len(), told.len());
}

/// Every version that is there is in the audit log once, and nothing else is.
fn audited_once(folder: &Path, server: &Server) {
    let (_, found) = server.request("GET", &format!("{API}/model-versions/search?max_results=200000"), "");
    let mut there: Vec<String> = found["model_versions"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|version| format!("{}/{}", version["name"].as_str().unwrap(), version["version"].as_str().unwrap()))
        .collect();
    let audit = support::json(folder, &["audit", "list", "--limit", "1000000"]);
    let made = audit.as_array().unwrap().iter().filter(|entry| entry["action"] == "model.register");
    let subject = |entry: &Json| format!("{}/{}", text(&entry["subject"]["name"]), text(&entry["subject"]["version"]));
    let mut audited: Vec<String> = made.map(subject).collect();
    there.sort();
    audited.sort();
    assert_eq!(audited, there);
    assert!(there.len() > 20, "{}", there.len());
}
