//! What is said, and the exit code, when something is wrong.

use karat_test_support::temp_dir;
use serde_json::json as value;

use crate::small::{self, put};
use crate::support::{Ran, Server, karat};

/// Stderr without what differs from machine to machine.
fn said(ran: &Ran, folder: &std::path::Path) -> String {
    let text = ran.stderr.replace(&folder.canonicalize().unwrap().display().to_string(), "DIR");
    text.replace(&folder.display().to_string(), "DIR").trim_end().to_owned()
}

#[test]
fn every_mistake_of_a_folder_is_shown_at_once() {
    let project = small::project();
    let folder = project.path();
    put(folder, "entities/client.yaml", "kind: Entity\nname: client\nkeyy: client_id\ntype: int\n");
    let model = std::fs::read_to_string(folder.join("models/default_risk.yaml")).unwrap();
    put(folder, "models/default_risk.yaml", &model.replace("source: loans", "source: lones"));
    let ran = karat(folder, &["check"]).ends_with(2);
    assert_eq!(ran.stdout, "");
    insta::assert_snapshot!(said(&ran, folder), @r"
      × unknown key `keyy`
       ╭─[entities/client.yaml:3:1]
     2 │ name: client
     3 │ keyy: client_id
       · ────
     4 │ type: int
       ╰────
      help: did you mean `key`?

      × no source is called `lones`
       ╭─[models/default_risk.yaml:4:17]
     3 │ task: binary
     4 │ spine: {source: lones, entity: client, as_of: month, label: late, label_time: month_end}
       ·                 ─────
     5 │ features: [history, person]
       ╰────
      help: did you mean `loans`?

    error: 2 mistakes in this project
    ");

    let ran = karat(folder, &["check", "--format", "json"]).ends_with(2);
    let problems = ran.json();
    let first = &problems[0];
    assert_eq!((&first["file"], &first["line"]), (&value!("entities/client.yaml"), &value!(3)), "{problems}");
    assert!(problems.to_string().contains("did you mean"), "{problems}");
}

#[test]
fn mistakes_that_only_compiling_finds_have_their_place_too() {
    let project = small::project();
    let folder = project.path();
    let view = std::fs::read_to_string(folder.join("features/history.yaml")).unwrap();
    put(folder, "features/history.yaml", &view.replace("{mean: amount}", "{mean: amont}"));
    let problems = karat(folder, &["check", "--format", "json"]).ends_with(2).json();
    assert_eq!(
        (&problems[0]["file"], &problems[0]["line"]),
        (&value!("features/history.yaml"), &value!(9)),
        "{problems}"
    );
    // What reads data refuses the same.
    karat(folder, &["sources", "ingest"]).ends_with(2);
}

#[test]
fn a_training_set_of_no_form_is_refused_before_anything_is_read() {
    let project = small::project();
    let arguments = ["features", "training-set", "default_risk", "--output", "set.json"];
    let ran = karat(project.path(), &arguments).ends_with(2);
    assert!(ran.stderr.contains("set.json: a training set is written as .parquet or .csv"), "{}", ran.stderr);
    assert!(!project.path().join(".karat/history/payments").exists(), "nothing was ingested");
}

#[test]
fn a_rule_that_fails_ends_a_check_with_1_and_refuses_the_delivery() {
    let project = small::project();
    let folder = project.path();
    let payments = std::fs::read_to_string(folder.join("sources/payments.yaml")).unwrap();
    put(folder, "sources/payments.yaml", &payments.replace("min: 100, action: fail", "min: 5000, action: fail"));
    let ran = karat(folder, &["sources", "check", "payments"]).ends_with(1);
    assert!(ran.stdout.contains("this delivery would be refused: row_count (rule 3): 1921 rows"), "{}", ran.stdout);
    let document = karat(folder, &["sources", "check", "payments", "--format", "json"]).ends_with(1).json();
    assert!(document[0]["refused"].as_str().unwrap().contains("row_count"), "{document}");
    let ran = karat(folder, &["sources", "ingest", "payments"]).ends_with(1);
    assert!(ran.stderr.contains("the delivery is refused"), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("source `payments`").count() + ran.stderr.matches("source payments").count(), 1);
    assert!(ran.stderr.contains("`karat sources check payments`"), "{}", ran.stderr);
    // Rules that only warn or quarantine are no failure.
    karat(folder, &["sources", "check", "people"]).ok();
}

#[test]
fn names_that_are_nearly_right_are_suggested() {
    let project = small::project();
    let folder = project.path();
    let cases: [(&[&str], i32, &str); 8] = [
        (&["train", "nope"], 1, "there is no model `nope` in this project; it has default_risk"),
        (&["sources", "profile", "unheard_of"], 1, "in this project; it has payments, people, loans"),
        (&["train", "default_risc"], 1, "did you mean `default_risk`?"),
        (&["sources", "check", "lons"], 1, "did you mean `loans`?"),
        (&["schema", "sauce"], 2, "there is no kind `sauce`: did you mean `Source`?"),
        (&["audit", "verify", "--head", "7"], 2, "is not an audit head"),
        (&["runs", "show", "xyz"], 2, "is not the id of a run"),
        (&["models", "show", "default_risk"], 1, "there is no registered model `default_risk`"),
    ];
    for (arguments, code, expected) in cases {
        let ran = karat(folder, arguments).ends_with(code);
        assert!(ran.stderr.contains(expected), "{arguments:?}: {}", ran.stderr);
        assert!(!ran.stderr.contains("Backtrace"), "{}", ran.stderr);
    }
}

#[test]
fn outside_a_project_the_way_into_one_is_told() {
    let folder = temp_dir();
    let ran = karat(folder.path(), &["check"]).ends_with(2);
    insta::assert_snapshot!(said(&ran, folder.path()), @"error: there is no karat.yaml in DIR or above it: name the project with --project, or make one with `karat init DIR`");
    karat(folder.path(), &["no-such-command"]).ends_with(2);
    karat(folder.path(), &["check", "--project", "nowhere"]).ends_with(2);
}

#[test]
fn init_makes_projects_that_check_and_leaves_others_alone() {
    let folder = temp_dir();
    let made = karat(folder.path(), &["init", "mine"]).ok();
    insta::assert_snapshot!(made.stdout.trim_end(), @r"
    made mine from template blank: 9 files
    next: cd mine && karat check
    ");
    let ran = karat(folder.path(), &["check", "--project", "mine"]).ok();
    assert_eq!(ran.stdout.trim(), "mine: no resources yet; no mistakes");
    let again = karat(folder.path(), &["init", "mine"]).ends_with(2);
    assert!(again.stderr.contains("holds a project already"), "{}", again.stderr);
    karat(folder.path(), &["init", "example", "--template", "credit-risk", "--format", "json"]).ok().json();
    karat(folder.path(), &["check", "--project", "example"]).ok();
}

#[test]
fn schemas_are_json_whatever_the_case_of_their_kind() {
    let folder = temp_dir();
    for kind in ["project", "Source", "ENTITY", "feature-view", "featureview", "model", "Endpoint"] {
        let schema = karat(folder.path(), &["schema", kind]).ok().json();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{kind}");
    }
}

#[test]
fn a_port_that_is_taken_is_told() {
    let project = small::project();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ran = karat(project.path(), &["serve", "--port", &port]).ends_with(1);
    assert!(ran.stderr.contains("is in use: choose another with --port"), "{}", ran.stderr);
}

#[test]
fn what_cannot_be_taken_in_keeps_nobody_from_what_history_has() {
    let project = small::project();
    let folder = project.path();
    karat(folder, &["train", "default_risk"]).ok();
    karat(folder, &["models", "approve", "default_risk", "--as", "champion", "--why", "a test"]).ok();
    let get = ["features", "get", "history", "5", "--as-of", "2022-06-01T00:00:00Z"];
    let before = karat(folder, &get).ok();
    let payments = std::fs::read_to_string(folder.join("data/payments.csv")).unwrap();
    let people = folder.join("data/people.csv");
    put(folder, "data/payments.csv", &payments.replace(".5,", " or so,"));
    std::fs::remove_file(&people).unwrap();

    let ran = karat(folder, &get).ok();
    assert_eq!(ran.stdout, before.stdout);
    for told in ["row_count (rule 3): ", "rows cannot be taken in, such as data/payments.csv:2 value ", "people.csv: "]
    {
        assert!(ran.stderr.contains(told), "no `{told}` in\n{}", ran.stderr);
    }
    assert!(ran.stderr.contains("going on with what the history of payments has, up to commit 1"), "{}", ran.stderr);
    karat(folder, &["features", "materialize"]).ok();
    let server = Server::start(folder);
    assert_eq!(server.request("GET", "/health/ready", "").0, 200);
    let (status, decided) = server.request("POST", "/v1/endpoints/decide/predict", "{\"key\": 5}");
    assert_eq!(status, 200, "{decided}");
    assert!(server.terminate().success());
    // What learns wants what is there now, and where nothing was ever taken in nothing can be read.
    assert_ne!(karat(folder, &["train", "default_risk"]).code, 0);
    std::fs::remove_dir_all(folder.join(".karat")).unwrap();
    assert_ne!(karat(folder, &get).code, 0);
}

#[test]
fn files_of_another_place_than_the_metadata_are_told() {
    let project = small::project();
    let folder = project.path();
    karat(folder, &["sources", "ingest"]).ok();
    put(folder, "environments/other.yaml", "name: small\nstores: {data: \"file://elsewhere\"}\n");
    let ran = karat(folder, &["features", "get", "history", "5", "--env", "other"]).ends_with(1);
    assert!(ran.stderr.contains("`stores.data` points elsewhere than when they were written"), "{}", ran.stderr);
    let whole = "name: small\nstores: {metadata: \"sqlite://elsewhere/metadata.db\", data: \"file://elsewhere\"}\n";
    put(folder, "environments/other.yaml", whole);
    karat(folder, &["features", "get", "history", "5", "--env", "other"]).ok();
    karat(folder, &["features", "get", "history", "5"]).ok();
}
