//! Model folders of a stranger's: refused, or a model that scores, explains and writes itself back.

use std::sync::LazyLock;

use karat_core::{DataType, Value};
use karat_history::log::{self, RecordEncoder};
use karat_model::{Label, MODEL_FILE, Model, ModelParts, Signature, TREES_FILE};
use karat_serving::{Pinned, PredictionEncoder, PredictionRecord};
use serde_json::Value as Json;

use super::choice;
use crate::{repository, serving_app};

pub(super) const WORDS: &[&str] = &[
    "format_version",
    "digest",
    "objective",
    "threshold",
    "labels",
    "inputs",
    "transform",
    "categories",
    "numeric",
    "boolean",
    "Tree=",
    "num_leaves=",
    "num_cat=",
    "split_feature=",
    "threshold=",
    "decision_type=",
    "left_child=",
    "right_child=",
    "leaf_value=",
    "leaf_count=",
    "internal_count=",
    "cat_boundaries=",
    "cat_threshold=",
    "shrinkage=",
    "tree_sizes=",
    "max_feature_idx=",
    "feature_infos=",
    "sigmoid:",
    "end of trees",
    "-1",
    "nan",
    "inf",
    "1e999",
    "4294967296",
    "2147483647",
    "-2147483648",
    "[",
    "]",
    "{",
    "}",
    "null",
    "\n",
    " ",
    "\"",
];

/// Between the two files in one input.
const SEPARATOR: &[u8] = b"\n-- trees.txt --\n";

/// A whole model of two small trees, under its own digest.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let fixture = repository().join("crates/model/tests/fixtures/format-1");
    let read = |file: &str| std::fs::read(fixture.join(file)).expect("the model crate's fixture");
    let (document, trees) = (read(MODEL_FILE), read(TREES_FILE));
    let whole = [&[0], document.as_slice(), SEPARATOR, &trees].concat();
    let resigned = [&[1], document.as_slice(), SEPARATOR, &trees].concat();
    let pinned = [vec![2], serving_app::serving_model(Vec::new()).pinned.to_file()].concat();
    let app = serving_app::App::new();
    app.predict(serde_json::json!({"key": 1, "fields": {"income": 1200.5, "age": 40}}));
    let record = [vec![3], json(&app.logged().pop().expect("one prediction was logged"))].concat();
    let packed = [&[4], &logged(&app)[SCHEMA_BYTES..]].concat();
    vec![whole, resigned, pinned, record, packed]
}

/// The first byte chooses: a folder as it is, one whose digest is made right, pinned definitions, a logged prediction as
/// JSON, one in the bytes of its own after those that name its schema.
pub(super) fn files(data: &[u8]) {
    let (choice, data) = choice(data);
    match choice % 5 {
        2 => {
            if let Ok(pinned) = Pinned::from_file(data) {
                let again = Pinned::from_file(&pinned.to_file()).expect("what is written reads back");
                assert_eq!(again.digests(), pinned.digests());
                let _ = pinned.compile();
            }
        }
        3 => {
            if let Ok(record) = PredictionRecord::from_json(data) {
                assert_eq!(PredictionRecord::from_json(&json(&record)).as_ref(), Ok(&record));
                let _ = karat_serving::arithmetic(&record, &serving_app::serving_model(Vec::new()));
            }
        }
        4 => {
            static APP: LazyLock<(serving_app::App, Vec<u8>)> = LazyLock::new(|| {
                let app = serving_app::App::new();
                app.predict(serde_json::json!({"key": 1, "fields": {"income": 1200.5, "age": 40}}));
                let schema = logged(&app)[..SCHEMA_BYTES].to_vec();
                (app, schema)
            });
            let (app, schema) = &*APP;
            let payload = [schema, data].concat();
            if let Ok(record) = app.reader().read(&payload) {
                let _ = karat_serving::arithmetic(&record, &app.model);
                let folder = app.dir.path().join("log");
                let encoder = PredictionEncoder::beside(folder);
                for columns in [encoder.table(&[&payload]), encoder.encode(&[&payload])] {
                    assert_eq!(columns.expect("what can be read has columns").num_rows(), 1);
                }
            }
        }
        resigned => {
            let at = data.windows(SEPARATOR.len()).position(|window| window == SEPARATOR).unwrap_or(data.len());
            let document = &data[..at];
            let trees = data.get(at + SEPARATOR.len()..).unwrap_or_default();
            let file = |name: &str| Some(if name == MODEL_FILE { document.to_vec() } else { trees.to_vec() });
            if let Ok(model) = Model::from_files(&file) {
                survives(&model);
            }
            if resigned == 1
                && let Some(Ok(model)) = parts(document, trees).map(Model::new)
            {
                survives(&model);
            }
        }
    }
}

/// What comes first of a payload: its format and the digest of its schema.
const SCHEMA_BYTES: usize = 33;

/// The payload logged last.
fn logged(app: &serving_app::App) -> Vec<u8> {
    let payloads = log::read(app.dir.path().join("log")).expect("the log is readable");
    payloads.last().expect("one prediction was logged").expect("the log is whole")
}

fn json(record: &PredictionRecord) -> Vec<u8> {
    serde_json::to_vec(record).expect("a record serialises")
}

/// As if the digest had been made right.
fn parts(document: &[u8], trees: &[u8]) -> Option<ModelParts> {
    let document: Json = serde_json::from_slice(document).ok()?;
    let inputs: Signature = serde_json::from_value(document.get("inputs")?.clone()).ok()?;
    let labels: [Label; 2] = serde_json::from_value(document.get("labels")?.clone()).ok()?;
    let threshold = document.get("threshold")?.as_f64()?;
    Some(ModelParts { signature: inputs, labels, threshold, trees: String::from_utf8(trees.to_vec()).ok()? })
}

fn survives(model: &Model) {
    let inputs = &model.signature().inputs;
    let value = |data_type: DataType| match data_type {
        DataType::Bool => Value::Bool(true),
        DataType::Int => Value::Int(i64::MAX),
        DataType::Float => Value::Float(f64::NEG_INFINITY),
        DataType::Text => Value::text("a"),
        DataType::Date | DataType::Timestamp => Value::Null,
    };
    for values in
        [inputs.iter().map(|input| value(input.data_type)).collect::<Vec<_>>(), vec![Value::Null; inputs.len()]]
    {
        let row = model.encode(&values).expect("values are of the signature's types");
        let score = model.score(&row);
        assert!((0.0..=1.0).contains(&score), "a probability: {score}");
        assert_eq!(model.score_batch(&row), [score]);
        let label = model.label(score);
        assert_eq!(label == &model.labels()[1], score >= model.threshold(), "{label} at {score}");
        assert!(model.reasons(&row, 4).len() <= 4);
    }
    let files = model.to_files();
    let again = Model::from_files(&|name| files.get(name).cloned()).expect("what is written reads back");
    assert_eq!(again.digest(), model.digest());
}
