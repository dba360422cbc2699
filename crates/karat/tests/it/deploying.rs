//! What a running server takes up, and what keeps it from nothing else: views that stand at different commits, a version
//! that cannot be loaded, an alias that is taken away, a second server.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json as value};

use crate::small;
use crate::support::{Server, json, karat};

/// A second view of the source of the first.
const RECENT: &str = "kind: FeatureView
name: recent
entity: client
source: loans
features:
  late_last_6: {count: rows, where: late, window: 6 months}
";

const SECOND: &str = "kind: Endpoint\nname: second\nmodel: default_risk\nalias: challenger\n";
const AS_OF: &str = "2022-03-01T00:00:00Z";

/// Two views of one source, two endpoints; version 1 is both `champion` and `challenger`.
fn project() -> tempfile::TempDir {
    let project = small::project();
    let folder = project.path();
    small::put(folder, "features/recent.yaml", RECENT);
    small::put(folder, "endpoints/second.yaml", SECOND);
    change(folder, "models/default_risk.yaml", "features: [history, person]", "features: [history, person, recent]");
    change(folder, "models/default_risk.yaml", "gates: [auc >= 0.55, auc >= champion.auc]", "gates: [auc >= 0.55]");
    json(folder, &["train", "default_risk"]);
    for alias in ["champion", "challenger"] {
        karat(folder, &["models", "approve", "default_risk", "--as", alias, "--why", "reviewed"]).ok();
    }
    project
}

fn change(folder: &Path, path: &str, from: &str, to: &str) {
    let text = std::fs::read_to_string(folder.join(path)).unwrap();
    assert!(text.contains(from), "{text}");
    small::put(folder, path, &text.replace(from, to));
}

fn ask(server: &Server, endpoint: &str) -> (u16, Json) {
    let body = value!({"key": 7, "as_of": AS_OF}).to_string();
    server.request("POST", &format!("/v1/endpoints/{endpoint}/predict"), &body)
}

/// Waits for what a running server takes up within two seconds; or, where it tries again, a little later.
#[track_caller]
fn soon(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(8), "not within its time: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn version(server: &Server, endpoint: &str) -> Json {
    ask(server, endpoint).1["model"]["version"].clone()
}

#[test]
fn a_replay_reads_each_view_at_the_commit_it_stood_at() {
    let project = project();
    let folder = project.path();
    let server = Server::start(folder);
    // A month more; of the two views of it, one is built again.
    let payments = std::fs::read_to_string(folder.join("data/payments.csv")).unwrap();
    let more =
        payments.replacen("client_id,month,amount,late\n", "client_id,month,amount,late\n7,2022-01-01,50.5,1\n", 1);
    small::put(folder, "data/payments.csv", &more);
    karat(folder, &["sources", "ingest"]).ok();
    let before = ask(&server, "decide").1["features"].clone();
    karat(folder, &["features", "materialize", "history"]).ok();
    let (status, answer) = ask(&server, "decide");
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["features"]["nb"], before["nb"].as_u64().unwrap() + 1);
    assert_eq!(answer["features"]["late_last_6"], before["late_last_6"], "this view does not know it yet");

    let id = answer["prediction_id"].as_str().unwrap();
    let replayed = json(folder, &["replay", id]);
    let commits = &replayed["prediction"]["view_commits"];
    assert_eq!((&commits["history"], &commits["recent"]), (&value!(2), &value!(1)), "{commits}");
    assert_eq!(replayed["history"]["verdict"], "same", "{}", replayed["history"]);

    // A version whose views have state answers with it, and what is old is built anew behind it.
    change(folder, "models/default_risk.yaml", "learning_rate: 0.1", "learning_rate: 0.2");
    assert_eq!(json(folder, &["train", "default_risk"])["version"], 2);
    karat(folder, &["models", "approve", "default_risk/2", "--as", "champion", "--why", "better"]).ok();
    soon("the new champion answers", || version(&server, "decide") == "2");
    let commit = |view: &str| server.request("GET", &format!("/v1/features/{view}/7"), "").1["commit"].clone();
    soon("its views are up to date", || commit("recent") == 2);
    let late = before["late_last_6"].as_u64().unwrap() + 1;
    assert_eq!(ask(&server, "decide").1["features"]["late_last_6"], late);
    assert!(server.terminate().success());
}

/// Whoever starts it may think better of it, whatever it is still doing.
#[test]
fn a_server_that_listens_ends_well_from_then_on() {
    let project = project();
    for _ in 0..10 {
        let ended = Server::start(project.path()).terminate();
        assert!(ended.success(), "{ended}");
    }
}

fn trees(folder: &Path, version: u32) -> PathBuf {
    folder.join(format!(".karat/artifacts/models/default_risk/{version}/trees.txt"))
}

