//! What is refused, with the words a user reads.

use std::sync::Arc;

use arrow::array::{Array, BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array};
use karat_core::ErrorKind;
use karat_training::TrainingData;
use serde_json::{Value as Json, json};

use crate::data::{at, data, fit, loans, model};

fn refused(data: &TrainingData, spec: Json, kind: ErrorKind, words: &str) {
    let error = fit(data, &model(spec)).err().unwrap_or_else(|| panic!("trained, but wanted: {words}"));
    assert!(error.to_string().contains(words), "`{error}` does not say `{words}`");
    assert_eq!(error.kind(), kind, "{error}");
}

fn labelled(label: Arc<dyn Array>) -> TrainingData {
    TrainingData { label, ..loans() }
}

#[test]
fn labels_must_be_binary() {
    let rows = loans().as_of.len();
    let two: Int64Array = (0..rows).map(|row| Some(if row == 3 { 2 } else { row as i64 % 2 })).collect();
    refused(&labelled(Arc::new(two)), json!({}), ErrorKind::Invalid, "the label is 2 in row 3");
    let half = Float64Array::from(vec![0.5; rows]);
    refused(&labelled(Arc::new(half)), json!({}), ErrorKind::Invalid, "the label is 0.5 in row 0");
    let dates = Date32Array::from(vec![0; rows]);
    refused(&labelled(Arc::new(dates)), json!({}), ErrorKind::Invalid, "the label has type Date32");
    let none = BooleanArray::from(vec![None; rows]);
    refused(&labelled(Arc::new(none)), json!({}), ErrorKind::Refused, "no row has a label");
}

#[test]
fn both_labels_must_occur_in_every_part() {
    let rows = loans().as_of.len();
    for (from, to, part) in [(0, 600, "train"), (600, 840, "validation"), (840, rows, "test")] {
        for value in [false, true] {
            let of = |row: usize| if (from..to).contains(&row) { value } else { row.is_multiple_of(2) };
            let label: BooleanArray = (0..rows).map(|row| Some(of(row))).collect();
            let words = format!("labels of the {part} part are {value}");
            refused(&labelled(Arc::new(label)), json!({}), ErrorKind::Refused, &words);
        }
    }
}

#[test]
fn too_few_rows_say_how_many_are_needed() {
    let split = json!({"split": {"by": "time", "validation": "1 month", "test": "3 months"}});
    refused(&loans(), split, ErrorKind::Refused, "the train part has 0 rows, and training needs 20");
    let mut late = loans();
    late.label_time = Int64Array::from(vec![at("2030-01-01"); late.as_of.len()]);
    refused(&late, json!({}), ErrorKind::Refused, "600 rows were left out");
}

#[test]
fn features_must_be_numbers_flags_or_texts() {
    let base = loans();
    let rows = base.as_of.len();
    let with = |column: Arc<dyn Array>| data(vec![("born", column)], base.label.clone(), base.as_of.clone());
    let dates = with(Arc::new(Date32Array::from(vec![0; rows])));
    refused(&dates, json!({}), ErrorKind::Invalid, "feature `born` has type date");
    let narrow = with(Arc::new(Int32Array::from(vec![0; rows])));
    refused(&narrow, json!({}), ErrorKind::Invalid, "feature `born` has type Int32");
    let mut none = base.clone();
    none.features = base.features.project(&[]).unwrap();
    refused(&none, json!({}), ErrorKind::Invalid, "the model has no features");
    let column = || base.features.column(0).clone();
    let twice = data(vec![("x", column()), ("x", column())], base.label.clone(), base.as_of.clone());
    refused(&twice, json!({}), ErrorKind::Invalid, "two features are called `x`");
}

#[test]
fn shapes_must_agree_and_times_must_stand() {
    let mut short = loans();
    short.label_time = Int64Array::from(vec![0]);
    refused(&short, json!({}), ErrorKind::Internal, "label_time has 1 rows, the features have 1000");
    let mut timeless = loans();
    let without = |row: usize| (row != 7).then(|| loans().as_of.value(0));
    timeless.as_of = (0..timeless.as_of.len()).map(without).collect();
    refused(&timeless, json!({}), ErrorKind::Invalid, "row 7 has no as_of");
}

#[test]
fn the_specs_mistakes_are_named() {
    let invalid = |spec: Json, words: &str| refused(&loans(), spec, ErrorKind::Invalid, words);
    invalid(json!({"monotone": {"paymnets": "increasing"}}), "did you mean `payments`?");
    invalid(json!({"monotone": {"job": "increasing"}}), "`job`, a text feature");
    invalid(json!({"estimator": {"lightgbm": {"metric": "aucc"}}}), "`aucc` is unknown");
    invalid(json!({"estimator": {"lightgbm": {"rounds": 0}}}), "`rounds` is 0");
    invalid(json!({"estimator": {"lightgbm": {"num_leaves": 1}}}), "LightGBM: Check failed: (num_leaves) > (1)");
    invalid(json!({"threshold": {"value": 1.5}}), "1.5");
    invalid(json!({"threshold": {"recall_at_least": 1.5}}), "a recall of 1.5");
    invalid(json!({"split": {"by": "time", "validation": 0.2, "test": 0.2}}), "needs a length of time");
    invalid(json!({"split": {"by": "group", "validation": 0.6, "test": 0.6}}), "leave something to train on");
}
