//! What an endpoint does with values that fail their checks, over HTTP, in the log and in a replay.

use axum::http::StatusCode;
use karat_core::Value;
use karat_serving::{FromHistory, arithmetic, history};
use karat_test_support::serving_app::{self, serving_model, with_checks};
use serde_json::{Value as Json, json};

use crate::app::App;

const PREDICT: &str = "/v1/endpoints/risk/predict";

/// Client 1's share of late payments is 2/3, its job `b`.
fn app(checks: &[(&str, Json)]) -> App {
    let model =
        checks.iter().fold(serving_model(Vec::new()), |model, (input, checks)| with_checks(model, input, checks));
    App::of(serving_app::App::serving(serving_app::endpoint(), model))
}

fn request(age: f64) -> String {
    json!({"key": 1, "as_of": "2021-10-01T00:00:00Z", "fields": {"income": 1200.5, "age": age}}).to_string()
}

/// What history says of client 1.
fn truth() -> FromHistory {
    let features = vec![("share_late".to_owned(), Value::Float(2.0 / 3.0)), ("job".to_owned(), Value::text("b"))];
    FromHistory { features, no_history: Vec::new() }
}

#[tokio::test]
async fn what_stands_in_for_a_value_is_scored_logged_and_replayed() {
    let check = |on_failure: Json| json!([{"check": "range", "max": 0.5, "on_failure": on_failure}]);
    let (_, reported) = app(&[("share_late", check(json!("report")))]).post(PREDICT, request(40.0)).await;
    assert_eq!(reported["features"]["share_late"], 2.0 / 3.0);
    for (on_failure, scored, words) in [
        (json!("null"), Json::Null, "range ..0.5: null instead"),
        (json!({"substitute": 0.1}), json!(0.1), "range ..0.5: 0.1 instead"),
        (json!({"substitute": 1}), json!(1.0), "range ..0.5: 1 instead"),
    ] {
        let app = app(&[("share_late", check(on_failure))]);
        let (status, answer) = app.post(PREDICT, request(40.0)).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(answer["features"]["share_late"], scored);
        assert_eq!(answer["qa_failures"], json!([{"feature": "share_late", "value": 2.0 / 3.0, "check": words}]));
        let record = app.inner.logged().pop().unwrap();
        assert_eq!(*record.features["share_late"].json(), scored);
        assert_eq!(record.qa_failures[0].value, json!(2.0 / 3.0));
        assert_eq!(arithmetic(&record, &app.inner.model), []);
        assert_eq!(history(&record, &app.inner.model, &truth()), []);
        // A history whose value passes the check would have been decided on as it is.
        let mut other = truth();
        other.features[0].1 = Value::Float(0.25);
        assert_eq!(history(&record, &app.inner.model, &other)[0].what, "feature share_late");
    }
}

#[tokio::test]
async fn the_value_that_stands_in_makes_the_score() {
    // What is sent passes, so that it is scored as it is; what stands in for the same value makes the same score.
    let sent = app(&[]);
    let (_, young) = sent.post(PREDICT, request(19.0)).await;
    let checks = json!([{"check": "range", "min": 18, "max": 100, "on_failure": {"substitute": 19}}]);
    let (_, replaced) = app(&[("age", checks)]).post(PREDICT, request(3000.0)).await;
    assert_eq!(replaced["score"], young["score"]);
    assert_eq!(replaced["features"], young["features"]);
    assert_eq!(replaced["qa_failures"][0]["value"], 3000.0);
}