#[test]
fn one_version_that_cannot_be_loaded_keeps_no_other_change_from_being_taken_up() {
    let project = project();
    let folder = project.path();
    let server = Server::start(folder);
    assert_eq!((version(&server, "decide"), version(&server, "second")), (value!("1"), value!("1")));

    // A second server is told which process has the project, whatever its port, and before it does any work.
    let refused = karat(folder, &["serve", "--port", "0"]).ends_with(1);
    assert!(refused.stderr.contains("another server answers from this project: stop process "), "{}", refused.stderr);

    change(folder, "models/default_risk.yaml", "learning_rate: 0.1", "learning_rate: 0.2");
    assert_eq!(json(folder, &["train", "default_risk"])["version"], 2);
    let whole = std::fs::read_to_string(trees(folder, 2)).unwrap();
    std::fs::write(trees(folder, 2), &whole[..whole.len() / 2]).unwrap();
    karat(folder, &["models", "approve", "default_risk/2", "--as", "challenger", "--why", "better"]).ok();
    let unsaid = karat(folder, &["models", "alias", "default_risk", "champion", "--why", "x"]).ends_with(2);
    assert!(unsaid.stderr.contains("`karat models alias default_risk/2 champion --why"), "{}", unsaid.stderr);
    let never = karat(folder, &["models", "rollback", "default_risk", "champions"]).ends_with(1);
    assert!(never.stderr.contains("has no alias `champions`; did you mean `champion`?"), "{}", never.stderr);
    let usage = karat(folder, &["models", "alias", "default_risk", "champion", "--delete"]).ends_with(2);
    assert!(usage.stderr.contains("with a reason: give it with --why"), "{}", usage.stderr);
    let usage =
        karat(folder, &["models", "alias", "default_risk/1", "champion", "--delete", "--why", "x"]).ends_with(2);
    assert!(usage.stderr.contains("karat models alias NAME ALIAS --delete"), "{}", usage.stderr);
    let delete = ["models", "alias", "default_risk", "champion", "--delete", "--why", "it decides on stale data"];
    let deleted = karat(folder, &delete).ok().stdout;
    assert!(deleted.contains("default_risk has no champion any more"), "{deleted}");

    soon("a deleted alias answers nothing", || ask(&server, "decide").0 == 503);
    assert_eq!(version(&server, "second"), "1", "what answered before goes on answering");
    let (status, unready) = server.request("GET", "/health/ready", "");
    assert_eq!(status, 503);
    assert!(unready["detail"].as_str().unwrap().contains("no version under the alias `champion`"), "{unready}");
    karat(folder, &["models", "rollback", "default_risk", "champion", "--why", "the data is fresh"]).ok();
    soon("a rollback brings it back", || version(&server, "decide") == "1");
    assert_eq!(server.request("GET", "/health/ready", "").0, 200);
    // What was there once is tried again.
    std::fs::write(trees(folder, 2), &whole).unwrap();
    soon("it is taken up once it can be loaded", || version(&server, "second") == "2");
    assert!(server.terminate().success());

    // A server that begins with it answers for the others, and says why it does not for this one.
    std::fs::write(trees(folder, 2), &whole[..whole.len() / 2]).unwrap();
    let server = Server::start(folder);
    assert_eq!(ask(&server, "decide").0, 200);
    let (status, problem) = ask(&server, "second");
    assert_eq!(
        (status, &problem["detail"]),
        (503, &value!("endpoint second has no version to answer with: the server's log says why"))
    );
    let (status, unready) = server.request("GET", "/health/ready", "");
    assert_eq!(status, 503);
    assert!(unready["detail"].as_str().unwrap().contains("default_risk/2"), "{unready}");
    std::fs::write(trees(folder, 2), &whole).unwrap();
    soon("it is taken up once it can be loaded", || version(&server, "second") == "2");
    assert_eq!(server.request("GET", "/health/ready", "").0, 200);
    assert!(server.terminate().success());
}

#[test]
fn an_alias_that_no_endpoint_uses_keeps_no_server_from_starting() {
    let project = project();
    let folder = project.path();
    std::fs::remove_file(folder.join("endpoints/second.yaml")).unwrap();
    change(folder, "models/default_risk.yaml", "learning_rate: 0.1", "learning_rate: 0.2");
    json(folder, &["train", "default_risk"]);
    karat(folder, &["models", "approve", "default_risk/2", "--as", "challenger", "--why", "better"]).ok();
    std::fs::write(trees(folder, 2), "no trees").unwrap();
    let ran = karat(folder, &["features", "materialize"]).ok();
    assert!(ran.stderr.contains("no endpoint uses this alias"), "{}", ran.stderr);
    let server = Server::start(folder);
    assert_eq!(ask(&server, "decide").0, 200);
    assert!(server.terminate().success());
    // What an endpoint uses is an error where it is asked for.
    std::fs::write(trees(folder, 1), "no trees").unwrap();
    let ran = karat(folder, &["features", "materialize"]);
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("default_risk/1"), "{}", ran.stderr);
}
