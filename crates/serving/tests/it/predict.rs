use karat_core::Value;
use karat_project::spec::UnknownKey;
use serde_json::json;

use karat_test_support::serving_app::{App, at, name};

fn fields() -> serde_json::Value {
    json!({"income": 1200.5, "age": 40})
}

#[test]
fn a_decision_is_what_the_model_says_of_the_features_as_known_then() {
    let app = App::new();
    let decided = app.predict(json!({"key": 1, "fields": fields()}));
    let answer = decided.iter().next().unwrap();
    let expected = [
        ("share_late", Value::Float(2.0 / 3.0)),
        ("income", Value::Float(1200.5)),
        ("late_last_6", Value::Int(2)),
        ("job", Value::text("b")),
        ("own_car", Value::Bool(false)),
        ("age", Value::Float(40.0)),
    ];
    let found: Vec<(&str, Value)> = answer.features().map(|(name, value)| (name, value.clone())).collect();
    assert_eq!(found, expected);

    let row = app.model.model.encode(answer.values()).unwrap();
    assert_eq!(answer.score().to_bits(), app.model.model.score(&row).to_bits());
    assert_eq!(answer.label(), app.model.model.label(answer.score()).to_string());
    assert_eq!(answer.as_of(), at("2021-10-01"));
    assert_eq!(answer.reasons().len(), 4);
    let sizes: Vec<f64> = answer.reasons().map(|reason| reason.contribution().abs()).collect();
    assert!(sizes.is_sorted_by(|a, b| a >= b), "{sizes:?}");
    assert!(answer.qa_failures().is_empty(), "{:?}", answer.qa_failures());
}

#[test]
fn as_of_moves_what_is_known() {
    let app = App::new();
    let features = |as_of: &str| {
        let decided = app.predict(json!({"key": 1, "as_of": as_of, "fields": fields()}));
        let answer = decided.iter().next().unwrap();
        let value = |name: &str| answer.features().find(|(known, _)| *known == name).unwrap().1.clone();
        let no_history: Vec<_> = answer.no_history().cloned().collect();
        (value("share_late"), value("job"), value("late_last_6"), no_history)
    };
    let (share, job, _, no_history) = features("2021-08-11T00:00:00Z");
    assert_eq!((share, job, no_history), (Value::Float(0.5), Value::text("a"), vec![]));
    let (share, _, late, no_history) = features("2021-07-10T00:00:00Z");
    assert_eq!((share, late, no_history), (Value::Null, Value::Int(0), vec![name("payment_history")]));
}

#[test]
fn a_record_of_each_answer_is_in_the_log_before_it_leaves() {
    let app = App::new();
    let decided = app.predict(json!({"keys": [1, 2, 99], "fields": fields()}));
    assert!(!decided.single);
    let logged = app.logged();
    assert_eq!(logged.len(), 3);
    for (answer, record) in decided.iter().zip(&logged) {
        assert_eq!(answer.prediction_id(), record.prediction_id);
        assert_eq!(answer.score().to_bits(), record.score.to_bits());
        assert_eq!(record.commits.get("payments"), Some(&1));
        assert_eq!(record.definitions.len(), 1);
        assert_eq!((record.version, record.release), (3, 7));
        let features: Vec<(&str, Value)> =
            record.features.iter().map(|(name, logged)| (name.as_str(), logged.value().unwrap())).collect();
        assert!(features.iter().map(|(name, value)| (*name, value)).eq(answer.features()), "{features:?}");
        assert_eq!(record.fields.keys().collect::<Vec<_>>(), ["income", "age"]);
        assert!(record.no_history.iter().eq(answer.no_history()));
        assert_eq!(record.qa_failures, answer.qa_failures());
        assert_eq!(record.reasons.len(), 4);
    }
    assert!(logged.is_sorted_by_key(|record| record.prediction_id));
}

#[test]
fn what_a_person_should_know_comes_with_the_answer() {
    let app = App::new();
    let decided = app.predict(json!({"key": 2, "fields": {"income": null, "age": 12}}));
    let failures = decided.iter().next().unwrap().qa_failures();
    let found: Vec<(String, String)> =
        failures.iter().map(|failure| (failure.feature.clone(), failure.check.clone())).collect();
    let expected =
        [("job", "job zzz nulled by allowed"), ("age", "range 18..100"), ("payment_history", "stale_after 70 days")];
    assert_eq!(found, expected.map(|(feature, check)| (feature.to_owned(), check.to_owned())));
}

#[test]
fn unknown_keys_are_scored_or_refused_as_the_endpoint_says() {
    let answer = App::new().predict(json!({"key": 99, "fields": fields()}));
    assert_eq!(answer.iter().next().unwrap().no_history().count(), 1);

    let app = App::with(UnknownKey::Reject);
    let refusal = app.refusal(json!({"key": 99, "fields": fields()}));
    assert_eq!(refusal, "no history for client 99: the endpoint refuses unknown keys (`unknown_key: reject`)");
    assert!(app.logged().is_empty(), "what is refused is no prediction");
}

#[test]
fn full_rows_need_no_history() {
    let app = App::empty(UnknownKey::Reject);
    app.endpoint.serve(app.model.clone()).unwrap();
    let row = json!({"share_late": 0.25, "income": 100, "late_last_6": 1, "job": "a", "own_car": true, "age": 30});
    let decided = app.predict(json!({"rows": [row]}));
    assert_eq!(decided.iter().next().unwrap().values()[0], Value::Float(0.25));
    assert!(app.logged()[0].sent);
}

#[test]
fn without_a_version_or_a_state_the_answer_says_what_to_run() {
    let app = App::empty(UnknownKey::Score);
    let request = json!({"key": 1, "fields": fields()});
    assert!(app.refusal(request.clone()).contains("karat models approve default_risk --as champion --why"));
    app.endpoint.serve(app.model.clone()).unwrap();
    assert!(app.refusal(request).contains("karat features materialize"));
}
