//! From an empty folder to a replayed decision, on a small project.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json as value};

use crate::small::{self, CLIENTS, MONTHS};
use crate::support::{Server, command, json, karat, run_command};
use crate::{pages, tampering};

const AS_OF: &str = "2022-01-01T00:00:00Z";

#[test]
fn a_project_from_check_to_replay() {
    let project = small::project();
    let folder = project.path();
    checked_and_applied(folder);
    ingested(folder);
    features_as_known(folder);
    let (run, digest) = trained(folder);
    let prediction = served(folder);
    tampering::a_wrong_state_is_found(folder);
    governed(folder, &digest);
    reproduced(folder, &run);
    replayed(folder, &prediction);
    pages::a_card_and_a_profile_say_what_was(folder, &prediction);
    audited(folder);
}

fn checked_and_applied(folder: &Path) {
    assert_eq!(json(folder, &["check"]), value!([]));
    let human = karat(folder, &["check"]).ok().stdout;
    assert_eq!(human.trim(), "small: 3 sources, 1 entity, 2 feature views, 1 model, 1 endpoint; no mistakes");
    let plan = json(folder, &["apply", "--dry-run"]);
    assert_eq!((&plan["new"], &plan["release"]), (&value!(true), &Json::Null));
    assert_eq!(json(folder, &["apply"])["release"], 1);
    let again = json(folder, &["apply"]);
    assert_eq!((&again["release"], &again["new"]), (&value!(1), &value!(false)));
}

fn ingested(folder: &Path) {
    let checked = json(folder, &["sources", "check", "payments"]);
    let rows = CLIENTS * MONTHS;
    let report = &checked[0]["report"];
    assert_eq!(
        (&report["read"], &report["accepted"], &report["quarantined"]),
        (&value!(rows + 4), &value!(rows + 1), &value!(3))
    );
    let shown = karat(folder, &["sources", "check", "payments"]).ok().stdout;
    assert!(
        shown.contains(
            "1,924 read = 1,921 accepted + 3 quarantined; of these 1 unreadable, first data/payments.csv:1924"
        ),
        "{shown}"
    );

    let first = karat(folder, &["sources", "ingest"]).ok().stdout;
    assert!(first.contains("left out: 1 of 1,921 rows of "), "{first}");
    let kept_apart = first.lines().find_map(|line| line.trim().strip_prefix("quarantined rows: "));
    let kept_apart = kept_apart.unwrap_or_else(|| panic!("{first}"));
    assert!(kept_apart.starts_with(".karat/quarantine/payments/"), "{first}");
    assert!(folder.join(kept_apart).is_file());
    let again = json(folder, &["sources", "ingest"]);
    for source in again.as_array().unwrap() {
        assert_eq!((&source["new_commit"], &source["counts"]["accepted"]), (&value!(false), &value!(0)), "{source}");
    }
    let listed = json(folder, &["sources", "list"]);
    let commits: Vec<&Json> = listed.as_array().unwrap().iter().map(|source| &source["commit"]).collect();
    assert_eq!(commits, [&value!(1); 3]);
    let counted =
        json(folder, &["query", "SELECT count(*) AS n, sum(CASE WHEN late THEN 1 ELSE 0 END) AS late FROM loans"]);
    assert_eq!(counted["rows"][0]["n"], rows);
}

fn features_as_known(folder: &Path) {
    let get = |more: &[&str]| {
        json(folder, &[&["features", "get", "history", "5", "--as-of", "2020-04-15T00:00:00Z"], more].concat())
    };
    // April's row is an event of the first, known only at the end of the month.
    assert_eq!(get(&[])["features"]["nb"], 3);
    assert_eq!(get(&["--known-at", "2020-05-01T00:00:00Z"])["features"]["nb"], 4);
    let naive = karat(folder, &["features", "get", "history", "5", "--as-of", "2020-04-15"]).ends_with(2);
    assert!(naive.stderr.contains("--as-of: `2020-04-15` has no offset"), "{}", naive.stderr);
    let views = json(folder, &["features", "list"]);
    assert_eq!(
        views[0]["features"]["late_last_3"]["definition"],
        value!({"count": "rows", "where": "late", "window": "3 months"})
    );
    let written = json(folder, &["features", "training-set", "default_risk", "--output", "set.csv"]);
    assert_eq!(written["rows"], CLIENTS * MONTHS);
    let header = std::fs::read_to_string(folder.join("set.csv")).unwrap();
    assert!(
        header.starts_with("client_id,as_of,nb,share_late,late_last_3,mean_amount,region,years,late\n"),
        "{header:.200}"
    );
}

/// The run and its digest.
fn trained(folder: &Path) -> (String, String) {
    let first = json(folder, &["train", "default_risk"]);
    assert_eq!((&first["version"], &first["new_version"]), (&value!(1), &value!(true)));
    assert!(first["metrics"]["auc"].as_f64().unwrap() > 0.6, "{}", first["metrics"]);
    assert!(first["gates"].as_array().unwrap().iter().all(|gate| gate["passed"] == true), "{}", first["gates"]);
    assert_eq!(first["data"]["rows"], CLIENTS * MONTHS);
    for threads in ["1", "2"] {
        let arguments = ["train", "default_risk", "--format", "json"];
        let again = run_command(command(folder, &arguments).env("OMP_NUM_THREADS", threads)).ok().json();
        assert_eq!((&again["digest"], &again["version"]), (&first["digest"], &value!(1)));
        assert_eq!(again["threads"].to_string(), threads);
    }
    let shown = karat(folder, &["train", "default_risk"]).ok().stdout;
    for part in [
        "the same as version default_risk/1",
        "AUC",
        "log loss",
        "captured",
        "gates",
        "passed",
        "next: karat models approve",
    ] {
        assert!(shown.contains(part), "no `{part}` in\n{shown}");
    }
    let runs = json(folder, &["runs", "list"]);
    assert_eq!(runs.as_array().unwrap().len(), 4);
    let text = |json: &Json| json.as_str().unwrap().to_owned();
    let run = text(&first["run_id"]);
    assert_eq!(json(folder, &["runs", "show", &run])["params"]["model_digest"], first["digest"]);
    (run, text(&first["digest"]))
}

