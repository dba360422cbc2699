//! Services that are slow, down or say nonsense.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json as value};

use super::kept::files_with;
use super::service::{Says, TOKEN, score};
use super::{Project, decide, decided, failure, metric};
use crate::small;

#[test]
fn what_fails_falls_to_the_default_is_told_and_is_asked_for_again() {
    let project = Project::trained(&[("timeout: 2 seconds", "timeout: 500 milliseconds")]);
    let server = project.serve();
    let long = format!("{{\"score\": 1, \"report\": \"{}\"}}", "x".repeat(2 << 20));
    let cases: Vec<(i64, Says, &str, &str, u64)> = vec![
        (1, Says::Nothing, "no answer within 500 milliseconds", "timeout", 3),
        (2, Says::Status(500), "it answered with status 500", "status", 3),
        (3, Says::Status(503), "it answered with status 503", "status", 3),
        (4, Says::Status(400), "it answered with status 400", "status", 1),
        (5, Says::Status(404), "it answered with status 404", "status", 1),
        (6, Says::Status(302), "it answered with status 302", "status", 1),
        (7, Says::Body("<html>".to_owned()), "its answer is not JSON", "answer", 1),
        (8, Says::Body("[1, 2]".to_owned()), "its answer is JSON, but no object", "answer", 1),
        (
            9,
            Says::Body("{\"message\": \"hello\"}".to_owned()),
            "its answer has none of the source's columns",
            "answer",
            1,
        ),
        (10, Says::Body("{\"score\": \"high\"}".to_owned()), "its `score` is no float", "answer", 1),
        (11, Says::Body("{\"score\": -5}".to_owned()), "its `score` fails the check `range`", "answer", 1),
        (12, Says::Body(long), "its answer is longer than 1 MiB", "answer", 1),
        (13, Says::HangsUp, "it cannot be reached: ", "connection", 3),
        (14, Says::Echo, "its `score` is no float", "answer", 1),
    ];
    let mut answers = Vec::new();
    for (client, says, words, kind, calls) in cases {
        project.service.says(client, says.clone());
        let answer = decided(&server, client);
        let told = failure(&answer).unwrap_or_else(|| panic!("{says:?}: {answer}"));
        assert!(told.starts_with(&format!("look-up of bureau failed: {words}")), "{says:?}: {told}");
        assert!(told.ends_with("; its default instead"), "{told}");
        assert_eq!(answer["features"]["bureau_score"], Json::Null, "{says:?}");
        assert_eq!(project.service.calls_of(client), calls, "{says:?}");
        answers.push((client, kind, answer));
    }
    // A service that comes round while it is asked has answered.
    project.service.says(15, Says::FailsFirst(2));
    assert_eq!(failure(&decided(&server, 15)), None);
    assert_eq!(project.service.calls_of(15), 3);
    // A default is not fresh: the next decision asks again, and sees the answer.
    project.service.says(2, Says::Score);
    let recovered = decided(&server, 2);
    assert_eq!((&recovered["features"]["bureau_score"], failure(&recovered)), (&value!(score(2)), None));
    assert_eq!(metric(&server, "karat_lookups_total{source=\"bureau\",outcome=\"defaulted\"}"), Some(14.0));
    assert!(server.terminate().success());
    // History has what was decided on, and why.
    for (client, kind, answer) in &answers {
        let rows = project.rows_of(*client);
        assert_eq!(rows[1]["lookup_failure"], *kind, "{rows:?}");
        assert_eq!(rows[1]["score"], Json::Null);
        assert_eq!(rows[0]["lookup_failure"], Json::Null);
        if *client <= 4 {
            project.replays(answer);
        }
    }
    project.replays(&recovered);
    let logged = project.json(&["query", "SELECT qa_failures FROM predictions"]);
    assert!(logged.to_string().contains("look-up of bureau failed: it answered with status 400"), "{logged}");
    assert_eq!(files_with(project.path(), TOKEN), Vec::<String>::new());
}

