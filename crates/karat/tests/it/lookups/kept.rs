//! Answers are history: asked for once, and read by everything after.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value as Json, json as value};

use super::service::{Says, TOKEN, score};
use super::{Project, decide, decided, failure, metric};
use crate::small;

#[test]
fn an_answer_is_asked_for_once_and_read_by_decisions_replays_and_training_alike() {
    let project = Project::trained(&[]);
    let server = project.serve();
    let first = decided(&server, 7);
    assert_eq!(first["features"]["bureau_score"], score(7));
    assert_eq!((&first["features"]["bureau_band"], &first["features"]["bureau_answers"]), (&value!("b1"), &value!(2)));
    assert_eq!(first["features"]["bureau_tenth"], score(7) / 10.0);
    assert_eq!(failure(&first), None, "{first}");
    let again = decided(&server, 7);
    assert_eq!(again["features"], first["features"]);
    assert_eq!(project.service.calls(), 1, "what is fresh is not asked again");
    // Many keys in one request, one of them twice; another process has asked about none of them.
    let body = value!({"keys": [8, 9, 10, 8, 7]}).to_string();
    let (status, several) = server.request("POST", "/v1/endpoints/decide/predict", &body);
    assert_eq!(status, 200, "{several}");
    let scores = several["predictions"].as_array().unwrap().iter().map(|one| one["features"]["bureau_score"].clone());
    assert_eq!(scores.collect::<Vec<_>>(), [8, 9, 10, 8, 7].map(|client| value!(score(client))));
    assert_eq!(project.service.calls(), 4);
    // What is asked as of before is read, not asked: then it was not known.
    let body = value!({"key": 11, "as_of": "2021-06-01T00:00:00Z"}).to_string();
    let (status, past) = server.request("POST", "/v1/endpoints/decide/predict", &body);
    assert_eq!((status, &past["features"]["bureau_score"]), (200, &value!(score(11) + 1.0)), "{past}");
    let (_, features) = server.request("GET", "/v1/features/rated/11", "");
    assert_eq!(features["features"]["bureau_band"], "old");
    assert_eq!((project.service.calls(), project.service.strangers()), (4, 0));
    let counted =
        |outcome: &str| metric(&server, &format!("karat_lookups_total{{source=\"bureau\",outcome=\"{outcome}\"}}"));
    assert_eq!((counted("answered"), counted("fresh").is_some_and(|fresh| fresh >= 2.0)), (Some(4.0), true));
    assert_eq!(metric(&server, "karat_lookup_breaker_open{source=\"bureau\"}"), Some(0.0));
    assert_eq!(metric(&server, "karat_lookup_requests_total{source=\"bureau\",outcome=\"answered\"}"), Some(4.0));
    assert_eq!(metric(&server, "karat_lookup_request_duration_seconds_count{source=\"bureau\"}"), Some(4.0));
    let metrics = server.text("/metrics");
    assert!(server.terminate().success());
    for answer in [&first, &again, &several["predictions"][1], &past] {
        project.replays(answer);
    }
    // Another server knows what was answered.
    let server = project.serve();
    assert_eq!(decided(&server, 7)["features"], first["features"]);
    assert_eq!(project.service.calls(), 4);
    server.kill();
    seen_by_training(&project, &[&first, &several["predictions"][0], &past]);
    let verified = project.json(&["features", "verify", "--pairs", "500"]);
    assert!(verified.as_array().unwrap().iter().all(|view| view["different"] == 0), "{verified}");
    assert_eq!(project.service.calls(), 4);
    assert!(!metrics.contains(TOKEN));
    assert_eq!(files_with(project.path(), TOKEN), Vec::<String>::new());
}

