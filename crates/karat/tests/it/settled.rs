//! What checks of features put in place of values, or refuse: the same where a model learns, where it decides, and where a
//! decision is looked at again.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value as Json, json as value};
use tempfile::TempDir;

use crate::small::{self, CLIENTS, MONTHS, edit};
use crate::support::{Server, json, karat};

const VIEW: &str = "features/history.yaml";

/// Puts something in place of three features, and refuses who has no history.
fn checked() -> TempDir {
    let project = small::project();
    let folder = project.path();
    edit(
        folder,
        VIEW,
        "{mean: amount}",
        "{mean: amount, checks: [{check: range, max: 550, on_failure: {substitute: 555}}]}",
    );
    edit(
        folder,
        VIEW,
        "number of earlier months}",
        "number of earlier months, checks: [{check: range, min: 1, on_failure: refuse}]}",
    );
    edit(
        folder,
        VIEW,
        "months paid late}",
        "months paid late, checks: [{check: range, max: 0.5, on_failure: null}, {check: not_null, on_failure: {substitute: -1}}]}",
    );
    project
}

/// By key and as_of, cells by name.
type Rows = BTreeMap<(String, String), BTreeMap<String, String>>;

/// The rows of the model's training set.
fn training_set(folder: &Path) -> (Json, Rows) {
    let written = json(folder, &["features", "training-set", "default_risk", "--output", "set.csv"]);
    let text = std::fs::read_to_string(folder.join("set.csv")).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').map(ToOwned::to_owned).collect::<Vec<String>>());
    let names = lines.next().unwrap();
    let rows = lines.map(|cells| {
        let key = (cells[0].clone(), cells[1].clone());
        (key, names.iter().cloned().zip(cells).collect::<BTreeMap<_, _>>())
    });
    (written, rows.collect())
}

#[test]
fn a_model_learns_from_what_it_will_decide_on() {
    let (plain, project) = (small::project(), checked());
    let folder = project.path();
    let (all, raw) = training_set(plain.path());
    let (written, settled) = training_set(folder);
    let counts = |written: &Json| (written["rows"].clone(), written["refused"].clone());
    assert_eq!(counts(&all), (value!(CLIENTS * MONTHS), value!(0)));
    assert_eq!(counts(&written), (value!(CLIENTS * (MONTHS - 1)), value!(CLIENTS)));
    let (mut capped, mut missing) = (0, 0);
    for (key, row) in &raw {
        let number = |name: &str| row[name].parse::<f64>().ok();
        let Some(found) = settled.get(key) else {
            assert_eq!(row["nb"], "0", "{key:?}");
            continue;
        };
        let late = number("share_late").filter(|share| *share <= 0.5).unwrap_or(-1.0);
        let mean = number("mean_amount").map(|mean| if mean > 550.0 { 555.0 } else { mean });
        assert_eq!(
            (found["share_late"].parse().ok(), found["mean_amount"].parse().ok()),
            (Some(late), mean),
            "{key:?}"
        );
        capped += usize::from(mean == Some(555.0));
        missing += usize::from(late == -1.0);
        for name in ["nb", "late_last_3", "region", "years", "late"] {
            assert_eq!(found[name], row[name], "{name} of {key:?}");
        }
    }
    assert!(capped > 100 && missing > 20, "{capped} {missing}");
    // A feature is what it was.
    let got = json(folder, &["features", "get", "history", "5", "--as-of", "2020-01-01T00:00:00Z"]);
    assert_eq!((&got["features"]["nb"], &got["features"]["share_late"]), (&value!(0), &Json::Null));

    let trial = json(folder, &["train", "default_risk"]);
    let split = &trial["data"]["split"];
    assert_eq!((&split["rows"], &split["train"]["refused"]), (&value!(CLIENTS * MONTHS), &value!(CLIENTS)));
    let told = karat(folder, &["train", "default_risk"]).ok().stdout;
    assert!(told.contains("80 rows are in no part: a check of their features refuses to decide on them"), "{told}");
    let again = json(folder, &["runs", "reproduce", trial["run_id"].as_str().unwrap()]);
    assert_eq!((&again["model"]["same"], &again["training_set"]["same"]), (&value!(true), &value!(true)));
    karat(folder, &["models", "approve", "default_risk", "--as", "champion", "--why", "reviewed"]).ok();
    decided_on_the_same(folder, &settled);
    tested_alike(folder);
}

