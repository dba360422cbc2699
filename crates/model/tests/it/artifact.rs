//! The artifact folder: written, read, digested, refused when changed.

use std::collections::BTreeMap;
use std::path::Path;

use karat_core::{DataType, ErrorKind, Value};
use karat_model::{Input, Label, MODEL_FILE, Model, ModelError, ModelParts, Signature, TREES_FILE, Transform};

use crate::python::folder;

type Files = BTreeMap<String, Vec<u8>>;

fn parts() -> ModelParts {
    let mut share = Input::new("share_late", DataType::Float, Transform::Numeric);
    share.words = Some("share of earlier months paid late".to_owned());
    share.code = Some("R01".to_owned());
    let categories = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
    ModelParts {
        signature: Signature {
            inputs: vec![
                share,
                Input::new("income", DataType::Float, Transform::Numeric),
                Input::new("late_last_6", DataType::Int, Transform::Numeric),
                Input::new("job", DataType::Text, Transform::Categories(categories)),
                Input::new("own_car", DataType::Bool, Transform::Boolean),
                Input::new("age", DataType::Float, Transform::Numeric),
            ],
        },
        labels: [Label::Text("paid".to_owned()), Label::Text("late".to_owned())],
        threshold: 0.1 + 0.2,
        trees: std::fs::read_to_string(folder().join("binary.txt")).unwrap(),
    }
}

fn model() -> Model {
    Model::new(parts()).unwrap()
}

fn read(files: &Files) -> Result<Model, ModelError> {
    Model::from_files(&|name| files.get(name).cloned())
}

fn edit(files: &mut Files, file: &str, from: &str, to: &str) {
    let text = String::from_utf8(files[file].clone()).unwrap();
    assert!(text.contains(from), "{from} stands in {file}");
    files.insert(file.to_owned(), text.replacen(from, to, 1).into_bytes());
}

#[test]
fn a_folder_reads_back_as_it_was() {
    let model = model();
    let files = model.to_files();
    let again = read(&files).unwrap();
    assert_eq!(again.parts(), model.parts());
    assert_eq!(again.digest(), model.digest());
    assert_eq!(again.to_files(), files);
    assert_eq!(files[TREES_FILE], model.parts().trees.as_bytes(), "LightGBM's text is kept verbatim");
}

#[test]
fn values_are_encoded_by_their_transforms() {
    let model = model();
    let values = [
        Value::Float(0.25),
        Value::Int(3),
        Value::Null,
        Value::text("c"),
        Value::Bool(true),
        Value::Float(f64::INFINITY),
    ];
    let row = model.encode(&values).unwrap();
    assert_eq!([row[0], row[1], row[3], row[4], row[5]], [0.25, 3.0, 2.0, 1.0, f64::INFINITY]);
    assert!(row[2].is_nan());
    assert!(model.encode_value(3, &Value::text("never seen")).unwrap().is_nan());
    assert_eq!(model.score(&row), model.score_batch(&row)[0]);

    let error = model.encode_value(2, &Value::text("3")).unwrap_err();
    assert_eq!(error.to_string(), "`late_last_6` takes an int or null, not text");
    assert_eq!(model.encode(&values[1..]).unwrap_err(), ModelError::RowWidth { found: 5, wanted: 6 });
}

#[test]
fn labels_follow_the_threshold() {
    let model = model();
    assert_eq!(model.label(model.threshold()), &model.labels()[1]);
    assert_eq!(model.label(model.threshold().next_down()), &model.labels()[0]);
}

#[test]
fn reasons_come_in_order_of_weight() {
    let model = model();
    let row = [0.7, 2.0, f64::NAN, 1.0, 0.0, -1.5];
    let mut all = vec![0.0; 7];
    model.contributions(&row, &mut all);
    assert!((all.iter().sum::<f64>() - model.raw_score(&row)).abs() < 1e-9);
    assert_eq!(all[6], model.expected_value());
    assert_eq!(model.contributions_batch(&row), all);

    let reasons = model.reasons(&row, 4);
    assert_eq!(reasons.len(), 4);
    assert!(reasons.windows(2).all(|pair| pair[0].contribution.abs() >= pair[1].contribution.abs()));
    assert!(reasons.iter().all(|reason| all[reason.feature] == reason.contribution));
    assert_eq!(model.reasons(&row, 99).len(), 6, "never more than there are inputs, and never the base");
}

