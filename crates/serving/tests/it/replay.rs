use karat_core::{DataType, Value};
use karat_history::log::RecordEncoder;
use karat_serving::{FromHistory, PredictionEncoder, PredictionRecord, arithmetic, history, prediction_columns};
use serde_json::json;

use karat_test_support::serving_app::{App, name};

fn record(app: &App) -> PredictionRecord {
    app.predict(json!({"key": 1, "fields": {"income": 1200.5, "age": 40}}));
    app.logged().pop().unwrap()
}

/// The record after someone changed one thing in the log.
fn tampered(record: &PredictionRecord, change: impl Fn(&mut serde_json::Value)) -> PredictionRecord {
    let mut json = serde_json::to_value(record).unwrap();
    change(&mut json);
    PredictionRecord::from_payload(&serde_json::to_vec(&json).unwrap()).unwrap()
}

#[test]
fn an_untouched_record_replays() {
    let app = App::new();
    assert_eq!(arithmetic(&record(&app), &app.model), []);
}

#[test]
fn each_changed_thing_is_named() {
    let app = App::new();
    let record = record(&app);
    let first = record.reasons[0].feature.clone();
    type Change = Box<dyn Fn(&mut serde_json::Value)>;
    let cases: Vec<(Change, String)> = vec![
        (Box::new(|json| json["score"] = json!(0.123)), "score".to_owned()),
        (Box::new(|json| json["label"] = json!("nonsense")), "label".to_owned()),
        (Box::new(|json| json["threshold"] = json!(0.5)), "threshold".to_owned()),
        (Box::new(|json| json["reasons"][0]["contribution"] = json!(9.0)), format!("contribution {first}")),
        (Box::new(|json| json["reasons"][0]["code"] = json!("R01")), format!("code of reason {first}")),
        (Box::new(|json| json["reasons"][0]["text"] = json!("all is well")), format!("text of reason {first}")),
        (Box::new(|json| json["features"]["job"]["v"] = json!(5)), "feature job".to_owned()),
        (Box::new(|json| json["fields"]["income"]["v"] = json!(1200.25)), "field income".to_owned()),
        (Box::new(|json| drop(json["fields"].as_object_mut().unwrap().remove("age"))), "field age".to_owned()),
        (Box::new(|json| json["fields"]["job"] = json["features"]["job"].clone()), "field job".to_owned()),
    ];
    for (change, named) in cases {
        let differences = arithmetic(&tampered(&record, change), &app.model);
        assert!(differences.iter().any(|difference| difference.what == named), "{named}: {differences:?}");
    }
}

#[test]
fn words_may_change_between_versions_of_karat_and_codes_may_not() {
    let app = App::new();
    let of_before = |what: &'static str| {
        tampered(&record(&app), |json| {
            json["karat"] = json!("0.0.1");
            json["reasons"][0][what] = json!("otherwise");
        })
    };
    assert_eq!(arithmetic(&of_before("text"), &app.model), []);
    assert_eq!(arithmetic(&of_before("code"), &app.model).len(), 1);
}

#[test]
fn the_commit_of_each_view_is_logged_and_records_of_before_have_it_by_source() {
    let app = App::new();
    let mut record = record(&app);
    assert_eq!(record.view_commits.get("payment_history"), Some(&1));
    record.view_commits.insert(name("payment_history"), 5);
    assert_eq!(record.commit_of("payment_history", "payments"), Some(5));
    let before = tampered(&record, |json| drop(json.as_object_mut().unwrap().remove("view_commits")));
    assert_eq!(before.commit_of("payment_history", "payments"), Some(1));
    assert_eq!(before.commit_of("another", "unknown"), None);
}

#[test]
fn a_feature_that_history_does_not_confirm_is_named() {
    let app = App::new();
    let record = record(&app);
    let truth = vec![("share_late".to_owned(), Value::Float(2.0 / 3.0)), ("job".to_owned(), Value::text("b"))];
    let truth = FromHistory { features: truth, no_history: Vec::new() };
    assert_eq!(history(&record, &app.model, &truth), []);
    let unknown = FromHistory { no_history: vec![name("payment_history")], ..truth.clone() };
    let differences = history(&record, &app.model, &unknown);
    assert_eq!(differences.iter().map(|d| d.what.as_str()).collect::<Vec<_>>(), ["views without history"]);
    let flagged = tampered(&record, |json| json["no_history"] = json!(["payment_history"]));
    assert_eq!(history(&flagged, &app.model, &truth).len(), 1);
    let next = f64::from_bits((2.0f64 / 3.0).to_bits() + 1);
    let other = FromHistory { features: vec![("share_late".to_owned(), Value::Float(next))], no_history: Vec::new() };
    let differences = history(&record, &app.model, &other);
    assert_eq!(differences.len(), 1);
    assert_eq!(differences[0].what, "feature share_late");
}

#[test]
fn records_of_a_newer_format_are_refused() {
    let app = App::new();
    let mut json = serde_json::to_value(record(&app)).unwrap();
    json["format_version"] = json!(99);
    let error = PredictionRecord::from_payload(&serde_json::to_vec(&json).unwrap()).unwrap_err();
    assert!(error.contains("newer than this Karat's"), "{error}");
}

#[test]
fn the_log_becomes_a_table() {
    let app = App::new();
    let payload = serde_json::to_vec(&record(&app)).unwrap();
    let batch = PredictionEncoder.encode(&[&payload, &payload]).unwrap();
    assert_eq!(batch.schema(), prediction_columns());
    assert_eq!(batch.num_rows(), 2);
    let at = batch.column_by_name("as_of").unwrap();
    assert_eq!(*at.data_type(), DataType::Timestamp.arrow());
    assert_eq!(Value::from_array(batch.column_by_name("key").unwrap(), 0), Value::text("1"));
}