#[test]
fn a_decision_is_refused_where_nothing_stands_in_for_an_answer() {
    let project = Project::trained(&[(
        "on_failure: {default: {score: null}}",
        "on_failure: refuse\n  not_found: {band: unknown}",
    )]);
    let server = project.serve();
    project.service.says(3, Says::Status(500));
    let (status, problem) = decide(&server, 3);
    assert_eq!(status, 503, "{problem}");
    assert_eq!(
        problem["detail"],
        "bureau could not be looked up for client 3, and nothing is decided without it: it answered with status 500"
    );
    // One of several refuses them all; nothing stands in for an answer in history.
    let body = value!({"keys": [4, 3]}).to_string();
    assert_eq!(server.request("POST", "/v1/endpoints/decide/predict", &body).0, 503);
    // That a client is unknown to the service may be an answer, as good as others.
    project.service.says(5, Says::Status(404));
    let unknown = decided(&server, 5);
    assert_eq!(
        (&unknown["features"]["bureau_band"], &unknown["features"]["bureau_score"]),
        (&value!("unknown"), &Json::Null)
    );
    assert_eq!(failure(&unknown), None);
    decided(&server, 5);
    assert_eq!(project.service.calls_of(5), 1);
    assert!(server.terminate().success());
    assert_eq!(project.rows_of(3).len(), 1);
    let logged = project.json(&["query", "SELECT count(*) AS n FROM predictions"]);
    assert_eq!(logged["rows"][0]["n"], 2);
}

#[test]
fn nobody_is_asked_about_keys_that_are_refused() {
    let project = Project::trained(&[]);
    let endpoint = "kind: Endpoint\nname: decide\nmodel: default_risk\nunknown_key: reject\n";
    small::put(project.path(), "endpoints/decide.yaml", endpoint);
    let server = project.serve();
    for body in [
        value!({"key": 5000}),
        // One of several refuses them all, before anybody is asked about the others.
        value!({"keys": [4, 5000]}),
        value!({"keys": (1..=60).chain([5000]).collect::<Vec<i64>>()}),
        value!({"key": 5000, "as_of": "2021-10-01T00:00:00Z"}),
    ] {
        let (status, problem) = server.request("POST", "/v1/endpoints/decide/predict", &body.to_string());
        assert_eq!(status, 404, "{body}: {problem}");
        assert!(problem["detail"].as_str().unwrap().starts_with("no history for client 5000"), "{problem}");
    }
    assert_eq!(project.service.calls(), 0);
    assert_eq!(failure(&decided(&server, 4)), None);
    assert_eq!((project.service.calls(), project.service.calls_of(4)), (1, 1));
    assert!(server.terminate().success());
    assert_eq!(project.rows_of(5000).len(), 0);
}

#[test]
fn a_service_that_fails_is_left_alone_for_a_while() {
    let project = Project::trained(&[
        ("breaker: {failures: 1000, pause: 1 second}", "breaker: {failures: 2, pause: 3 seconds}"),
        ("retries: 2", "retries: 0"),
    ]);
    let server = project.serve();
    project.service.says_of_all(Says::Status(500));
    decided(&server, 1);
    decided(&server, 2);
    let begun = Instant::now();
    assert_eq!(project.service.calls(), 2);
    let told = failure(&decided(&server, 3)).unwrap();
    if begun.elapsed() < Duration::from_secs(2) {
        assert!(told.contains("it failed so often that it is not asked for"), "{told}");
        assert_eq!(project.service.calls(), 2);
        assert_eq!(metric(&server, "karat_lookup_breaker_open{source=\"bureau\"}"), Some(1.0));
    }
    project.service.says_of_all(Says::Score);
    std::thread::sleep(Duration::from_millis(3100).saturating_sub(begun.elapsed()));
    assert_eq!(failure(&decided(&server, 4)), None);
    assert_eq!(metric(&server, "karat_lookup_breaker_open{source=\"bureau\"}"), Some(0.0));
    assert_eq!(decided(&server, 1)["features"]["bureau_score"], score(1));
}

#[test]
fn no_decision_waits_longer_than_its_deadline() {
    let project = Project::trained(&[("timeout: 2 seconds", "timeout: 25 seconds")]);
    small::edit(project.path(), "endpoints/decide.yaml", "deadline: 20 seconds", "deadline: 700 milliseconds");
    let server = project.serve();
    project.service.says(1, Says::Nothing);
    let begun = Instant::now();
    let answer = decided(&server, 1);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let told = failure(&answer).unwrap();
    assert_eq!(told, "look-up of bureau failed: no answer before the deadline; its default instead");
    assert!(server.terminate().success());
    project.replays(&answer);
}
