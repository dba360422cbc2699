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
        "feature job fails its check `allowed \"a\"`, and no decision is made on it (`on_failure: refuse`): correct what \
         it is computed from, or decide otherwise"
    );
    assert!(app.inner.logged().is_empty());
    // Client 2's job was taken away by its contract: null is among no values, and allowed.
    let other = request(40.0).replace("\"key\":1", "\"key\":2");
    assert_eq!(app.post(PREDICT, other).await.0, StatusCode::OK);
}

#[tokio::test]
async fn the_first_failed_check_that_does_something_does_it() {
    let checks = json!([
        {"check": "range", "max": 0.9, "on_failure": "refuse"},
        {"check": "range", "max": 0.6},
        {"check": "range", "max": 0.5, "on_failure": {"substitute": 0.5}},
        {"check": "range", "max": 0.4, "on_failure": "null"},
    ]);
    let (_, answer) = app(&[("share_late", checks)]).post(PREDICT, request(40.0)).await;
    assert_eq!(answer["features"]["share_late"], 0.5);
    let told: Vec<&str> =
        answer["qa_failures"].as_array().unwrap().iter().map(|one| one["check"].as_str().unwrap()).collect();
    assert_eq!(told, ["range ..0.6", "range ..0.5: 0.5 instead", "range ..0.4"]);
}
