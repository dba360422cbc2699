//! A project whose metadata is on PostgreSQL, from training to replay; two servers write to it, and it is away in between.

use std::path::Path;
use std::time::{Duration, Instant};

use karat_test_support::postgres_server::PostgresServer;
use serde_json::{Value as Json, json as value};

use crate::small::{self, CLIENTS};
use crate::support::{Server, json, karat};

const PASSWORD: &str = "unguessable";

/// A database whose owner needs a password.
fn configure(folder: &Path, postgres: &PostgresServer) {
    let uri = postgres.uri("small").replace("karat@", &format!("guarded:{PASSWORD}@"));
    small::put(folder, "karat.yaml", &format!("name: small\nstores: {{metadata: \"{uri}\"}}\n"));
}

fn trained(folder: &Path) {
    karat(folder, &["train", "default_risk"]).ok();
    karat(folder, &["models", "approve", "default_risk", "--as", "champion", "--why", "reviewed"]).ok();
}

fn predict(server: &Server, key: u64) -> (u16, Json) {
    let body = value!({"key": key, "as_of": "2022-03-01T00:00:00Z", "reasons": "all"}).to_string();
    server.request("POST", "/v1/endpoints/decide/predict", &body)
}

fn log(server: &Server, path: &str, body: Json) -> (u16, Json) {
    server.request("POST", &format!("/api/2.0/mlflow/{path}"), &body.to_string())
}

#[test]
fn a_project_lives_on_postgresql_as_it_does_on_sqlite() {
    let test = "postgres::a_project_lives_on_postgresql_as_it_does_on_sqlite";
    let Some(postgres) = PostgresServer::start(test) else { return };
    postgres.sql("postgres", "CREATE DATABASE small OWNER guarded");
    let (local, project) = (small::project(), small::project());
    let folder = project.path();
    configure(folder, &postgres);
    karat(folder, &["check"]).ok();
    trained(folder);
    trained(local.path());
    assert!(!folder.join(".karat/metadata.db").exists(), "nothing of it lies in the project");
    let (server, other) = (Server::start(folder), Server::start(local.path()));
    let mut answer = Json::Null;
    for key in 1..=CLIENTS {
        let (status, here) = predict(&server, key);
        assert_eq!(status, 200, "{here}");
        let decided = |answer: &Json| value!([answer["features"], answer["score"], answer["label"], answer["reasons"]]);
        assert_eq!(decided(&here), decided(&predict(&other, key).1), "client {key}");
        answer = here;
    }
    let id = answer["prediction_id"].as_str().unwrap();
    let replayed = json(folder, &["replay", id]);
    assert_eq!(replayed["arithmetic"]["verdict"], "same");
    assert_eq!(replayed["history"]["verdict"], "same");
    let of = |folder: &Path| {
        let entries = json(folder, &["audit", "list"]);
        let actions = entries.as_array().unwrap().iter().map(|entry| value!([entry["action"], entry["subject"]]));
        actions.collect::<Vec<_>>()
    };
    assert_eq!(of(folder), of(local.path()));
    assert_eq!(json(folder, &["audit", "verify"])["intact"], true);

    postgres.stop();
    assert_eq!(predict(&server, 7).0, 200, "what is decided with is loaded");
    let (status, refusal) = log(&server, "runs/create", value!({"experiment_id": "0"}));
    assert_eq!(status, 503, "{refusal}");
    assert!(!refusal.to_string().contains(PASSWORD) && !refusal.to_string().contains("127.0.0.1"), "{refusal}");
    let away = karat(folder, &["runs", "list"]).ends_with(1);
    assert!(away.stderr.contains("does its server run"), "{}", away.stderr);
    assert!(!(away.stderr + &away.stdout).contains(PASSWORD));
    postgres.start_again();
    let begun = Instant::now();
    while log(&server, "runs/create", value!({"experiment_id": "0"})).0 != 200 {
        assert!(begun.elapsed() < Duration::from_secs(20), "the server does not come back to PostgreSQL");
    }
    // A champion that is deployed after all this reaches the server, which polls.
    karat(folder, &["models", "alias", "default_risk", "champion", "--delete", "--why", "withdrawn"]).ok();
    let begun = Instant::now();
    while predict(&server, 7).0 == 200 {
        assert!(begun.elapsed() < Duration::from_secs(20), "the server does not hear of the alias");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn two_servers_write_to_one_database_and_lose_nothing() {
    let test = "postgres::two_servers_write_to_one_database_and_lose_nothing";
    let Some(postgres) = PostgresServer::start(test) else { return };
    let uri = postgres.database();
    let folders = [karat_test_support::temp_dir(), karat_test_support::temp_dir()];
    for folder in &folders {
        small::put(folder.path(), "karat.yaml", &format!("name: tracking\nstores: {{metadata: \"{uri}\"}}\n"));
    }
    // Both find an empty database, and one makes the tables.
    let servers = std::thread::scope(|scope| {
        folders.each_ref().map(|folder| scope.spawn(|| Server::start(folder.path()))).map(|it| it.join().unwrap())
    });
    let (_, answer) = log(&servers[0], "runs/create", value!({"experiment_id": "0"}));
    let run = answer["run"]["info"]["run_id"].as_str().unwrap();
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let server = &servers[writer % 2];
            scope.spawn(move || {
                for step in 0..10 {
                    let metric = value!({"key": format!("m{writer}"), "value": step, "timestamp": step, "step": step});
                    let (status, said) = log(server, "runs/log-batch", value!({"run_id": run, "metrics": [metric]}));
                    assert_eq!(status, 200, "{said}");
                    let model = value!({"name": format!("model-{writer}-{step}")});
                    assert_eq!(log(server, "registered-models/create", model).0, 200);
                }
            });
        }
    });
    let (_, found) = servers[1].request("GET", &format!("/api/2.0/mlflow/runs/get?run_id={run}"), "");
    let metrics = found["run"]["data"]["metrics"].as_array().unwrap();
    assert_eq!(metrics.len(), 8);
    assert!(metrics.iter().all(|metric| metric["value"] == 9.0 && metric["step"] == 9), "{metrics:?}");
    let verified = json(folders[0].path(), &["audit", "verify"]);
    assert_eq!(verified["intact"], true, "{verified}");
    let created = json(folders[1].path(), &["audit", "list", "--limit", "1000"]);
    let created = created.as_array().unwrap().iter().filter(|entry| entry["action"] == "model.create");
    assert_eq!(created.count(), 80);
}

#[test]
fn a_mistake_in_the_address_says_what_to_write_and_no_password() {
    let project = small::project();
    let metadata = |uri: &str| {
        small::put(project.path(), "karat.yaml", &format!("name: small\nstores: {{metadata: \"{uri}\"}}\n"));
        let ran = karat(project.path(), &["runs", "list"]).ends_with(2);
        assert!(!(ran.stderr.clone() + &ran.stdout).contains(PASSWORD), "{}", ran.stderr);
        ran.stderr
    };
    let misspelt = metadata(&format!("postgre://karat:{PASSWORD}@host/karat"));
    assert!(misspelt.contains("karat.yaml:2:20") && misspelt.contains("`postgres://USER:PASSWORD@HOST"), "{misspelt}");
    let no_number = metadata(&format!("postgres://karat:{PASSWORD}@host:first/karat"));
    assert!(no_number.contains("it cannot be read; expected postgres://USER:PASSWORD@HOST"), "{no_number}");
}