/// A training set as of the very instants of decisions has what they were made on, bit for bit.
fn seen_by_training(project: &Project, answers: &[&Json]) {
    let folder = project.path();
    let rows: String = answers
        .iter()
        .enumerate()
        .map(|(place, answer)| format!("{},{},{}\n", answer["key"], answer["as_of"].as_str().unwrap(), place % 2))
        .collect();
    small::put(folder, "data/seen.csv", &format!("client_id,at,late\n{rows}"));
    let source = "kind: Source\nname: seen\npath: data/seen.csv\ncolumns: {client_id: int, at: timestamp, late: int}\n\
                  keys: [client_id, at]\nevent_time: at\n";
    small::put(folder, "sources/seen.yaml", source);
    let model = std::fs::read_to_string(folder.join("models/default_risk.yaml")).unwrap();
    let begin = model.find("spine:").unwrap();
    let end = begin + model[begin..].find('\n').unwrap();
    let spine = "spine: {source: seen, entity: client, as_of: at, label: late}";
    let model = format!("{}{spine}{}", &model[..begin], &model[end..]).replace("default_risk", "seen_risk");
    small::put(folder, "models/seen_risk.yaml", &model);
    project.json(&["features", "training-set", "seen_risk", "--output", "seen.csv"]);
    let set = std::fs::read_to_string(folder.join("seen.csv")).unwrap();
    let mut lines = set.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let place =
        |name: &str| names.iter().position(|found| *found == name).unwrap_or_else(|| panic!("{name} in {names:?}"));
    let found: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert_eq!(found.len(), answers.len());
    for answer in answers {
        let key = answer["key"].to_string();
        let row = found.iter().find(|row| row[place("client_id")] == key).unwrap();
        for feature in ["bureau_score", "bureau_tenth"] {
            let trained: f64 = row[place(feature)].parse().unwrap();
            let served = answer["features"][feature].as_f64().unwrap();
            assert_eq!(trained.to_bits(), served.to_bits(), "{feature} of {key}");
        }
        assert_eq!(row[place("bureau_band")], answer["features"]["bureau_band"]);
    }
}

#[test]
fn who_asks_at_once_shares_one_call_and_a_service_has_no_more_at_once_than_it_may() {
    let project = Project::trained(&[("  retries: 2\n", "  retries: 2\n  concurrency: 3\n")]);
    let server = project.serve();
    project.service.says_of_all(Says::Late(Duration::from_millis(150)));
    let scores: Vec<Json> = std::thread::scope(|scope| {
        let server = &server;
        let asking: Vec<_> = (0..12).map(|_| scope.spawn(move || decided(server, 5))).collect();
        asking.into_iter().map(|one| one.join().unwrap()["features"]["bureau_score"].clone()).collect()
    });
    assert!(scores.iter().all(|found| *found == score(5)), "{scores:?}");
    assert_eq!(project.service.calls_of(5), 1);
    let body = value!({"keys": (20..40).collect::<Vec<i64>>()}).to_string();
    let (status, answer) = server.request("POST", "/v1/endpoints/decide/predict", &body);
    assert_eq!(status, 200, "{answer}");
    assert_eq!((project.service.calls(), project.service.most_at_once()), (21, 3));
}

#[test]
fn an_answer_that_is_no_longer_fresh_is_asked_for_again() {
    let project = Project::trained(&[("fresh_for: 1 day", "fresh_for: 300 milliseconds")]);
    let server = project.serve();
    decided(&server, 7);
    std::thread::sleep(Duration::from_millis(400));
    project.service.says(7, Says::Body("{\"score\": 1.5}".to_owned()));
    let later = decided(&server, 7);
    assert_eq!((&later["features"]["bureau_score"], &later["features"]["bureau_answers"]), (&value!(1.5), &value!(3)));
    assert_eq!(later["features"]["bureau_band"], Json::Null, "what a service leaves out is null");
    assert_eq!(project.service.calls_of(7), 2);
    assert!(server.terminate().success());
    project.replays(&later);
}

/// Answers are only what the service says, unless the source takes pushes too.
#[test]
fn others_may_push_only_where_the_source_says_so() {
    let project = Project::new(&[("push: true\n", "")]);
    project.karat(&["check"]).ok();
    small::put(
        project.path(),
        "one.jsonl",
        "{\"client_id\": 1, \"score\": 1.0, \"queried_at\": \"2020-01-01T00:00:00Z\"}\n",
    );
    let refused = project.karat(&["features", "push", "bureau", "one.jsonl"]).ends_with(2);
    assert!(refused.stderr.contains("source bureau takes no pushes"), "{}", refused.stderr);
    let server = project.serve();
    let body = value!({"source": "bureau", "rows": []}).to_string();
    let (status, problem) = server.request("POST", "/v1/features/push", &body);
    assert_eq!(status, 422, "{problem}");
    assert!(problem["detail"].as_str().unwrap().starts_with("source bureau takes no pushes"), "{problem}");
    assert_eq!(decide(&server, 1).0, 503, "no version is approved");
    assert_eq!(project.service.calls(), 0);
}

/// The files under a folder that hold a text.
pub fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            seen += 1;
            let bytes = std::fs::read(&path).unwrap();
            if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                found.push(path.display().to_string());
            }
        }
    }
    assert!(seen > 20, "only {seen} files: the project's state was not looked at");
    found
}
