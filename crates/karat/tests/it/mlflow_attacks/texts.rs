//! What stands in a text: SQL, megabytes, a NUL.

use std::path::Path;

use karat_test_support::postgres_server::PostgresServer;
use serde_json::json as value;

use super::API;
use super::victim::{Victim, encoded, in_every_text};
use crate::mlflow::project;
use crate::small::put;
use crate::support::{Server, json};

const SQL: [&str; 6] = [
    "'; DROP TABLE runs; --",
    "' OR '1'='1",
    "\" OR 1=1; DELETE FROM experiments; --",
    "x' UNION SELECT entry FROM audit --",
    "%' ESCAPE '\\'; ATTACH DATABASE '/tmp/karat-attacked.db' AS x; --",
    "$1); SELECT pg_sleep(30); --",
];

#[test]
fn sql_in_any_text_is_text() {
    let project = project();
    sql(project.path());
}

#[test]
fn and_is_on_postgresql() {
    let Some(postgres) = PostgresServer::start("mlflow_attacks::texts::and_is_on_postgresql") else { return };
    let project = project();
    put(project.path(), "karat.yaml", &format!("name: tracking\nstores: {{metadata: \"{}\"}}\n", postgres.database()));
    sql(project.path());
}

fn sql(folder: &Path) {
    let server = Server::start(folder);
    let victim = Victim::new(&server);
    let begun = std::time::Instant::now();
    for (number, sql) in SQL.into_iter().enumerate() {
        // After what stood there, too: in a filter, a name, an id.
        in_every_text(&victim, &|_| sql.to_owned(), &mut |_, _, _| {});
        in_every_text(&victim, &|text| format!("{text}{number}{sql}"), &mut |_, _, _| {});
        for (entity, path) in [("registered-models", "name"), ("model-versions", "name"), ("experiments", "name")] {
            let query =
                format!("{API}/{entity}/search?max_results=5&filter={}", encoded(&format!("{path} = 'a{sql}'")));
            victim.send("GET", &query, b"");
        }
        for path in [
            "runs/get?run_id=",
            "experiments/get?experiment_id=",
            "experiments/get-by-name?experiment_name=",
            "artifacts/list?run_id=",
            "registered-models/get?name=",
            "registered-models/alias?name=victim&alias=",
            "model-versions/get?name=victim&version=",
            "logged-models/",
        ] {
            // Not as it is: by that name something has been made.
            victim.refused("GET", &format!("{API}/{path}{}", encoded(&format!("{sql} 0"))), b"");
        }
        // As with MLflow, a run that is not there has no history.
        let history = format!("{API}/metrics/get-history?metric_key=m&run_id={}", encoded(sql));
        let (status, points) = server.request("GET", &history, "");
        assert!(status == 200 && points["metrics"].as_array().is_none_or(Vec::is_empty), "{points}");
    }
    assert!(begun.elapsed().as_secs() < 120, "somebody slept: {:?}", begun.elapsed());
    assert!(!Path::new("/tmp/karat-attacked.db").exists());
    // What was written is what was sent, and all that was there is there.
    let (_, run) = server.request("GET", &format!("{API}/runs/get?run_id={}", victim.run), "");
    let params = run["run"]["data"]["params"].as_array().unwrap();
    for kept in [value!({"key": "p", "value": "1"}), value!({"key": "x", "value": SQL[0]})] {
        assert!(params.contains(&kept), "{params:?}");
    }
    let (_, history) =
        server.request("GET", &format!("{API}/metrics/get-history?run_id={}&metric_key=m", victim.run), "");
    assert_eq!(history["metrics"].as_array().unwrap().len(), 2);
    let found = |filter: &str| {
        let asked = value!({"experiment_ids": [victim.experiment], "filter": filter}).to_string();
        let (status, found) = server.request("POST", &format!("{API}/runs/search"), &asked);
        assert_eq!(status, 200, "{found}");
        found["runs"].as_array().map_or(0, Vec::len)
    };
    assert_eq!((found("params.p = \"' OR '1'='1\""), found("params.p = '1'")), (0, 3));
    assert_eq!(json(folder, &["audit", "verify"])["intact"], true);
}

#[test]
fn megabytes_in_any_text_are_kept_cut_or_refused() {
    megabytes(&project());
}

#[test]
fn and_whatever_an_index_of_the_database_takes() {
    let test = "mlflow_attacks::texts::and_whatever_an_index_of_the_database_takes";
    let Some(postgres) = PostgresServer::start(test) else { return };
    let project = project();
    put(project.path(), "karat.yaml", &format!("name: tracking\nstores: {{metadata: \"{}\"}}\n", postgres.database()));
    megabytes(&project);
}

/// Some texts have no limit of MLflow's, and values are cut as MLflow cuts them: none of it fails the server.
fn megabytes(project: &tempfile::TempDir) {
    let server = Server::start(project.path());
    let victim = Victim::new(&server);
    let mut refused = 0;
    in_every_text(&victim, &|_| "x".repeat(700_000), &mut |_, _, status| refused += u32::from(status == 400));
    assert!(refused > 30, "{refused}");
    // More than a body may have changes nothing, wherever it stands.
    let before = victim.state();
    in_every_text(&victim, &|_| "x".repeat(5_000_000), &mut |path, place, status| {
        assert_eq!(status, 400, "{path}{place}");
    });
    assert_eq!(victim.state(), before);
    assert_eq!(json(project.path(), &["audit", "verify"])["intact"], true);
}

#[test]
fn a_nul_is_refused_wherever_it_stands() {
    nul(&project());
}

#[test]
fn and_where_the_database_could_not_keep_it() {
    let Some(postgres) = PostgresServer::start("mlflow_attacks::texts::and_where_the_database_could_not_keep_it")
    else {
        return;
    };
    let project = project();
    put(project.path(), "karat.yaml", &format!("name: tracking\nstores: {{metadata: \"{}\"}}\n", postgres.database()));
    nul(&project);
}

fn nul(project: &tempfile::TempDir) {
    let server = Server::start(project.path());
    let victim = Victim::new(&server);
    let before = victim.state();
    in_every_text(&victim, &|text| format!("{text}\0"), &mut |path, place, status| {
        assert_eq!(status, 400, "{path}{place}");
    });
    assert_eq!(victim.state(), before);
    for path in [
        "runs/get?run_id=",
        "experiments/get-by-name?experiment_name=",
        "registered-models/get?name=",
        "artifacts/list?run_id=",
    ] {
        victim.refused("GET", &format!("{API}/{path}a%00b"), b"");
    }
    // Written out it is text like any other.
    let body = value!({"run_id": victim.run, "key": "nul", "value": "\\u0000"}).to_string();
    assert_eq!(server.request("POST", &format!("{API}/runs/set-tag"), &body).0, 200);
}