#[test]
fn the_digest_covers_what_scores_and_nothing_else() {
    let digest = |change: &dyn Fn(&mut ModelParts)| {
        let mut parts = parts();
        change(&mut parts);
        Model::new(parts).unwrap().digest().clone()
    };
    let original = model().digest().clone();
    let same: [&dyn Fn(&mut ModelParts); 3] = [
        &|parts| parts.signature.inputs[0].words = None,
        &|parts| parts.signature.inputs[1].code = Some("R02".to_owned()),
        &|parts| parts.trees = parts.trees.replace("[num_threads: 2]", "[num_threads: 1]"),
    ];
    for change in same {
        assert_eq!(digest(change), original);
    }
    let different: [&dyn Fn(&mut ModelParts); 5] = [
        &|parts| parts.threshold = parts.threshold.next_up(),
        &|parts| parts.labels.swap(0, 1),
        &|parts| parts.signature.inputs[5].name = "age_years".to_owned(),
        &|parts| parts.signature.inputs[3].transform = Transform::Categories(vec!["b".to_owned(), "a".to_owned()]),
        &|parts| parts.trees = one_leaf_changed(&parts.trees),
    ];
    for change in different {
        assert_ne!(digest(change), original);
    }
}

/// The last digit of the first leaf's value becomes another, so that no size changes.
fn one_leaf_changed(trees: &str) -> String {
    let start = trees.find("leaf_value=").unwrap();
    let end = start + trees[start..].find(' ').unwrap();
    let digit = if &trees[end - 1..end] == "1" { "2" } else { "1" };
    format!("{}{digit}{}", &trees[..end - 1], &trees[end..])
}

#[test]
fn changed_files_are_refused() {
    let original = model().to_files();
    let changes: [&dyn Fn(&mut Files); 4] = [
        &|files| edit(files, MODEL_FILE, "0.30000000000000004", "0.3"),
        &|files| edit(files, MODEL_FILE, "\"late\"", "\"defaulted\""),
        &|files| edit(files, MODEL_FILE, "\"own_car\"", "\"owns_car\""),
        &|files| {
            let trees = String::from_utf8(files[TREES_FILE].clone()).unwrap();
            files.insert(TREES_FILE.to_owned(), one_leaf_changed(&trees).into_bytes());
        },
    ];
    for change in changes {
        let mut files = original.clone();
        change(&mut files);
        let error = read(&files).unwrap_err();
        assert!(matches!(error, ModelError::DigestMismatch { .. }), "{error}");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn broken_folders_say_what_is_wrong() {
    let original = model().to_files();
    let message = |change: &dyn Fn(&mut Files)| {
        let mut files = original.clone();
        change(&mut files);
        read(&files).unwrap_err().to_string()
    };
    assert!(message(&|files| drop(files.remove(TREES_FILE))).contains("no `trees.txt`"));
    assert!(message(&|files| drop(files.remove(MODEL_FILE))).contains("no `model.json`"));
    assert!(message(&|files| drop(files.insert(TREES_FILE.to_owned(), vec![0xff]))).contains("not UTF-8"));
    assert!(message(&|files| drop(files.insert(MODEL_FILE.to_owned(), b"{".to_vec()))).contains("cannot be read"));
    let newer = message(&|files| edit(files, MODEL_FILE, "\"format_version\": 1", "\"format_version\": 2"));
    assert_eq!(newer, "the model is of format 2, this version reads up to 1; upgrade Karat");
    assert!(message(&|files| edit(files, MODEL_FILE, "\"digest\": \"", "\"digest\": \"x")).contains("64 hexadecimal"));
    assert!(
        message(&|files| edit(files, MODEL_FILE, "\"threshold\": 0.3", "\"threshold\": 7.3"))
            .contains("between 0 and 1")
    );
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let message = |change: &dyn Fn(&mut ModelParts)| {
        let mut parts = parts();
        change(&mut parts);
        Model::new(parts).unwrap_err().to_string()
    };
    assert!(message(&|parts| drop(parts.signature.inputs.pop())).contains("5 inputs for trees of 6 features"));
    assert!(message(&|parts| parts.signature.inputs[1].name = "age".to_owned()).contains("two inputs"));
    assert!(message(&|parts| parts.signature.inputs[1].data_type = DataType::Date).contains("with an expression"));
    assert!(message(&|parts| parts.labels[1] = parts.labels[0].clone()).contains("both labels"));
    assert!(message(&|parts| parts.threshold = f64::NAN).contains("threshold"));
    let multiclass = std::fs::read_to_string(folder().join("multiclass.txt")).unwrap();
    assert!(message(&|parts| parts.trees = multiclass.clone()).contains("serves binary"));
}

/// Written by the first version of the format; it must load for ever, with this digest and this score.
#[test]
fn format_1_still_loads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-1");
    let model = Model::from_files(&|name| std::fs::read(folder.join(name)).ok()).unwrap();
    assert_eq!(model.digest().as_str(), "547b0c3520504167679b365b11a8c62281c80a3c88946082753bb15eea18988b");
    let row = model.encode(&[
        Value::Float(0.25),
        Value::Int(3),
        Value::Null,
        Value::text("c"),
        Value::Bool(true),
        Value::Float(-1.5),
    ]);
    assert_eq!(model.score(&row.unwrap()).to_bits(), 0x3fe11f8987e3637e);
}
