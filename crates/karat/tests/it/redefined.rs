//! What a source's file says of its rows changes while its history stands: nothing of it passes in silence, no rows of two
//! definitions are mixed, and what was decided before still replays.

use std::path::Path;

use serde_json::{Value as Json, json as value};
use tempfile::TempDir;

use crate::small::{self, put};
use crate::support::{Server, json, karat};

const LOANS: &str = "kind: Source
name: loans
path: loans.csv
columns: {loan_id: int, client_id: int, day: date, booked: date, amount: float}
keys: [loan_id]
event_time: day
";

const VIEW: &str = "kind: FeatureView
name: lent
entity: client
source: loans
features:
  nb: {count: rows}
";

fn project() -> TempDir {
    let folder = karat_test_support::temp_dir();
    for (path, text) in [
        ("karat.yaml", "name: redefined\n"),
        ("sources/loans.yaml", LOANS),
        ("entities/client.yaml", "kind: Entity\nname: client\nkey: client_id\ntype: int\n"),
        ("features/lent.yaml", VIEW),
        (
            "loans.csv",
            "loan_id,client_id,day,booked,amount\n1,1,2021-01-01,2021-02-01,10\n2,1,2021-01-05,2021-03-01,20\n",
        ),
    ] {
        put(folder.path(), path, text);
    }
    folder
}

fn features(folder: &Path, as_of: &str) -> Json {
    json(folder, &["features", "get", "lent", "1", "--as-of", as_of])["features"].clone()
}

fn change(folder: &Path, path: &str, from: &str, to: &str) {
    let text = std::fs::read_to_string(folder.join(path)).unwrap();
    assert!(text.contains(from), "{text}");
    put(folder, path, &text.replace(from, to));
}

/// Online states lie under definitions, and versions name them: another Karat has the same, or all of them begin anew.
#[test]
fn a_definition_of_one_key_column_is_the_one_it_always_was() {
    const MADE_BY_0_1: &str = "7eb134e57ae21270662f9eee63aeb94ad429141ef2a89aa572e42e4a9dd234e7";
    let project = project();
    let folder = project.path();
    let definition = || json(folder, &["features", "list"])[0]["definition"].clone();
    assert_eq!(definition(), MADE_BY_0_1);
    // The same in other words.
    put(folder, "entities/client.yaml", "kind: Entity\nname: client\nkeys: [client_id]\n");
    put(folder, "features/lent.yaml", &VIEW.replace("entity: client", "entities: [client]"));
    assert_eq!(definition(), MADE_BY_0_1);
    put(folder, "features/lent.yaml", &VIEW.replace("entity: client", "entities: [client, loan]"));
    put(folder, "entities/loan.yaml", "kind: Entity\nname: loan\nkey: loan_id\n");
    assert_ne!(definition(), MADE_BY_0_1);
}

#[test]
fn one_delivery_is_taken_anew_by_what_the_file_says_now() {
    let project = project();
    let folder = project.path();
    assert_eq!(features(folder, "2021-01-03T00:00:00Z")["nb"], 1);
    change(folder, "sources/loans.yaml", "event_time: day", "event_time: booked");
    let ran = karat(folder, &["features", "get", "lent", "1", "--as-of", "2021-01-03T00:00:00Z"]).ok();
    assert!(
        ran.stderr.contains(
            "the history of loans was written anew: its definition changed since commit 1 (event_time: day -> booked)"
        ),
        "{}",
        ran.stderr
    );
    assert_eq!(features(folder, "2021-01-03T00:00:00Z")["nb"], 0);
    assert_eq!(features(folder, "2021-02-03T00:00:00Z")["nb"], 1);

    // A column that is new, and one that is computed otherwise, hold in the past as they do now.
    change(folder, "sources/loans.yaml", "keys:", "prepare: {amount: amount * 2, large: amount > 30}\nkeys:");
    change(
        folder,
        "features/lent.yaml",
        "  nb: {count: rows}\n",
        "  nb: {count: rows}\n  sum: {sum: amount}\n  large: {count: rows, where: large}\n",
    );
    assert_eq!(features(folder, "2021-02-03T00:00:00Z"), value!({"nb": 1, "sum": 20.0, "large": 0}));
    assert_eq!(features(folder, "2021-03-03T00:00:00Z"), value!({"nb": 2, "sum": 60.0, "large": 1}));
    // What changes no value changes nothing.
    change(
        folder,
        "sources/loans.yaml",
        "keys:",
        "description: Loans\ncontract: [{check: not_null, column: amount}]\nkeys:",
    );
    assert_eq!(json(folder, &["sources", "ingest"])[0]["commit"], 3);
}

