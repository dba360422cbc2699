//! `karat features lookup`: a list of keys, once.

use serde_json::{Value as Json, json as value};

use super::service::{Says, score};
use super::{Project, decided, failure};
use crate::small;

fn counts(said: &Json) -> [u64; 4] {
    ["keys", "fresh", "answered", "left"].map(|name| said[name].as_u64().unwrap())
}

#[test]
fn keys_are_asked_about_once_and_what_failed_again() {
    let project = Project::trained(&[]);
    small::put(project.path(), "keys.txt", "client_id\n1\n2\n{\"client_id\": 3}\n\n3\n4\n");
    project.service.says(2, Says::Status(404));
    project.service.says(3, Says::Body("{\"score\": true}".to_owned()));
    let arguments = ["features", "lookup", "bureau", "--keys", "keys.txt"];
    let json = |code: i32| project.karat(&[&arguments[..], &["--format", "json"]].concat()).ends_with(code).json();
    let said = json(1);
    assert_eq!(counts(&said), [4, 0, 2, 0], "{said}");
    assert_eq!(said["failed"], value!({"answer": 1, "status": 1}));
    let mut failures: Vec<&str> =
        said["failures"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    failures.sort_unstable();
    assert_eq!(failures, ["2: it answered with status 404", "3: its `score` is no float"]);
    project.service.says(2, Says::Score);
    project.service.says(3, Says::Score);
    let said = json(0);
    assert_eq!(counts(&said), [4, 2, 2, 0], "{said}");
    let calls = project.service.calls();
    let again = project.karat(&arguments).ok();
    assert!(
        again.stdout.starts_with("asked bureau about 4 keys: 4 fresh, 0 answered, 0 failed; commit "),
        "{}",
        again.stdout
    );
    assert_eq!(project.service.calls(), calls);
    // A failure is asked about again; nothing stands in for it.
    assert!(project.rows_of(3).iter().all(|row| row["lookup_failure"].is_null()));
    let got = project.json(&["features", "get", "rated", "4"]);
    assert_eq!(got["features"]["bureau_score"], score(4));
    let verified = project.json(&["features", "verify", "--pairs", "200"]);
    assert!(verified.as_array().unwrap().iter().all(|view| view["different"] == 0), "{verified}");
    // A server takes what was answered for fresh, and has the source while it runs.
    let server = project.serve();
    let answer = decided(&server, 1);
    assert_eq!((&answer["features"]["bureau_score"], failure(&answer)), (&value!(score(1)), None));
    assert_eq!(project.service.calls(), calls);
    let refused = project.karat(&arguments).ends_with(1);
    assert!(refused.stderr.contains("stop it first"), "{}", refused.stderr);
}

#[test]
fn the_keys_of_a_model_are_asked_about_until_the_service_fails_too_often() {
    let project = Project::new(&[
        ("breaker: {failures: 1000, pause: 1 second}", "breaker: {failures: 3, pause: 10 minutes}\n  concurrency: 1"),
        ("retries: 2", "retries: 0"),
    ]);
    let few: String = (1..=5).map(|client| format!("{client}\n")).collect();
    small::put(project.path(), "few.txt", &few);
    project.karat(&["features", "lookup", "bureau", "--keys", "few.txt"]).ok();
    project.service.says_of_all(Says::Status(500));
    let arguments = ["features", "lookup", "bureau", "--of", "default_risk"];
    let said = project.karat(&[&arguments[..], &["--format", "json"]].concat()).ends_with(1).json();
    assert_eq!(said["failed"], value!({"status": 3}), "{said}");
    assert_eq!(counts(&said), [small::CLIENTS, 5, 0, small::CLIENTS - 8], "{said}");
    assert_eq!(project.service.calls(), 8);
    let human = project.karat(&arguments).ends_with(1).stdout;
    assert!(human.contains("the service failed too often: 72 keys are left; run this again to go on"), "{human}");
    project.service.says_of_all(Says::Score);
    let said = project.json(&arguments);
    assert_eq!(counts(&said), [small::CLIENTS, 5, small::CLIENTS - 5, 0], "{said}");
    assert_eq!(project.service.calls(), 8 + 3 + small::CLIENTS - 5);
}

#[test]
fn what_cannot_be_asked_is_said() {
    let project = Project::new(&[]);
    small::put(project.path(), "keys.txt", "1\nmuch\n");
    for (arguments, code, words) in [
        (&["bureau", "--keys", "keys.txt"][..], 2, "line 2 of the keys"),
        (&["bureau", "--keys", "none.txt"][..], 1, "none.txt cannot be read"),
        (&["loans", "--of", "default_risk"][..], 2, "source loans has no `lookup`"),
        (&["bureaux", "--of", "default_risk"][..], 1, "did you mean `bureau`?"),
        (&["bureau", "--of", "default_risks"][..], 1, "did you mean `default_risk`?"),
        (&["bureau"][..], 2, "--keys <FILE>"),
    ] {
        let refused = project.karat(&[&["features", "lookup"], arguments].concat()).ends_with(code);
        assert!(refused.stderr.contains(words), "{arguments:?}: {}", refused.stderr);
    }
    let refused = project.karat(&["sources", "ingest", "bureau"]).ends_with(2);
    assert!(refused.stderr.contains("`karat features lookup bureau` asks for them"), "{}", refused.stderr);
    assert_eq!(project.service.calls(), 0);
}