#[tokio::test]
async fn refused_values_are_decided_on_by_nobody() {
    let checks = json!([
        {"check": "allowed", "values": ["a", "b"]},
        {"check": "allowed", "values": ["a"], "on_failure": "refuse"},
    ]);
    let app = app(&[("job", checks)]);
    let (status, kind, body) = app.ask("POST", PREDICT, request(40.0)).await;
    assert_eq!((status, kind.as_str()), (StatusCode::FORBIDDEN, "application/problem+json"));
    let problem: Json = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem["code"], "refused");
    assert_eq!(
        problem["detail"],
        "feature job of client 1 fails its check `allowed \"a\"`, and no decision is made on it (`on_failure: refuse`): \
         correct what it is computed from, or decide otherwise"
    );
    assert!(app.inner.logged().is_empty());
    // Of several, the one that is refused is named, and none is answered: there is no half of an answer.
    let many = |subjects: Json| {
        let mut body = json!({"as_of": "2021-10-01T00:00:00Z"});
        body.as_object_mut().unwrap().extend(subjects.as_object().unwrap().clone());
        body.to_string()
    };
    let row = |job: &str| json!({"share_late": 0.5, "income": 1.0, "late_last_6": 1, "job": job, "own_car": true, "age": 40.0});
    for (body, named) in [
        (many(json!({"keys": [2, 1], "fields": {"income": 1.0, "age": 40.0}})), "of client 1 "),
        (many(json!({"rows": [row("a"), row("b")]})), "of rows[1] "),
    ] {
        let (status, problem) = app.post(PREDICT, body).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(named), "{problem}");
    }
    assert!(app.inner.logged().is_empty());
    let (status, _, counted) = app.ask("GET", "/metrics", String::new()).await;
    assert_eq!(status, StatusCode::OK);
    let counted = String::from_utf8(counted.to_vec()).unwrap();
    // With the others, of which none may have failed.
    for feature in ["job", "share_late"] {
        let series = format!("karat_qa_failures_total{{endpoint=\"risk\",feature=\"{feature}\"}}");
        assert!(counted.contains(&series), "{counted}");
    }
    // Client 2's job was taken away by its contract: null is among no values, and allowed.
    let other = request(40.0).replace("\"key\":1", "\"key\":2");
    assert_eq!(app.post(PREDICT, other).await.0, StatusCode::OK);
}

#[tokio::test]
async fn checks_look_one_after_the_other_at_what_the_last_one_left() {
    let settled = async |checks: Json| {
        let (status, answer) = app(&[("share_late", checks)]).post(PREDICT, request(40.0)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let failures = answer["qa_failures"].as_array().cloned().unwrap_or_default();
        let told: Vec<String> =
            failures.iter().map(|one| format!("{} {}", one["value"], one["check"].as_str().unwrap())).collect();
        (answer["features"]["share_late"].clone(), told.join("; "))
    };
    let raw = 2.0 / 3.0;
    assert_eq!(
        settled(json!([
            {"check": "range", "max": 0.9, "on_failure": "refuse"},
            {"check": "range", "max": 0.6},
            {"check": "range", "max": 0.5, "on_failure": {"substitute": 0.25}},
            {"check": "range", "max": 0.4, "on_failure": "refuse"},
        ]))
        .await,
        (json!(0.25), format!("{raw} range ..0.6; {raw} range ..0.5: 0.25 instead"))
    );
    // What is no value any more is one that is missing.
    assert_eq!(
        settled(json!([
            {"check": "range", "max": 0.5, "on_failure": "null"},
            {"check": "not_null", "on_failure": {"substitute": 0}},
        ]))
        .await,
        (json!(0.0), format!("{raw} range ..0.5: null instead; null not_null: 0 instead"))
    );
    let checks = json!([
        {"check": "range", "max": 0.5, "on_failure": {"substitute": 0.5}},
        {"check": "range", "max": 0.4, "on_failure": "refuse"},
    ]);
    let (status, problem) = app(&[("share_late", checks)]).post(PREDICT, request(40.0)).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "a value put in place is looked at like any other: {problem}");
}

#[tokio::test]
async fn a_history_that_would_be_refused_now_is_a_difference() {
    let checks = json!([{"check": "allowed", "values": ["b"], "on_failure": "refuse"}]);
    let app = app(&[("job", checks)]);
    assert_eq!(app.post(PREDICT, request(40.0)).await.0, StatusCode::OK);
    let record = app.inner.logged().pop().unwrap();
    let mut other = truth();
    other.features[1].1 = Value::text("a");
    let differences = history(&record, &app.inner.model, &other);
    assert_eq!(differences[0].recomputed, json!("refused by its check `allowed \"b\"`"));
}