#[test]
fn deliveries_that_are_known_one_by_one_are_rebuilt_only_when_asked() {
    let project = project();
    let folder = project.path();
    json(folder, &["sources", "ingest"]);
    put(folder, "loans.csv", "loan_id,client_id,day,booked,amount\n1,1,2021-01-01,2021-02-01,11\n");
    json(folder, &["sources", "ingest"]);
    assert_eq!(features(folder, "2021-01-09T00:00:00Z")["nb"], 2, "the removal is known from its delivery on");
    change(folder, "sources/loans.yaml", "event_time: day", "event_time: booked\navailable_after: 1 day");
    change(folder, "sources/loans.yaml", "keys:", "prepare: {amount: amount * 2}\nkeys:");
    let expected = "the definition of loans changed since commit 2 (available_after: none -> 1 day; event_time: day -> \
                    booked; amount: as read -> `amount * 2`): `karat sources ingest loans --rebuild` writes its history \
                    anew from what is delivered now; earlier decisions still replay, but what was known between \
                    deliveries is then known from their own times only";
    for refused in [["sources", "ingest"], ["features", "materialize"], ["features", "verify"]] {
        let ran = karat(folder, &refused).ends_with(1);
        let said = ran.stderr.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
        assert!(said.contains(expected), "{refused:?}: {said}");
    }
    // A query answers what was ingested, and says so.
    let ran = karat(folder, &["query", "SELECT amount FROM loans", "--format", "json"]).ok();
    assert!(ran.stderr.contains("loans is queried as it was ingested"), "{}", ran.stderr);
    assert_eq!(ran.json()["rows"], value!([{"amount": 11.0}]));

    assert!(karat(folder, &["sources", "ingest", "--rebuild"]).ends_with(2).stderr.contains("--rebuild"));
    let rebuilt = json(folder, &["sources", "ingest", "loans", "--rebuild"]);
    assert_eq!((&rebuilt[0]["commit"], &rebuilt[0]["counts"]["new"]), (&value!(3), &value!(1)));
    assert!(rebuilt[0]["anew"].as_str().unwrap().contains("commit 2"), "{rebuilt}");
    assert_eq!(features(folder, "2021-02-01T12:00:00Z")["nb"], 0);
    assert_eq!(features(folder, "2021-02-02T00:00:01Z")["nb"], 1);
    assert_eq!(json(folder, &["query", "SELECT amount FROM loans"])["rows"], value!([{"amount": 22.0}]));
    assert_eq!(json(folder, &["sources", "ingest"])[0]["new_commit"], false);
}

/// A version trained before reads the rows that it was trained on, online and in replays, and says where it stands.
#[test]
fn versions_never_read_rows_of_another_definition() {
    let project = small::project();
    let folder = project.path();
    json(folder, &["train", "default_risk"]);
    karat(folder, &["models", "approve", "default_risk/1", "--as", "champion", "--why", "first"]).ok();
    let run = json(folder, &["runs", "list"])[0]["run_id"].as_str().unwrap().to_owned();
    let decide = |folder: &Path| {
        let server = Server::start(folder);
        let body = value!({"key": 7, "as_of": "2022-01-01T00:00:00Z"}).to_string();
        let (status, answer) = server.request("POST", "/v1/endpoints/decide/predict", &body);
        assert_eq!(status, 200, "{answer}");
        server.terminate();
        answer
    };
    let first = decide(folder);
    let same_decision = |answer: &Json| assert_eq!(answer["score"], first["score"], "{answer}");

    // A column that the version does not use: it goes on with what comes.
    change(folder, "sources/payments.yaml", "  late: late = 1", "  late: late = 1\n  half: amount / 2");
    let ran = karat(folder, &["features", "materialize"]).ok();
    assert!(ran.stderr.contains("payments was written anew") && !ran.stderr.contains("stand still"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("loans was written anew"), "{}", ran.stderr);
    same_decision(&decide(folder));

    // One that it does: the old rows stay for it, the new are for whoever is trained on them.
    change(folder, "sources/payments.yaml", "  late: late = 1", "  late: late = 1 OR amount > 800");
    let ran = karat(folder, &["features", "materialize"]).ok();
    assert!(ran.stderr.contains("loans was written anew"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("the features of default_risk/1 from view history stand still at commit 1 of loans"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("from view person"), "{}", ran.stderr);
    let later = decide(folder);
    same_decision(&later);
    for decision in [&first, &later] {
        let id = decision["prediction_id"].as_str().unwrap();
        let replayed = json(folder, &["replay", id]);
        assert_eq!(
            (&replayed["arithmetic"]["verdict"], &replayed["history"]["verdict"]),
            (&value!("same"), &value!("same")),
            "{replayed}"
        );
    }
    let reproduced = json(folder, &["runs", "reproduce", &run]);
    assert_eq!((&reproduced["model"]["same"], &reproduced["training_set"]["same"]), (&value!(true), &value!(true)));
    change(folder, "models/default_risk.yaml", ", auc >= champion.auc", "");
    let ran = karat(folder, &["train", "default_risk"]).ok();
    assert!(
        ran.stderr.contains("default_risk/1 is compared on features that stand still at commit 1 of loans"),
        "{}",
        ran.stderr
    );
    karat(folder, &["features", "verify"]).ok();
}