/// An endpoint decides on what stands in the training set, and on no row that is not in it.
fn decided_on_the_same(folder: &Path, settled: &Rows) {
    karat(folder, &["features", "materialize"]).ok();
    let server = Server::start(folder);
    let predict = |key: &str, as_of: &str| {
        let body = value!({"key": key.parse::<u64>().unwrap(), "as_of": as_of}).to_string();
        server.request("POST", "/v1/endpoints/decide/predict", &body)
    };
    let mut replaced = String::new();
    for ((key, as_of), row) in settled.iter().step_by(7) {
        let (status, answer) = predict(key, as_of);
        assert_eq!(status, 200, "{answer}");
        for (name, value) in answer["features"].as_object().unwrap() {
            let same = match value {
                Json::Null => row[name].is_empty(),
                Json::String(text) => row[name] == *text,
                value => row[name].parse::<f64>().ok() == value.as_f64(),
            };
            assert!(same, "{name} of {key} as of {as_of}: {value}, trained on {}", row[name]);
        }
        if answer["features"]["mean_amount"] == 555.0 {
            answer["prediction_id"].as_str().unwrap().clone_into(&mut replaced);
        }
    }
    let (status, problem) = predict("5", "2020-01-01T00:00:00Z");
    assert_eq!(status, 403, "{problem}");
    assert!(
        problem["detail"].as_str().unwrap().starts_with("feature nb of client 5 fails its check `range 1..`"),
        "{problem}"
    );
    assert!(server.terminate().success());
    let replayed = json(folder, &["replay", &replaced]);
    assert_eq!(
        (&replayed["arithmetic"]["verdict"], &replayed["history"]["verdict"]),
        (&value!("same"), &value!("same"))
    );
}

/// `karat test` decides as an endpoint does.
fn tested_alike(folder: &Path) {
    let row = |nb: u64, share: f64, mean: f64| {
        format!("{{nb: {nb}, share_late: {share}, late_last_3: 1, mean_amount: {mean}, region: north, years: 4}}")
    };
    let test = |row: &str| {
        let expected = format!("  - {{decision: default_risk, row: {row}, score: 2}}\n");
        small::put(
            folder,
            "tests/one.yaml",
            &format!("kind: Test\nname: one\ngiven: {{payments: []}}\nexpect:\n{expected}"),
        );
        let told = karat(folder, &["test"]).ends_with(1).stdout;
        told.lines()
            .find_map(|line| line.trim().strip_prefix("got "))
            .unwrap_or_else(|| panic!("{told}"))
            .trim()
            .to_owned()
    };
    let (raw, put, other) = (test(&row(3, 0.75, 9_000.0)), test(&row(3, -1.0, 555.0)), test(&row(3, 0.5, 300.0)));
    assert_eq!(raw, put);
    assert_ne!(raw, other);
    assert_eq!(test(&row(0, 0.5, 300.0)), "refused: nb fails its check `range 1..`");
}

#[test]
fn another_check_is_another_version_though_the_model_is_the_same() {
    let project = small::project();
    let folder = project.path();
    let first = json(folder, &["train", "default_risk"]);
    karat(folder, &["models", "approve", "default_risk", "--as", "champion", "--why", "reviewed"]).ok();
    let view = "features/person.yaml";
    // Nobody is refused, so nothing else is learned; a check that only reports changes no value.
    edit(folder, view, "years as a client", "years as a client, checks: [{check: range, max: 500}]");
    assert_eq!(json(folder, &["train", "default_risk"])["version"], 1);
    edit(folder, view, "max: 500", "max: 500, on_failure: refuse");
    let second = json(folder, &["train", "default_risk"]);
    assert_eq!((&second["digest"], &second["version"]), (&first["digest"], &value!(2)));
    assert!(second["gates"].as_array().unwrap().iter().all(|gate| gate["passed"] == true), "{}", second["gates"]);
    let shown = karat(folder, &["models", "show", "default_risk/2"]).ok().stdout;
    assert!(shown.lines().any(|line| line.trim().starts_with("feature checks ")), "{shown}");
    edit(folder, view, "on_failure: refuse", "on_failure: {substitute: 9}");
    assert_eq!(json(folder, &["train", "default_risk"])["version"], 3);
    edit(folder, view, "on_failure: {substitute: 9}", "on_failure: refuse");
    assert_eq!(json(folder, &["train", "default_risk"])["version"], 2);
}
