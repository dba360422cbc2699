use karat_core::Value;
use karat_history::log::{self, RecordEncoder};
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
    PredictionRecord::from_json(&serde_json::to_vec(&json).unwrap()).unwrap()
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
fn contributions_are_held_to_nine_digits() {
    let app = App::new();
    let nudged = |by: f64| {
        let record = tampered(&record(&app), |json| {
            let contribution = &mut json["reasons"][0]["contribution"];
            *contribution = json!(contribution.as_f64().unwrap() * (1.0 + by));
        });
        arithmetic(&record, &app.model).len()
    };
    assert_eq!([nudged(1e-14), nudged(1e-8)], [0, 1]);
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
    let error = PredictionRecord::from_json(&serde_json::to_vec(&json).unwrap()).unwrap_err();
    assert!(error.contains("newer than this Karat's"), "{error}");
}

/// Decisions with all a record can hold: reasons and none, failed checks, a key without history, features sent, values
/// that no JSON number is.
fn of_every_kind() -> App {
    let app = App::new();
    for request in [
        json!({"key": 1, "fields": {"income": 1200.5, "age": 40}}),
        json!({"key": 2, "fields": {"income": "NaN", "age": null}, "reasons": "none"}),
        json!({"keys": [1, 77], "fields": {"income": "-Infinity", "age": 17}, "reasons": "adverse"}),
        json!({"rows": [{"share_late": 0.1, "income": 5.0, "late_last_6": 2, "job": "clerk", "own_car": true, "age": 30}]}),
    ] {
        app.predict(request);
    }
    app
}

#[test]
fn the_log_becomes_a_table_whatever_the_format_of_its_records() {
    let app = of_every_kind();
    let folder = app.dir.path().join("log");
    let packed: Vec<Vec<u8>> = log::read(&folder).unwrap().map(Result::unwrap).collect();
    let json: Vec<Vec<u8>> = app.logged().iter().map(|record| serde_json::to_vec(record).unwrap()).collect();
    assert!(packed.iter().zip(&json).all(|(packed, json)| packed.len() * 3 < json.len()));
    let encode = |payloads: &[Vec<u8>]| {
        let payloads: Vec<&[u8]> = payloads.iter().map(AsRef::as_ref).collect();
        PredictionEncoder::beside(&folder).table(&payloads).unwrap()
    };
    let (of_packed, of_json) = (encode(&packed), encode(&json));
    assert_eq!(of_packed.schema(), prediction_columns());
    assert_eq!(of_packed.num_rows(), 5);
    for (place, field) in of_packed.schema().fields().iter().enumerate().filter(|(_, field)| field.name() != "payload")
    {
        assert_eq!(of_packed.column(place), of_json.column(place), "{}", field.name());
    }
    // The log's Parquet has the same but for texts that stand in the payload.
    let texts = ["features", "reasons", "qa_failures"];
    for payloads in [&packed, &json] {
        let payloads: Vec<&[u8]> = payloads.iter().map(AsRef::as_ref).collect();
        let kept = PredictionEncoder::beside(&folder).encode(&payloads).unwrap();
        let names: Vec<String> = kept.schema().fields().iter().map(|field| field.name().clone()).collect();
        let table: Vec<_> = of_packed.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, table.into_iter().filter(|name| !texts.contains(&name.as_str())).collect::<Vec<_>>());
        for name in names.iter().filter(|name| *name != "payload") {
            assert_eq!(kept.column_by_name(name), of_packed.column_by_name(name), "{name}");
        }
    }
    let keys = of_packed.column_by_name("key").unwrap();
    assert_eq!([0, 1, 2, 3].map(|row| Value::from_array(keys, row)), ["1", "2", "1", "77"].map(Value::text));
    let failures = of_packed.column_by_name("qa_failures").unwrap();
    assert!((0..5).any(|row| Value::from_array(failures, row) != Value::text("[]")));
}

#[test]
fn every_record_replays() {
    let app = of_every_kind();
    for record in app.logged() {
        assert_eq!(arithmetic(&record, &app.model), []);
        // What is shown of it says the same.
        assert_eq!(PredictionRecord::from_json(&serde_json::to_vec(&record).unwrap()).unwrap(), record);
    }
}

#[test]
fn a_record_is_found_by_its_id_and_by_its_version_in_any_format() {
    let app = of_every_kind();
    let reader = app.reader();
    let (records, name) = (app.logged(), &app.model.name);
    let packed = log::read(app.dir.path().join("log")).unwrap().map(Result::unwrap);
    for (payload, record) in packed.zip(&records) {
        for payload in [payload, serde_json::to_vec(record).unwrap()] {
            for other in &records {
                let found = reader.read_if(&payload, other.prediction_id).unwrap();
                assert_eq!(found.as_ref(), (record == other).then_some(record));
            }
            assert!(reader.is_by(&payload, &name.model, name.version).unwrap());
            assert!(!reader.is_by(&payload, &name.model, name.version + 1).unwrap());
            assert!(!reader.is_by(&payload, "another", name.version).unwrap());
        }
    }
}

#[test]
fn a_record_that_is_cut_or_whose_schema_is_gone_is_refused() {
    let app = of_every_kind();
    let payload = log::read(app.dir.path().join("log")).unwrap().next().unwrap().unwrap();
    for end in 0..payload.len() {
        app.reader().read(&payload[..end]).unwrap_err();
    }
    app.reader().read(&[payload.as_slice(), &[0]].concat()).unwrap_err();
    app.reader().read(&[&[9], &payload[1..]].concat()).unwrap_err();
    let schemas = app.dir.path().join("log/attachments");
    for file in std::fs::read_dir(&schemas).unwrap() {
        let path = file.unwrap().path();
        let mut changed = std::fs::read(&path).unwrap();
        changed[30] ^= 1;
        std::fs::write(&path, changed).unwrap();
    }
    let error = app.reader().read(&payload).unwrap_err();
    assert!(error.contains("is damaged"), "{error}");
    std::fs::remove_dir_all(schemas).unwrap();
    let error = app.reader().read(&payload).unwrap_err();
    assert!(error.contains("it is missing"), "{error}");
}
