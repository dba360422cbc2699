//! Small training sets that tests bend to their needs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use karat_core::Instant;
use karat_project::spec;
use karat_training::{FitOptions, LeftOut, Trained, TrainingData, TrainingError, train};

pub fn fixture(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    std::fs::read_to_string(path).unwrap()
}

pub fn at(text: &str) -> i64 {
    Instant::parse(text).unwrap().micros()
}

/// A model as its file would say, `json` laid over the defaults of a test.
pub fn model(json: serde_json::Value) -> spec::Model {
    let mut whole = serde_json::json!({
        "name": "late_payment", "task": "binary",
        "spine": {"source": "loans", "entity": "client", "as_of": "month", "label": "late"},
        "features": ["history"],
        "split": {"by": "time", "validation": "1 month", "test": "1 month"},
        "estimator": {"lightgbm": {"num_leaves": 7, "min_data_in_leaf": 10, "learning_rate": 0.1, "rounds": 200, "early_stopping": 15}},
    });
    for (key, value) in json.as_object().unwrap() {
        whole[key] = value.clone();
    }
    serde_json::from_value(whole).unwrap()
}

pub fn fit(data: &TrainingData, spec: &spec::Model) -> Result<Trained, TrainingError> {
    fit_with(data, spec, 1)
}

pub fn fit_with(data: &TrainingData, spec: &spec::Model, threads: usize) -> Result<Trained, TrainingError> {
    train(data, spec, &FitOptions { threads, progress: &|_| {} })
}

/// `loans.csv`: training rows as of January 2021, validation February, test March.
pub fn loans() -> TrainingData {
    let text = fixture("loans.csv");
    let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let month = |row: &Vec<&str>| match row[0] {
        "train" => at("2021-01-01"),
        "validation" => at("2021-02-01"),
        _ => at("2021-03-01"),
    };
    let floats = |index: usize| rows.iter().map(|row| row[index].parse::<f64>().ok()).collect::<Float64Array>();
    let ints = |index: usize| rows.iter().map(|row| row[index].parse::<i64>().unwrap()).collect::<Int64Array>();
    let flags = rows.iter().map(|row| Some(row[3] == "true")).collect::<BooleanArray>();
    let texts = rows.iter().map(|row| Some(row[4]).filter(|text| !text.is_empty())).collect::<StringArray>();
    let as_of: Int64Array = rows.iter().map(month).collect();
    data(
        vec![
            ("share_late", Arc::new(floats(1))),
            ("payments", Arc::new(ints(2))),
            ("own_car", Arc::new(flags)),
            ("job", Arc::new(texts)),
            ("income", Arc::new(floats(5))),
        ],
        Arc::new(ints(6)),
        as_of,
    )
}

/// Labels are known as of their row; the key is the row's number.
pub fn data(features: Vec<(&str, ArrayRef)>, label: ArrayRef, as_of: Int64Array) -> TrainingData {
    let rows = as_of.len() as i64;
    TrainingData {
        features: RecordBatch::try_from_iter_with_nullable(
            features.into_iter().map(|(name, column)| (name, column, true)),
        )
        .unwrap(),
        label,
        label_time: as_of.clone(),
        as_of,
        keys: vec![Arc::new(Int64Array::from_iter_values(0..rows))],
        groups: Vec::new(),
        profile: Vec::new(),
        refused: BTreeSet::new(),
        left_out: LeftOut::default(),
        words: BTreeMap::new(),
    }
}

/// Rows of one noisy feature, a hundred a month from January 2020 on.
pub fn monthly(rows: usize, seed: u64) -> TrainingData {
    let mut random = fastrand::Rng::with_seed(seed);
    let values: Vec<f64> = (0..rows).map(|_| random.f64()).collect();
    let label: BooleanArray = values.iter().map(|value| Some(random.f64() < value * value)).collect();
    let start = at("2020-01-01");
    let month = |row: usize| karat_core::Zone::utc().add_months(Instant::from_micros(start), (row / 100) as i32);
    let as_of: Int64Array = (0..rows).map(|row| month(row).micros()).collect();
    data(vec![("x", Arc::new(Float64Array::from(values)))], Arc::new(label), as_of)
}

/// The same data with label `row` turned round.
pub fn flip_label(data: &TrainingData, row: usize) -> TrainingData {
    use arrow::array::AsArray;
    let labels = data.label.as_primitive::<arrow::datatypes::Int64Type>();
    let flipped: Int64Array =
        labels.iter().enumerate().map(|(i, label)| if i == row { label.map(|l| 1 - l) } else { label }).collect();
    TrainingData { label: Arc::new(flipped), ..data.clone() }
}