/// Serves before anything is approved, approves under way, decides, stops. Gives the decision.
fn served(folder: &Path) -> Json {
    let built = json(folder, &["features", "materialize"]);
    assert!(built.as_array().unwrap().iter().all(|view| view["built"] == true && view["keys"] == CLIENTS), "{built}");
    let verified = json(folder, &["features", "verify", "--pairs", "3000"]);
    assert!(verified.as_array().unwrap().iter().all(|view| view["different"] == 0), "{verified}");

    let server = Server::start(folder);
    let predict = |body: Json| server.request("POST", "/v1/endpoints/decide/predict", &body.to_string());
    let one = |key: u64| predict(value!({"key": key, "as_of": AS_OF}));
    assert_eq!(one(1).0, 503);
    let missing = karat(folder, &["models", "approve", "default_risk", "--as", "champion"]).ends_with(2);
    assert!(missing.stderr.contains("give it with --why"), "{}", missing.stderr);
    karat(folder, &["models", "approve", "default_risk", "--as", "champion", "--why", "reviewed"]).ok();
    let approved = Instant::now();
    while one(1).0 == 503 {
        assert!(approved.elapsed() < Duration::from_secs(2), "the champion does not answer within two seconds");
        std::thread::sleep(Duration::from_millis(20));
    }
    let (status, answer) = one(1);
    assert_eq!(status, 200);
    assert_eq!(answer["model"]["version"], "1");
    let failures = answer["qa_failures"].to_string();
    assert!(failures.contains("joined 3021-02-15 nulled by range"), "{failures}");
    assert_eq!(one(999_999).0, 404);
    assert_eq!(predict(value!({"key": "x"})).0, 422);
    assert_eq!(server.request("GET", &format!("/v1/features/history/1?as_of={AS_OF}"), "").0, 200);
    assert_eq!(server.request("GET", "/health/ready", "").0, 200);
    assert!(server.terminate().success());
    answer
}

fn governed(folder: &Path, digest: &str) {
    let shown = json(folder, &["models", "show", "default_risk@champion"]);
    assert_eq!((&shown["digest"], &shown["standing"]), (&value!(digest), &value!("approved")));
    assert_eq!(shown["approvals"][0]["actor"], "tester");
    assert_eq!(json(folder, &["models", "list"])[0]["aliases"], value!({"champion": 1}));
    let refused = karat(folder, &["models", "reject", "default_risk/1", "--why", "no"]).ends_with(1);
    assert!(
        refused.stderr.contains("`karat models alias default_risk champion --delete --why \"...\"`"),
        "{}",
        refused.stderr
    );
    let no_version = karat(folder, &["models", "show", "default_risk/7"]).ends_with(1);
    assert!(no_version.stderr.contains("its newest is 1"), "{}", no_version.stderr);
}

fn reproduced(folder: &Path, run: &str) {
    let again = json(folder, &["runs", "reproduce", &run[..run.len() - 1]]);
    assert_eq!((&again["model"]["same"], &again["training_set"]["same"]), (&value!(true), &value!(true)));
}

fn replayed(folder: &Path, answer: &Json) {
    let id = answer["prediction_id"].as_str().unwrap();
    let holds = json(folder, &["replay", id]);
    assert_eq!((&holds["arithmetic"]["verdict"], &holds["history"]["verdict"]), (&value!("same"), &value!("same")));
    let logged = json(folder, &["query", &format!("SELECT key, score FROM predictions WHERE prediction_id = '{id}'")]);
    assert_eq!(logged["rows"], value!([{"key": "1", "score": answer["score"]}]));

    // A correction of the past changes no replay.
    let payments = std::fs::read_to_string(folder.join("data/payments.csv")).unwrap();
    let corrected = payments.replacen("\n1,2021-11-01,", "\n1,2021-11-01,9", 1);
    assert_ne!(payments, corrected);
    small::put(folder, "data/payments.csv", &corrected);
    let ingested = json(folder, &["sources", "ingest"]);
    let revised: Vec<&Json> = ingested.as_array().unwrap().iter().map(|source| &source["counts"]["revised"]).collect();
    assert!(revised.contains(&&value!(1)), "{ingested}");
    karat(folder, &["replay", id]).ok();

    tampering::a_changed_record_is_found(folder, id);
    karat(folder, &["replay", id]).ok();
    let unknown = karat(folder, &["replay", "01890000-0000-7000-8000-000000000000"]).ends_with(1);
    assert!(unknown.stderr.contains("is in the log"), "{}", unknown.stderr);
    karat(folder, &["replay", "nonsense"]).ends_with(2);
}

fn audited(folder: &Path) {
    let head = json(folder, &["audit", "head"])["head"].as_str().unwrap().to_owned();
    assert_eq!(json(folder, &["audit", "verify", "--head", &head])["intact"], true);
    let other = format!("{}{}", &head[..head.len() - 1], if head.ends_with('0') { '1' } else { '0' });
    let broken = karat(folder, &["audit", "verify", "--head", &other]).ends_with(1);
    assert!(broken.stdout.contains("is not the one whose head was kept"), "{}", broken.stdout);
    let entries = json(folder, &["audit", "list"]);
    let actions: Vec<&str> =
        entries.as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    for action in ["release.record", "model.approve", "alias.set"] {
        assert!(actions.contains(&action), "{actions:?}");
    }
}
